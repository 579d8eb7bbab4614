/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: many blocks at once, in one "busy" section as far as that goes.
 *
 * A part of pyalloc.c, and included there alone; see pyalloc_debugfs.h.
 */

/* ---- Many at once ----------------------------------------------------------- */

/* Takes up to @nr blocks out of this CPU's pools in one "busy" section. */
static __always_inline unsigned int alloc_run(unsigned int class,
					      unsigned int nr, void **p)
{
	void **at = p, **end = p + nr, **first, *block;
	struct py_cpu *c;
	struct py_pool *pool;
	unsigned long key;

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	if (likely(!(debug_on() && c->heap.debug) && busy_trylock(c))) {
		key = c->key;
		do {
			pool = *(c->heap.cur + class);
			block = pool->free;
			if (unlikely(!block)) {
				c->heap.event[PY_EV_SLOW_ALLOC]++;
				block = alloc_local(c, &c->heap, class);
				if (!block)
					break;
				*at++ = block;
				continue;
			}
			first = at;
			do {
				*at++ = block;
				block = link_code(key, block, *(void **)block);
			} while (block && at < end);
			pool->free = block;
			pool->left += at - first;
		} while (at < end);
		busy_unlock(c);
	}
	preempt_enable();
	return at - p;
}

/* More than a run has, or than one may be; the first @n there are. */
static noinline unsigned int alloc_runs(size_t size, gfp_t gfp, unsigned int nr,
					void **p, unsigned int n,
					unsigned long ip)
{
	bool pooled = size - 1 < PYALLOC_MAX && !(gfp & PY_GFP_KMALLOC);
	unsigned int i, got;

	for (i = 0; i < n; i++)
		if (wants_init(gfp))
			p[i] = block_init(size, gfp, p[i], PYALLOC_CLASS(size), ip);
	while (n < nr) {
		got = pooled ? alloc_run(PYALLOC_CLASS(size),
					 min(nr - n, (unsigned int)PY_BATCH),
					 p + n) : 0;
		for (i = n; i < n + got; i++)
			if (wants_init(gfp))
				p[i] = block_init(size, gfp, p[i],
						  PYALLOC_CLASS(size), ip);
		n += got;
		if (n < nr && got < PY_BATCH) {
			p[n] = alloc_at(size, gfp, ip);
			if (!p[n]) {
				pyfree_bulk(n, p);
				return 0;
			}
			n++;
		}
	}
	return nr;
}

/**
 * pyalloc_bulk() - allocate many blocks of one size
 * @size: bytes of each
 * @gfp: allocation flags
 * @nr: how many
 * @p: where the pointers go
 *
 * The peer of kmem_cache_alloc_bulk(): all or nothing, and cheaper than one by
 * one. Each belongs to the caller and may be freed by itself.
 *
 * Context: As pyalloc().
 * Return: @nr; 0 where kmalloc() would have failed too.
 */
unsigned int pyalloc_bulk(size_t size, gfp_t gfp, unsigned int nr, void **p)
{
	unsigned int n = 0;

	if (IS_ENABLED(CONFIG_LOCKDEP) || IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP))
		might_alloc(gfp);
	if (likely(size - 1 < PYALLOC_MAX && nr - 1 < PY_BATCH &&
		   !(gfp & PY_GFP_KMALLOC)))
		n = alloc_run(PYALLOC_CLASS(size), nr, p);
	if (likely(n == nr && !extra_on_alloc(gfp)))
		return nr;
	return alloc_runs(size, gfp, nr, p, n, _RET_IP_);
}
EXPORT_SYMBOL_GPL(pyalloc_bulk);

/*
 * Frees what can be freed by an uneventful fast path; says how many these were.
 * Blocks that come together are mostly of one pool, which is looked up once.
 */
static __always_inline unsigned int free_run(unsigned int nr, void **p)
{
	void **at = p, **end = p + nr, **first, **stop, *block, *head;
	struct py_arena *arena;
	struct py_pool *pool;
	unsigned long key;
	struct py_cpu *c;
	unsigned int i;

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	if (unlikely(!busy_trylock(c))) {
		preempt_enable();
		return 0;
	}
	key = c->key;
	do {
		block = *at;
		arena = py_arena_of(block);
		i = py_index_of(block);
		if (!py_map_has(block) || READ_ONCE(*(arena->owner + i)) != c->id)
			break;
		pool = arena->pool + i;
		head = pool->free;
		first = at;
		/* Not the one whose free is an event. */
		stop = at + min_t(unsigned int, end - at, (u16)(pool->left - 1));
		if (at == stop || block == head)
			break;
		do {
			*(void **)block = link_code(key, block, head);
			head = block;
			if (++at == stop)
				break;
			block = *at;
			/* Of the same page, but not the same block? */
		} while (((unsigned long)block ^ (unsigned long)head) - 1 <
			 PAGE_SIZE - 1);
		pool->free = head;
		pool->left -= at - first;
	} while (at < end);
	busy_unlock(c);
	preempt_enable();
	return at - p;
}

static noinline void free_runs(unsigned int nr, void **p, unsigned int n)
{
	while (n < nr) {
		pyfree(p[n++]);
		if (n < nr && !extra_on_free())
			n += free_run(min(nr - n, (unsigned int)PY_BATCH), p + n);
	}
}

/**
 * pyfree_bulk() - free many blocks
 * @nr: how many
 * @p: the pointers; each what pyalloc() or one of its kin returned, or NULL
 *
 * The peer of kfree_bulk(). They may be of different sizes.
 *
 * Context: As pyfree().
 */
void pyfree_bulk(unsigned int nr, void **p)
{
	unsigned int n = 0;

	if (likely(nr - 1 < PY_BATCH && !extra_on_free()))
		n = free_run(nr, p);
	if (unlikely(n < nr))
		free_runs(nr, p, n);
}
EXPORT_SYMBOL_GPL(pyfree_bulk);
