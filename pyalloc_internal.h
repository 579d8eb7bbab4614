/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: the data model. Constants, structures, the layout of an arena and
 * the smallest helpers; shared by pyalloc.c and the tests.
 */
#ifndef PYALLOC_INTERNAL_H
#define PYALLOC_INTERNAL_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "compat.h"
#define PYALLOC_UNTAGGED
#include "pyalloc.h"

/* A number that a module parameter sets; &py_param_ops keeps it within its bounds. */
struct py_param {
	unsigned int value;
	unsigned int min;
	unsigned int max;
};

extern const struct kernel_param_ops py_param_ops;
extern struct py_param py_shuffle;	/* are virgin blocks handed out in random order? */

/* A pool is one page; an arena is 64 of them, naturally aligned. */
#define PY_POOL_SHIFT		12
#define PY_POOL_SIZE		BIT(PY_POOL_SHIFT)
#define PY_ARENA_SHIFT		18
#define PY_ARENA_SIZE		BIT(PY_ARENA_SHIFT)
#define PY_ARENA_ORDER		(PY_ARENA_SHIFT - PY_POOL_SHIFT)
#define PY_ARENA_PAGES		64U

/* Page 0 of an arena holds its header, so one pool less than pages. */
#define PY_ARENA_POOLS		(PY_ARENA_PAGES - 1)

/* The most blocks one pool can hold: those of the smallest class. */
#define PY_POOL_BLOCKS		(PY_POOL_SIZE / PYALLOC_ALIGN)

/* Values of py_arena.class[] that are no size class. */
#define PY_CLASS_NONE		0xff	/* unused pool */
#define PY_CLASS_GONE		0xfe	/* its page was given back */
#define PY_CLASS_HEADER		0xfd	/* page 0 */

/* Value of py_arena.owner[] of a pool that no CPU owns. */
#define PY_NOBODY		0xffff

/* Value of py_cpu.token when it is taken: no owner's, not even PY_NOBODY's. */
#define PY_BUSY			0xfffeU

/* A "busy" section handles at most this many blocks, or pools of an inbox. */
#define PY_BATCH		64

/* Virgin blocks carved at a time: this many bytes' worth, but at least so many. */
#define PY_CARVE_BYTES		512U
#define PY_CARVE_MIN		4U

/* Pages asked for at a time in the hope that an arena gave them back. */
#define PY_REFILL		16

/* Unused pools that a CPU may keep to itself. */
#define PY_SPARE_MAX		8

/* Pools are taken from a node until they have this many blocks. */
#define PY_TAKE_BLOCKS		64

/* A CPU that has handed back so many pools puts them into their arenas. */
#define PY_BACK_BATCH		8

/* Every second bit: the pools with which a cache line of descriptors begins. */
#define PY_EVEN			0x5555555555555555ULL

static_assert(PAGE_SIZE == PY_POOL_SIZE, "a pool is one 4 KiB page");
static_assert(BITS_PER_LONG == 64, "pyalloc needs a 64-bit kernel");
static_assert(PY_ARENA_SIZE == PY_ARENA_PAGES * PY_POOL_SIZE);
static_assert(CONFIG_NR_CPUS < PY_BUSY, "a CPU number must fit py_arena.owner[]");
static_assert(PYALLOC_NR_CLASSES < PY_CLASS_HEADER, "a class must fit a byte");
static_assert(PYALLOC_NR_CLASSES <= 64, "one bit a class in a u64");
static_assert(PY_POOL_SIZE > 2 * (2 * PYALLOC_MAX + sizeof(void *)),
	      "a full pool that gets a block back is not empty, with KASAN and tags, too");

/* The block size of a class, bytes. */
static inline unsigned int py_class_size(unsigned int class)
{
	return (class + 1) * PYALLOC_ALIGN;
}

/*
 * From one block of a pool to the next, bytes. KASAN gets a red zone as large
 * as the block behind each, which keeps the alignment.
 */
static inline unsigned int py_class_stride(unsigned int class)
{
	return py_class_size(class) * (IS_ENABLED(CONFIG_KASAN_GENERIC) ? 2 : 1);
}

/* How many blocks a pool of this class holds. */
static inline unsigned int py_class_blocks(unsigned int class)
{
	return PY_POOL_SIZE / (py_class_stride(class) + PY_TAG_BYTES);
}

/* How many of its virgin blocks are carved at a time, if there are so many. */
static inline unsigned int py_class_carve(unsigned int class)
{
	return max(PY_CARVE_BYTES / py_class_stride(class), PY_CARVE_MIN);
}

/* Bytes of a pool that are in no block. */
static inline unsigned int py_class_tail(unsigned int class)
{
	return PY_POOL_SIZE - py_class_blocks(class) * py_class_size(class);
}

/**
 * enum py_pool_state - who may touch a pool, and on which list it is
 * @PY_POOL_UNUSED: has no class; the node lock covers it
 * @PY_POOL_SPARE: has no class; kept by its owner for its next class
 * @PY_POOL_CURRENT: the one its owner allocates from
 * @PY_POOL_USED: has blocks in use and blocks to give; on the owner's list
 * @PY_POOL_FULL: has no block to give; on no list
 */
enum py_pool_state {
	PY_POOL_UNUSED,
	PY_POOL_SPARE,
	PY_POOL_CURRENT,
	PY_POOL_USED,
	PY_POOL_FULL,
};

/*
 * What the owner of a pool writes on every operation; 32 bytes. @left counts
 * down to the only event that a free must notice:
 *
 *   CURRENT  count + 1   never reaches 0: nothing to do while it is current
 *   USED     count       0: the pool is empty
 *   FULL     1           0: the pool has a block to give again
 *
 * where count is the number of blocks in use or in transit.
 */
struct py_pool {
	void *free;			/* list of free blocks */
	union {
		struct list_head list;	/* USED, SPARE: the owner's lists */
		struct llist_node back;	/* UNUSED: on the way to its node */
	};
	u16 left;			/* frees until the next event */
	u16 carved;			/* blocks handed out at least once */
	u16 seen;			/* CURRENT: @left at the last visit */
	u8 state;			/* enum py_pool_state */
	u8 class;			/* as in py_arena.class[], for the owner */
};

static_assert(sizeof(struct py_pool) == 32, "two descriptors a cache line");

struct pyheap;
struct pyheap_node;

/* Arenas of a region, and all of them as bits. */
#define PY_REGION_ARENAS	8
#define PY_REGION_ALL		GENMASK(PY_REGION_ARENAS - 1, 0)

/* 2 MiB of single pages, mapped in one piece, for a heap with PYHEAP_VMALLOC. */
struct py_region {
	struct list_head list;	/* node->regions */
	void *map;		/* what vmap() returned */
	void *first;		/* the first arena */
	u8 free;		/* bit i: arena i is not in use */
	u8 lost;		/* bit i: it cannot be used, as the map is full there */
};

/*
 * Page 0 of an arena. What other CPUs read when they free shares no cache
 * line with what an owner writes on every operation; what they write has
 * lines of its own too. Entry 0 of each array stands for page 0.
 */
struct py_arena {
	/* Written when the arena comes, read by everybody. */
	struct pyheap *heap;
	struct pyheap_node *node;
	struct py_region *region;		/* it is in, or NULL */
	struct rcu_head rcu;			/* frees page 0 */

	/* Under the node lock. */
	u64 unused ____cacheline_aligned;	/* bit i: pool i can be taken */
	u64 gone;				/* bit i: page i was given back */
	struct hlist_node bucket;		/* node->by_unused[] */
	struct list_head all;			/* node->arenas */
	unsigned int pins;			/* walkers that look at it */
	bool split;				/* its pages are freed one by one */
	bool dead;				/* off its node: being freed */

	/* Written when a pool changes hands, read by every free. */
	u16 owner[PY_ARENA_PAGES] ____cacheline_aligned;
	u8 class[PY_ARENA_PAGES] ____cacheline_aligned;

	/* Blocks that other CPUs freed: see "struct py_chain". */
	u32 remote[PY_ARENA_PAGES] ____cacheline_aligned;
	struct llist_node inbox[PY_ARENA_PAGES];	/* py_cpu.inbox */

	struct py_pool pool[PY_ARENA_PAGES] ____cacheline_aligned;
};

static_assert(sizeof(struct py_arena) <= PY_POOL_SIZE, "header is page 0");
static_assert(offsetof(struct py_arena, pool) % SMP_CACHE_BYTES == 0 &&
	      SMP_CACHE_BYTES % (2 * sizeof(struct py_pool)) == 0,
	      "an aligned pair of descriptors shares no line with another pair");

/*
 * A chain of blocks of one pool, linked like its free list. It travels as one
 * word, so that even an 8-byte block need not hold more than its link: first
 * and last block as offsets in units of PYALLOC_ALIGN, and how many. 0: none.
 */
struct py_chain {
	void *first;
	void *last;
	unsigned int count;
};

#define PY_CHAIN_FIRST_SHIFT	0
#define PY_CHAIN_LAST_SHIFT	9
#define PY_CHAIN_COUNT_SHIFT	18
#define PY_CHAIN_OFFSET_MASK	0x1ffU

static_assert(PY_POOL_BLOCKS - 1 <= PY_CHAIN_OFFSET_MASK);
static_assert(PY_POOL_BLOCKS < BIT(32 - PY_CHAIN_COUNT_SHIFT));

static inline unsigned int py_chain_count(u32 word)
{
	return word >> PY_CHAIN_COUNT_SHIFT;
}

/* Why a request went to kmalloc(). */
enum py_reason {
	PY_FALL_SIZE,		/* above PYALLOC_MAX */
	PY_FALL_GFP,		/* a flag that only kmalloc() honours */
	PY_FALL_NODE,		/* memory of another NUMA node was asked for */
	PY_FALL_NESTED,		/* an interrupt found "busy" taken */
	PY_FALL_RESERVE,	/* a PF_MEMALLOC caller would need an arena */
	PY_FALL_ARENA,		/* no arena to be had */
	PY_FALL_NOLOCK,		/* pyalloc_nolock() found no block on this CPU */
	PY_NR_REASONS
};

/* Columns of the table of these: by size, powers of two above the first. */
#define PY_NR_SIZES		6

/* Events off the fast path, counted on the CPU where they happen. */
enum py_event {
	PY_EV_SLOW_ALLOC,	/* the current pool's list was empty */
	PY_EV_CARVE,		/* virgin blocks linked */
	PY_EV_POOL_EVENT,	/* a countdown reached 0 */
	PY_EV_NODE_TAKE,	/* pools taken from the node: one lock */
	PY_EV_NODE_BACK,	/* pools handed back to the node: one lock */
	PY_EV_CHAIN,		/* chains that arrived at their owner */
	PY_EV_CHAIN_BLOCKS,	/* blocks in them */
	PY_EV_FORWARD,		/* pools whose owner had changed */
	PY_EV_NESTED_FREE,	/* frees that found "busy" taken */
	PY_EV_BUSY_IN_TASK,	/* of all nested: in task context. A bug. */
	PY_EV_BAD_FREE,		/* frees that were refused */
	PY_EV_LIMIT,		/* allocations that a heap's limit refused */
	PY_NR_EVENTS
};

/* One heap's state on one CPU; only that CPU writes it, under "busy". */
struct pyheap_cpu {
	struct py_pool *cur[PYALLOC_NR_CLASSES];	/* never NULL */
	struct list_head used[PYALLOC_NR_CLASSES];
	struct list_head spare;
	u64 installed;		/* bit i: cur[i] is a real pool */
	u8 nr_spare;
	bool spare_idle;	/* not touched since the last visit */
	bool debug;		/* PYHEAP_DEBUG */
	u64 event[PY_NR_EVENTS];
	u64 fall[PY_NR_REASONS][PY_NR_SIZES];
};

static_assert(sizeof(struct pyheap_cpu) <= 2048, "a heap costs 2 KiB a CPU");

/* One heap's arenas on one NUMA node. */
struct pyheap_node {
	spinlock_t lock;	/* a leaf: no other lock, no allocation under it */
	int nid;
	struct pyheap *heap;
	struct list_head arenas;		/* all of them */
	struct hlist_head by_unused[PY_ARENA_PAGES];
	u64 nonempty;		/* bit n: by_unused[n] has an arena */
	unsigned int nr_empty;	/* arenas with all pools unused */
	unsigned long nr_unused;	/* pools in the arenas' free sets */
	unsigned long nr_gone;		/* pages given back out of the arenas */
	atomic_t given;			/* times that some were */
	int given_no_more;		/* @given when none was to be had again */
	unsigned long retry;	/* jiffies: no new arena before */
	struct list_head regions;	/* with PYHEAP_VMALLOC */
	bool wants_region;		/* an atomic caller had none */
	bool idle_region;		/* one has no arena in use any more */
	u64 arenas_total;	/* ever allocated */
	u64 arenas_reclaimed;	/* ever released */
	u64 arenas_failed;	/* the page allocator said no */
	u64 pages_back;		/* pages given back out of arenas */
	u64 pages_again;	/* of these: had again */
	u64 takes;		/* PY_EV_NODE_TAKE */
	u64 backs;		/* PY_EV_NODE_BACK */
	struct llist_head back ____cacheline_aligned;	/* pools, no lock */
};

/**
 * struct pyheap - a set of arenas with its own per-CPU pools
 * @name: for people
 * @flags: PYHEAP_...
 * @cpu: the state on each CPU
 * @node: the state on each NUMA node, nr_node_ids pointers
 * @list: on the list of heaps
 * @arenas: arenas now
 * @highwater: the most arenas there ever were
 * @limit: bytes that @held may be; 0: any
 * @held: bytes of the pools that CPUs have, and of what @large holds
 * @lock: a leaf, of @large and what counts it; raw, as any context may try it
 * @large: struct py_large by address: what kmalloc() served
 * @nr_large: how many there are
 * @large_bytes: their usable bytes
 * @quarantined: blocks that the debug hooks keep from being used again, or are just
 * letting go of
 * @debugfs: its folder
 *
 * The default heap has no limit, and @large only with debug hooks: what kmalloc()
 * serves in its stead is kmalloc()'s.
 */
struct pyheap {
	const char *name;
	unsigned int flags;
	struct pyheap_cpu __percpu *cpu;
	struct pyheap_node **node;
	struct list_head list;
	atomic_long_t arenas;
	atomic_long_t highwater;
	long limit;
	atomic_long_t held;
	raw_spinlock_t lock;	/* a leaf */
	struct rb_root large;
	unsigned long nr_large;
	unsigned long large_bytes;
	atomic_long_t quarantined;
	struct dentry *debugfs;
};

static_assert(sizeof(struct pyheap) + sizeof(struct pyheap_node) <= SZ_2K,
	      "an empty heap costs at most 4 KiB beside its CPUs' state");

/* A block of a heap that kmalloc() served, and the heap has to find. */
struct py_large {
	struct rb_node rb;
	const void *p;
	size_t size;		/* usable bytes */
	u32 front;		/* bytes of kmalloc()'s before @p: debug hooks' */
};

static inline unsigned int py_next_online_cpu(int cpu)
{
	/* data_race(): CPUs come and go, and what a bit was a moment ago will do. */
	return data_race(cpumask_next(cpu, cpu_online_mask));
}

/* Without keeping them so. */
#define py_for_each_online_cpu(cpu)					\
	for ((cpu) = py_next_online_cpu(-1); (cpu) < nr_cpu_ids;	\
	     (cpu) = py_next_online_cpu(cpu))

/* What one CPU has for all heaps. */
struct py_cpu {
	/* Only this CPU writes these. */
	u32 token;		/* @id; or PY_BUSY: its pools are being changed */
	u16 id;			/* this CPU */
	u8 dirty;		/* has current or spare pools: visit it */
	u8 visiting;		/* "busy" is held by a visit */
	unsigned long key;	/* free lists are encoded with it */
	unsigned int handed_back;	/* pools, since it put some into their arenas */
	void *outbox;		/* blocks freed here that others own */
	unsigned int put;	/* into the outbox, ever */
	unsigned int flushed;	/* out of it, and of what is nested, ever */

	/* Blocks freed in interrupts that met "busy": without it. */
	void *nested;
	unsigned int pushed;	/* into it, ever: never too low */

	struct llist_node *inbox_rest;	/* detached from it, under "busy" */
	u64 random;			/* of the order of virgin blocks; not 0 */

	struct llist_head rcu;	/* freed here, and waiting for a grace period */

	/* Given to pyfree_nolock(), which could not free it. */
	struct llist_head later;
	struct irq_work later_kick;
	unsigned int later_added;
	unsigned int later_freed;

	/* Pools of this CPU with chains that others freed. */
	struct llist_head inbox ____cacheline_aligned;

	/* The reaper's and trim's visits: under their mutex. */
	call_single_data_t csd;
	u8 visit_what;
	u8 visit_pending;	/* cleared by the CPU when it is done */
	u8 visit_again;		/* "busy" was taken, or there is more */

	/* The default heap's: one base register serves both. */
	struct pyheap_cpu heap ____cacheline_aligned;
};

/**
 * struct py_prof - what a profiler is told, with preemption off
 * @alloc: at @ip somebody who asked for @size bytes got a block of @given
 * @free: a block is about to be freed
 */
struct py_prof {
	void (*alloc)(unsigned long ip, const void *p, size_t size, size_t given);
	void (*free)(const void *p);
};

/* @alloc is called when it comes down to 0, and sets it. */
DECLARE_PER_CPU(int, py_prof_left);

/* Blocks are told of when they are freed if the entry of their address is not 0. */
#define PY_PROF_MAYBE	BIT(15)
extern atomic_t *py_prof_maybes;

static inline atomic_t *py_prof_maybe(const void *p)
{
	return py_prof_maybes +
	       (unsigned long)p / PYALLOC_ALIGN % PY_PROF_MAYBE;
}

int pyalloc_prof_start(const struct py_prof *prof, bool sampled);
void pyalloc_prof_stop(void);
void pyalloc_prof_json(void (*show)(struct seq_file *m));

static inline struct py_arena *py_arena_of(const void *p)
{
	return (struct py_arena *)((unsigned long)p & ~(PY_ARENA_SIZE - 1));
}

/* Which page of its arena @p is in. */
static inline unsigned int py_index_of(const void *p)
{
	return ((unsigned long)p >> PY_POOL_SHIFT) & (PY_ARENA_PAGES - 1);
}

static inline unsigned int py_pool_index(const struct py_pool *pool)
{
	return pool - py_arena_of(pool)->pool;
}

/* The page that @pool describes. */
static inline void *py_pool_base(const struct py_pool *pool)
{
	return (void *)py_arena_of(pool) +
	       ((unsigned long)py_pool_index(pool) << PY_POOL_SHIFT);
}

/* Statistics of one class, found by walking. Blocks, but for @pools. */
struct py_class_stats {
	u64 pools;
	u64 handed_out;		/* in use or in transit: the pools' counts */
	u64 transit;		/* of these: on the outboxes and chains */
	u64 free;		/* on the free lists */
	u64 virgin;
};

/* A heap, walked. Each term is counted on its own, none is derived. */
struct pyheap_stats {
	struct py_class_stats class[PYALLOC_NR_CLASSES];
	u64 arenas;
	u64 headers;		/* pages */
	u64 unused;		/* pools */
	u64 spare;		/* of these: kept by a CPU */
	u64 gone;		/* pools */
	u64 corrupt;		/* free lists and owners that made no sense */
	u64 strays;		/* blocks given to kfree(), as far as it shows */
	u64 arenas_total;
	u64 arenas_reclaimed;
	u64 arenas_failed;
	u64 arenas_highwater;
	u64 pages_back;
	u64 pages_again;
	u64 limit;		/* bytes; 0: none */
	u64 held;		/* bytes that count towards it */
	u64 large;		/* blocks of a private heap by kmalloc() */
	u64 large_bytes;
	u64 event[PY_NR_EVENTS];
	u64 fall[PY_NR_REASONS][PY_NR_SIZES];
};

/*
 * The identity: everything a heap has, bytes. Compare with
 * stats->arenas * PY_ARENA_SIZE.
 */
static inline u64 pyheap_stats_total(const struct pyheap_stats *stats)
{
	u64 total = (stats->headers + stats->unused + stats->gone) *
		    PY_POOL_SIZE;
	unsigned int i;

	for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
		const struct py_class_stats *s = &stats->class[i];

		total += (s->handed_out + s->free + s->virgin) *
			 py_class_size(i);
		total += s->pools * py_class_tail(i);
	}
	return total;
}

/* Exported in the namespace PYALLOC_INTERNAL, for the tests and tools. */
struct pyheap *pyheap_default(void);
void pyheap_walk(struct pyheap *heap, struct pyheap_stats *stats);

/* An arena from far away: its owners may be changing it. */
struct py_arena_info {
	const struct py_arena *arena;
	const char *heap;
	int node;
	unsigned int blocks;	/* in use */
	size_t bytes;		/* of these */
	u64 gone;		/* a bit for each page that it gave back */
};

int pyheap_arenas(int (*fn)(const struct py_arena_info *info, void *arg),
		  void *arg);
bool pyalloc_test_busy(void (*fn)(void *arg), void *arg);
extern struct py_fault_attr py_fail;	/* which arenas are not to be had */

#endif /* PYALLOC_INTERNAL_H */
