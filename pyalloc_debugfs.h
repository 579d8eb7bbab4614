/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: what is inside. The walk that counts what a heap has, and the files that
 * show it under /sys/kernel/debug/pyalloc.
 *
 * A part of pyalloc.c, and included there alone: a module called pyalloc cannot be
 * built of several objects of which one is pyalloc.o.
 */

/* ---- Statistics: the walk ------------------------------------------------------ */

/* Blocks of free lists that one visit counts: bounds the time it takes. */
#define PY_WALK_BLOCKS	1024

struct py_walk {
	struct pyheap *heap;
	struct pyheap_stats *stats;
	struct py_arena *arena;
	u64 todo;		/* pools of it not counted yet */
	bool busy;		/* the CPU was in a "busy" section */
};

/* Counts the free blocks of a pool, and finds what cannot be one. */
static unsigned int walk_free(const struct py_cpu *c,
			      const struct py_pool *pool, unsigned int class,
			      u64 *corrupt)
{
	const void *base = py_pool_base(pool);
	const void *block;
	unsigned int n = 0;

	for (block = pool->free; block; block = get_next(c, block)) {
		unsigned long offset = block - base;

		if (n == pool->carved ||
		    offset >= pool->carved * py_class_stride(class) ||
		    offset % py_class_stride(class)) {
			++*corrupt;
			break;
		}
		n++;
	}
	return n;
}

/* Counts the pools of an arena that this CPU owns. Interrupts are off. */
static void walk_pools(void *arg)
{
	struct py_walk *walk = arg;
	struct pyheap_stats *stats = walk->stats;
	struct py_arena *arena = walk->arena;
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	unsigned int blocks = 0;
	u64 rest;

	walk->busy = !busy_trylock(c);
	if (walk->busy)
		return;
	for (rest = walk->todo; rest && blocks < PY_WALK_BLOCKS;
	     rest &= rest - 1) {
		unsigned int i = __ffs64(rest);
		const struct py_pool *pool = &arena->pool[i];
		struct py_class_stats *s;
		unsigned int n, class;

		if (READ_ONCE(arena->owner[i]) != c->id)
			continue;
		walk->todo &= ~BIT_ULL(i);
		class = arena->class[i];	/* a pool of ours: it stays */
		if (pool->state == PY_POOL_SPARE) {
			stats->unused++;
			stats->spare++;
			continue;
		}
		s = &stats->class[class];
		n = walk_free(c, pool, class, &stats->corrupt);
		blocks += n;
		s->pools++;
		s->free += n;
		s->virgin += class_blocks(class) - pool->carved;
		s->handed_out += pool_count(pool, class);
		s->transit += py_chain_count(READ_ONCE(arena->remote[i]));
	}
	busy_unlock(c);
}

/* Counts the blocks of the heap in this CPU's outbox. Interrupts are off. */
static void walk_outbox(void *arg)
{
	struct py_walk *walk = arg;
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	unsigned int i, most;
	void *block;

	walk->busy = !busy_trylock(c);
	if (walk->busy)
		return;
	most = outbox_count(c);
	for (i = 0; i < 2; i++) {
		block = i ? c->nested : c->outbox;
		for (; block && most; block = get_next(c, block), most--) {
			struct py_arena *arena = py_arena_of(block);
			unsigned int class = READ_ONCE(arena->class[py_index_of(block)]);

			/* Twice freed, it may be in a pool without class. */
			if (arena->heap == walk->heap &&
			    class < PYALLOC_NR_CLASSES)
				walk->stats->class[class].transit++;
		}
	}
	busy_unlock(c);
}

/* Runs @fn on @cpu until it did not meet "busy". Fails if @cpu is gone. */
static bool walk_on(unsigned int cpu, smp_call_func_t fn, struct py_walk *walk)
{
	do {
		if (smp_call_function_single(cpu, fn, walk, 1))
			return false;
		if (walk->busy)
			usleep_range(20, 100);
	} while (walk->busy);
	return true;
}

/* A page that was given back is somebody else's, and not negative. */
static unsigned int arena_strays(const struct py_arena *arena)
{
	unsigned int i, strays = 0;

	if (!arena->region)
		for (i = 1; i < PY_ARENA_PAGES; i++)
			strays += page_strays(arena_page(arena, i));
	return strays;
}

/* Counts each pool once, on its owner's CPU if it has one. */
static void walk_arena(struct py_walk *walk)
{
	struct py_arena *arena = walk->arena;
	u64 rest;

	walk->stats->arenas++;
	walk->stats->headers++;
	walk->stats->strays += arena_strays(arena);
	walk->todo = GENMASK_ULL(PY_ARENA_POOLS, 1);
	while (walk->todo) {
		for (rest = walk->todo; rest; rest &= rest - 1) {
			unsigned int i = __ffs64(rest);
			unsigned int owner = READ_ONCE(arena->owner[i]);

			if (!(walk->todo & BIT_ULL(i)))
				continue;	/* with another of its owner */
			if (owner != PY_NOBODY) {
				if (walk_on(owner, walk_pools, walk))
					continue;
				/* Not adopted, a bug: say so, do not wait. */
				walk->stats->corrupt++;
				walk->todo &= ~BIT_ULL(i);
				continue;
			}
			if (READ_ONCE(arena->class[i]) == PY_CLASS_GONE)
				walk->stats->gone++;
			else
				walk->stats->unused++;
			walk->todo &= ~BIT_ULL(i);
		}
		cond_resched();
	}
}

/* As pyheap_walk(), with the CPU hotplug lock. */
static void heap_walk(struct pyheap *heap, struct pyheap_stats *stats)
{
	struct py_walk walk = { .heap = heap, .stats = stats };
	unsigned int cpu, i, j;
	unsigned long flags;
	int nid;

	memset(stats, 0, sizeof(*stats));
	while ((walk.arena = arena_next(heap, walk.arena)))
		walk_arena(&walk);
	py_for_each_online_cpu(cpu)
		walk_on(cpu, walk_outbox, &walk);

	/* A block may have been allocated and freed again after its pool. */
	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		stats->class[i].transit = min(stats->class[i].transit,
					      stats->class[i].handed_out);
	for_each_possible_cpu(cpu) {
		const struct pyheap_cpu *hc = per_cpu_ptr(heap->cpu, cpu);

		for (i = 0; i < PY_NR_EVENTS; i++)
			/* data_race(): the CPU counts on; its next is as good. */
			stats->event[i] += data_race(READ_ONCE(hc->event[i]));
		for (i = 0; i < PY_NR_REASONS; i++)
			for (j = 0; j < PY_NR_SIZES; j++)
				stats->fall[i][j] += READ_ONCE(hc->fall[i][j]);
	}
	for_each_node(nid) {
		struct pyheap_node *node = heap->node[nid];

		spin_lock_irqsave(&node->lock, flags);
		stats->arenas_total += node->arenas_total;
		stats->arenas_reclaimed += node->arenas_reclaimed;
		stats->arenas_failed += node->arenas_failed;
		stats->pages_back += node->pages_back;
		stats->pages_again += node->pages_again;
		stats->event[PY_EV_NODE_TAKE] += node->takes;
		stats->event[PY_EV_NODE_BACK] += node->backs;
		spin_unlock_irqrestore(&node->lock, flags);
	}
	stats->arenas_highwater = atomic_long_read(&heap->highwater);
	stats->limit = READ_ONCE(heap->limit);
	stats->held = atomic_long_read(&heap->held);
	raw_spin_lock_irqsave(&heap->lock, flags);
	stats->large = heap->nr_large;
	stats->large_bytes = heap->large_bytes;
	raw_spin_unlock_irqrestore(&heap->lock, flags);
}

/**
 * pyheap_walk() - count what a heap has, by looking at all of it
 * @heap: the heap
 * @stats: filled in
 *
 * Each pool is counted once, as its owner sees it between two operations, so
 * that pyheap_stats_total() equals the size of the arenas at any time. Blocks
 * that move meanwhile may be seen in transit and at home, or not at all. No
 * CPU is held up for longer than it takes to count PY_WALK_BLOCKS.
 *
 * Context: May sleep; takes the CPU hotplug lock.
 */
void pyheap_walk(struct pyheap *heap, struct pyheap_stats *stats)
{
	cpus_read_lock();
	heap_walk(heap, stats);
	cpus_read_unlock();
}
EXPORT_SYMBOL_INTERNAL(pyheap_walk);

/* The bytes of all classes together. */
struct py_class_bytes {
	u64 used;
	u64 avail;
	u64 transit;
	u64 virgin;
	u64 tails;		/* in no block */
};

static struct py_class_bytes class_bytes(const struct pyheap_stats *stats)
{
	struct py_class_bytes b = {};
	unsigned int i;

	for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
		const struct py_class_stats *s = &stats->class[i];
		unsigned int size = py_class_size(i);

		b.used += (s->handed_out - s->transit) * size;
		b.avail += s->free * size;
		b.transit += s->transit * size;
		b.virgin += s->virgin * size;
		b.tails += s->pools * py_class_tail(i);
	}
	return b;
}

/* ---- debugfs --------------------------------------------------------------------- */

static const char * const py_reason_name[] = {
	[PY_FALL_SIZE] = "above 512 bytes",
	[PY_FALL_GFP] = "flags of kmalloc's",
	[PY_FALL_NODE] = "another node's memory",
	[PY_FALL_NESTED] = "in an interrupt, busy",
	[PY_FALL_RESERVE] = "memory reserves",
	[PY_FALL_ARENA] = "no arena",
	[PY_FALL_NOLOCK] = "without locks, none here",
};

static_assert(ARRAY_SIZE(py_reason_name) == PY_NR_REASONS);

static const char * const py_event_name[] = {
	[PY_EV_SLOW_ALLOC] = "slow allocations",
	[PY_EV_CARVE] = "virgin blocks carved, times",
	[PY_EV_POOL_EVENT] = "slow frees",
	[PY_EV_NODE_TAKE] = "pools taken, node locks",
	[PY_EV_NODE_BACK] = "pools handed back, node locks",
	[PY_EV_CHAIN] = "remote batches arrived",
	[PY_EV_CHAIN_BLOCKS] = "blocks in remote batches",
	[PY_EV_FORWARD] = "remote batches forwarded",
	[PY_EV_NESTED_FREE] = "frees in an interrupt, busy",
	[PY_EV_BUSY_IN_TASK] = "busy found in a task (bug)",
	[PY_EV_BAD_FREE] = "frees refused",
	[PY_EV_LIMIT] = "refused, at the heap's limit",
};

static_assert(ARRAY_SIZE(py_event_name) == PY_NR_EVENTS);

static void show_ledger(struct seq_file *m, const char *name, u64 value)
{
	seq_printf(m, "%-36s = %20llu\n", name, value);
}

/* The ledger line "N things * size". */
static u64 show_product(struct seq_file *m, u64 n, const char *things, u64 size)
{
	char name[40];

	snprintf(name, sizeof(name), "%llu %s * %llu bytes", n, things, size);
	show_ledger(m, name, n * size);
	return n * size;
}

static void show_classes(struct seq_file *m, const struct pyheap_stats *stats)
{
	unsigned int i;

	seq_printf(m, "Small block threshold = %d, in %d size classes.\n\n",
		   PYALLOC_MAX, PYALLOC_NR_CLASSES);
	seq_puts(m, "class   size   num pools   blocks in use  avail blocks\n"
		    "-----   ----   ---------   -------------  ------------\n");
	for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
		const struct py_class_stats *s = &stats->class[i];

		if (s->pools)
			seq_printf(m, "%5u %6u %11llu %15llu %13llu\n", i,
				   py_class_size(i), s->pools,
				   s->handed_out - s->transit,
				   s->free + s->virgin);
	}
	seq_putc(m, '\n');
}

static void show_ledgers(struct seq_file *m, const struct pyheap_stats *stats)
{
	const struct py_class_bytes b = class_bytes(stats);

	show_ledger(m, "# arenas allocated total", stats->arenas_total);
	show_ledger(m, "# arenas reclaimed", stats->arenas_reclaimed);
	show_ledger(m, "# arenas highwater mark", stats->arenas_highwater);
	show_ledger(m, "# arenas allocated current", stats->arenas);
	show_product(m, stats->arenas, "arenas", PY_ARENA_SIZE);
	seq_putc(m, '\n');
	show_ledger(m, "# bytes in allocated blocks", b.used);
	show_ledger(m, "# bytes in available blocks", b.avail);
	show_ledger(m, "# bytes in in-transit blocks", b.transit);
	show_ledger(m, "# bytes in virgin blocks", b.virgin);
	show_product(m, stats->unused, "unused pools", PY_POOL_SIZE);
	show_product(m, stats->gone, "pools given back", PY_POOL_SIZE);
	show_ledger(m, "# bytes lost to arena headers",
		    stats->headers * PY_POOL_SIZE);
	show_ledger(m, "# bytes lost to quantization", b.tails);
	show_ledger(m, "Total", pyheap_stats_total(stats));
	seq_printf(m, "The total %s what the arenas have.\n\n",
		   pyheap_stats_total(stats) == stats->arenas * PY_ARENA_SIZE ?
		   "is" : "IS NOT");
}

static void show_events(struct seq_file *m, const struct pyheap_stats *stats)
{
	unsigned int i, j;

	seq_puts(m, "requests served by kmalloc      <=512    <=1024    <=2048    <=4096    <=8192    larger\n");
	for (i = 0; i < PY_NR_REASONS; i++) {
		seq_printf(m, "%-26s", py_reason_name[i]);
		for (j = 0; j < PY_NR_SIZES; j++)
			seq_printf(m, " %9llu", stats->fall[i][j]);
		seq_putc(m, '\n');
	}
	seq_putc(m, '\n');
	for (i = 0; i < PY_NR_EVENTS; i++)
		show_ledger(m, py_event_name[i], stats->event[i]);
	show_ledger(m, "unused pools kept by CPUs", stats->spare);
	show_ledger(m, "page allocator: arenas", stats->arenas_total);
	show_ledger(m, "page allocator: refusals", stats->arenas_failed);
	show_ledger(m, "page allocator: pages given back", stats->pages_back);
	show_ledger(m, "page allocator: of these had again", stats->pages_again);
	show_ledger(m, "free lists found corrupt", stats->corrupt);
	show_ledger(m, "blocks given to kfree() (bug)", stats->strays);
}

static void show_private(struct seq_file *m, const struct pyheap_stats *stats)
{
	seq_putc(m, '\n');
	show_ledger(m, "bytes held: pools and kmalloc blocks", stats->held);
	show_ledger(m, "limit, bytes (0: none)", stats->limit);
	show_ledger(m, "kmalloc blocks", stats->large);
	show_ledger(m, "bytes in kmalloc blocks", stats->large_bytes);
}

static int stats_show(struct seq_file *m, void *unused)
{
	struct pyheap *heap = m->private;
	struct pyheap_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);

	if (!stats)
		return -ENOMEM;
	pyheap_walk(heap, stats);
	show_classes(m, stats);
	show_ledgers(m, stats);
	show_events(m, stats);
	if (heap_private(heap))
		show_private(m, stats);
	kfree(stats);
	return 0;
}

/* A file that is shown as a whole: room for it at once, or it is made twice. */
static int stats_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, stats_show, inode->i_private, SZ_16K);
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.open = stats_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

/* What there is to see of pool @i from far away. */
static struct py_pool pool_look(const struct py_arena *arena, unsigned int i)
{
	/* data_race(): its owner may be changing it, and need not care who looks. */
	return data_race(arena->pool[i]);
}

static char pool_char(const struct py_arena *arena, unsigned int i)
{
	unsigned int class = READ_ONCE(arena->class[i]);
	struct py_pool pool = pool_look(arena, i);

	if (class == PY_CLASS_HEADER)
		return 'H';
	if (class == PY_CLASS_GONE)
		return '-';
	if (class >= PYALLOC_NR_CLASSES)
		return READ_ONCE(arena->owner[i]) == PY_NOBODY ? '.' : ':';
	if (pool.state == PY_POOL_FULL)
		return '#';
	return '0' + min(pool_count(&pool, class) * 10 / class_blocks(class),
			 9U);
}

static void show_pools(struct seq_file *m, const struct py_arena *arena)
{
	unsigned int i;

	for (i = 0; i < PY_ARENA_PAGES; i++)
		seq_putc(m, pool_char(arena, i));
}

/* What in an arena is in use, from as far away. */
static void arena_look(const struct py_arena *arena, struct py_arena_info *info)
{
	unsigned int i;

	for (i = 1; i < PY_ARENA_PAGES; i++) {
		unsigned int class = READ_ONCE(arena->class[i]), n;
		struct py_pool pool = pool_look(arena, i);

		if (class == PY_CLASS_GONE)
			info->gone |= BIT_ULL(i);
		if (class >= PYALLOC_NR_CLASSES || pool.state == PY_POOL_SPARE)
			continue;
		n = pool_count(&pool, class);
		n -= min(n, py_chain_count(READ_ONCE(arena->remote[i])));
		info->blocks += n;
		info->bytes += n * py_class_size(class);
	}
}

/**
 * pyheap_arenas() - look at all arenas
 * @fn: gets what there is to know of one; a value other than 0 ends it
 * @arg: for @fn
 *
 * The arena stays while @fn looks at it. What other CPUs change meanwhile is seen
 * as before or after.
 *
 * Context: May sleep.
 * Return: What @fn returned last; 0 without an arena.
 */
int pyheap_arenas(int (*fn)(const struct py_arena_info *info, void *arg),
		  void *arg)
{
	struct pyheap *heap;
	int ret = 0;

	down_read(&heaps_sem);
	for_each_heap(heap) {
		struct py_arena *arena = NULL;

		while (!ret && (arena = arena_next(heap, arena))) {
			struct py_arena_info info = {
				.arena = arena,
				.heap = py_heap_name(heap),
				.node = arena->node->nid,
			};

			arena_look(arena, &info);
			ret = fn(&info, arg);
			cond_resched();
		}
		if (arena)
			arena_unpin(arena);
		if (ret)
			break;
	}
	up_read(&heaps_sem);
	return ret;
}
EXPORT_SYMBOL_INTERNAL(pyheap_arenas);

static int arenas_show(struct seq_file *m, void *unused)
{
	struct pyheap *heap = m->private;
	struct py_arena *arena = NULL;
	unsigned int n = 0;

	seq_puts(m, "One line an arena, one character a page:\n"
		    "  H header   . unused   : unused, kept by a CPU   - given back\n"
		    "  0-9 tenths of the blocks in use   # full\n\n");
	while ((arena = arena_next(heap, arena))) {
		seq_printf(m, "%6u node %d ", n++, arena->node->nid);
		show_pools(m, arena);
		seq_putc(m, '\n');
		cond_resched();
	}
	return 0;
}

/* Room for the map of a heap. */
static size_t arenas_room(struct pyheap *heap)
{
	return atomic_long_read(&heap->arenas) * 2 * PY_ARENA_PAGES;
}

static int arenas_open(struct inode *inode, struct file *file)
{
	struct pyheap *heap = inode->i_private;

	return single_open_size(file, arenas_show, heap,
				SZ_4K + arenas_room(heap));
}

static const struct file_operations arenas_fops = {
	.owner = THIS_MODULE,
	.open = arenas_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

/* "1" trims; nothing else is understood. */
static ssize_t trim_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *pos)
{
	unsigned int value;
	int err = kstrtouint_from_user(buf, count, 0, &value);

	if (err == -EFAULT)
		return err;
	if (err || value != 1)
		return -EINVAL;
	pyalloc_trim();
	return count;
}

static const struct file_operations trim_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = trim_write,
};

static const struct file_operations json_fops;	/* pyalloc_json.h */

static struct dentry *py_debugfs_heaps;

/* A heap's own files. */
static void heap_debugfs_files(struct pyheap *heap)
{
	debugfs_create_file("stats", 0400, heap->debugfs, heap, &stats_fops);
	debugfs_create_file("arenas", 0400, heap->debugfs, heap, &arenas_fops);
}

/* Those of a private heap. */
static void heap_debugfs(struct pyheap *heap)
{
	heap->debugfs = debugfs_create_dir(heap->name, py_debugfs_heaps);
	heap_debugfs_files(heap);
}

static void debugfs_add(void)
{
	py_default.debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	heap_debugfs_files(&py_default);
	debugfs_create_file("stats.json", 0400, py_default.debugfs, NULL,
			    &json_fops);
	debugfs_create_file("trim", 0200, py_default.debugfs, NULL, &trim_fops);
	py_fault_debugfs(&py_fail, py_default.debugfs);
	py_debugfs_heaps = debugfs_create_dir("heaps", py_default.debugfs);
}
