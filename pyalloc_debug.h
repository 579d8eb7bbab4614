/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: debug hooks. What PYTHONMALLOC=debug is to Python and slab_debug to kmalloc():
 * each block of a heap that wants it is surrounded by bytes that nobody may change,
 * remembers who allocated and who freed it, and is looked at when it is freed and when it
 * is handed out again. The bytes are CPython's (_PyMem_DebugRawAlloc() in
 * Objects/obmalloc.c), the letters and the order of a report SLUB's.
 *
 * A checked block lies in a larger one, the raw block:
 *
 *   struct py_debug | FD FD ... | what the caller has | FD FD ... FD
 *   raw                         p                     p + size
 *
 * A raw block above PYALLOC_MAX is kmalloc()'s, and found by any address in it, in the
 * heap's tree. What goes to kmalloc() for another reason is not checked: slab_debug
 * does that.
 *
 * One rule holds for all that takes a block: what is not a live block, but in a checked
 * heap, is reported, and nothing of it is touched. debug_find() knows.
 *
 * A heap with the hooks never has a current pool, so each allocation takes the
 * slow path, and each free does as there is more to do with it: nothing is asked on the
 * fast paths.
 *
 * A part of pyalloc.c, and included there alone; see pyalloc_debugfs.h.
 */

#define PY_DEBUG_CLEAN		0xcd	/* allocated, and not written yet */
#define PY_DEBUG_DEAD		0xdd	/* freed */
#define PY_DEBUG_FORBIDDEN	0xfd	/* around a block */
#define PY_DEBUG_PAD		8	/* bytes of these on each side, at least */

/* What a block's state is, if nobody wrote over it. */
#define PY_DEBUG_VIRGIN		0x67726976U	/* was never handed out: no header yet */
#define PY_DEBUG_LIVE		0x65766c79U
#define PY_DEBUG_PARKED		0x6b726170U	/* pyfree_nolock() has it: @link */
#define PY_DEBUG_FREED		0x65726679U

#define PY_DEBUG_LARGE		BIT(0)	/* kmalloc() has served the raw block */

/* Freed blocks of kmalloc()'s that wait without debug_quarantine, bytes. */
#define PY_DEBUG_KEPT		SZ_64K

/* Somebody did something with a block. */
struct py_track {
#ifdef CONFIG_STACKDEPOT
	depot_stack_handle_t stack;
#endif
	unsigned long ip;
	u32 when;		/* jiffies */
	int pid;
	int cpu;
};

/* In front of a checked block. */
struct py_debug {
	void *link;		/* the pool's while free, the quarantine's; or see PARKED */
	u32 state;
	u32 sum;		/* of all that follows */
	u64 serial;		/* the so manieth that was allocated */
	u32 size;		/* asked for */
	u16 front;		/* bytes from here to the block */
	u16 flags;
	struct py_track by[2];	/* who allocated it, who freed it */
};

static atomic64_t debug_serial;

/* ---- What there is to check ------------------------------------------------------ */

/* A block keeps the alignment that it has without hooks. */
static size_t debug_align(size_t size)
{
	return BIT(__ffs(round_up(size, PYALLOC_ALIGN) | PYALLOC_MAX));
}

static size_t debug_front(size_t size)
{
	return round_up(sizeof(struct py_debug) + PY_DEBUG_PAD, debug_align(size));
}

static size_t debug_whole(size_t size)
{
	return round_up(debug_front(size) + size + PY_DEBUG_PAD, debug_align(size));
}

static void *debug_block(const struct py_debug *h)
{
	return (void *)h + h->front;
}

static u32 debug_sum(const struct py_debug *h)
{
	const u32 *from = (const u32 *)&h->serial;

	return jhash2(from, (const u32 *)(h + 1) - from, hash_long((unsigned long)h, 32));
}

static bool debug_sane(const struct py_debug *h)
{
	return h->sum == debug_sum(h);
}

/* The raw block that @p, in @arena, points into; NULL if there was none yet. */
static struct py_debug *debug_header(struct py_arena *arena, const void *p)
{
	unsigned int i = py_index_of(p), n;
	const struct py_pool *pool = &arena->pool[i];
	unsigned int class = READ_ONCE(arena->class[i]);

	/* In a pool that is unused the last blocks' headers are still there. */
	if (class == PY_CLASS_NONE)
		class = pool->class;
	if (class >= PYALLOC_NR_CLASSES)
		return NULL;
	n = offset_in_page(p) / py_class_stride(class);
	/* data_race(): of a block that was handed out, it is known. */
	if (n >= data_race(pool->carved))
		return NULL;
	return PTR_ALIGN_DOWN((void *)p, PY_POOL_SIZE) + n * py_class_stride(class);
}

/* What there is at an address of a checked heap. */
struct py_debug_found {
	struct pyheap *heap;	/* whose it is */
	struct py_debug *h;	/* its header; NULL if there is none */
	const char *wrong;	/* what is wrong with it; NULL: nothing */
	bool sane;		/* @seen can be believed */
	struct py_debug seen;	/* @h as it was: what is wrong may go at any time */
};

/*
 * Is @f->h the header of @p, a block that is in the state @from and of @heap, or any if
 * that is NULL? Then it is @to from now on.
 */
static void debug_look(struct py_debug_found *f, const struct pyheap *heap,
		       const void *p, u32 from, u32 to)
{
	struct py_debug *h = f->h;
	u32 state;

	f->sane = false;
	f->wrong = "Invalid pointer: no block";
	if (!h)
		return;
	f->wrong = "Invalid pointer: no block, or its header is overwritten";
	state = READ_ONCE(h->state);
	if (state != PY_DEBUG_LIVE && state != PY_DEBUG_PARKED && state != PY_DEBUG_FREED)
		return;
	f->wrong = "Header overwritten";
	f->sane = debug_sane(h);
	if (!f->sane)
		return;
	f->seen = *h;
	f->wrong = "Invalid pointer: inside of a block";
	if (debug_block(h) != p)
		return;
	f->wrong = "Object already free";
	if (state != from)
		return;
	if (heap && heap != f->heap)
		f->wrong = "Wrong heap: free or resize in another heap";
	else if (cmpxchg(&h->state, from, to) == from)
		f->wrong = NULL;
}

static bool debug_find_large(struct py_debug_found *f, const struct pyheap *heap,
			     const void *p, u32 from, u32 to)
{
	/* pyfree_nolock() may be in NMI: what it does not find is found when it is freed. */
	bool wait = from == to || to != PY_DEBUG_PARKED, found = false;
	struct py_large *large = NULL;
	struct pyheap *owner;
	unsigned long flags;

	rcu_read_lock();
	for_each_heap(owner) {
		if (!(owner->flags & PYHEAP_DEBUG))
			continue;
		local_irq_save(flags);
		while (!raw_spin_trylock(&owner->lock)) {
			if (!wait)
				goto next;
			cpu_relax();
		}
		large = large_around(owner, p);
		if (large && large->front) {
			found = true;
			f->heap = owner;
			f->h = (void *)large->p - large->front;
			debug_look(f, heap, p, from, to);
		}
		raw_spin_unlock(&owner->lock);
next:
		local_irq_restore(flags);
		if (large)
			break;
	}
	rcu_read_unlock();
	return found;
}

/*
 * Is @p in a checked heap? Then @f says what is there; see debug_look(). Whoever gets a
 * live block FREED or PARKED has it for himself.
 */
static bool debug_find(struct py_debug_found *f, const struct pyheap *heap,
		       const void *p, u32 from, u32 to)
{
	struct py_arena *arena = py_arena_of(p);
	bool ours, found = false;

	/* Off until it is known to be in use: else its arena may go. */
	preempt_disable();
	ours = py_is_ours(p);
	if (ours && arena->heap->flags & PYHEAP_DEBUG) {
		found = true;
		f->heap = arena->heap;
		f->h = debug_header(arena, p);
		debug_look(f, heap, p, from, to);
	}
	preempt_enable();
	return ours ? found : debug_find_large(f, heap, p, from, to);
}

/* For pysize(): what was asked for, if @p is in a checked heap; 0 if it is no block. */
static bool debug_size(const void *p, size_t *size)
{
	struct py_debug_found f;

	if (!debug_find(&f, NULL, p, PY_DEBUG_LIVE, PY_DEBUG_LIVE))
		return false;
	*size = f.wrong ? 0 : f.seen.size;
	return true;
}

/* ---- Reports ---------------------------------------------------------------------- */

/* Memory for the stack's description is asked for with no more of @gfp than waking kswapd. */
static void track_set(struct py_track *track, unsigned long ip, gfp_t gfp)
{
#ifdef CONFIG_STACKDEPOT
	unsigned long entries[16];
	unsigned int n;

	track->stack = 0;
	if (debug_flags & DEBUG_USER) {
		n = stack_trace_save(entries, ARRAY_SIZE(entries), 2);
		track->stack = stack_depot_save(entries, n,
						gfp & __GFP_KSWAPD_RECLAIM);
	}
#endif
	track->ip = ip;
	track->when = jiffies;
	track->pid = current->pid;
	track->cpu = raw_smp_processor_id();
}

static void track_show(const char *what, const struct py_track *track)
{
	pr_err("%s in %pS age=%lu cpu=%d pid=%d\n", what, (void *)track->ip,
	       (unsigned long)((u32)jiffies - track->when), track->cpu, track->pid);
#ifdef CONFIG_STACKDEPOT
	if (track->stack)
		stack_depot_print(track->stack);
#endif
}

/* Lines of bytes from @from to @to, as far as they are near to @bad, which is marked. */
static void bytes_show(const char *what, const u8 *block, const u8 *from,
		       const u8 *to, const u8 *bad)
{
	char line[16 * 4 + 1];
	unsigned int n;

	for (; from < to; from += 16) {
		if (from + 32 <= bad || from > bad + 16)
			continue;
		for (n = 0; n < 16 && from + n < to; n++)
			sprintf(line + 4 * n, from + n == bad ? "[%02x]" : " %02x ",
				from[n]);
		pr_err("%s %+5td: %s\n", what, from - block, line);
	}
}

/**
 * debug_report() - say what is wrong with a block, in the order of SLUB's reports
 * @heap: whose it is
 * @h: its header; NULL if it has none that can be trusted
 * @bad: the first byte that is not as it was, or NULL
 * @what: what is wrong
 * @fix: what is done about it
 *
 * Context: Any; not under "busy".
 */
static void debug_report(const struct pyheap *heap, const struct py_debug *h,
			 const u8 *bad, const char *what, const char *fix)
{
	unsigned long flags;

	/* One report at a time; but an NMI may come upon one of its own CPU. */
	printk_cpu_sync_get_irqsave(flags);
	pr_err("=============================================================================\n");
	pr_err("BUG heap %s: %s\n", heap->name, what);
	pr_err("-----------------------------------------------------------------------------\n");
	if (h) {
		pr_err("Block %llu of %u bytes\n", h->serial, h->size);
		track_show("Allocated", &h->by[0]);
		if (h->state == PY_DEBUG_FREED && h->by[1].ip)
			track_show("Freed", &h->by[1]);
	}
	if (h && bad) {
		const u8 *block = debug_block(h), *end = block + h->size;

		bytes_show("Redzone", block, (const u8 *)(h + 1), block, bad);
		bytes_show("Object ", block, block, end, bad);
		bytes_show("Redzone", block, end, (const u8 *)h + debug_whole(h->size), bad);
	}
	printk_cpu_sync_put_irqrestore(flags);
	dump_stack();
	pr_err("FIX heap %s: %s\n", heap->name, fix);
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
	if (debug_panic)
		panic("pyalloc: heap %s: %s\n", heap->name, what);
}

/* What was asked of a checked heap, and is not done. */
static void debug_refuse(const struct py_debug_found *f, const char *fix)
{
	count_event(f->heap, PY_EV_BAD_FREE);
	debug_report(f->heap, f->sane ? &f->seen : NULL, NULL, f->wrong, fix);
}

/* The first of @n bytes that is not @byte; NULL if all are. */
static const u8 *first_not(const void *p, u8 byte, size_t n)
{
	const u8 *at = p;

	for (; n; n--, at++)
		if (*at != byte)
			return at;
	return NULL;
}

/* KASAN's memset() writes nothing where nobody may. */
static void fill(void *p, u8 byte, size_t n)
{
	u8 *at = p;

	for (; n; n--, at++)
		WRITE_ONCE(*at, byte);
}

/* Are the bytes around a block as they were? Says if not, and mends them. */
static void debug_check_pads(const struct pyheap *heap, struct py_debug *h)
{
	void *p = debug_block(h), *end = (void *)h + debug_whole(h->size);
	const u8 *bad;

	if (!(debug_flags & DEBUG_PADS))
		return;
	bad = first_not(h + 1, PY_DEBUG_FORBIDDEN, p - (void *)(h + 1));
	if (bad) {
		debug_report(heap, h, bad, "Left Redzone overwritten", "restored");
		fill(h + 1, PY_DEBUG_FORBIDDEN, p - (void *)(h + 1));
	}
	bad = first_not(p + h->size, PY_DEBUG_FORBIDDEN, end - p - h->size);
	if (bad) {
		debug_report(heap, h, bad, "Right Redzone overwritten", "restored");
		fill(p + h->size, PY_DEBUG_FORBIDDEN, end - p - h->size);
	}
}

/* Is a block that was freed as it was left then? */
static void debug_check_dead(const struct pyheap *heap, struct py_debug *h)
{
	const u8 *bad;

	if (h->state == PY_DEBUG_VIRGIN)
		return;
	if (h->state != PY_DEBUG_FREED || !debug_sane(h)) {
		debug_report(heap, NULL, NULL, "Header overwritten",
			     "the block is used as it is");
		return;
	}
	if (debug_flags & DEBUG_FILL) {
		bad = first_not(debug_block(h), PY_DEBUG_DEAD, h->size);
		if (bad) {
			debug_report(heap, h, bad, "Poison overwritten", "restored");
			/* It is looked at again when it is used, if it leaves the quarantine. */
			fill(debug_block(h), PY_DEBUG_DEAD, h->size);
		}
	}
	debug_check_pads(heap, h);
}

/* For a heap with debug hooks, before it has a block. */
static int debug_begin(void)
{
	int err = 0;

#ifdef PYALLOC_NO_DEBUG
	err = -EOPNOTSUPP;
#elif defined(CONFIG_STACKDEPOT)
	err = stack_depot_init();
#endif
	if (!err)
		debug_count(1);
	return err;
}

/* ---- Allocate ---------------------------------------------------------------------- */

/*
 * Takes a raw block out of this CPU's pools, and leaves none of them current. What was
 * never handed out has no header yet. Under "busy".
 */
static noinline void *debug_take(struct py_cpu *c, struct pyheap_cpu *hc,
				 unsigned int class)
{
	struct py_pool *pool = pool_next(hc, class);
	void *block;
	unsigned int i;

	if (!pool)
		return NULL;
	if (!pool->free) {
		i = pool->carved;
		pool_carve(c, hc, pool, class);
		for (; i < pool->carved; i++) {
			block = py_pool_base(pool) + i * py_class_stride(class);
			((struct py_debug *)block)->state = PY_DEBUG_VIRGIN;
		}
	}
	block = pool->free;
	pool->free = get_next(c, block);
	pool->left++;
	pool_from_current(c, hc, pool, class);
	return block;
}

static void *debug_set_up(struct py_debug *h, size_t size, gfp_t gfp, u16 flags,
			  unsigned long ip)
{
	size_t front = debug_front(size);
	void *p = (void *)h + front;

	block_open_in(h, debug_whole(size), debug_whole(size));
	memset(h, PY_DEBUG_FORBIDDEN, debug_whole(size));
	*h = (struct py_debug) {
		.size = size,
		.serial = atomic64_inc_return(&debug_serial),
		.front = front,
		.flags = flags,
	};
	track_set(&h->by[0], ip, gfp);
	h->sum = debug_sum(h);
	if (want_init_on_alloc(gfp))
		memset(p, 0, size);
	else if (debug_flags & DEBUG_FILL)
		memset(p, PY_DEBUG_CLEAN, size);
	WRITE_ONCE(h->state, PY_DEBUG_LIVE);
	return p;
}

static void debug_trace(const struct pyheap *heap, const struct py_debug *h,
			const char *what, unsigned long ip)
{
	if (debug_flags & DEBUG_TRACE)
		pr_info("heap %s: %s block %llu of %u bytes in %pS\n", heap->name,
			what, h->serial, h->size, (void *)ip);
}

/* What is freed, but waits in the quarantine, must not be what fills a heap. */
static struct py_debug *debug_alloc_raw(struct pyheap *heap, unsigned int class,
					gfp_t gfp, enum py_reason *why)
{
	struct py_debug *h = debug_raw(heap, class, gfp, why);

	if (!h && *why == PY_NR_REASONS && quarantine_spare(heap, gfp))
		h = debug_raw(heap, class, gfp, why);
	return h;
}

/* For a heap with debug hooks: what the slow path is for others. */
static noinline void *debug_alloc(struct pyheap *heap, size_t size, gfp_t gfp,
				  unsigned long ip)
{
	size_t whole = debug_whole(size), front = debug_front(size);
	enum py_reason why;
	struct py_debug *h;
	void *p;

	ip = call_site(ip);
	if (whole > PYALLOC_MAX) {
		count_fall(heap, size, PY_FALL_SIZE);
		p = large_alloc(heap, whole, front, gfp & ~__GFP_ZERO, ip);
		/* pyalloc_alloc's are in arenas. */
		trace_pyalloc_fall(ip, p, size, gfp, PY_FALL_SIZE);
		if (!p)
			return NULL;
		h = p - front;
		debug_set_up(h, size, gfp, PY_DEBUG_LARGE, ip);
	} else {
		h = debug_alloc_raw(heap, PYALLOC_CLASS(whole), gfp, &why);
		if (!h)
			return why == PY_NR_REASONS ? alloc_refused(heap) :
			       fall_through_of(heap, ip, size, gfp, why);
		debug_check_dead(heap, h);
		p = debug_set_up(h, size, gfp, 0, ip);
		kasan_poison(h, front, PY_KASAN_REDZONE, false);
		block_open_in(p, py_class_stride(PYALLOC_CLASS(whole)) - front, size);
		if (py_tags_on())
			tag_alloc(h, PYALLOC_CLASS(whole));
		if (PY_ANNOTATE)
			kmemleak_alloc(p, size, 1, gfp);
	}
	debug_trace(heap, h, "alloc", ip);
	prof_alloc(ip, p, size, size);
	if (whole <= PYALLOC_MAX)
		trace_pyalloc_alloc(ip, p, size, size, gfp);
	return p;
}

/* ---- Free ---------------------------------------------------------------------------- */

/*
 * Freed blocks that wait, first in, first out, before they may be handed out again. Each
 * is counted in its heap until that is done.
 */
static DEFINE_SPINLOCK(quarantine_lock);
static struct {
	struct py_debug *first;
	struct py_debug *last;
	unsigned long nr;
	size_t bytes;
	atomic_t leaving;	/* taken out, and not back where they are from */
	bool broken;		/* some were lost: see quarantine_lose() */
} quarantine;

static void quarantine_add(struct py_debug *h)
{
	lockdep_assert_held(&quarantine_lock);
	h->link = NULL;
	if (quarantine.nr)
		quarantine.last->link = h;
	else
		quarantine.first = h;
	quarantine.last = h;
	quarantine.nr++;
	quarantine.bytes += debug_whole(h->size);
}

/* Whose is a raw block that waits? Its header may be overwritten. */
static struct pyheap *debug_owner(const struct py_debug *h)
{
	struct py_large *large = NULL;
	struct pyheap *heap;
	unsigned long flags;
	unsigned int class;

	heap = py_block_heap(h, &class);
	if (heap)
		return heap;
	rcu_read_lock();
	for_each_heap(heap) {
		raw_spin_lock_irqsave(&heap->lock, flags);
		large = large_around(heap, h);
		raw_spin_unlock_irqrestore(&heap->lock, flags);
		if (large)
			break;
	}
	rcu_read_unlock();
	return large ? heap : NULL;
}

/* Is @h the header of a block that was freed? It may be anything. */
static bool quarantine_may_have(struct py_debug *h)
{
	unsigned int class;

	if (!debug_owner(h))
		return false;
	if (py_block_heap(h, &class) && debug_header(py_arena_of(h), h) != h)
		return false;
	return h->state == PY_DEBUG_FREED && debug_sane(h);
}

/*
 * Where @h should be, somebody wrote over a header. What waits behind it is not found any
 * more, and stays until its heap goes; how many of which heap is not known.
 */
static void quarantine_lose(struct py_debug *h)
{
	lockdep_assert_held(&quarantine_lock);
	quarantine.first = NULL;
	quarantine.nr = 0;
	quarantine.bytes = 0;
	WRITE_ONCE(quarantine.broken, true);
	debug_report(debug_owner(h) ?: &py_default, NULL, NULL, "Header overwritten",
		     "what waits in the quarantine is not used again");
}

/* The oldest, if there are more bytes than @most. */
static struct py_debug *quarantine_take(size_t most)
{
	struct py_debug *h = quarantine.first;

	lockdep_assert_held(&quarantine_lock);
	if (!quarantine.nr || (most && quarantine.bytes <= most))
		return NULL;
	if (!quarantine_may_have(h)) {
		quarantine_lose(h);
		return NULL;
	}
	quarantine.first = h->link;
	quarantine.nr--;
	quarantine.bytes -= debug_whole(h->size);
	atomic_inc(&quarantine.leaving);
	return h;
}

static void debug_put_large(struct pyheap *heap, struct py_debug *h)
{
	struct py_large *large;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->lock, flags);
	large = large_around(heap, h);
	raw_spin_unlock_irqrestore(&heap->lock, flags);
	large_take(heap, large->p);
	heap_uncharge(heap, large->size);
	kfree(h);
	large_drop(large);
}

/* Back into its pool, where its link is the pool's; or to kmalloc(). */
static void debug_put(struct pyheap *heap, struct py_debug *h)
{
	unsigned int class;

	if (py_block_heap(h, &class)) {
		preempt_disable();
		block_free(h);
	} else {
		debug_put_large(heap, h);
	}
}

static void quarantine_let_go(struct py_debug *h)
{
	struct pyheap *heap = debug_owner(h);

	if (WARN_ON_ONCE(!heap))
		return;
	debug_check_dead(heap, h);
	debug_put(heap, h);
	smp_mb__before_atomic();	/* pairs with quarantine_wait() */
	atomic_long_dec(&heap->quarantined);
	atomic_dec(&quarantine.leaving);
}

static void debug_release(struct pyheap *heap, struct py_debug *h)
{
	size_t most = (size_t)debug_quarantine.value * 1024;
	unsigned long flags;

	if (!most && !(h->flags & PY_DEBUG_LARGE)) {
		debug_put(heap, h);
		return;
	}
	/* A stale pointer to kmalloc()'s would not be told from others. */
	most = max(most, (size_t)PY_DEBUG_KEPT);
	atomic_long_inc(&heap->quarantined);
	spin_lock_irqsave(&quarantine_lock, flags);
	quarantine_add(h);
	while ((h = quarantine_take(most))) {
		spin_unlock_irqrestore(&quarantine_lock, flags);
		quarantine_let_go(h);
		spin_lock_irqsave(&quarantine_lock, flags);
	}
	spin_unlock_irqrestore(&quarantine_lock, flags);
}

/*
 * Lets go of what waits there, of @heap or, NULL, of all. Not of what comes meanwhile,
 * nor of what somebody else has just taken out.
 */
static void quarantine_empty(const struct pyheap *heap, bool may_sleep)
{
	unsigned long n, flags;
	struct py_debug *h;

	for (n = READ_ONCE(quarantine.nr); n; n--) {
		spin_lock_irqsave(&quarantine_lock, flags);
		h = quarantine_take(0);
		if (h && heap && debug_owner(h) != heap) {
			quarantine_add(h);
			atomic_dec(&quarantine.leaving);
			h = NULL;
		}
		spin_unlock_irqrestore(&quarantine_lock, flags);
		if (h)
			quarantine_let_go(h);
		if (may_sleep)
			cond_resched();
	}
}

/* Does a block of @heap wait, as far as the headers lead? */
static bool quarantine_holds(const struct pyheap *heap)
{
	struct py_debug *h;
	unsigned long n, flags;
	bool holds = false;

	spin_lock_irqsave(&quarantine_lock, flags);
	h = quarantine.first;
	for (n = quarantine.nr; n && !holds && quarantine_may_have(h); n--) {
		holds = debug_owner(h) == heap;
		h = h->link;
	}
	spin_unlock_irqrestore(&quarantine_lock, flags);
	return holds;
}

/* For pyheap_destroy(): nobody has any of @heap's blocks then. */
static void quarantine_wait(struct pyheap *heap)
{
	while (atomic_long_read(&heap->quarantined)) {
		quarantine_empty(heap, true);
		if (READ_ONCE(quarantine.broken) && !quarantine_holds(heap) &&
		    !atomic_read(&quarantine.leaving))
			break;		/* the others were lost */
		if (atomic_long_read(&heap->quarantined))
			schedule_timeout_uninterruptible(1);
	}
	smp_mb();	/* pairs with quarantine_let_go() */
}

/* @heap is at its limit. Says if it may be less so now. */
static bool quarantine_spare(struct pyheap *heap, gfp_t gfp)
{
	if (!READ_ONCE(heap->limit) || !atomic_long_read(&heap->quarantined))
		return false;
	quarantine_empty(heap, gfpflags_allow_blocking(gfp));
	return true;
}

/* The block of @h has just become FREED. */
static void debug_finish(struct pyheap *heap, struct py_debug *h, unsigned long ip)
{
	bool large = h->flags & PY_DEBUG_LARGE;
	void *p = debug_block(h);

	debug_check_pads(heap, h);
	track_set(&h->by[1], ip, 0);
	h->sum = debug_sum(h);
	debug_trace(heap, h, "free", ip);
	prof_free(p);
	if (!large)		/* it takes the heap from the arena */
		trace_pyalloc_free(ip, p);
	if (debug_flags & DEBUG_FILL)
		memset(p, PY_DEBUG_DEAD, h->size);
	else if (want_init_on_free())
		memset(p, 0, h->size);
	if (!large) {
		unsigned int class = READ_ONCE(py_arena_of(h)->class[py_index_of(h)]);

		if (PY_ANNOTATE)
			kmemleak_free(p);
		tag_free(h, class);
		kasan_poison(h, py_class_size(class), PY_KASAN_FREE, false);
	}
	debug_release(heap, h);
}

/*
 * Frees @p, which is said to be of @heap, and is if nothing is wrong. Fails if it is in no
 * checked heap.
 */
static noinline bool debug_free(struct pyheap *heap, const void *p, unsigned long ip)
{
	struct py_debug_found f;

	if (!debug_find(&f, heap, p, PY_DEBUG_LIVE, PY_DEBUG_FREED))
		return false;
	if (f.wrong)
		debug_refuse(&f, "not freed");
	else
		debug_finish(f.heap, f.h, ip);
	return true;
}

/* May it be kfree()'s? KFENCE has reserved pages, if it is there from the beginning. */
static bool handed_out_by_kernel(const void *p)
{
	return virt_addr_valid(p) && (!PageReserved(virt_to_page(p)) ||
				      PageSlab(virt_to_head_page(p)));
}

/* Instead of kfree(). */
static bool debug_kfree(const void *p, unsigned long ip)
{
	if (ZERO_OR_NULL_PTR(p))
		return false;
	if (debug_free(&py_default, p, ip))
		return true;
	if (!(py_default.flags & PYHEAP_DEBUG) || handed_out_by_kernel(p))
		return false;
	count_event(&py_default, PY_EV_BAD_FREE);
	debug_report(&py_default, NULL, NULL,
		     "Invalid pointer: free of what no allocator has handed out",
		     "not freed");
	return true;
}

/*
 * pyfree_nolock() is about to link @p into a list by its first word, which may be longer
 * than the block. Fails, and says so, if it is no live block.
 */
static bool debug_park(const void *p)
{
	struct py_debug_found f;

	if (!debug_find(&f, &py_default, p, PY_DEBUG_LIVE, PY_DEBUG_PARKED))
		return true;
	if (f.wrong) {
		debug_refuse(&f, "not freed");
		return false;
	}
	f.h->link = *(void *const *)p;
	return true;
}

/* @p was linked into that list, and is about to be freed. */
static void debug_unpark(void *p)
{
	struct py_debug_found f;

	if (!debug_find(&f, &py_default, p, PY_DEBUG_PARKED, PY_DEBUG_PARKED) || f.wrong)
		return;
	*(void **)p = f.h->link;
	WRITE_ONCE(f.h->state, PY_DEBUG_LIVE);
}

/*
 * For those who wipe: up to @len bytes of @p, if it is a live block, but not more than
 * shows that it was too much. Fails if it is in no checked heap.
 */
static bool debug_wipe(const void *p, size_t len)
{
	struct py_debug_found f;

	if (!debug_find(&f, &py_default, p, PY_DEBUG_LIVE, PY_DEBUG_LIVE))
		return false;
	if (len == SIZE_MAX)
		len = f.seen.size;
	if (!f.wrong)
		memzero_explicit((void *)p, min(len, f.seen.size + (size_t)PY_DEBUG_PAD));
	return true;
}

/*
 * Resizes a checked block: it moves, so that who kept the old address is found. Fails if
 * @p is in no checked heap; else it becomes what there is then, or NULL.
 */
static bool debug_resize(struct pyheap *heap, const void **p, size_t new_size,
			 gfp_t gfp, unsigned long ip)
{
	const void *old = *p;
	struct py_debug_found f;
	size_t size;
	void *new;

	if (!debug_find(&f, heap, old, PY_DEBUG_LIVE, PY_DEBUG_LIVE))
		return false;
	*p = NULL;
	if (f.wrong) {
		debug_refuse(&f, "not resized");
		return true;
	}
	size = f.seen.size;
	new = heap_private(heap) ? heap_alloc_any(heap, new_size, gfp, ip) :
				   alloc_at(new_size, gfp, ip);
	trace_pyalloc_realloc(ip, old, new, new_size, gfp);
	if (new) {
		memcpy(new, old, min(size, new_size));
		debug_free(heap, old, ip);
		*p = new;
	} else if (new_size <= size) {
		*p = old;
	}
	return true;
}

/* ---- What is left ------------------------------------------------------------------ */

/* What the caller of the raw block @p has; @p itself if it is none. */
static const void *debug_user(const struct pyheap *heap, const void *p)
{
	const struct py_debug *h = p;

	return heap->flags & PYHEAP_DEBUG && h->state == PY_DEBUG_LIVE &&
	       debug_sane(h) ? debug_block(h) : p;
}

#define PY_DEBUG_SHOWN	10	/* blocks of a heap that should have none */

/* A block of @heap, which is destroyed, that nobody freed is freed with it. */
static void debug_free_live(struct pyheap *heap, struct py_large *large)
{
	struct py_debug *h = (void *)large->p - large->front;

	/* FREED: the quarantine has lost it. */
	if ((h->state == PY_DEBUG_LIVE || h->state == PY_DEBUG_FREED) && debug_sane(h))
		debug_check_pads(heap, h);
	else
		debug_report(heap, NULL, NULL, "Header overwritten", "freed with the heap");
	prof_free(large->p);
	kfree(h);
}

static void debug_show_block(const struct py_debug *h, unsigned int *shown)
{
	if (h->state != PY_DEBUG_LIVE || !debug_sane(h) || (*shown)++ >= PY_DEBUG_SHOWN)
		return;
	pr_warn("live: block %llu of %u bytes\n", h->serial, h->size);
	track_show("Allocated", &h->by[0]);
}

/* Says who allocated what lives in @heap. Nobody uses it any more. */
static void debug_show_live(struct pyheap *heap)
{
	struct py_arena *arena = NULL;
	unsigned int i, n, shown = 0;
	struct rb_node *rb;

	if (!(heap->flags & PYHEAP_DEBUG))
		return;
	while ((arena = arena_next(heap, arena))) {
		for (i = 1; i < PY_ARENA_PAGES; i++) {
			unsigned int class = arena->class[i];

			for (n = 0; class < PYALLOC_NR_CLASSES &&
			     n < arena->pool[i].carved; n++)
				debug_show_block((void *)arena + i * PY_POOL_SIZE +
						 n * py_class_stride(class), &shown);
		}
	}
	for (rb = rb_first(&heap->large); rb; rb = rb_next(rb)) {
		const struct py_large *large = rb_entry(rb, struct py_large, rb);

		if (large->front)
			debug_show_block(large->p - large->front, &shown);
	}
	if (shown > PY_DEBUG_SHOWN)
		pr_warn("live: and %u more\n", shown - PY_DEBUG_SHOWN);
}
