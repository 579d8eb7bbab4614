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
 * A raw block above PYALLOC_MAX is kmalloc()'s, and found by its address, as those of
 * private heaps are. What goes to kmalloc() for another reason is not checked: slab_debug
 * does that. A heap with the hooks never has a current pool, so each allocation takes the
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
#define PY_DEBUG_LIVE		0x65766c79U
#define PY_DEBUG_FREED		0x65726679U

#define PY_DEBUG_LARGE		BIT(0)	/* kmalloc() has served the raw block */
#define PY_DEBUG_PARKED		BIT(1)	/* pyfree_nolock() has it: @link */

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
	u32 size;		/* asked for */
	u64 serial;		/* the so manieth that was allocated */
	u32 sum;		/* of what may not change while it is in use */
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
	return hash_long((unsigned long)h ^ h->serial << 32 ^ h->size ^
			 (unsigned long)h->front << 16, 32);
}

static bool debug_sane(const struct py_debug *h)
{
	return h->sum == debug_sum(h);
}

/* The raw block of a pool of @class that @p points into. */
static struct py_debug *debug_header(const void *p, unsigned int class)
{
	unsigned int n = offset_in_page(p) / py_class_stride(class);

	if (n >= class_blocks(class))
		return NULL;
	return PTR_ALIGN_DOWN((void *)p, PY_POOL_SIZE) + n * py_class_stride(class);
}

/*
 * The header of @p, if @p is a checked block that is in use: in an arena of any heap, or
 * kmalloc()'s and of @heap.
 */
static struct py_debug *debug_live(struct pyheap *heap, const void *p)
{
	struct py_debug *h = NULL;
	struct py_large *large;
	struct pyheap *owner;
	unsigned int class;
	unsigned long flags;

	owner = py_block_heap(p, &class);
	if (owner) {
		if (owner->flags & PYHEAP_DEBUG)
			h = debug_header(p, class);
	} else if (heap->flags & PYHEAP_DEBUG) {
		spin_lock_irqsave(&heap->lock, flags);
		large = large_find(heap, p);
		if (large && large->front)
			h = (void *)p - large->front;
		spin_unlock_irqrestore(&heap->lock, flags);
	}
	return h && h->state == PY_DEBUG_LIVE && debug_sane(h) &&
	       debug_block(h) == p ? h : NULL;
}

/* What the caller of a checked block asked for; 0 if @p is none, or not in use. */
static size_t debug_size(const void *p)
{
	const struct py_debug *h = debug_live(&py_default, p);

	return h ? h->size : 0;
}

/* ---- Reports ---------------------------------------------------------------------- */

static void track_set(struct py_track *track, unsigned long ip)
{
#ifdef CONFIG_STACKDEPOT
	unsigned long entries[16];
	unsigned int n;

	track->stack = 0;
	if (debug_flags & DEBUG_USER) {
		n = stack_trace_save(entries, ARRAY_SIZE(entries), 2);
		track->stack = stack_depot_save(entries, n, GFP_NOWAIT);
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

static DEFINE_RAW_SPINLOCK(debug_printing);

/**
 * debug_report() - say what is wrong with a block, in the order of SLUB's reports
 * @heap: whose it is
 * @h: its header; NULL if it has none that can be trusted
 * @bad: the first byte that is not as it was, or NULL
 * @what: what is wrong
 * @fix: what is done about it
 *
 * Context: Any but NMI; not under "busy".
 */
static void debug_report(const struct pyheap *heap, const struct py_debug *h,
			 const u8 *bad, const char *what, const char *fix)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&debug_printing, flags);
	pr_err("=============================================================================\n");
	pr_err("BUG heap %s: %s\n", heap->name, what);
	pr_err("-----------------------------------------------------------------------------\n");
	if (h) {
		pr_err("Block %llu of %u bytes\n", h->serial, h->size);
		track_show("Allocated", &h->by[0]);
		if (h->by[1].ip)
			track_show("Freed", &h->by[1]);
	}
	if (h && bad) {
		const u8 *block = debug_block(h), *end = block + h->size;

		bytes_show("Redzone", block, (const u8 *)(h + 1), block, bad);
		bytes_show("Object ", block, block, end, bad);
		bytes_show("Redzone", block, end, (const u8 *)h + debug_whole(h->size), bad);
	}
	raw_spin_unlock_irqrestore(&debug_printing, flags);
	dump_stack();
	pr_err("FIX heap %s: %s\n", heap->name, fix);
	add_taint(TAINT_BAD_PAGE, LOCKDEP_NOW_UNRELIABLE);
	if (debug_panic)
		panic("pyalloc: heap %s: %s\n", heap->name, what);
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

	if (h->state != PY_DEBUG_FREED || !debug_sane(h))
		return;
	if (debug_flags & DEBUG_FILL) {
		bad = first_not(debug_block(h), PY_DEBUG_DEAD, h->size);
		if (bad)
			debug_report(heap, h, bad, "Poison overwritten",
				     "the block is used as it is");
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
			((struct py_debug *)block)->state = 0;
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
	h->sum = debug_sum(h);
	track_set(&h->by[0], ip);
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
		h = debug_raw(heap, PYALLOC_CLASS(whole), gfp, &why);
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

/* What is wrong with freeing @p, which should be the block of @h; NULL: nothing. */
static const char *debug_refusal(const struct py_debug *h, const void *p)
{
	if (!h)
		return "Invalid pointer: no block";
	if (h->state != PY_DEBUG_LIVE && h->state != PY_DEBUG_FREED)
		return "Invalid pointer: no block, or its header is overwritten";
	if (!debug_sane(h))
		return "Header overwritten";
	if (debug_block(h) != p)
		return "Invalid pointer: free of the inside of a block";
	if (cmpxchg(&((struct py_debug *)h)->state, PY_DEBUG_LIVE, PY_DEBUG_FREED) !=
	    PY_DEBUG_LIVE)
		return "Object already free";
	return NULL;
}

/* The block of @h, if @p is it, is the caller's to free then. */
static bool debug_retire(struct pyheap *heap, struct py_debug *h, const void *p,
			 unsigned long ip)
{
	const char *wrong = debug_refusal(h, p);

	if (wrong) {
		count_event(heap, PY_EV_BAD_FREE);
		debug_report(heap, h && debug_sane(h) ? h : NULL, NULL, wrong,
			     "not freed");
		return false;
	}
	if (h->flags & PY_DEBUG_PARKED)
		*(void **)p = h->link;
	debug_check_pads(heap, h);
	track_set(&h->by[1], ip);
	debug_trace(heap, h, "free", ip);
	if (debug_flags & DEBUG_FILL)
		memset((void *)p, PY_DEBUG_DEAD, h->size);
	else if (want_init_on_free())
		memset((void *)p, 0, h->size);
	return true;
}

/* Freed blocks that wait, first in, first out, before they may be handed out again. */
static DEFINE_SPINLOCK(quarantine_lock);
static struct {
	struct py_debug *first;
	struct py_debug *last;
	size_t bytes;
} quarantine;

static void quarantine_add(struct py_debug *h)
{
	lockdep_assert_held(&quarantine_lock);
	h->link = NULL;
	if (quarantine.first)
		quarantine.last->link = h;
	else
		quarantine.first = h;
	quarantine.last = h;
	quarantine.bytes += debug_whole(h->size);
}

static struct py_debug *quarantine_take(size_t most)
{
	struct py_debug *h = quarantine.first;

	lockdep_assert_held(&quarantine_lock);
	if (!h || quarantine.bytes <= most)
		return NULL;
	quarantine.first = h->link;
	quarantine.bytes -= debug_whole(h->size);
	return h;
}

/* Back into its pool, where its link is the pool's. */
static void debug_put(struct py_debug *h)
{
	preempt_disable();
	block_free(h);
}

static void debug_put_checked(struct py_debug *h)
{
	debug_check_dead(py_arena_of(h)->heap, h);
	debug_put(h);
}

static void debug_release(struct py_debug *h)
{
	size_t most = (size_t)debug_quarantine.value * 1024;
	unsigned long flags;

	if (!most) {
		debug_put(h);
		return;
	}
	spin_lock_irqsave(&quarantine_lock, flags);
	quarantine_add(h);
	while ((h = quarantine_take(most))) {
		spin_unlock_irqrestore(&quarantine_lock, flags);
		debug_put_checked(h);
		spin_lock_irqsave(&quarantine_lock, flags);
	}
	spin_unlock_irqrestore(&quarantine_lock, flags);
}

/* Lets go of what waits there, of @heap or, NULL, of all. */
static void quarantine_empty(const struct pyheap *heap)
{
	struct py_debug *h, *next;
	unsigned long flags;

	spin_lock_irqsave(&quarantine_lock, flags);
	h = quarantine.first;
	quarantine.first = NULL;
	quarantine.bytes = 0;
	spin_unlock_irqrestore(&quarantine_lock, flags);
	for (; h; h = next) {
		next = h->link;
		if (!heap || py_arena_of(h)->heap == heap) {
			debug_put_checked(h);
		} else {
			spin_lock_irqsave(&quarantine_lock, flags);
			quarantine_add(h);
			spin_unlock_irqrestore(&quarantine_lock, flags);
		}
	}
}

/*
 * For pyfree(), with preemption off: ends that. @p lies in an arena of a heap with debug
 * hooks. It stays off until the block is known to be in use: else its arena may go.
 */
static noinline void debug_free(void *p, unsigned long ip)
{
	struct py_arena *arena = py_arena_of(p);
	unsigned int class = READ_ONCE(arena->class[py_index_of(p)]);
	struct py_debug *h = NULL;
	bool ours;

	if (class == PY_CLASS_GONE) {
		preempt_enable();
		kfree_told(p);
		return;
	}
	/* In a pool that is unused the last blocks' headers are still there. */
	if (class == PY_CLASS_NONE)
		class = arena->pool[py_index_of(p)].class;
	if (class < PYALLOC_NR_CLASSES)
		h = debug_header(p, class);
	if (PY_ANNOTATE && h && h->state == PY_DEBUG_LIVE && !block_in_use(p))
		h = NULL;
	ours = debug_retire(arena->heap, h, p, ip);
	preempt_enable();
	if (!ours)
		return;
	prof_free(p);
	trace_pyalloc_free(ip, p);
	if (PY_ANNOTATE)
		kmemleak_free(p);
	tag_free(h, class);
	kasan_poison(h, py_class_size(class), PY_KASAN_FREE, false);
	debug_release(h);
}

/* The raw block of what kmalloc() served for a heap with debug hooks is freed. */
static void debug_free_large(struct pyheap *heap, struct py_large *large)
{
	struct py_debug *h = (void *)large->p - large->front;

	if (debug_retire(heap, h, large->p, _RET_IP_)) {
		prof_free(large->p);
		kfree(h);
	}
}

/* For pyfree(): @p lies in no arena. */
static bool debug_kfree(const void *p)
{
	struct py_large *large;

	if (ZERO_OR_NULL_PTR(p) || !(py_default.flags & PYHEAP_DEBUG))
		return false;
	large = large_take(&py_default, p);
	if (large) {
		debug_free_large(&py_default, large);
		pyfree(large);
		return true;
	}
	if (virt_addr_valid(p) && !PageReserved(virt_to_page(p)))
		return false;
	count_event(&py_default, PY_EV_BAD_FREE);
	debug_report(&py_default, NULL, NULL,
		     "Invalid pointer: free of what no allocator has handed out",
		     "not freed");
	return true;
}

/*
 * pyfree_nolock() is about to link @p into a list by its first word, which may be longer
 * than the block. Fails, and says so, if it is there already.
 */
static bool debug_park(const void *p)
{
	struct py_debug *h = debug_live(&py_default, p);

	if (!h || h->flags & PY_DEBUG_LARGE)
		return true;
	if (h->flags & PY_DEBUG_PARKED) {
		count_event(py_arena_of(h)->heap, PY_EV_BAD_FREE);
		debug_report(py_arena_of(h)->heap, h, NULL, "Object already free",
			     "not freed");
		return false;
	}
	h->flags |= PY_DEBUG_PARKED;
	h->link = *(void *const *)p;
	return true;
}

/* Somebody frees or resizes @p in a heap that it is not of. Fails if it is not checked. */
static bool debug_wrong_heap(const void *p)
{
	struct py_debug *h = debug_live(&py_default, p);

	if (!h || h->flags & PY_DEBUG_LARGE)
		return false;
	count_event(py_arena_of(h)->heap, PY_EV_BAD_FREE);
	debug_report(py_arena_of(h)->heap, h, NULL,
		     "Wrong heap: free or resize in another heap", "not freed");
	return true;
}

/* Resizes a checked block: it moves, so that who kept the old address is found. */
static void *debug_resize(struct pyheap *heap, const void *p, size_t new_size,
			  gfp_t gfp, unsigned long ip)
{
	size_t size = debug_live(heap, p)->size;
	void *new = heap_private(heap) ? heap_alloc_any(heap, new_size, gfp, ip) :
					 alloc_at(new_size, gfp, ip);

	trace_pyalloc_realloc(ip, p, new, new_size, gfp);
	if (!new)
		return new_size <= size ? (void *)p : NULL;
	memcpy(new, p, min(size, new_size));
	if (heap_private(heap))
		pyheap_free(heap, p);
	else
		pyfree(p);
	return new;
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

/* Says who allocated what lives in @heap. Nobody uses it any more. */
static void debug_show_live(struct pyheap *heap)
{
	struct py_arena *arena = NULL;
	unsigned int i, n, shown = 0;

	if (!(heap->flags & PYHEAP_DEBUG))
		return;
	while ((arena = arena_next(heap, arena))) {
		for (i = 1; i < PY_ARENA_PAGES; i++) {
			unsigned int class = arena->class[i];

			for (n = 0; class < PYALLOC_NR_CLASSES &&
			     n < arena->pool[i].carved; n++) {
				const struct py_debug *h = (void *)arena + i * PY_POOL_SIZE +
							   n * py_class_stride(class);

				if (h->state != PY_DEBUG_LIVE || !debug_sane(h) ||
				    shown++ >= PY_DEBUG_SHOWN)
					continue;
				pr_warn("live: block %llu of %u bytes\n", h->serial,
					h->size);
				track_show("Allocated", &h->by[0]);
			}
		}
	}
	if (shown > PY_DEBUG_SHOWN)
		pr_warn("live: and %u more\n", shown - PY_DEBUG_SHOWN);
}
