// SPDX-License-Identifier: GPL-2.0
/*
 * pyalloc: CPython's small-object allocator for kernel modules.
 *
 * Memory comes from the page allocator in arenas of 256 KiB, each divided into
 * 63 pools of one page behind a header page. A pool holds blocks of one of 64
 * size classes, 8 to 512 bytes, and belongs to one CPU, its owner, until all
 * of its blocks are free; then any CPU may have it for any class. The owner
 * allocates from and frees into its pools without lock or atomic. A block that
 * is freed elsewhere waits in that CPU's outbox until enough have come
 * together; then each pool's share goes to the pool as one chain, and the pool
 * to its owner's inbox. What does not move by itself is moved by the reaper.
 *
 * What cannot be served from a pool goes to kmalloc(), with the caller's flags
 * as they are, and pyfree() takes both: a pyalloc() fails only where kmalloc()
 * has failed. See Documentation/pyalloc.rst.
 *
 * Who may touch a pool
 *
 *   state     on which list           who                leaves when
 *   CURRENT   the CPU's cur[class]    owner, busy        exhausted -> FULL;
 *                                                        idle -> USED
 *   USED      the CPU's used[class]   owner, busy        -> CURRENT; last block
 *                                                        freed -> SPARE, UNUSED
 *   FULL      none                    owner, busy        a block freed -> USED
 *   SPARE     the CPU's spare         owner, busy        -> CURRENT; idle ->
 *                                                        UNUSED
 *   UNUSED    node->back, then        anyone, node lock  taken -> SPARE; its
 *             arena->unused                              page given back
 *   gone      arena->gone             nobody             its page had again; with
 *                                                        the arena
 *
 * A pool with a block in use or in transit is never UNUSED. So its arena stays
 * and its class does not change under a pyfree(), which needs no RCU for it.
 *
 * A CPU is "busy" while its token is taken. Then, with preemption off, a
 * context has the CPU's own pools to itself; an interrupt that finds it so keeps
 * away: kmalloc() serves it, and what it frees goes to a list of its own. No
 * lock, no page allocation, no printk and no tracepoint under it.
 *
 * Lock order: CPU hotplug -> heaps_sem -> visit_mutex -> node->lock. The node
 * lock is a leaf, as is a heap's; "busy" is never held when they are taken.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/cpu.h>
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/jhash.h>
#include <linux/jump_label.h>
#include <linux/kasan.h>
#include <linux/kmemleak.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rtmutex.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/stackdepot.h>
#include <linux/stacktrace.h>
#include <linux/static_call.h>
#include <linux/topology.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "pyalloc_internal.h"

#define CREATE_TRACE_POINTS
#include "pyalloc_trace.h"

#include "pyalloc_param.h"

/* ---- All state --------------------------------------------------------- */

static DEFINE_PER_CPU(struct py_cpu, py_cpu);

/* The heap of pyalloc(). */
static struct pyheap py_default = {
	.name = "default",
	.cpu = &py_cpu.heap,
};

/*
 * All heaps. Who goes through the list has the semaphore, or is an RCU reader and
 * does not sleep. Reclaim only tries to take it. Only a heap that comes or goes
 * takes it alone, and for a moment.
 */
static LIST_HEAD(py_heaps);
static DECLARE_RWSEM(heaps_sem);
#define for_each_heap(heap)						\
	list_for_each_entry_rcu(heap, &py_heaps, list,			\
				lockdep_is_held(&heaps_sem))

/* Stands in cur[] where there is no pool: never has a block to give. */
static struct py_pool py_no_pool __read_mostly;

/*
 * Is this address in an arena? An entry for each 256 KiB of memory, a power of
 * two of them, so that the index needs no base and no bound: it is the entry
 * that tells one address from another.
 */
static struct {
	struct py_arena **arena;	/* the one that begins here, or PY_NONE */
	unsigned long mask;		/* entries - 1 */
} py_map __read_mostly;

/* Not NULL: that is what a NULL pointer's arena would be. */
#define PY_NONE		((struct py_arena *)-1L)

static struct {
	int armed;			/* will look again at what is pending */
	bool closing;			/* module exit: do not start any more */
	struct irq_work kick;
	struct hrtimer timer;
	struct kthread_worker *worker;
	struct kthread_work round;
	struct work_struct collect;
	struct workqueue_struct *wq;	/* what takes longer */
} py_reaper;

/*
 * One visit of the CPUs at a time. The reaper lends its priority to who makes one,
 * and may be kept from running by a task of a priority between.
 */
static DEFINE_RT_MUTEX(visit_mutex);
static struct shrinker *py_shrinker;
static enum cpuhp_state py_cpuhp;

/*
 * Are there heaps whose blocks are checked? The key is on only then, and asked on no
 * fast path.
 */
static DEFINE_STATIC_KEY_FALSE(py_debug_on);

#ifndef PYALLOC_NO_DEBUG
static __always_inline bool debug_on(void)
{
	return static_branch_unlikely(&py_debug_on);
}
#else
static __always_inline bool debug_on(void)
{
	return false;
}
#endif

static bool debug_kfree(const void *p, unsigned long ip);
static bool quarantine_spare(struct pyheap *heap, gfp_t gfp);

static void count_event(struct pyheap *heap, enum py_event event)
{
	this_cpu_inc(heap->cpu->event[event]);
}

/* Not under "busy". */
static void bad_free(struct pyheap *heap, const char *what)
{
	count_event(heap, PY_EV_BAD_FREE);
	WARN_RATELIMIT(1, "pyalloc: %s\n", what);
}

/* @heap's state on this CPU, which is @c. */
static __always_inline struct pyheap_cpu *heap_here(struct pyheap *heap,
						    struct py_cpu *c)
{
	return likely(heap == &py_default) ? &c->heap : this_cpu_ptr(heap->cpu);
}

/* ---- busy -------------------------------------------------------------- */

/*
 * A CPU is "busy" while its token is taken. The barriers are for the compiler:
 * an interrupt on this CPU sees its stores in program order. Only when "busy"
 * may state and list of a pool be read.
 */
static __always_inline bool is_busy(const struct py_cpu *c)
{
	/* data_race(): an interrupt leaves the token as it found it. */
	return data_race(c->token) == PY_BUSY;
}

static __always_inline bool busy_trylock(struct py_cpu *c)
{
	if (unlikely(is_busy(c)))
		return false;
	WRITE_ONCE(c->token, PY_BUSY);
	barrier();
	return true;
}

static __always_inline void busy_unlock(struct py_cpu *c)
{
	barrier();
	WRITE_ONCE(c->token, c->id);
	barrier();
}

/* The same in two halves, for the fast paths: who has seen it takes the token. */
static __always_inline void here_take(struct py_cpu *c)
{
	here_set(c, token, PY_BUSY);
	barrier();
}

static __always_inline void here_put(struct py_cpu *c, u32 token)
{
	barrier();
	here_set(c, token, token);
	barrier();
}

/* ---- Free lists -------------------------------------------------------- */

/*
 * The first word of a free block is its link, stored as SLUB stores it when
 * hardened: a stray write or a leaked word does not make a usable pointer.
 */
static __always_inline void *link_code(unsigned long key, const void *block,
				       const void *next)
{
	if (!IS_ENABLED(CONFIG_SLAB_FREELIST_HARDENED))
		return (void *)next;
	return (void *)((unsigned long)next ^ (unsigned long)block ^ key);
}

/* For the fast paths, where @c is this CPU. */
static __always_inline void *here_code(const struct py_cpu *c,
				       const void *block, const void *next)
{
	return link_code(here_get(c, key), block, next);
}

static __always_inline void *get_next(const struct py_cpu *c, const void *block)
{
	return link_code(c->key, block, *(void *const *)block);
}

static __always_inline void set_next(const struct py_cpu *c, void *block,
				     const void *next)
{
	*(void **)block = link_code(c->key, block, next);
}

/* py_class_blocks(), without its division; 0 for what is no class. */
static u16 py_blocks[U8_MAX + 1] __ro_after_init;

static unsigned int class_blocks(unsigned int class)
{
	return *(py_blocks + class);
}

/*
 * Puts 0 to @n - 1 into random @order. The generator is xorshift64: nobody sees what
 * it says, and to ask the kernel's each time would take longer than the rest. Under busy.
 */
static void shuffle(struct py_cpu *c, u8 *order, unsigned int n)
{
	u64 random = c->random;
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		j = (random >> 32) * (i + 1) >> 32;
		*(order + i) = *(order + j);
		*(order + j) = i;
	}
	c->random = random;
}

/* Links @n virgin blocks from @base on in random order; returns the first. */
static noinline void *carve_shuffled(struct py_cpu *c, void *base,
				     unsigned int size, unsigned int n)
{
	u8 order[PY_CARVE_BYTES / PYALLOC_ALIGN];
	void *block = NULL;
	unsigned int i;

	shuffle(c, order, n);
	for (i = 0; i < n; i++) {
		void *next = block;

		block = base + *(order + i) * size;
		set_next(c, block, next);
	}
	return block;
}

/* Links some virgin blocks; ascending, so that the first is handed out first. */
static noinline void pool_carve(struct py_cpu *c, struct pyheap_cpu *hc,
				struct py_pool *pool, unsigned int class)
{
	unsigned int size = py_class_stride(class);
	unsigned int left = class_blocks(class) - pool->carved;
	unsigned int n = min(left, py_class_carve(class));
	void *block = py_pool_base(pool) + pool->carved * size;
	unsigned int i;

	hc->event[PY_EV_CARVE]++;
	pool->carved += n;
	if (py_shuffle.value) {
		pool->free = carve_shuffled(c, block, size, n);
		return;
	}
	pool->free = block;
	for (i = 1; i < n; i++, block += size)
		set_next(c, block, block + size);
	set_next(c, block, NULL);
}

/* ---- Is this pointer ours? --------------------------------------------- */

static __always_inline struct py_arena **py_map_entry(const void *p)
{
	return py_map.arena + ((unsigned long)p >> PY_ARENA_SHIFT & py_map.mask);
}

/*
 * "No" is for good. "Yes" is so for a block in use; but a pointer that is not
 * ours may lie in a page that an arena gave back, and does not keep the arena
 * from being released: ask with preemption off, and read the arena's header in
 * the same section.
 */
static __always_inline bool py_entry_has(struct py_arena **entry, const void *p)
{
	/* data_race(): only a pointer that is not ours can see it change. */
	return data_race(*entry) == py_arena_of(p);
}

static __always_inline bool py_map_has(const void *p)
{
	return py_entry_has(py_map_entry(p), p);
}

/*
 * Fails if the entry has an arena: the addresses of the memory differ by more
 * than the table is long. Rare, as it is made for the memory there was.
 */
static bool py_map_add(struct py_arena *arena)
{
	return cmpxchg(py_map_entry(arena), PY_NONE, arena) == PY_NONE;
}

static void py_map_del(struct py_arena *arena)
{
	WRITE_ONCE(*py_map_entry(arena), PY_NONE);
}

/* Whose block is @p? NULL if it is not one of ours. @class if it is. */
static struct pyheap *py_block_heap(const void *p, unsigned int *class)
{
	struct pyheap *heap = NULL;

	preempt_disable();
	if (py_map_has(p)) {
		*class = READ_ONCE(py_arena_of(p)->class[py_index_of(p)]);
		if (*class < PYALLOC_NR_CLASSES)
			heap = py_arena_of(p)->heap;
	}
	preempt_enable();
	return heap;
}

/* The usable size of @p; 0 if it is not a block of ours. */
static size_t py_block_size(const void *p)
{
	unsigned int class;

	return py_block_heap(p, &class) ? py_class_size(class) : 0;
}

/* Is @p in an arena, if not in a block of it? Then it is nobody else's to free. */
static bool py_is_ours(const void *p)
{
	bool ours;

	preempt_disable();
	ours = py_map_has(p) &&
	       READ_ONCE(py_arena_of(p)->class[py_index_of(p)]) != PY_CLASS_GONE;
	preempt_enable();
	return ours;
}

/* ---- The reaper is told ------------------------------------------------- */

/*
 * Call after something became pending. The barrier orders that before the look
 * at the flag, as reaper_round() clears the flag before it looks for something
 * pending: one of the two sees the other.
 */
static void reaper_arm(void)
{
	smp_mb();	/* pairs with reaper_round() */
	if (!READ_ONCE(py_reaper.armed) && !xchg(&py_reaper.armed, 1))
		irq_work_queue(&py_reaper.kick);
}

/* ---- What KASAN and kmemleak are told ------------------------------------ */

/*
 * As SLUB does for its objects, so that both see a use after free, an overrun
 * and a lost block as with kmalloc(). All of this folds away without them.
 * This file is not instrumented: it reads links in blocks that are free.
 */
#define PY_KASAN_FREE		0xfb	/* reported as use after free */
#define PY_KASAN_REDZONE	0xfc	/* reported as out of bounds */
#define PY_KASAN_GRANULE	8	/* bytes that one of shadow tells of */
#define PY_ANNOTATE	(IS_ENABLED(CONFIG_KASAN_GENERIC) || \
			 IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))

#include "pyalloc_watch.h"

/* Says whether KASAN, if there, thinks that the block is in use. */
static bool block_in_use(const void *p)
{
	return !IS_ENABLED(CONFIG_KASAN_GENERIC) || __kasan_check_read(p, 1);
}

/*
 * The first @size bytes of the block may be touched; its others not, nor what
 * is between it and the next.
 */
static void block_open_in(void *p, size_t room, size_t size)
{
#ifdef CONFIG_KASAN_GENERIC
	size_t whole = round_down(size, PY_KASAN_GRANULE);

	kasan_poison(p, whole, 0, false);
	kasan_poison(p + whole, room - whole, PY_KASAN_REDZONE, false);
	if (size > whole)
		*(u8 *)kasan_mem_to_shadow(p + whole) = size - whole;
#endif
}

static void block_open(void *p, size_t block_size, size_t size)
{
	block_open_in(p, py_class_stride(PYALLOC_CLASS(block_size)), size);
}

/* The block is being freed. Says whether it was in use. */
static bool block_close(void *p, size_t block_size)
{
	if (!block_in_use(p))
		return false;
	kasan_poison(p, block_size, PY_KASAN_FREE, false);
	kmemleak_free(p);
	return true;
}

/* ---- What a heap may hold ------------------------------------------------ */

static bool heap_private(const struct pyheap *heap)
{
	return heap != &py_default;
}

/* Fails if @bytes more are above the heap's limit. __GFP_NOFAIL knows none. */
static bool heap_charge(struct pyheap *heap, size_t bytes, gfp_t gfp)
{
	long limit = READ_ONCE(heap->limit);
	long held;

	if (!heap_private(heap))
		return true;
	/* What is refused must not be in others' way meanwhile. */
	held = atomic_long_read(&heap->held);
	do {
		if (limit && (long)bytes > limit - held && !(gfp & __GFP_NOFAIL))
			return false;
	} while (!atomic_long_try_cmpxchg(&heap->held, &held, held + (long)bytes));
	return true;
}

static void heap_uncharge(struct pyheap *heap, size_t bytes)
{
	if (heap_private(heap))
		atomic_long_sub(bytes, &heap->held);
}

/* ---- Arenas: under the node lock ---------------------------------------- */

/* Slab memory to /proc/meminfo and to the reports of the OOM killer. */
static void pages_book(struct page *page, long pages)
{
	mod_node_page_state(page_pgdat(page), NR_SLAB_UNRECLAIMABLE_B,
			    pages * (long)PAGE_SIZE);
}

static void arena_book(const struct py_arena *arena, long pages)
{
	pages_book(virt_to_page(arena), pages);
}

/*
 * The pages behind an arena's first have no reference, as a slab's: a kfree() of a
 * block warns then, but finds no last one to drop and no page to free, and
 * sendpage_ok() says no. Freezing fails while somebody who looks at any page, such as
 * compaction, has one: such a page goes without. @refs: what it had before.
 */
static void page_own(struct page *page, int refs)
{
	if (page_ref_freeze(page, 1) && unlikely(refs))
		set_page_count(page, refs);
}

/* How often was a block in @page given to kfree(), as far as it shows? */
static unsigned int page_strays(struct page *page)
{
	return -min(page_ref_count(page), 0);
}

/* Undoes what kfree() did to @page and to the books. */
static void page_mend(struct py_arena *arena, struct page *page)
{
	unsigned int strays = page_strays(page);

	if (likely(!strays))
		return;
	set_page_count(page, 0);
	pages_book(page, strays);
	bad_free(arena->heap, "kfree() of a block");
}

/* Gives back a page of a split arena. */
static void page_give_back(struct py_arena *arena, struct page *page)
{
	page_mend(arena, page);
	if (!page_ref_count(page))
		page_ref_unfreeze(page, 1);
	__free_page(page);
}

static struct page *arena_page(const struct py_arena *arena, unsigned int i)
{
	return virt_to_page((void *)arena + i * PY_POOL_SIZE);
}

static bool arena_empty(const struct py_arena *arena)
{
	return hweight64(arena->unused | arena->gone) == PY_ARENA_POOLS;
}

/* Changes what @arena has, and moves it to where it belongs then. */
static void arena_change(struct py_arena *arena, u64 unused, u64 gone)
{
	struct pyheap_node *node = arena->node;
	unsigned int was = hweight64(arena->unused);
	unsigned int is = hweight64(unused);

	lockdep_assert_held(&node->lock);
	node->nr_empty -= arena_empty(arena);
	arena->unused = unused;
	arena->gone = gone;
	node->nr_empty += arena_empty(arena);
	WRITE_ONCE(node->nr_unused, node->nr_unused + is - was);
	if (was == is)
		return;
	if (was) {
		hlist_del(&arena->bucket);
		if (hlist_empty(&node->by_unused[was]))
			node->nonempty &= ~BIT_ULL(was);
	}
	if (is) {
		hlist_add_head(&arena->bucket, &node->by_unused[is]);
		node->nonempty |= BIT_ULL(is);
	}
}

/*
 * Takes @arena off its node, onto @dead, if nothing needs it. An empty arena
 * with gone pages is not worth keeping.
 */
static void arena_retire(struct py_arena *arena, unsigned int nr_keep,
			 struct list_head *dead)
{
	struct pyheap_node *node = arena->node;

	lockdep_assert_held(&node->lock);
	if (!arena_empty(arena) || arena->pins ||
	    (!arena->gone && node->nr_empty <= nr_keep))
		return;
	arena_change(arena, 0, arena->gone);
	arena->dead = true;
	WRITE_ONCE(node->nr_gone, node->nr_gone - hweight64(arena->gone));
	list_move(&arena->all, dead);
	node->arenas_reclaimed++;
	atomic_long_dec(&node->heap->arenas);
}

/*
 * No reclaim, no kswapd, no reserves, no warning: an arena is welcome, not
 * necessary. Nothing of the caller's flags: it has asked for one block.
 */
#define PY_ARENA_GFP	(__GFP_NOWARN | __GFP_NORETRY | __GFP_NOMEMALLOC | \
			 __GFP_THISNODE)

static gfp_t node_gfp(const struct pyheap_node *node)
{
	/* Not every architecture's numa_mem_id() avoids nodes without memory. */
	return node_state(node->nid, N_MEMORY) ? PY_ARENA_GFP :
						 PY_ARENA_GFP & ~__GFP_THISNODE;
}

#include "pyalloc_region.h"

/* ---- Arenas come and go -------------------------------------------------- */

static void arena_free_header(struct rcu_head *rcu)
{
	__free_page(virt_to_page(container_of(rcu, struct py_arena, rcu)));
}

/*
 * Without a lock. The mark goes first: once the pages are free they are
 * kmalloc()'s or anybody's, and pyfree() may be handed a pointer into them.
 * Such a pointer may already have found the mark if a page was gone before;
 * then it reads the header, which waits for it.
 */
static unsigned long arena_free(struct py_arena *arena)
{
	unsigned long pages = PY_ARENA_PAGES - hweight64(arena->gone);
	unsigned int i;

	trace_pyalloc_arena_gone(arena);
	py_map_del(arena);
	if (arena->region) {
		region_put_arena(arena, false);
		return 0;
	}
	arena_book(arena, -(long)pages);
	if (!arena->split) {
		for (i = 1; i < PY_ARENA_PAGES; i++)
			page_mend(arena, arena_page(arena, i));
		__free_pages(virt_to_page(arena), PY_ARENA_ORDER);
		return pages;
	}
	for (i = 1; i < PY_ARENA_PAGES; i++)
		if (!(arena->gone & BIT_ULL(i)))
			page_give_back(arena, arena_page(arena, i));
	call_rcu(&arena->rcu, arena_free_header);
	return pages;
}

static unsigned long arena_free_list(struct list_head *dead)
{
	struct py_arena *arena, *next;
	unsigned long pages = 0;

	list_for_each_entry_safe(arena, next, dead, all)
		pages += arena_free(arena);
	return pages;
}

/* Order 6 bypasses the per-CPU page lists: do not ask at once again. */
#define PY_ARENA_RETRY	(HZ / 10)

/* Which arenas are not to be had: debugfs/pyalloc/fail. */
struct py_fault_attr py_fail = PY_FAULT_INIT;
EXPORT_SYMBOL_INTERNAL(py_fail);

static struct py_arena *arena_of_pages(struct pyheap_node *node)
{
	struct page *page = alloc_pages_node(node->nid, node_gfp(node),
					     PY_ARENA_ORDER);

	return page ? memset(page_address(page), 0, PY_POOL_SIZE) : NULL;
}

static struct py_arena *arena_alloc(struct pyheap_node *node, gfp_t gfp)
{
	struct py_arena *arena = NULL;
	unsigned int i;

	if (!py_should_fail(&py_fail))
		arena = heap_in_regions(node->heap) ? region_arena(node, gfp) :
						      arena_of_pages(node);
	if (!arena)
		return NULL;
	arena->heap = node->heap;
	arena->node = node;
	for (i = 0; i < PY_ARENA_PAGES; i++) {
		arena->class[i] = i ? PY_CLASS_NONE : PY_CLASS_HEADER;
		arena->owner[i] = PY_NOBODY;
	}
	if (!py_map_add(arena)) {
		if (arena->region)
			region_put_arena(arena, true);
		else
			__free_pages(virt_to_page(arena), PY_ARENA_ORDER);
		return NULL;
	}
	/* What the header leaves of its page is in front of the first block. */
	kasan_poison(arena + 1, PY_POOL_SIZE - sizeof(*arena),
		     PY_KASAN_REDZONE, false);
	kasan_poison((void *)arena + PY_POOL_SIZE,
		     PY_ARENA_POOLS * PY_POOL_SIZE, PY_KASAN_FREE, false);
	if (!arena->region)
		arena_book(arena, PY_ARENA_PAGES);
	trace_pyalloc_arena_new(arena);
	return arena;
}

/*
 * Puts @page back into the arena that gave it away, if one of @node's did. RCU:
 * if the page is in an arena, that was split, and its header waits for readers.
 */
static bool page_return(struct pyheap_node *node, struct page *page)
{
	void *p = page_address(page);
	struct py_arena *arena = py_arena_of(p);
	unsigned int i = py_index_of(p);
	bool ours = false;
	unsigned long flags;

	rcu_read_lock();
	if (py_map_has(p) && arena->node == node) {
		spin_lock_irqsave(&node->lock, flags);
		ours = !arena->dead && arena->gone & BIT_ULL(i);
		if (ours) {
			page_own(page, 0);
			kasan_poison(p, PY_POOL_SIZE, PY_KASAN_FREE, false);
			WRITE_ONCE(arena->class[i], PY_CLASS_NONE);
			arena_change(arena, arena->unused | BIT_ULL(i),
				     arena->gone & ~BIT_ULL(i));
			arena_book(arena, 1);
			WRITE_ONCE(node->nr_gone, node->nr_gone - 1);
			node->pages_again++;
		}
		spin_unlock_irqrestore(&node->lock, flags);
	}
	rcu_read_unlock();
	return ours;
}

/*
 * Asks for some pages. What arenas gave back is likely among them: it was freed
 * last, and its neighbours in the arena keep it from growing into larger pieces,
 * which makes it the page allocator's first choice. Gives up when there is none,
 * until more is given back.
 */
static bool node_refill(struct pyheap_node *node)
{
	struct page *page, *next;
	unsigned int n, again = 0;
	LIST_HEAD(others);
	int given = atomic_read_acquire(&node->given);

	if (given == READ_ONCE(node->given_no_more) || !READ_ONCE(node->nr_gone))
		return false;
	for (n = 0; n < PY_REFILL; n++) {
		page = alloc_pages_node(node->nid, PY_ARENA_GFP, 0);
		if (!page)
			break;
		if (page_return(node, page))
			again++;
		else
			list_add(&page->lru, &others);
	}
	list_for_each_entry_safe(page, next, &others, lru)
		__free_page(page);
	if (!again)
		WRITE_ONCE(node->given_no_more, given);
	return again;
}

/* Adds pools to @node. Says why in @why if it cannot. */
static bool node_grow(struct pyheap_node *node, gfp_t gfp, enum py_reason *why)
{
	struct pyheap *heap = node->heap;
	struct py_arena *arena;
	unsigned long flags;
	long now, high;

	/*
	 * Who may use the reserves must not give them away as whole arenas. The task
	 * may be about to change its flags when an interrupt looks: either is right.
	 */
	if ((gfp & __GFP_MEMALLOC) || (data_race(current->flags) & PF_MEMALLOC)) {
		*why = PY_FALL_RESERVE;
		return false;
	}
	*why = PY_FALL_ARENA;
	if (node_refill(node))
		return true;
	if (time_before(jiffies, READ_ONCE(node->retry)))
		return false;
	arena = arena_alloc(node, gfp);

	spin_lock_irqsave(&node->lock, flags);
	if (arena) {
		node->arenas_total++;
		list_add_tail(&arena->all, &node->arenas);
		arena_change(arena, GENMASK_ULL(PY_ARENA_POOLS, 1), 0);
		now = atomic_long_inc_return(&heap->arenas);
		high = atomic_long_read(&heap->highwater);
		while (now > high &&
		       !atomic_long_try_cmpxchg(&heap->highwater, &high, now))
			;
	} else {
		node->arenas_failed++;
		WRITE_ONCE(node->retry, jiffies + PY_ARENA_RETRY);
	}
	spin_unlock_irqrestore(&node->lock, flags);
	return arena;
}

/*
 * Which unused pools of @arena, as bits, a CPU takes next if it has @mine there:
 * one whose neighbour in the cache line of descriptors is its own already, else
 * an aligned pair, else any. Pool 1 shares its line with the header page's empty
 * entry.
 */
static u64 arena_pick(u64 unused, u64 mine)
{
	u64 pairs = unused & (unused >> 1) & PY_EVEN;
	u64 single = unused & ~(pairs | pairs << 1);
	u64 beside = (mine >> 1 & PY_EVEN) | (mine & PY_EVEN) << 1 | BIT_ULL(1);

	if (single & beside)
		return BIT_ULL(__ffs64(single & beside));
	if (pairs)
		return 3ULL << __ffs64(pairs);
	return BIT_ULL(__ffs64(single));
}

/* Charges for @pick, which comes to @taken. Of all, one was charged before. */
static bool pick_charge(struct pyheap *heap, u64 pick, u64 taken)
{
	unsigned int pools = hweight64(pick) - !taken;

	return !pools || heap_charge(heap, pools * PY_POOL_SIZE, 0);
}

/*
 * Takes about @want pools out of the fullest arena, as far as the heap's limit
 * lets it; returns them as bits. The caller has charged for one.
 */
static u64 node_take(struct pyheap_node *node, unsigned int want,
		     struct py_arena **from)
{
	unsigned int i, cpu = raw_smp_processor_id();
	u64 taken = 0, mine = 0, unused;
	struct py_arena *arena;
	unsigned long flags;

	spin_lock_irqsave(&node->lock, flags);
	node->takes++;
	if (node->nonempty) {
		arena = hlist_entry(node->by_unused[__ffs64(node->nonempty)].first,
				    struct py_arena, bucket);
		*from = arena;
		unused = arena->unused;
		for (i = 1; i < PY_ARENA_PAGES; i++)
			if (READ_ONCE(arena->owner[i]) == cpu)
				mine |= BIT_ULL(i);
		while (unused && hweight64(taken) < want) {
			u64 pick = arena_pick(unused, mine);

			if (unlikely(!pick_charge(node->heap, pick, taken))) {
				pick &= -pick;
				if (!pick_charge(node->heap, pick, taken))
					break;
			}
			taken |= pick;
			mine |= pick;
			unused &= ~pick;
		}
		arena_change(arena, unused, arena->gone);
	}
	spin_unlock_irqrestore(&node->lock, flags);
	return taken;
}

/*
 * Puts up to PY_BATCH pools that were handed back into their arenas; what is
 * more goes back to the list. Returns pages freed.
 */
static unsigned long node_collect(struct pyheap_node *node)
{
	struct llist_node *back = llist_del_all(&node->back), *last;
	unsigned long flags;
	unsigned int n;
	LIST_HEAD(dead);

	if (!back)
		return 0;
	spin_lock_irqsave(&node->lock, flags);
	node->backs++;
	for (n = 0; back && n < PY_BATCH; n++) {
		struct py_pool *pool = llist_entry(back, struct py_pool, back);
		struct py_arena *arena = py_arena_of(pool);
		unsigned int i = py_pool_index(pool);

		back = back->next;
		heap_uncharge(node->heap, PY_POOL_SIZE);
		arena_change(arena, arena->unused | BIT_ULL(i), arena->gone);
		arena_retire(arena, keep.value, &dead);
	}
	spin_unlock_irqrestore(&node->lock, flags);
	trace_pyalloc_pool_gone(node, n);
	if (back) {
		for (last = back; last->next; last = last->next)
			;
		llist_add_batch(back, last, &node->back);
		reaper_arm();
	}
	return arena_free_list(&dead);
}

static unsigned long heap_collect(struct pyheap *heap)
{
	unsigned long pages = 0;
	int nid;

	for_each_node(nid)
		if (!llist_empty(&heap->node[nid]->back))
			pages += node_collect(heap->node[nid]);
	return pages;
}

/* Releases the empty arenas that were kept. Returns pages freed. */
static unsigned long node_release_kept(struct pyheap_node *node)
{
	struct py_arena *arena;
	struct hlist_node *next;
	unsigned long flags;
	LIST_HEAD(dead);

	spin_lock_irqsave(&node->lock, flags);
	hlist_for_each_entry_safe(arena, next, &node->by_unused[PY_ARENA_POOLS],
				  bucket)
		arena_retire(arena, 0, &dead);
	spin_unlock_irqrestore(&node->lock, flags);
	return arena_free_list(&dead);
}

/* split_page() wants pages as they were allocated: DEBUG_VM looks at that. */
static void arena_split(struct py_arena *arena)
{
	int refs[PY_ARENA_PAGES];
	unsigned int i;

	for (i = 1; i < PY_ARENA_PAGES; i++) {
		refs[i] = page_ref_count(arena_page(arena, i));
		set_page_count(arena_page(arena, i), 0);
	}
	split_page(virt_to_page(arena), PY_ARENA_ORDER);
	for (i = 1; i < PY_ARENA_PAGES; i++)
		page_own(arena_page(arena, i), refs[i]);
	arena->split = true;
}

/*
 * Gives back the pages of @arena's unused pools, while blocks in others keep
 * it. A higher-order allocation must be split before, once.
 */
static unsigned long arena_give_back(struct py_arena *arena)
{
	struct pyheap_node *node = arena->node;
	unsigned long flags, pages;
	u64 mask = 0, rest;

	if (arena->region)
		return 0;
	spin_lock_irqsave(&node->lock, flags);
	if (!arena_empty(arena) && arena->unused) {
		mask = arena->unused;
		if (!arena->split)
			arena_split(arena);
		for (rest = mask; rest; rest &= rest - 1)
			WRITE_ONCE(arena->class[__ffs64(rest)], PY_CLASS_GONE);
		arena_change(arena, 0, arena->gone | mask);
		node->pages_back += hweight64(mask);
		WRITE_ONCE(node->nr_gone, node->nr_gone + hweight64(mask));
	}
	spin_unlock_irqrestore(&node->lock, flags);

	pages = hweight64(mask);
	if (!pages)
		return 0;
	arena_book(arena, -(long)pages);
	for (rest = mask; rest; rest &= rest - 1)
		page_give_back(arena, arena_page(arena, __ffs64(rest)));
	atomic_fetch_inc_release(&node->given);	/* pairs with node_refill() */
	return pages;
}

/*
 * Walks the arenas of @heap: the first after NULL, NULL after the last. Each is
 * pinned while the caller has it: it is not released, but its pools go on
 * changing.
 */
static void arena_unpin(struct py_arena *arena)
{
	struct pyheap_node *node = arena->node;
	unsigned long flags;
	LIST_HEAD(dead);

	spin_lock_irqsave(&node->lock, flags);
	arena->pins--;
	arena_retire(arena, keep.value, &dead);
	spin_unlock_irqrestore(&node->lock, flags);
	arena_free_list(&dead);
}

static struct py_arena *arena_next(struct pyheap *heap, struct py_arena *prev)
{
	struct pyheap_node *node = prev ? prev->node : NULL;
	int nid = node ? node->nid : first_node(node_possible_map);
	struct py_arena *arena = NULL;
	unsigned long flags;

	for (; nid < MAX_NUMNODES && !arena;
	     nid = next_node(nid, node_possible_map)) {
		struct list_head *pos;

		node = heap->node[nid];
		spin_lock_irqsave(&node->lock, flags);
		pos = prev && prev->node == node ? &prev->all : &node->arenas;
		if (!list_is_last(pos, &node->arenas)) {
			arena = list_entry(pos->next, struct py_arena, all);
			arena->pins++;
		}
		spin_unlock_irqrestore(&node->lock, flags);
	}
	if (prev)
		arena_unpin(prev);
	return arena;
}

/* ---- Pools: their owner, under busy -------------------------------------- */

/* Says that this CPU has something for the reaper's visits. */
static void cpu_dirty(struct py_cpu *c)
{
	if (!c->dirty) {
		WRITE_ONCE(c->dirty, 1);
		reaper_arm();
	}
}

static void pool_to_used(struct pyheap_cpu *hc, struct py_pool *pool,
			 unsigned int class, unsigned int count)
{
	pool->state = PY_POOL_USED;
	pool->left = count;
	list_add_tail(&pool->list, hc->used + class);
}

static void pool_to_full(struct py_pool *pool)
{
	pool->state = PY_POOL_FULL;
	pool->left = 1;
}

static void pool_to_spare(struct py_cpu *c, struct pyheap_cpu *hc,
			  struct py_pool *pool)
{
	struct py_arena *arena = py_arena_of(pool);
	unsigned int i = py_pool_index(pool);

	pool->state = PY_POOL_SPARE;
	pool->left = 1;		/* a stale pointer's free is an event */
	pool->free = NULL;
	WRITE_ONCE(arena->class[i], PY_CLASS_NONE);
	WRITE_ONCE(arena->owner[i], c->id);
	list_add(&pool->list, &hc->spare);
	hc->nr_spare++;
	hc->spare_idle = false;
	cpu_dirty(c);
}

/* The last step of an owner: from here on the pool is anybody's. */
static void pool_to_unused(struct py_pool *pool)
{
	struct py_arena *arena = py_arena_of(pool);
	unsigned int i = py_pool_index(pool);

	pool->state = PY_POOL_UNUSED;
	WRITE_ONCE(arena->class[i], PY_CLASS_NONE);
	WRITE_ONCE(arena->owner[i], PY_NOBODY);
	if (llist_add(&pool->back, &arena->node->back))
		reaper_arm();
}

/*
 * All blocks of @pool are free, and it is on no list. If it has a chain under
 * way all the same, a block was freed twice: then the pool is lost, rather than
 * handed to somebody while the owner's inbox has it.
 */
static void pool_emptied(struct py_cpu *c, struct pyheap_cpu *hc,
			 struct py_pool *pool)
{
	u32 chain = READ_ONCE(py_arena_of(pool)->remote[py_pool_index(pool)]);

	if (unlikely(chain)) {
		hc->event[PY_EV_BAD_FREE]++;
		pool->free = NULL;
		pool->carved = class_blocks(pool->class);	/* no virgin ones, too */
		pool_to_full(pool);
	} else if (hc->nr_spare < PY_SPARE_MAX && !c->visiting) {
		pool_to_spare(c, hc, pool);
	} else {
		pool_to_unused(pool);
		c->handed_back++;
	}
}

static __always_inline void pool_to_current(struct py_cpu *c,
					    struct pyheap_cpu *hc,
					    struct py_pool *pool,
					    unsigned int class)
{
	pool->state = PY_POOL_CURRENT;
	pool->seen = 0;
	*(hc->cur + class) = pool;
	hc->installed |= BIT_ULL(class);
	cpu_dirty(c);
}

/* Takes a pool with blocks to give, if there is one, off its list. */
static __always_inline struct py_pool *pool_next(struct pyheap_cpu *hc,
						 unsigned int class)
{
	struct list_head *used = hc->used + class;
	struct py_pool *pool;

	if (likely(!list_empty(used))) {
		pool = list_first_entry(used, struct py_pool, list);
		__list_del_entry(&pool->list);
		pool->left++;
		return pool;
	}
	if (list_empty(&hc->spare))
		return NULL;
	pool = list_first_entry(&hc->spare, struct py_pool, list);
	__list_del_entry(&pool->list);
	hc->nr_spare--;
	hc->spare_idle = false;
	pool->free = NULL;
	pool->carved = 0;
	pool->left = 1;
	pool->class = class;
	tags_clear(pool);
	WRITE_ONCE(py_arena_of(pool)->class[py_pool_index(pool)], class);
	return pool;
}

/* A current pool, no longer in cur[], goes to where it belongs by its blocks. */
static void pool_from_current(struct py_cpu *c, struct pyheap_cpu *hc,
			      struct py_pool *pool, unsigned int class)
{
	unsigned int count = pool->left - 1;

	if (!count)
		pool_emptied(c, hc, pool);
	else if (!pool->free && pool->carved == class_blocks(class))
		pool_to_full(pool);
	else
		pool_to_used(hc, pool, class, count);
}

static void pool_demote(struct py_cpu *c, struct pyheap_cpu *hc,
			unsigned int class)
{
	struct py_pool *pool = hc->cur[class];

	hc->cur[class] = &py_no_pool;
	hc->installed &= ~BIT_ULL(class);
	pool_from_current(c, hc, pool, class);
}

/* How many blocks of @pool are in use or in transit. */
static unsigned int pool_count(const struct py_pool *pool, unsigned int class)
{
	switch (pool->state) {
	case PY_POOL_FULL:
		return class_blocks(class);
	case PY_POOL_CURRENT:
		return pool->left - 1;
	default:
		return pool->left;
	}
}

/* @pool's countdown has reached 0: @count blocks are in use or in transit. */
static void pool_event(struct py_cpu *c, struct pyheap_cpu *hc,
		       struct py_pool *pool, unsigned int class,
		       unsigned int count)
{
	hc->event[PY_EV_POOL_EVENT]++;
	if (pool->state == PY_POOL_USED)
		list_del(&pool->list);
	if (count)
		pool_to_used(hc, pool, class, count);
	else
		pool_emptied(c, hc, pool);
}

/* ---- Outbox and inbox ---------------------------------------------------- */

static u32 chain_pack(const struct py_chain *chain)
{
	return offset_in_page(chain->first) / PYALLOC_ALIGN <<
		       PY_CHAIN_FIRST_SHIFT |
	       offset_in_page(chain->last) / PYALLOC_ALIGN <<
		       PY_CHAIN_LAST_SHIFT |
	       chain->count << PY_CHAIN_COUNT_SHIFT;
}

static struct py_chain chain_unpack(u32 word, void *base)
{
	return (struct py_chain) {
		.first = base + (word >> PY_CHAIN_FIRST_SHIFT &
				 PY_CHAIN_OFFSET_MASK) * PYALLOC_ALIGN,
		.last = base + (word >> PY_CHAIN_LAST_SHIFT &
				PY_CHAIN_OFFSET_MASK) * PYALLOC_ALIGN,
		.count = word >> PY_CHAIN_COUNT_SHIFT,
	};
}

/* Puts a chain in front of the free list of a pool of ours. */
static bool pool_splice(struct py_cpu *c, struct py_pool *pool,
			struct py_chain chain)
{
	struct py_arena *arena = py_arena_of(pool);
	struct pyheap_cpu *hc = this_cpu_ptr(arena->heap->cpu);
	unsigned int class = arena->class[py_pool_index(pool)];
	unsigned int count = pool_count(pool, class);

	/* A double free; the second may meet a pool that is no longer used. */
	if (unlikely(class >= PYALLOC_NR_CLASSES || chain.count > count))
		return false;
	hc->event[PY_EV_CHAIN]++;
	hc->event[PY_EV_CHAIN_BLOCKS] += chain.count;
	set_next(c, chain.last, pool->free);
	pool->free = chain.first;
	count -= chain.count;
	if (pool->state == PY_POOL_CURRENT) {
		pool->left -= chain.count;
		if (pool->seen)		/* what arrives is no activity */
			pool->seen -= chain.count;
	} else if (pool->state == PY_POOL_FULL || !count) {
		pool_event(c, hc, pool, class, count);
	} else {
		pool->left -= chain.count;
	}
	return true;
}

/*
 * Tells the owner of pool @i that it has a chain. If a block in it was freed twice, the pool
 * may have been handed back meanwhile: then the chain is dropped.
 */
static void inbox_add(struct py_arena *arena, unsigned int i)
{
	unsigned int owner = READ_ONCE(arena->owner[i]);

	if (unlikely(owner == PY_NOBODY)) {
		WRITE_ONCE(arena->remote[i], 0);
		count_event(arena->heap, PY_EV_BAD_FREE);
		return;
	}
	if (llist_add(&arena->inbox[i], &per_cpu(py_cpu, owner).inbox))
		reaper_arm();
}

/*
 * Adds a chain to what others freed of pool @i. The pool keeps its owner and
 * arena at least until the chain has arrived. Only the first since the owner
 * looked goes into the inbox: arena->inbox[i] is on a list exactly while
 * arena->remote[i] is not 0, but for the moment in which the owner takes both.
 */
static bool remote_push(struct py_cpu *c, struct py_arena *arena,
			unsigned int i, struct py_chain chain)
{
	void *base = (void *)arena + i * PY_POOL_SIZE;
	unsigned int blocks = class_blocks(READ_ONCE(arena->class[i]));
	u32 old = READ_ONCE(arena->remote[i]);
	struct py_chain sum;

	do {
		struct py_chain before = chain_unpack(old, base);

		sum = chain;
		if (old) {
			set_next(c, chain.last, before.first);
			sum.last = before.last;
			sum.count += before.count;
		}
		if (unlikely(sum.count > blocks))	/* a double free */
			return false;
	} while (!try_cmpxchg(&arena->remote[i], &old, chain_pack(&sum)));
	if (!old)
		inbox_add(arena, i);
	return true;
}

static void chain_send(struct py_cpu *c, struct py_chain chain)
{
	struct py_arena *arena = py_arena_of(chain.first);
	unsigned int i = py_index_of(chain.first);
	unsigned int owner = READ_ONCE(arena->owner[i]);
	bool sane;

	if (owner == c->id)
		sane = pool_splice(c, &arena->pool[i], chain);
	else
		sane = owner != PY_NOBODY && remote_push(c, arena, i, chain);
	if (unlikely(!sane))
		this_cpu_inc(arena->heap->cpu->event[PY_EV_BAD_FREE]);
}

/* Pools whose chains are being gathered at the same time; a power of two. */
#define PY_GATHER	8

static bool outbox_any(const struct py_cpu *c)
{
	return READ_ONCE(c->outbox) || READ_ONCE(c->nested);
}

/* How many blocks wait; never too low. Under busy. */
static unsigned int outbox_count(const struct py_cpu *c)
{
	return c->put + READ_ONCE(c->pushed) - c->flushed;
}

/*
 * Sends up to PY_BATCH blocks of the outbox, those of one pool as one chain.
 * No sorting: blocks that are freed together mostly come from few pools.
 * Under busy. How many there can be bounds the walk, so that a block freed
 * twice, which makes the list a ring, does not make it endless.
 */
static void outbox_flush(struct py_cpu *c)
{
	struct py_chain gather[PY_GATHER] = {};
	unsigned int n, most = outbox_count(c);
	void *block;

	for (n = 0; n < PY_BATCH && outbox_any(c); n++) {
		struct py_chain *chain;

		if (!c->outbox) {
			WRITE_ONCE(c->outbox, this_cpu_xchg(py_cpu.nested, NULL));
			most = outbox_count(c);
		}
		if (unlikely(n == most)) {
			WRITE_ONCE(c->outbox, NULL);
			break;
		}
		block = c->outbox;
		WRITE_ONCE(c->outbox, get_next(c, block));
		chain = &gather[(unsigned long)block / PY_POOL_SIZE %
				PY_GATHER];
		if (chain->count && ((unsigned long)chain->first ^
				     (unsigned long)block) & PAGE_MASK) {
			chain_send(c, *chain);
			chain->count = 0;
		}
		if (!chain->count++)
			chain->last = block;
		else
			set_next(c, block, chain->first);
		chain->first = block;
	}
	c->flushed += n;
	for (n = 0; n < PY_GATHER; n++)
		if (gather[n].count)
			chain_send(c, gather[n]);
	/* The reaper may have looked when it was in neither place. */
	if (unlikely(outbox_any(c)))
		reaper_arm();
}

/* Under busy. */
static bool outbox_put(struct py_cpu *c, void *block)
{
	void *old = c->outbox;

	if (unlikely(old == block))	/* a double free */
		return false;
	set_next(c, block, old);
	WRITE_ONCE(c->outbox, block);
	c->put++;
	if (!old)
		reaper_arm();
	if (outbox_count(c) >= batch.value)
		outbox_flush(c);
	return true;
}

/*
 * With preemption off, from any context: the compare-and-exchange is against
 * interrupts of this CPU only. Counted before it is there, see outbox_flush().
 */
static bool nested_push(struct py_cpu *c, void *block)
{
	void *old = READ_ONCE(c->nested), *seen;

	if (unlikely(old == block))	/* a double free */
		return false;
	this_cpu_inc(py_cpu.pushed);
	for (;;) {
		set_next(c, block, old);
		seen = this_cpu_cmpxchg(py_cpu.nested, old, block);
		if (seen == old)
			break;
		old = seen;
	}
	if (!old)
		reaper_arm();
	return true;
}

/* With preemption off. Fails if the block is there already. */
static bool outbox_add(struct py_cpu *c, void *block)
{
	bool added;

	if (!busy_trylock(c))
		return nested_push(c, block);
	added = outbox_put(c, block);
	busy_unlock(c);
	return added;
}

static bool inbox_any(const struct py_cpu *c)
{
	return !llist_empty(&c->inbox) || READ_ONCE(c->inbox_rest);
}

/* The arena and the pool of it that @node, an entry of an inbox, stands for. */
static struct py_arena *inbox_entry(struct llist_node *node, unsigned int *i)
{
	struct py_arena *arena = py_arena_of(node);

	*i = node - arena->inbox;
	return arena;
}

/* Takes in the chains of up to PY_BATCH pools. Under busy. */
static void inbox_drain(struct py_cpu *c)
{
	unsigned int n, i;

	if (!c->inbox_rest)
		WRITE_ONCE(c->inbox_rest, llist_del_all(&c->inbox));
	for (n = 0; n < PY_BATCH && c->inbox_rest; n++) {
		struct py_arena *arena = inbox_entry(c->inbox_rest, &i);
		void *base = (void *)arena + i * PY_POOL_SIZE;
		u32 word;

		/* Before the word is 0: then others use the entry again. */
		WRITE_ONCE(c->inbox_rest, c->inbox_rest->next);
		if (READ_ONCE(arena->owner[i]) != c->id) {
			this_cpu_inc(arena->heap->cpu->event[PY_EV_FORWARD]);
			inbox_add(arena, i);
			continue;
		}
		word = xchg(&arena->remote[i], 0);
		if (unlikely(!word || !pool_splice(c, &arena->pool[i],
						   chain_unpack(word, base))))
			this_cpu_inc(arena->heap->cpu->event[PY_EV_BAD_FREE]);
	}
	/* As in outbox_flush(). */
	if (unlikely(c->inbox_rest))
		reaper_arm();
}

/* ---- Allocate ------------------------------------------------------------ */

static void *alloc_at(size_t size, gfp_t gfp, unsigned long ip);
static void *debug_take(struct py_cpu *c, struct pyheap_cpu *hc, unsigned int class);
static void *debug_alloc(struct pyheap *heap, size_t size, gfp_t gfp, unsigned long ip);

/*
 * Who asked? To keep the address would cost the fast path an instruction. What it ends
 * with is a jump, so that the function it jumps to returns to the caller itself; with
 * frame pointers it is a call, and the caller one frame up. For such functions alone.
 */
#define PY_CALLER	0UL

static __always_inline unsigned long call_site(unsigned long ip)
{
	void *here = IS_ENABLED(CONFIG_FRAME_POINTER) ?
			__builtin_return_address(1) : __builtin_return_address(0);

	return ip ?: (unsigned long)here;
}

/* For a function that ends with a jump itself. */
static __always_inline unsigned long call_site_later(unsigned long ip)
{
	return IS_ENABLED(CONFIG_FRAME_POINTER) ? call_site(ip) : ip;
}

/* Makes the block at @p what its caller, who asked for @size bytes, gets. */
static __always_inline void *block_init_nolock(void *p, unsigned int class,
					       size_t size, gfp_t gfp)
{
	if (PY_ANNOTATE)
		block_open(p, py_class_size(class), py_class_size(class));
	if (want_init_on_alloc(gfp))
		p = memset(p, 0, py_class_size(class));
	if (PY_ANNOTATE)
		block_open(p, py_class_size(class), size);
	if (py_tags_on())
		tag_alloc(p, class);
	return p;
}

/*
 * For a caller who asked from @ip. Here and below, what the caller passed comes first, in
 * the registers where it is: the fast path need not move it out of the way.
 */
static noinline void *block_init(size_t size, gfp_t gfp, void *p,
				 unsigned int class, unsigned long ip)
{
	ip = call_site(ip);
	p = block_init_nolock(p, class, size, gfp);
	if (PY_ANNOTATE)
		kmemleak_alloc(p, py_class_size(class), 1, gfp);
	tell_init(ip, p, size, py_class_size(class), gfp);
	return p;
}

/*
 * Makes kmalloc() serve @size bytes. In the table, column 0 is what a pool
 * could have held, then powers of two.
 */
static void count_fall(struct pyheap *heap, size_t size, enum py_reason why)
{
	unsigned int column = 0;

	if (size > PYALLOC_MAX)
		column = min(fls_long((size - 1) / PYALLOC_MAX),
			     PY_NR_SIZES - 1);
	this_cpu_inc(heap->cpu->fall[why][column]);
}

/* A private heap is at its limit. */
static void *alloc_refused(struct pyheap *heap)
{
	count_event(heap, PY_EV_LIMIT);
	return NULL;
}

/* Flags that say what only kmalloc() can do, or refuses. */
#define PY_GFP_KMALLOC	(__GFP_ACCOUNT | __GFP_DMA | __GFP_DMA32 | \
			 __GFP_HIGHMEM | __GFP_RECLAIMABLE | __GFP_THISNODE)

/*
 * What kmalloc() serves for a private heap, or for debug hooks. The heap has to find it,
 * to free it in the end: by an address in it, in a tree whose nodes are the default heap's
 * blocks, or with hooks kmalloc()'s.
 */
static struct py_large *large_around(struct pyheap *heap, const void *p)
{
	struct rb_node *rb = heap->large.rb_node;

	lockdep_assert_held(&heap->lock);
	while (rb) {
		struct py_large *large = rb_entry(rb, struct py_large, rb);
		const void *first = large->p - large->front;

		if (p >= first && p < first + large->size)
			return large;
		rb = p < first ? rb->rb_left : rb->rb_right;
	}
	return NULL;
}

static bool large_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct py_large, rb)->p <
	       rb_entry(b, struct py_large, rb)->p;
}

static void large_add(struct pyheap *heap, struct py_large *large)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->lock, flags);
	rb_add(&large->rb, &heap->large, large_less);
	heap->nr_large++;
	heap->large_bytes += large->size;
	raw_spin_unlock_irqrestore(&heap->lock, flags);
}

/* Takes what begins at @p out of the tree; NULL if there is no such block. */
static struct py_large *large_take(struct pyheap *heap, const void *p)
{
	struct py_large *large;
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->lock, flags);
	large = large_around(heap, p);
	if (large && large->p == p) {
		rb_erase(&large->rb, &heap->large);
		heap->nr_large--;
		heap->large_bytes -= large->size;
	} else {
		large = NULL;
	}
	raw_spin_unlock_irqrestore(&heap->lock, flags);
	return large;
}

/* What tells of a block. With hooks it is none itself: nobody lost it at the end. */
static struct py_large *large_new(u32 front, gfp_t gfp, unsigned long ip)
{
	struct py_large *large;

	gfp &= ~(PY_GFP_KMALLOC | __GFP_ZERO);
	large = front ? kmalloc(sizeof(*large), gfp) : alloc_at(sizeof(*large), gfp, ip);
	if (large) {
		large->front = front;
		if (!front)
			prof_free(large);	/* is ours, not the caller's */
	}
	return large;
}

static void large_drop(struct py_large *large)
{
	if (large->front)
		kfree(large);
	else
		pyfree(large);
}

/* As heap_charge(); what others handed back counts still, but must not fill the heap. */
static bool heap_charge_collect(struct pyheap *heap, size_t bytes, gfp_t gfp)
{
	if (likely(heap_charge(heap, bytes, gfp)))
		return true;
	heap_collect(heap);
	return heap_charge(heap, bytes, gfp);
}

/* Nor must what waits in the quarantine. */
static bool large_charge(struct pyheap *heap, size_t bytes, gfp_t gfp)
{
	if (heap_charge(heap, bytes, gfp))
		return true;
	if (debug_on())
		quarantine_spare(heap, gfp);
	return heap_charge_collect(heap, bytes, gfp);
}

/* What is handed out begins @front bytes into what kmalloc() gives. */
static noinline void *large_alloc(struct pyheap *heap, size_t size, size_t front,
				  gfp_t gfp, unsigned long ip)
{
	void *p;

	size_t usable = kmalloc_size_roundup(size);
	struct py_large *large;

	if (size > KMALLOC_MAX_SIZE)
		return py_caller_s(kmalloc)(size, gfp);	/* says no */
	if (!large_charge(heap, usable, gfp))
		return alloc_refused(heap);
	large = large_new(front, gfp, ip);
	if (!large)
		goto out_uncharge;
	p = py_caller_s(kmalloc)(size, gfp);
	if (!p)
		goto out_free;
	large->p = p + front;
	large->size = usable;
	large_add(heap, large);
	return p + front;

out_free:
	large_drop(large);
out_uncharge:
	heap_uncharge(heap, usable);
	return NULL;
}

/*
 * What the fast path leaves to others is there twice: the default heap's need not be
 * told whose it is, nor who asked, which keeps its fast path short.
 */
#define of_heap(heap, ip, fn, ...)					\
	((heap) == &py_default &&					\
	 __builtin_constant_p((ip) == PY_CALLER) && (ip) == PY_CALLER ?	\
		fn(__VA_ARGS__) : fn##_of(heap, ip, __VA_ARGS__))

static __always_inline void *fall_through_for(struct pyheap *heap,
					      unsigned long ip, size_t size,
					      gfp_t gfp, enum py_reason why)
{
	void *p;

	count_fall(heap, size, why);
	p = heap_private(heap) ? large_alloc(heap, size, 0, gfp, ip) :
				 py_caller_s(kmalloc)(size, gfp);
	tell_fall(ip, p, size, gfp, why);
	return p;
}

static noinline void *fall_through(size_t size, gfp_t gfp, enum py_reason why)
{
	return fall_through_for(&py_default, call_site(PY_CALLER), size, gfp,
				why);
}

static noinline void *fall_through_of(struct pyheap *heap, unsigned long ip,
				      size_t size, gfp_t gfp,
				      enum py_reason why)
{
	return fall_through_for(heap, call_site(ip), size, gfp, why);
}

static __always_inline void *alloc_nested_for(struct pyheap *heap,
					      unsigned long ip, size_t size,
					      gfp_t gfp)
{
	if (in_task())
		count_event(heap, PY_EV_BUSY_IN_TASK);
	preempt_enable();
	return fall_through_of(heap, ip, size, gfp, PY_FALL_NESTED);
}

static noinline void *alloc_nested(size_t size, gfp_t gfp)
{
	return alloc_nested_for(&py_default, call_site(PY_CALLER), size, gfp);
}

static noinline void *alloc_nested_of(struct pyheap *heap, unsigned long ip,
				      size_t size, gfp_t gfp)
{
	return alloc_nested_for(heap, call_site(ip), size, gfp);
}

/* Has the current pool, whose list is empty, no virgin blocks either? */
static __always_inline bool pool_exhausted(const struct py_pool *pool,
					   unsigned int class)
{
	return pool == &py_no_pool || pool->carved == class_blocks(class);
}

/* Takes a block out of this CPU's pools when its current one's list is empty. */
static __always_inline void *alloc_local(struct py_cpu *c,
					 struct pyheap_cpu *hc,
					 unsigned int class)
{
	struct py_pool *pool, *next;
	void *block;

	if (unlikely(inbox_any(c)))
		inbox_drain(c);
	pool = *(hc->cur + class);
	if (!pool->free && pool_exhausted(pool, class)) {
		next = pool_next(hc, class);
		if (!next)
			return NULL;
		if (pool != &py_no_pool)
			pool_to_full(pool);
		pool_to_current(c, hc, next, class);
		pool = next;
	}
	if (!pool->free)
		pool_carve(c, hc, pool, class);
	block = pool->free;
	pool->free = get_next(c, block);
	pool->left++;
	return block;
}

/*
 * Takes pools from the node, in a "busy" section makes them ours, and lets @take have a
 * block. NULL if there is none; then @why, or PY_NR_REASONS if the heap is at its limit.
 */
static __always_inline void *block_from_node(struct pyheap *heap, unsigned int class,
					     gfp_t gfp, enum py_reason *why,
					     void *(*take)(struct py_cpu *c,
							   struct pyheap_cpu *hc,
							   unsigned int class))
{
	struct pyheap_node *node = heap->node[numa_mem_id()];
	unsigned int want = clamp_t(unsigned int, PY_TAKE_BLOCKS /
				    class_blocks(class), 2, PY_SPARE_MAX);
	struct py_arena *arena;
	struct py_cpu *c;
	struct pyheap_cpu *hc;
	void *block;
	u64 taken;

	*why = PY_NR_REASONS;
	/* What just came back is better than what was never used. */
	if (!llist_empty(&node->back))
		node_collect(node);
	/* For one: what is only wished for must not make the limit look nearer to others. */
	if (!heap_charge_collect(heap, PY_POOL_SIZE, gfp))
		return NULL;
	*why = PY_FALL_ARENA;
	/* Others may be faster to what is added: a page that came again is one pool. */
	taken = node_take(node, want, &arena);
	while (!taken && node_grow(node, gfp, why))
		taken = node_take(node, want, &arena);
	if (!taken) {
		heap_uncharge(heap, PY_POOL_SIZE);
		return NULL;
	}
	trace_pyalloc_pool_new(node, hweight64(taken));

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	hc = heap_here(heap, c);
	/* This context was let in once: it has not interrupted a section. */
	if (WARN_ON_ONCE(!busy_trylock(c))) {
		for (; taken; taken &= taken - 1)
			pool_to_unused(&arena->pool[__ffs64(taken)]);
		count_event(heap, PY_EV_BUSY_IN_TASK);
		preempt_enable();
		*why = PY_FALL_NESTED;
		return NULL;
	}
	for (; taken; taken &= ~BIT_ULL(fls64(taken) - 1))
		pool_to_spare(c, hc, &arena->pool[fls64(taken) - 1]);
	block = take(c, hc, class);
	busy_unlock(c);
	preempt_enable();
	return block;
}

static noinline void *alloc_from_node(struct pyheap *heap, unsigned int class,
				      size_t size, gfp_t gfp,
				      unsigned long ip)
{
	enum py_reason why;
	void *block;

	ip = call_site(ip);
	block = block_from_node(heap, class, gfp, &why, alloc_local);
	if (unlikely(!block))
		return why == PY_NR_REASONS ? alloc_refused(heap) :
		       fall_through_of(heap, ip, size, gfp, why);
	if (wants_init(gfp))
		return block_init(size, gfp, block, class, ip);
	return block;
}

/* A raw block for the debug hooks: not filled, and nobody is told. */
static void *debug_raw(struct pyheap *heap, unsigned int class, gfp_t gfp,
		       enum py_reason *why)
{
	struct py_cpu *c;
	void *block;

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	if (!busy_trylock(c)) {
		preempt_enable();
		*why = PY_FALL_NESTED;
		return NULL;
	}
	if (unlikely(inbox_any(c)))
		inbox_drain(c);
	block = debug_take(c, heap_here(heap, c), class);
	busy_unlock(c);
	preempt_enable();
	return block ?: block_from_node(heap, class, gfp, why, debug_take);
}

/* The current pool's list is empty. Ends the caller's "busy" section. */
static __always_inline void *alloc_slow_for(struct pyheap *heap,
					    unsigned long ip,
					    unsigned int class, size_t size,
					    gfp_t gfp)
{
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	struct pyheap_cpu *hc = heap_here(heap, c);
	void *block;

	hc->event[PY_EV_SLOW_ALLOC]++;
	if (debug_on() && hc->debug) {
		busy_unlock(c);
		preempt_enable();
		return debug_alloc(heap, size, gfp, ip);
	}
	block = alloc_local(c, hc, class);
	busy_unlock(c);
	preempt_enable();
	if (unlikely(!block))
		return alloc_from_node(heap, class, size, gfp, ip);
	if (wants_init(gfp))
		return block_init(size, gfp, block, class, ip);
	return block;
}

static noinline void *alloc_slow(size_t size, gfp_t gfp, unsigned int class)
{
	return alloc_slow_for(&py_default, call_site_later(PY_CALLER), class,
			      size, gfp);
}

static noinline void *alloc_slow_of(struct pyheap *heap, unsigned long ip,
				    size_t size, gfp_t gfp, unsigned int class)
{
	return alloc_slow_for(heap, call_site(ip), class, size, gfp);
}

/* @heap's current pool on this CPU, which is @c. [] would be UBSAN's. */
static __always_inline struct py_pool *cur_here(struct pyheap *heap,
						struct py_cpu *c,
						unsigned long class)
{
	if (heap == &py_default)
		return here_get_at(c, heap.cur, class);
	return *(heap_here(heap, c)->cur + class);
}

/* The fast path. @init is @gfp, or 0 if that is known not to have __GFP_ZERO. */
static __always_inline void *alloc_block(struct pyheap *heap,
					 unsigned long class, size_t size,
					 gfp_t gfp, gfp_t init,
					 unsigned long ip)
{
	struct py_cpu *c;
	struct py_pool *pool;
	void *block;
	u32 token;

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	token = here_get(c, token);
	if (unlikely(token == PY_BUSY))
		return of_heap(heap, ip, alloc_nested, size, gfp);
	here_take(c);
	pool = cur_here(heap, c, class);
	block = pool->free;
	if (unlikely(!block))
		return of_heap(heap, ip, alloc_slow, size, gfp, class);
	pool->free = here_code(c, block, *(void **)block);
	pool->left++;
	here_put(c, token);
	preempt_enable();
	if (wants_init(init))
		return block_init(size, gfp, block, class, ip);
	return block;
}

static __always_inline void *alloc_flagged_for(struct pyheap *heap,
					       unsigned long ip,
					       unsigned long class, size_t size,
					       gfp_t gfp)
{
	if (gfp & PY_GFP_KMALLOC)
		return of_heap(heap, ip, fall_through, size, gfp, PY_FALL_GFP);
	return alloc_block(heap, class, size, gfp, gfp, ip);
}

static noinline void *alloc_flagged(size_t size, gfp_t gfp, unsigned long class)
{
	return alloc_flagged_for(&py_default, call_site_later(PY_CALLER), class,
				 size, gfp);
}

static noinline void *alloc_flagged_of(struct pyheap *heap, unsigned long ip,
				       size_t size, gfp_t gfp,
				       unsigned long class)
{
	return alloc_flagged_for(heap, call_site(ip), class, size, gfp);
}

/* One test for all flags that mean more work; then it is known there is none. */
static __always_inline void *heap_alloc(struct pyheap *heap,
					unsigned long class, size_t size,
					gfp_t gfp, unsigned long ip)
{
	if (IS_ENABLED(CONFIG_LOCKDEP) || IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP))
		might_alloc(gfp);
	if (unlikely(gfp & (PY_GFP_KMALLOC | __GFP_ZERO)))
		return of_heap(heap, ip, alloc_flagged, size, gfp, class);
	return alloc_block(heap, class, size, gfp, 0, ip);
}

/* Any size. */
static __always_inline void *heap_alloc_any(struct pyheap *heap, size_t size,
					    gfp_t gfp, unsigned long ip)
{
	unsigned long class = size - 1;

	/* 0 becomes the largest. */
	if (unlikely(class >= PYALLOC_MAX)) {
		if (!size)
			return ZERO_SIZE_PTR;
		return of_heap(heap, ip, fall_through, size, gfp, PY_FALL_SIZE);
	}
	class /= PYALLOC_ALIGN;
	OPTIMIZER_HIDE_VAR(class);
	return heap_alloc(heap, class, size, gfp, ip);
}

/* For functions that allocate for their callers. */
static noinline void *alloc_at(size_t size, gfp_t gfp, unsigned long ip)
{
	return heap_alloc_any(&py_default, size, gfp, ip);
}

/* For pyalloc(): the class is known when it is compiled. */
void *__pyalloc_class(size_t size, gfp_t gfp, unsigned long class)
{
	return heap_alloc(&py_default, class, size, gfp, PY_CALLER);
}
EXPORT_SYMBOL_GPL(__pyalloc_class);

/* For pyalloc(): any size. */
void *__pyalloc(size_t size, gfp_t gfp)
{
	return heap_alloc_any(&py_default, size, gfp, PY_CALLER);
}
EXPORT_SYMBOL_GPL(__pyalloc);

/* ---- Free ---------------------------------------------------------------- */

/* What else the end of a countdown may mean. Under busy; says if it is sane. */
static noinline bool free_event_rare(struct py_cpu *c, struct pyheap_cpu *hc,
				     struct py_pool *pool)
{
	if (pool->state == PY_POOL_USED) {
		pool_event(c, hc, pool, pool->class, 0);
		return true;
	}
	pool->left = 1;			/* as if it had not been */
	pool->free = get_next(c, pool->free);
	return false;
}

/* A pool's countdown has reached 0. Under busy, preemption off: ends both. */
static noinline void free_event(struct py_pool *pool)
{
	struct pyheap *heap = py_arena_of(pool)->heap;
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	struct pyheap_cpu *hc = heap_here(heap, c);
	bool sane = true, collect = false;

	if (likely(pool->state == PY_POOL_FULL)) {
		hc->event[PY_EV_POOL_EVENT]++;
		pool_to_used(hc, pool, pool->class, class_blocks(pool->class) - 1);
	} else {
		sane = free_event_rare(c, hc, pool);
		collect = c->handed_back >= PY_BACK_BATCH;
		if (collect)
			c->handed_back = 0;
	}
	busy_unlock(c);
	preempt_enable();
	if (unlikely(collect))
		heap_collect(heap);
	if (unlikely(!sane))
		bad_free(heap, "free of a block that is not in use");
}

/*
 * Frees what this CPU must not touch: another CPU's block, or any in an
 * interrupt that found the CPU "busy". Or it is not ours: its page was given
 * back and is kmalloc()'s by now. Preemption is off: ends that.
 */
static noinline void free_elsewhere(void *p)
{
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	struct py_arena *arena = py_arena_of(p);
	struct pyheap *heap = arena->heap;
	unsigned int class = READ_ONCE(arena->class[py_index_of(p)]);
	bool added;

	if (unlikely(class >= PYALLOC_NR_CLASSES)) {
		preempt_enable();
		if (class == PY_CLASS_GONE)
			kfree_told(p);
		else
			bad_free(heap, class == PY_CLASS_HEADER ?
				 "free of an arena's header" :
				 "free of a block that is not in use");
		return;
	}
	if (unlikely(is_busy(c))) {
		count_event(heap, PY_EV_NESTED_FREE);
		if (in_task())
			count_event(heap, PY_EV_BUSY_IN_TASK);
	}
	added = outbox_add(c, p);
	preempt_enable();
	if (unlikely(!added))
		bad_free(heap, "double free");
}

/* Under busy, preemption off: ends both. */
static noinline void free_double(const void *p)
{
	struct pyheap *heap = py_arena_of(p)->heap;

	busy_unlock(this_cpu_ptr(&py_cpu));
	preempt_enable();
	bad_free(heap, "double free");
}

/*
 * Is the block the last that was freed, of its pool or on this CPU? Who wipes a
 * block asks before: the link of a free block must stay.
 */
static bool block_just_freed(const void *p)
{
	const struct py_pool *pool = &py_arena_of(p)->pool[py_index_of(p)];

	/* data_race(): another CPU changes it, but only to blocks not in use. */
	return data_race(pool->free) == p ||
	       raw_cpu_read(py_cpu.outbox) == p ||
	       raw_cpu_read(py_cpu.nested) == p;
}

/*
 * What is done to a block before it is freed. Not under "busy": the class of a
 * block does not change. Says whether it was in use, as far as that is known.
 */
static noinline bool block_exit(void *p)
{
	unsigned int class = READ_ONCE(py_arena_of(p)->class[py_index_of(p)]);

	if (class >= PYALLOC_NR_CLASSES)
		return true;
	if (block_just_freed(p))
		return false;
	if (PY_ANNOTATE && !block_close(p, py_class_size(class)))
		return false;
	tag_free(p, class);
	if (want_init_on_free())
		memset(p, 0, py_class_size(class));
	return true;
}

/* The fast path. Preemption is off; the block is in an arena. */
static __always_inline void block_free(void *block)
{
	struct py_arena *arena = py_arena_of(block);
	unsigned long i = py_index_of(block);
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	u32 token = here_get(c, token);
	struct py_pool *pool;

	OPTIMIZER_HIDE_VAR(i);		/* spares two instructions, here and below */
	/*
	 * One look finds both another CPU's block and a token that is taken.
	 * data_race(): the owner of a block in use changes only if it is dead.
	 */
	if (unlikely(data_race(*(arena->owner + i)) != (u16)token))
		return free_elsewhere(block);
	here_take(c);
	pool = arena->pool + i;
	OPTIMIZER_HIDE_VAR(pool);
	if (unlikely(pool->free == block))
		return free_double(block);
	*(void **)block = here_code(c, block, pool->free);
	pool->free = block;
	if (unlikely(!--pool->left))
		return free_event(pool);
	here_put(c, token);
	preempt_enable();
}

#include "pyalloc_debug.h"

/* Not ours: not the business of anybody here. */
static noinline void free_kmalloc(const void *p)
{
	preempt_enable();
	kfree_told(p);
}

/* Preemption is off: ends that. */
static __always_inline void free_checked_for(struct pyheap *heap, void *block,
					     unsigned long ip)
{
	struct py_arena *arena = py_arena_of(block);
	struct pyheap *owner = arena->heap;

	/* Not of @owner, which may be about to go. */
	if (READ_ONCE(arena->class[py_index_of(block)]) == PY_CLASS_GONE)
		return free_kmalloc(block);
	if (debug_on() && owner->flags & PYHEAP_DEBUG) {
		preempt_enable();
		if (!debug_free(heap, block, ip))
			kfree_told(block);
		return;
	}
	prof_exit(block);
	trace_pyalloc_free(ip, block);
	if (!exit_on_free() || block_exit(block)) {
		block_free(block);
		return;
	}
	preempt_enable();
	bad_free(owner, "double free");
}

static noinline void free_checked(void *block, unsigned long ip)
{
	free_checked_for(&py_default, block, ip);
}

static noinline void free_checked_of(struct pyheap *heap, void *block, unsigned long ip)
{
	free_checked_for(heap, block, ip);
}

/*
 * To @heap, which only debug hooks look at. @caller_s: for the caller of the function that
 * ends with it.
 */
static __always_inline void free_by(struct pyheap *heap, const void *p, bool caller_s)
{
	struct py_arena **entry = py_map_entry(p);

	if (unlikely(!py_entry_has(entry, p)))	/* NULL and ZERO_SIZE_PTR too */
		return static_call(py_kfree)(p);
	preempt_disable();
	if (unlikely(!py_entry_has(entry, p)))
		return free_kmalloc(p);
	if (wants_exit(p)) {
		unsigned long ip = caller_s ? call_site(PY_CALLER) : _RET_IP_;

		return heap == &py_default ? free_checked((void *)p, ip) :
					     free_checked_of(heap, (void *)p, ip);
	}
	block_free((void *)p);
}

/* For functions that end with it, and so free for their callers: see PY_CALLER. */
static noinline void free_for_caller(const void *p)
{
	free_by(&py_default, p, true);
}

/* The same, of a private heap. */
static noinline void free_to_heap(struct pyheap *heap, const void *p)
{
	free_by(heap, p, true);
}

/**
 * pyfree() - free memory
 * @p: what pyalloc() or one of its kin returned, or kmalloc(), or NULL
 *
 * The peer of kfree().
 *
 * Context: Any in which kfree() is legal. Not NMI.
 */
void pyfree(const void *p)
{
	free_by(&py_default, p, false);
}
EXPORT_SYMBOL_GPL(pyfree);

/* ---- The rest of the family ----------------------------------------------- */

/**
 * pysize() - usable size of an allocation
 * @p: what pyalloc() or one of its kin returned, or NULL
 *
 * The peer of ksize(), and of Python's sys.getsizeof(). Like it, it is to know
 * and not to use: who wants all of it asks for pyalloc_size_roundup() bytes.
 *
 * Context: Any; not NMI if there are heaps with debug hooks.
 * Return: Bytes; at least what was asked for. 0 for NULL and ZERO_SIZE_PTR.
 */
size_t pysize(const void *p)
{
	size_t size;

	if (debug_on() && debug_size(p, &size))
		return size;
	size = py_block_size(p);
	if (!size)
		return py_is_ours(p) ? 0 : ksize(p);
	return block_in_use(p) ? size : 0;
}
EXPORT_SYMBOL_GPL(pysize);

/**
 * pyalloc_size_roundup() - usable size of an allocation to come
 * @size: bytes that would be asked for
 *
 * The peer of kmalloc_size_roundup().
 *
 * Context: Any.
 * Return: Bytes that pysize() will report for it; 0 for 0.
 */
size_t pyalloc_size_roundup(size_t size)
{
	if (size <= PYALLOC_MAX)
		return round_up(size, PYALLOC_ALIGN);
	return kmalloc_size_roundup(size);
}
EXPORT_SYMBOL_GPL(pyalloc_size_roundup);

/* Resizes a block of @heap that has @size usable bytes. */
static __always_inline void *block_resize(struct pyheap *heap, const void *p,
					  size_t size, size_t new_size,
					  gfp_t gfp, unsigned long ip)
{
	void *new;

	if (!block_in_use(p))
		return NULL;
	if (new_size <= size) {
		block_open((void *)p, size, size);
		if (want_init_on_alloc(gfp))
			memset((void *)p + new_size, 0, size - new_size);
		block_open((void *)p, size, new_size);
		prof_free(p);
		prof_alloc(ip, p, new_size, size);
		trace_pyalloc_realloc(ip, p, p, new_size, gfp);
		return (void *)p;
	}
	new = heap_private(heap) ? heap_alloc_any(heap, new_size, gfp, ip) :
				   alloc_at(new_size, gfp, ip);
	trace_pyalloc_realloc(ip, p, new, new_size, gfp);
	if (!new)
		return NULL;
	block_open((void *)p, size, size);
	memcpy(new, p, size);
	pyfree(p);
	return new;
}

static __always_inline void *realloc_at(const void *p, size_t new_size, gfp_t gfp,
					unsigned long ip)
{
	size_t size;
	void *new;

	if (ZERO_OR_NULL_PTR(p))
		return alloc_at(new_size, gfp, ip);
	if (!new_size) {
		pyfree(p);
		return ZERO_SIZE_PTR;
	}
	if (debug_on() && debug_resize(&py_default, &p, new_size, gfp, ip))
		return (void *)p;
	size = py_block_size(p);
	if (size)
		return block_resize(&py_default, p, size, new_size, gfp,
				    ip);
	if (py_is_ours(p)) {
		bad_free(&py_default, "resize of a block that is not in use");
		return NULL;
	}
	new = krealloc_told(ip, p, new_size, gfp);
	trace_pyalloc_realloc(ip, p, new, new_size, gfp);
	return new;
}

/**
 * pyrealloc() - change the size of an allocation
 * @p: what pyalloc() or one of its kin returned, or NULL
 * @new_size: bytes wanted
 * @gfp: allocation flags
 *
 * The peer of krealloc(): the contents stay as far as both sizes go. If
 * @new_size fits the memory there is, @p stays where it is. With __GFP_ZERO
 * on every call for this memory, what is added is zero. @new_size 0 frees @p.
 *
 * Context: As pyalloc().
 * Return: The memory; ZERO_SIZE_PTR if @new_size is 0; NULL if there is none:
 * then @p is as it was, and still the caller's.
 */
void *pyrealloc(const void *p, size_t new_size, gfp_t gfp)
{
	return realloc_at(p, new_size, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(pyrealloc);

/*
 * Wipes @p, which is in an arena, if it is a block in use. Says whether it is to be freed:
 * that tells what is wrong. Inlined: KASAN's report has the caller's name.
 */
static __always_inline bool block_wipe(const void *p)
{
	size_t size = py_block_size(p);

	if (!size || block_just_freed(p))
		return true;
	if (!block_in_use(p)) {		/* KASAN has said so */
		bad_free(py_arena_of(p)->heap, "double free");
		return false;
	}
	block_open((void *)p, size, size);
	memzero_explicit((void *)p, size);
	return true;
}

/**
 * pyfree_sensitive() - wipe and free memory
 * @p: as for pyfree()
 *
 * The peer of kfree_sensitive(): the whole usable size is overwritten.
 *
 * Context: As pyfree().
 */
void pyfree_sensitive(const void *p)
{
	if (debug_on() && debug_wipe(p, SIZE_MAX)) {
		free_for_caller(p);
		return;
	}
	if (!py_is_ours(p)) {
		prof_free(p);
		kfree_sensitive(p);
		return;
	}
	if (block_wipe(p))
		free_for_caller(p);
}
EXPORT_SYMBOL_GPL(pyfree_sensitive);

/* For pyalloc_node(): one node that was chosen. */
void *__pyalloc_node(size_t size, gfp_t gfp, int node)
{
	enum py_reason why;
	void *p;

	if (node == numa_mem_id() && !(gfp & __GFP_THISNODE))
		return alloc_at(size, gfp, _RET_IP_);
	if (!size)
		return ZERO_SIZE_PTR;
	why = size > PYALLOC_MAX ? PY_FALL_SIZE : PY_FALL_NODE;
	count_fall(&py_default, size, why);
	p = py_caller_s(kmalloc_node)(size, gfp, node);
	tell_fall(_RET_IP_, p, size, gfp, why);
	return p;
}
EXPORT_SYMBOL_GPL(__pyalloc_node);

#include "pyalloc_bulk.h"
#include "pyalloc_nolock.h"
#include "pyalloc_family.h"
#include "pyalloc_reaper.h"
#include "pyalloc_debugfs.h"
#include "pyalloc_json.h"

/* ---- A heap begins and ends ------------------------------------------------------- */

static void heap_exit(struct pyheap *heap)
{
	int nid;

	if (!heap->node)
		return;
	for_each_node(nid)
		kfree(heap->node[nid]);
	kfree(heap->node);
	heap->node = NULL;
}

static int heap_init(struct pyheap *heap)
{
	unsigned int cpu, i;
	int nid;

	for_each_possible_cpu(cpu) {
		struct pyheap_cpu *hc = per_cpu_ptr(heap->cpu, cpu);

		for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
			hc->cur[i] = &py_no_pool;
			INIT_LIST_HEAD(&hc->used[i]);
		}
		INIT_LIST_HEAD(&hc->spare);
		hc->debug = heap->flags & PYHEAP_DEBUG;
	}
	heap->node = kcalloc(nr_node_ids, sizeof(*heap->node), GFP_KERNEL);
	if (!heap->node)
		return -ENOMEM;
	for_each_node(nid) {
		struct pyheap_node *node = kzalloc_node(sizeof(*node),
							GFP_KERNEL, nid);

		if (!node) {
			heap_exit(heap);
			return -ENOMEM;
		}
		spin_lock_init(&node->lock);
		INIT_LIST_HEAD(&node->arenas);
		INIT_LIST_HEAD(&node->regions);
		node->nid = nid;
		node->heap = heap;
		node->retry = jiffies;
		heap->node[nid] = node;
	}
	raw_spin_lock_init(&heap->lock);
	heap->large = RB_ROOT;
	return 0;
}

#include "pyalloc_heap.h"

/* ---- For the tests ------------------------------------------------------------- */

/**
 * pyheap_default() - the heap that pyalloc() uses
 *
 * Context: Any.
 * Return: The heap.
 */
struct pyheap *pyheap_default(void)
{
	return &py_default;
}
EXPORT_SYMBOL_INTERNAL(pyheap_default);

/**
 * pyalloc_test_busy() - run a function while this CPU is "busy"
 * @fn: makes an interrupt happen on this CPU, and waits for it
 * @arg: for @fn
 *
 * For tests: what an interrupt meets within the few instructions that "busy"
 * is taken for.
 *
 * Context: Task.
 * Return: Whether "busy" was free, as it must be in a task.
 */
bool pyalloc_test_busy(void (*fn)(void *arg), void *arg)
{
	struct py_cpu *c;
	bool got;

	preempt_disable();
	c = this_cpu_ptr(&py_cpu);
	got = busy_trylock(c);
	if (got) {
		fn(arg);
		busy_unlock(c);
	}
	preempt_enable();
	return got;
}
EXPORT_SYMBOL_INTERNAL(pyalloc_test_busy);

/* ---- Load and unload ---------------------------------------------------------------- */

static int map_init(void)
{
	unsigned long start = ULONG_MAX, end = 0, n, i;
	int nid;

	if (!IS_ALIGNED(PAGE_OFFSET, PY_ARENA_SIZE)) {
		pr_err("the direct map does not start at a multiple of %lu KiB\n",
		       PY_ARENA_SIZE / 1024);
		return -ENODEV;
	}
	for_each_node_state(nid, N_MEMORY) {
		start = min(start, node_start_pfn(nid));
		end = max(end, node_end_pfn(nid));
	}
	n = roundup_pow_of_two((end - start) / PY_ARENA_PAGES + 2);
	py_map.arena = kvmalloc_array(n, sizeof(*py_map.arena), GFP_KERNEL);
	if (!py_map.arena)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		py_map.arena[i] = PY_NONE;
	py_map.mask = n - 1;
	return 0;
}

static void __init classes_init(void)
{
	unsigned int i;

	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		py_blocks[i] = py_class_blocks(i);
}

static void cpus_init(void)
{
	unsigned long key = get_random_u64();
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct py_cpu *c = &per_cpu(py_cpu, cpu);

		c->id = cpu;
		c->token = cpu;
		c->key = key;
		init_llist_head(&c->inbox);
		init_llist_head(&c->rcu);
		init_llist_head(&c->later);
		c->later_kick = IS_ENABLED(CONFIG_PREEMPT_RT) ?
				IRQ_WORK_INIT_HARD(later_kick) :
				IRQ_WORK_INIT(later_kick);
		INIT_CSD(&c->csd, visit_ipi, c);
		c->random = get_random_u64() | 1;	/* from 0 it would not move */
	}
}

static int __init pyalloc_init(void)
{
	int err;

	extra_init();
	classes_init();
	cpus_init();
	py_rcu.kick = IRQ_WORK_INIT_HARD(rcu_kick);
	INIT_WORK(&py_rcu.work, rcu_work);
	err = reaper_start();
	if (err)
		return err;
	err = map_init();
	if (err)
		goto out_reaper;
	py_default.flags = source ? PYHEAP_VMALLOC : 0;
	if (debug_default) {
		py_default.flags |= PYHEAP_DEBUG;
		err = debug_begin();
		if (err)
			goto out_map;
	}
	err = heap_init(&py_default);
	if (err)
		goto out_map;
	list_add_tail_rcu(&py_default.list, &py_heaps);
	err = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "pyalloc:dead",
					NULL, py_cpu_dead);
	if (err < 0)
		goto out_heap;
	py_cpuhp = err;
	py_shrinker = py_shrinker_add(shrink_count, shrink_scan);
	if (IS_ERR(py_shrinker)) {
		err = PTR_ERR(py_shrinker);
		goto out_cpuhp;
	}
	debugfs_add();
	pr_info("loaded: %d size classes up to %d bytes, arenas of %lu KiB%s%s\n",
		PYALLOC_NR_CLASSES, PYALLOC_MAX, PY_ARENA_SIZE / 1024,
		source ? " in vmalloc space" : "",
		debug_default ? ", debug hooks" : "");
	return 0;

out_cpuhp:
	cpuhp_remove_state_nocalls(py_cpuhp);
	reaper_stop();
out_heap:
	heap_exit(&py_default);
out_map:
	kvfree(py_map.arena);
out_reaper:
	reaper_exit();
	return err;
}

/* Nobody has our functions any more. Says who left blocks behind. */
static void report_live(const struct pyheap_stats *stats)
{
	unsigned int i;

	WARN(1, "pyalloc: unloaded with live blocks; %llu arenas are leaked\n",
	     stats->arenas);
	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		if (stats->class[i].handed_out)
			pr_warn("live: %llu blocks of %u bytes in %llu pools\n",
				stats->class[i].handed_out, py_class_size(i),
				stats->class[i].pools);
	if (stats->strays)
		pr_warn("live: %llu of them were given to kfree()\n",
			stats->strays);
	debug_show_live(&py_default);
}

/* A trim gives up on a CPU that does not answer for PY_VISIT_WAIT. */
#define PY_EXIT_TRIMS	50

static void __exit pyalloc_exit(void)
{
	struct pyheap_stats *stats;
	unsigned int i;

	debugfs_remove(py_default.debugfs);
	py_shrinker_remove(py_shrinker);
	rcu_stop();
	later_stop();
	quarantine_empty(NULL, true);
	heaps_exit();
	reaper_stop();
	for (i = 0; !i || (anything_pending() && i < PY_EXIT_TRIMS); i++) {
		pyalloc_trim();
		visit_wait();
	}

	/* Live blocks stay mapped as they are: better a leak than a use after free. */
	stats = kmalloc(sizeof(*stats), GFP_KERNEL | __GFP_NOFAIL);
	pyheap_walk(&py_default, stats);
	if (stats->arenas || stats->large)
		report_live(stats);
	else
		pr_info("unloaded: all %llu arenas returned, no block left\n",
			stats->arenas_total);
	kfree(stats);

	cpuhp_remove_state_nocalls(py_cpuhp);
	irq_work_sync(&py_reaper.kick);	/* the last visits may have armed */
	rcu_barrier();
	heap_exit(&py_default);
	kvfree(py_map.arena);
	kvfree(py_prof_maybes);
	reaper_exit();
}

module_init(pyalloc_init);
module_exit(pyalloc_exit);
MODULE_DESCRIPTION("CPython's small-object allocator for kernel modules");
MODULE_AUTHOR("The pyalloc developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
