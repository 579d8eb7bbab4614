/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: private heaps. A set of arenas of their own, with statistics and a map,
 * perhaps a limit, that goes in one piece.
 *
 * A part of pyalloc.c, as pyalloc_debugfs.h is.
 */

/* ---- Blocks of a private heap ------------------------------------------------- */

/**
 * pyheap_alloc() - allocate memory of a heap
 * @heap: what pyheap_create() returned
 * @size: bytes wanted
 * @gfp: allocation flags
 *
 * As pyalloc(); the memory belongs to the caller until it goes to pyheap_free()
 * with the same heap, or the heap is destroyed. It must not go to pyfree().
 *
 * Context: As pyalloc().
 * Return: As pyalloc(); NULL if the heap is at its limit, too.
 */
void *pyheap_alloc(struct pyheap *heap, size_t size, gfp_t gfp)
{
	return heap_alloc_any(heap, size, gfp, PY_CALLER);
}
EXPORT_SYMBOL_GPL(pyheap_alloc);

static void not_this_heap_s(struct pyheap *heap)
{
	bad_free(heap, "free or resize of what is not this heap's");
}

static void large_free(struct pyheap *heap, struct py_large *large)
{
	heap_uncharge(heap, large->size);
	if (large->front)
		debug_free_live(heap, large);
	else
		kfree_told(large->p);
	large_drop(large);
}

/* krealloc(): it may well stay where it is. */
static void *large_realloc(struct pyheap *heap, struct py_large *large,
			   size_t new_size, gfp_t gfp, unsigned long ip)
{
	size_t usable = new_size > KMALLOC_MAX_SIZE ?
			0 : kmalloc_size_roundup(new_size);	/* it says no */
	size_t more = usable > large->size ? usable - large->size : 0;
	void *new = NULL;

	if (!more || large_charge(heap, more, gfp)) {
		new = krealloc_told(ip, large->p, new_size, gfp);
		if (!new)
			heap_uncharge(heap, more);
	} else {
		alloc_refused(heap);
	}
	if (new) {
		large->p = new;
		large->size += more;
	}
	large_add(heap, large);
	return new;
}

/**
 * pyheap_free() - free memory of a heap
 * @heap: the heap it is of
 * @p: what pyheap_alloc() or one of its kin returned, or NULL
 *
 * Memory of another heap, or of none, stays as it is, with a warning.
 *
 * Context: As pyfree().
 */
void pyheap_free(struct pyheap *heap, const void *p)
{
	struct py_large *large;
	struct pyheap *owner;
	unsigned int class;

	if (ZERO_OR_NULL_PTR(p))
		return;
	owner = py_block_heap(p, &class);
	if (likely(owner == heap)) {
		free_to_heap(heap, p);
		return;
	}
	if (debug_on() && debug_free(heap, p, _RET_IP_))
		return;
	large = owner ? NULL : large_take(heap, p);
	if (large)
		large_free(heap, large);
	else
		not_this_heap_s(heap);
}
EXPORT_SYMBOL_GPL(pyheap_free);

/**
 * pyheap_realloc() - change the size of an allocation of a heap
 * @heap: the heap it is of
 * @p: what pyheap_alloc() or one of its kin returned, or NULL
 * @new_size: bytes wanted
 * @gfp: allocation flags
 *
 * As pyrealloc().
 *
 * Context: As pyalloc().
 * Return: As pyrealloc(); NULL, and @p as it was, if the heap is at its limit or
 * @p is not of it.
 */
void *pyheap_realloc(struct pyheap *heap, const void *p, size_t new_size,
		     gfp_t gfp)
{
	struct py_large *large;
	struct pyheap *owner;
	unsigned int class;

	if (ZERO_OR_NULL_PTR(p))
		return heap_alloc_any(heap, new_size, gfp, _RET_IP_);
	if (!new_size) {
		pyheap_free(heap, p);
		return ZERO_SIZE_PTR;
	}
	if (debug_on() && debug_resize(heap, &p, new_size, gfp, _RET_IP_))
		return (void *)p;
	owner = py_block_heap(p, &class);
	if (!owner) {
		large = large_take(heap, p);
		if (large)
			return large_realloc(heap, large, new_size, gfp, _RET_IP_);
	}
	if (owner != heap) {
		not_this_heap_s(heap);
		return NULL;
	}
	return block_resize(heap, p, py_class_size(class), new_size, gfp,
			    _RET_IP_);
}
EXPORT_SYMBOL_GPL(pyheap_realloc);

/* ---- Heaps that come and go ------------------------------------------------------ */

#define PYHEAP_NAME_MAX	63

static bool heap_name_valid(const char *name)
{
	size_t len = name ? strnlen(name, PYHEAP_NAME_MAX + 1) : 0;

	return len && len <= PYHEAP_NAME_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") && strcmp(name, "..");
}

/* Fails if there is one of that name. */
static int heap_publish(struct pyheap *heap)
{
	struct pyheap *other;
	int err = 0;

	down_write(&heaps_sem);
	for_each_heap(other)
		if (!strcmp(other->name, heap->name))
			err = -EEXIST;
	if (!err)
		list_add_tail_rcu(&heap->list, &py_heaps);
	up_write(&heaps_sem);
	return err;
}

static void heap_free_private(struct pyheap *heap)
{
	if (heap->flags & PYHEAP_DEBUG)
		debug_count(-1);
	heap_exit(heap);
	free_percpu(heap->cpu);
	kfree(heap->name);
	kfree(heap);
}

/**
 * pyheap_create() - make a private heap
 * @name: for people: its folder in debugfs/pyalloc/heaps; 1 to 63 characters
 * without "/", unlike any other heap's. Copied.
 * @flags: 0, or some of PYHEAP_MUST_BE_EMPTY, PYHEAP_VMALLOC and PYHEAP_DEBUG
 *
 * Its blocks never share a page with those of another heap. It belongs to the
 * caller until it goes to pyheap_destroy().
 *
 * Context: May sleep.
 * Return: The heap; ERR_PTR(-EINVAL) for a bad name or flag, -EEXIST for a name
 * that is taken, -ENOMEM.
 */
struct pyheap *pyheap_create(const char *name, unsigned int flags)
{
	struct pyheap *heap;
	int err = -ENOMEM;

	might_sleep();
	if (!heap_name_valid(name) || flags & ~PYHEAP_FLAGS)
		return ERR_PTR(-EINVAL);
	heap = kzalloc(sizeof(*heap), GFP_KERNEL);
	if (!heap)
		return ERR_PTR(err);
	if (flags & PYHEAP_DEBUG) {
		err = debug_begin();
		if (err) {
			kfree(heap);
			return ERR_PTR(err);
		}
		err = -ENOMEM;
	}
	heap->flags = flags;
	heap->name = kstrdup(name, GFP_KERNEL);
	heap->cpu = alloc_percpu(struct pyheap_cpu);
	if (heap->name && heap->cpu)
		err = heap_init(heap);
	if (!err)
		err = heap_publish(heap);
	if (err) {
		heap_free_private(heap);
		return ERR_PTR(err);
	}
	heap_debugfs(heap);
	return heap;
}
EXPORT_SYMBOL_GPL(pyheap_create);

/**
 * pyheap_set_limit() - set how much a heap may hold
 * @heap: the heap
 * @bytes: the limit; 0: none, as at first
 *
 * What counts is the pools of 4 KiB that hold blocks of the heap or are kept for
 * them by a CPU, and what kmalloc() serves for it. An allocation that would need
 * more fails, but for __GFP_NOFAIL. A heap that holds more already keeps it.
 *
 * Context: Any.
 */
void pyheap_set_limit(struct pyheap *heap, size_t bytes)
{
	WRITE_ONCE(heap->limit, min_t(size_t, bytes, LONG_MAX));
}
EXPORT_SYMBOL_GPL(pyheap_set_limit);

/**
 * pyheap_held() - how much a heap holds
 * @heap: the heap
 *
 * Context: Any.
 * Return: Bytes, as they count towards its limit.
 */
size_t pyheap_held(const struct pyheap *heap)
{
	return atomic_long_read(&heap->held);
}
EXPORT_SYMBOL_GPL(pyheap_held);

/* Is a chain of blocks of @heap on its way? */
static bool heap_in_transit(struct pyheap *heap)
{
	struct py_arena *arena = NULL;
	bool any = false;
	unsigned int i;

	while ((arena = arena_next(heap, arena)))
		for (i = 1; i < PY_ARENA_PAGES; i++)
			any |= READ_ONCE(arena->remote[i]);
	return any;
}

/*
 * Brings home all blocks of @heap. Nobody frees any more: once each CPU has emptied
 * its outbox, no outbox has one; and once no pool has a chain, no inbox has one.
 * Without CPUs that die meanwhile, whose inboxes would go to others'.
 */
static void heap_settle(struct pyheap *heap)
{
	rt_mutex_lock(&visit_mutex);
	while (!visit_cpus(PY_VISIT_FLUSH, true))
		cond_resched();
	while (heap_in_transit(heap)) {
		visit_cpus(PY_VISIT_DRAIN, true);
		cond_resched();
	}
	rt_mutex_unlock(&visit_mutex);
}

/* Blocks that somebody has. */
static u64 heap_live(struct pyheap *heap)
{
	struct pyheap_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL |
							     __GFP_NOFAIL);
	unsigned int i;
	u64 live;

	pyheap_walk(heap, stats);
	live = stats->large;
	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		live += stats->class[i].handed_out;
	kfree(stats);
	/* What the quarantine still counts now is lost there, and nobody has it. */
	return live - atomic_long_read(&heap->quarantined);
}

/* kmemleak, the profiler and /proc/allocinfo know each block that was not freed. */
static void arena_forget(struct py_arena *arena)
{
	unsigned int i, n;

	for (i = 1; i < PY_ARENA_PAGES; i++) {
		const struct py_pool *pool = &arena->pool[i];
		unsigned int class = arena->class[i];

		if (class >= PYALLOC_NR_CLASSES)
			continue;
		for (n = 0; n < pool->carved; n++) {
			const void *block = py_pool_base(pool) +
					    n * py_class_stride(class);

			tag_free(block, class);
			block = debug_user(arena->heap, block);
			prof_free(block);
			kmemleak_free(block);
		}
	}
}

/* Frees what a heap has that nobody can find any more. */
static void heap_free_all(struct pyheap *heap)
{
	struct py_arena *arena, *next;
	struct py_large *large, *more;
	int nid;

	for_each_node(nid) {
		list_for_each_entry_safe(arena, next, &heap->node[nid]->arenas,
					 all) {
			if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) ||
			    IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING) ||
			    prof_is_on())
				arena_forget(arena);
			arena_free(arena);
			cond_resched();
		}
	}
	for_each_node(nid)
		regions_tend(heap->node[nid], 0);
	rbtree_postorder_for_each_entry_safe(large, more, &heap->large, rb) {
		large_free(heap, large);
		cond_resched();
	}
}

/**
 * pyheap_destroy() - free a heap, and all that is in it
 * @heap: what pyheap_create() returned; NULL and errors are ignored
 *
 * Blocks that live go with it; this takes time for each arena, and for each block
 * that kmalloc() served, but not for each block. With PYHEAP_MUST_BE_EMPTY they
 * must not be there: then the heap stays, and the kernel's log has their number.
 *
 * Nobody may use the heap or its blocks any more.
 *
 * Context: May sleep; takes the CPU hotplug lock.
 * Return: 0; -EBUSY if blocks live that must not.
 */
int pyheap_destroy(struct pyheap *heap)
{
	u64 live;

	if (IS_ERR_OR_NULL(heap))
		return 0;
	might_sleep();
	quarantine_wait(heap);
	if (heap->flags & PYHEAP_MUST_BE_EMPTY) {
		cpus_read_lock();
		heap_settle(heap);	/* on its way home, a block is not live */
		cpus_read_unlock();
		live = heap_live(heap);
		if (live) {
			pr_warn("heap %s: not destroyed, as %llu of its blocks live\n",
				heap->name, live);
			debug_show_live(heap);
			return -EBUSY;
		}
	}
	debugfs_remove(heap->debugfs);
	cpus_read_lock();
	heap_settle(heap);
	down_write(&heaps_sem);
	list_del_rcu(&heap->list);
	up_write(&heaps_sem);
	cpus_read_unlock();
	synchronize_rcu();	/* visits, and the shrinker */
	heap_free_all(heap);
	heap_free_private(heap);
	return 0;
}
EXPORT_SYMBOL_GPL(pyheap_destroy);

/* Module exit: the heaps that nobody destroyed. */
static void heaps_exit(void)
{
	struct pyheap *heap, *next;

	list_for_each_entry_safe(heap, next, &py_heaps, list) {
		if (!heap_private(heap))
			continue;
		pr_warn("heap %s was never destroyed\n", heap->name);
		heap->flags &= ~PYHEAP_MUST_BE_EMPTY;
		heap->debugfs = NULL;	/* went with the others */
		pyheap_destroy(heap);
	}
}
