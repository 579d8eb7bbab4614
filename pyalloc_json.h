/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: debugfs/pyalloc/stats.json. All heaps as one JSON object, for programs;
 * Documentation/stats-json.rst has its members and what they promise.
 *
 * A part of pyalloc.c, as pyalloc_debugfs.h is.
 */

/* Only when a member goes, or means something else. */
#define PY_JSON_VERSION	1

static const char * const py_reason_key[] = {
	[PY_FALL_SIZE] = "size",
	[PY_FALL_GFP] = "flags",
	[PY_FALL_NODE] = "node",
	[PY_FALL_NESTED] = "nested",
	[PY_FALL_RESERVE] = "reserve",
	[PY_FALL_ARENA] = "no_arena",
	[PY_FALL_NOLOCK] = "nolock",
};

static_assert(ARRAY_SIZE(py_reason_key) == PY_NR_REASONS);

static const char * const py_event_key[] = {
	[PY_EV_SLOW_ALLOC] = "slow_allocs",
	[PY_EV_CARVE] = "carves",
	[PY_EV_POOL_EVENT] = "slow_frees",
	[PY_EV_NODE_TAKE] = "node_takes",
	[PY_EV_NODE_BACK] = "node_backs",
	[PY_EV_CHAIN] = "remote_batches",
	[PY_EV_CHAIN_BLOCKS] = "remote_blocks",
	[PY_EV_FORWARD] = "remote_forwarded",
	[PY_EV_NESTED_FREE] = "nested_frees",
	[PY_EV_BUSY_IN_TASK] = "busy_in_task",
	[PY_EV_BAD_FREE] = "frees_refused",
	[PY_EV_LIMIT] = "limit_refused",
};

static_assert(ARRAY_SIZE(py_event_key) == PY_NR_EVENTS);

/* Between two elements: a comma, but not before the first. */
static void json_next(struct seq_file *m, bool *first)
{
	if (!*first)
		seq_puts(m, ",\n");
	*first = false;
}

/* Whoever makes a heap names it: any byte but 0 and "/" may be in @s. */
static void json_string(struct seq_file *m, const char *s)
{
	seq_putc(m, '"');
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			seq_printf(m, "\\%c", c);
		else if (c < ' ' || c > '~')
			seq_printf(m, "\\u%04x", c);
		else
			seq_putc(m, c);
	}
	seq_putc(m, '"');
}

static void json_arenas(struct seq_file *m, const struct pyheap_stats *stats)
{
	seq_printf(m, "\"arenas\": {\"total\": %llu, \"reclaimed\": %llu, ",
		   stats->arenas_total, stats->arenas_reclaimed);
	seq_printf(m, "\"highwater\": %llu, \"current\": %llu, \"failed\": %llu},\n",
		   stats->arenas_highwater, stats->arenas,
		   stats->arenas_failed);
}

static void json_bytes(struct seq_file *m, const struct pyheap_stats *stats)
{
	const struct py_class_bytes b = class_bytes(stats);

	seq_printf(m, "\"bytes\": {\"allocated\": %llu, \"available\": %llu, ",
		   b.used, b.avail);
	seq_printf(m, "\"in_transit\": %llu, \"virgin\": %llu, ",
		   b.transit, b.virgin);
	seq_printf(m, "\"unused_pools\": %llu, \"pools_given_back\": %llu, ",
		   stats->unused * PY_POOL_SIZE, stats->gone * PY_POOL_SIZE);
	seq_printf(m, "\"headers\": %llu, \"quantization\": %llu, \"total\": %llu},\n",
		   stats->headers * PY_POOL_SIZE, b.tails,
		   pyheap_stats_total(stats));
}

static void json_falls(struct seq_file *m, const struct pyheap_stats *stats)
{
	bool first = true;
	unsigned int i, j;

	seq_puts(m, "\"falls\": {\n");
	for (i = 0; i < PY_NR_REASONS; i++) {
		json_next(m, &first);
		seq_printf(m, "\"%s\": [", py_reason_key[i]);
		for (j = 0; j < PY_NR_SIZES; j++)
			seq_printf(m, j ? ", %llu" : "%llu", stats->fall[i][j]);
		seq_putc(m, ']');
	}
	seq_puts(m, "\n},\n");
}

static void json_events(struct seq_file *m, const struct pyheap_stats *stats)
{
	unsigned int i;

	seq_puts(m, "\"events\": {\n");
	for (i = 0; i < PY_NR_EVENTS; i++)
		seq_printf(m, "\"%s\": %llu,\n", py_event_key[i],
			   stats->event[i]);
	seq_printf(m, "\"pages_given_back\": %llu, \"pages_had_again\": %llu,\n",
		   stats->pages_back, stats->pages_again);
	seq_printf(m, "\"corrupt\": %llu, \"given_to_kfree\": %llu,\n",
		   stats->corrupt, stats->strays);
	seq_printf(m, "\"pools_kept_by_cpus\": %llu\n},\n", stats->spare);
}

static void json_classes(struct seq_file *m, const struct pyheap_stats *stats)
{
	bool first = true;
	unsigned int i;

	seq_puts(m, "\"classes\": [\n");
	for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
		const struct py_class_stats *s = &stats->class[i];

		if (!s->pools)
			continue;
		json_next(m, &first);
		seq_printf(m, "{\"size\": %u, \"pools\": %llu, \"in_use\": %llu, ",
			   py_class_size(i), s->pools,
			   s->handed_out - s->transit);
		seq_printf(m, "\"in_transit\": %llu, \"free\": %llu, \"virgin\": %llu}",
			   s->transit, s->free, s->virgin);
	}
	seq_puts(m, "\n],\n");
}

static void json_map(struct seq_file *m, struct pyheap *heap)
{
	struct py_arena *arena = NULL;
	bool first = true;

	seq_puts(m, "\"map\": [\n");
	while ((arena = arena_next(heap, arena))) {
		json_next(m, &first);
		seq_printf(m, "{\"node\": %d, \"pools\": \"", arena->node->nid);
		show_pools(m, arena);
		seq_puts(m, "\"}");
		cond_resched();
	}
	seq_puts(m, "\n]");
}

/* What counts towards a limit. The default heap, without one, does not count it. */
static u64 json_held(const struct pyheap *heap,
		     const struct pyheap_stats *stats)
{
	u64 pools = stats->spare;
	unsigned int i;

	if (heap_private(heap))
		return stats->held;
	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		pools += stats->class[i].pools;
	return pools * PY_POOL_SIZE;
}

static void json_heap(struct seq_file *m, struct pyheap *heap,
		      const struct pyheap_stats *stats)
{
	seq_puts(m, "{\n\"name\": ");
	json_string(m, heap->name);
	seq_printf(m, ",\n\"private\": %s,\n",
		   heap_private(heap) ? "true" : "false");
	seq_printf(m, "\"limit\": %llu, \"held\": %llu,\n", stats->limit,
		   json_held(heap, stats));
	json_arenas(m, stats);
	json_bytes(m, stats);
	seq_printf(m, "\"kmalloc\": {\"blocks\": %llu, \"bytes\": %llu},\n",
		   stats->large, stats->large_bytes);
	json_falls(m, stats);
	json_events(m, stats);
	json_classes(m, stats);
	json_map(m, heap);
	seq_puts(m, "\n}");
}

static void (*prof_json)(struct seq_file *m);
static DEFINE_MUTEX(prof_json_mutex);	/* of prof_json */

/**
 * pyalloc_prof_json() - say what a profiler adds to stats.json
 * @show: prints one JSON value; NULL: there is no profiler any more
 *
 * Context: May sleep; waits until @show's predecessor is not being called.
 */
void pyalloc_prof_json(void (*show)(struct seq_file *m))
{
	mutex_lock(&prof_json_mutex);
	prof_json = show;
	mutex_unlock(&prof_json_mutex);
}
EXPORT_SYMBOL_INTERNAL(pyalloc_prof_json);

static void json_profile(struct seq_file *m)
{
	mutex_lock(&prof_json_mutex);
	if (prof_json)
		prof_json(m);
	else
		seq_puts(m, "null");
	mutex_unlock(&prof_json_mutex);
}

static void json_head(struct seq_file *m)
{
	seq_printf(m, "{\n\"schema\": \"pyalloc-stats\",\n\"version\": %d,\n",
		   PY_JSON_VERSION);
	seq_puts(m, "\"release\": ");
	json_string(m, THIS_MODULE->version);
	seq_puts(m, ",\n\"kernel\": ");
	json_string(m, utsname()->release);
	seq_printf(m, ",\n\"uptime_ns\": %llu,\n", ktime_get_boottime_ns());
	seq_printf(m, "\"arena_size\": %lu, \"pool_size\": %lu, ",
		   PY_ARENA_SIZE, PY_POOL_SIZE);
	seq_printf(m, "\"threshold\": %d, \"alignment\": %d,\n",
		   PYALLOC_MAX, PYALLOC_ALIGN);
}

static int json_show(struct seq_file *m, void *unused)
{
	struct pyheap_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	struct pyheap *heap;
	bool first = true;

	if (!stats)
		return -ENOMEM;
	json_head(m);
	seq_puts(m, "\"heaps\": [\n");
	cpus_read_lock();
	down_read(&heaps_sem);
	for_each_heap(heap) {
		if (seq_has_overflowed(m))
			break;	/* will be made anew, with more room */
		heap_walk(heap, stats);
		json_next(m, &first);
		json_heap(m, heap, stats);
	}
	up_read(&heaps_sem);
	cpus_read_unlock();
	seq_puts(m, "\n],\n\"profile\": ");
	json_profile(m);
	seq_puts(m, "\n}\n");
	kfree(stats);
	return 0;
}

/* Room for a heap without its map: it has up to 64 lines of classes. */
#define PY_JSON_HEAP	SZ_8K

/*
 * Made as a whole: in pieces, heaps and arenas would come and go between two
 * reads, and leave an object that no parser takes. The room is for what there is
 * now; if more has come when it is read, seq_file doubles it.
 */
static int json_open(struct inode *inode, struct file *file)
{
	size_t room = SZ_4K;
	struct pyheap *heap;

	rcu_read_lock();
	for_each_heap(heap)
		room += PY_JSON_HEAP + arenas_room(heap);
	rcu_read_unlock();
	return single_open_size(file, json_show, NULL, room);
}

static const struct file_operations json_fops = {
	.owner = THIS_MODULE,
	.open = json_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};
