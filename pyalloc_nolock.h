/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: blocks in any context, NMI too. What may not be freed where pyfree_nolock() is
 * called waits in a list of the CPU, which an irq_work frees, on PREEMPT_RT a worker.
 *
 * A part of pyalloc.c, and included there alone; see pyalloc_debugfs.h.
 */

/* ---- In any context ---------------------------------------------------------- */

/* A block out of this CPU's current pool, if it has one. */
static void *alloc_here(unsigned int class)
{
	struct py_pool *pool;
	void *block = NULL;
	struct py_cpu *c;

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	if (busy_trylock(c)) {
		pool = c->heap.cur[class];
		if (!pool->free && !pool_exhausted(pool, class))
			pool_carve(c, &c->heap, pool, class);
		block = pool->free;
		if (block) {
			pool->free = get_next(c, block);
			pool->left++;
		}
		busy_unlock(c);
	}
	preempt_enable();
	return block;
}

/**
 * pyalloc_nolock() - allocate memory in any context
 * @size: bytes wanted
 * @gfp: __GFP_ZERO, __GFP_ACCOUNT or 0
 *
 * The peer of kmalloc_nolock(): takes no lock and asks nobody for memory. What is not
 * on this CPU is kmalloc_nolock()'s where the kernel has that. kmemleak does not
 * know of it. For pyfree_nolock() or pyfree().
 *
 * Context: Any, NMI too.
 * Return: The memory; ZERO_SIZE_PTR if @size is 0; NULL more often than pyalloc(),
 * and always above PYALLOC_MAX on kernels without kmalloc_nolock().
 */
void *pyalloc_nolock(size_t size, gfp_t gfp)
{
	void *block = NULL;

	if (!size)
		return ZERO_SIZE_PTR;
	if (size <= PYALLOC_MAX && !(gfp & PY_GFP_KMALLOC)) {
		block = alloc_here(PYALLOC_CLASS(size));
		if (block) {
			block = block_init_nolock(block, PYALLOC_CLASS(size),
						  size, gfp);
			prof_alloc(_RET_IP_, block, size,
				   py_class_size(PYALLOC_CLASS(size)));
			trace_pyalloc_alloc(_RET_IP_, block, size,
					    py_class_size(PYALLOC_CLASS(size)),
					    gfp);
			return block;
		}
	}
	count_fall(&py_default, size, PY_FALL_NOLOCK);
	block = py_kmalloc_nolock(size, gfp);
	tell_fall(_RET_IP_, block, size, gfp, PY_FALL_NOLOCK);
	return block;
}
EXPORT_SYMBOL_GPL(pyalloc_nolock);

/*
 * What is twice in a list makes it a ring, as long as nothing of it is freed. Each was counted
 * before it was there, so that no list is longer than @most.
 */
static bool later_ends(const struct llist_node *list, unsigned int most)
{
	for (; list && most; most--)
		list = list->next;
	return !list;
}

static void free_later(struct py_cpu *c)
{
	struct llist_node *list = llist_del_all(&c->later), *next;
	unsigned int freed = READ_ONCE(c->later_freed), n = 0;

	if (unlikely(!later_ends(list, READ_ONCE(c->later_added) - freed))) {
		bad_free(&py_default, "double free");
		return;
	}
	for (; list; list = next) {
		next = list->next;
		n++;
		if (debug_on())
			debug_unpark(list);
		pyfree(list);
	}
	/* Two at a time, when the CPU goes away, may lose some: never too high. */
	WRITE_ONCE(c->later_freed, freed + n);
}

static void later_work(struct work_struct *work)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		free_later(&per_cpu(py_cpu, cpu));
}

static DECLARE_WORK(py_later, later_work);

/*
 * On PREEMPT_RT kfree() may sleep, so there this is a hard interrupt that has a worker free.
 * An irq_work that runs in a thread would not do: if its CPU goes away meanwhile, it stays
 * queued until that comes back.
 */
static void later_kick(struct irq_work *work)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		queue_work(py_reaper.wq, &py_later);
	else
		free_later(container_of(work, struct py_cpu, later_kick));
}

/* Module exit: nobody adds anything any more. */
static void later_stop(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu(py_cpu, cpu).later_kick);
	flush_work(&py_later);
}

/*
 * llist_add(), which is a function of the kernel before 7.3: KASAN would see it write a link
 * into what may be shorter. This file is not instrumented. With preemption off. Fails if @p
 * is the last that was added.
 */
static bool later_add(struct py_cpu *c, const void *p)
{
	struct llist_node *node = (void *)p, *first = READ_ONCE(c->later.first);

	if (unlikely(first == node))	/* a double free */
		return false;
	this_cpu_inc(py_cpu.later_added);
	do
		WRITE_ONCE(node->next, first);
	while (!try_cmpxchg(&c->later.first, &first, node));
	if (!first)
		irq_work_queue(&c->later_kick);
	return true;
}

/**
 * pyfree_nolock() - free memory in any context
 * @p: what pyalloc() or one of its kin returned, or kmalloc(), or NULL
 *
 * The peer of kfree_nolock(). A block goes to a list of this CPU, from where it comes
 * home within a second; what is kmalloc()'s, or must be wiped, told of or checked, is
 * freed by an irq_work, with PREEMPT_RT by a worker. Its first eight bytes are written to
 * before that, which KFENCE and slab_debug tell of if it is kmalloc()'s and shorter.
 *
 * Context: Any, NMI too.
 */
void pyfree_nolock(const void *p)
{
	bool done = false, sane = true;
	struct py_cpu *c;

	if (ZERO_OR_NULL_PTR(p))
		return;
	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	if (!extra_on_free() && py_map_has(p) &&
	    READ_ONCE(py_arena_of(p)->class[py_index_of(p)]) <
	    PYALLOC_NR_CLASSES) {
		done = true;
		sane = outbox_add(c, (void *)p);
	}
	if (!done && debug_on() && !debug_park(p))
		done = true;
	if (!done)
		sane = later_add(c, p);
	preempt_enable();
	if (unlikely(!sane))
		bad_free(&py_default, "double free");
}
EXPORT_SYMBOL_GPL(pyfree_nolock);
