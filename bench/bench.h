/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc_bench: what its parts share. Each loop is written once, as an inline
 * function of "enum kind", and compiled once for each allocator, so that no
 * indirect call is between the loop and the allocator.
 */
#ifndef PYALLOC_BENCH_H
#define PYALLOC_BENCH_H

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#include <pyalloc.h>

/* What a loop is compiled for. */
enum kind {
	EMPTY,		/* functions that do nothing: the loop's own cost */
	KMALLOC,
	CACHE,		/* a kmem_cache of exactly the size */
	PYALLOC,
	FLOOR,		/* the least that a per-CPU list can cost here */
	NR_KINDS
};

/* No loop looks at what it gets, so none may fail. */
#define BENCH_GFP	(GFP_KERNEL | __GFP_NOFAIL)

/* One block of a live set. */
struct slot {
	void *p;
	u32 size;
};

/* What a loop works on. */
struct run {
	enum kind kind;
	size_t size;
	unsigned int round;
	unsigned int n;			/* operations */
	struct kmem_cache *cache;
	void **block;			/* n of them */
	const u32 *order;		/* a permutation of the n */
	struct slot *live;
	u32 nr_live;
	u32 seed;
};

typedef void (*loop_fn)(struct run *run);

/* Defines name_fns[]: name(kind, run) compiled for each allocator. */
#define BENCH_LOOP_KIND(name, kind)					\
static noinline void name##_##kind(struct run *run)			\
{									\
	name(kind, run);						\
}

#define BENCH_LOOP(name)						\
BENCH_LOOP_KIND(name, EMPTY)						\
BENCH_LOOP_KIND(name, KMALLOC)						\
BENCH_LOOP_KIND(name, CACHE)						\
BENCH_LOOP_KIND(name, PYALLOC)						\
BENCH_LOOP_KIND(name, FLOOR)						\
static const loop_fn name##_fns[NR_KINDS] = {				\
	[EMPTY] = name##_EMPTY,						\
	[KMALLOC] = name##_KMALLOC,					\
	[CACHE] = name##_CACHE,						\
	[PYALLOC] = name##_PYALLOC,					\
	[FLOOR] = name##_FLOOR,						\
}

/* For loops of many sizes, for which there is no kmem_cache and no floor. */
#define BENCH_LOOP_SIZES(name)						\
BENCH_LOOP_KIND(name, EMPTY)						\
BENCH_LOOP_KIND(name, KMALLOC)						\
BENCH_LOOP_KIND(name, PYALLOC)						\
static const loop_fn name##_fns[NR_KINDS] = {				\
	[EMPTY] = name##_EMPTY,						\
	[KMALLOC] = name##_KMALLOC,					\
	[PYALLOC] = name##_PYALLOC,					\
}

/* main.c */
extern unsigned int rounds, count, mb, live_big;
extern char *trace;
extern char bench_scratch[];
void block_write(void *p, size_t size);
void *bench_empty_alloc(size_t size, gfp_t gfp);
void *bench_empty_realloc(const void *p, size_t size, gfp_t gfp);
void bench_empty_free(const void *p);
const char *bench_kind_name(enum kind kind);
bool bench_stopped(void);
__printf(3, 4)
void bench_value(const char *row, const char *kind, const char *fmt, ...);
void bench_report(const char *row, const u64 time[NR_KINDS], u64 ops);
void bench_compare(const char *row, const loop_fn fns[NR_KINDS],
		   struct run *run, u64 ops);
struct slot *bench_live_new(u32 nr);
void bench_still_fill(struct slot *live, u32 nr, u32 seed);
void bench_still_free(void);

/* floor.c */
int floor_fill(size_t size, unsigned int nr);
void floor_empty(void);
void *floor_alloc(size_t size, gfp_t gfp);
void floor_free(const void *p);

/* memory.c */
s64 bench_slab_pages(void);

/* The parts. */
int bench_pair(void);
int bench_many(void);
int bench_replace(void);
int bench_big(void);
int bench_realloc(void);
int bench_boundary(void);
int bench_two(void);
int bench_phases(void);
int bench_remote(void);
int bench_latency(void);
int bench_trace(void);
int bench_memory(void);
int bench_lifetimes(void);
int bench_creep(void);
int bench_cpus(void);
int bench_scale(void);
int bench_heap(void);

static __always_inline void *take(const enum kind kind,
				  struct kmem_cache *cache, size_t size,
				  gfp_t gfp)
{
	switch (kind) {
	case KMALLOC:
		return kmalloc(size, gfp);
	case CACHE:
		return kmem_cache_alloc(cache, gfp);
	case PYALLOC:
		return pyalloc(size, gfp);
	case FLOOR:
		return floor_alloc(size, gfp);
	default:
		return bench_empty_alloc(size, gfp);
	}
}

static __always_inline void drop(const enum kind kind,
				 struct kmem_cache *cache, void *p)
{
	switch (kind) {
	case KMALLOC:
		kfree(p);
		break;
	case CACHE:
		kmem_cache_free(cache, p);
		break;
	case PYALLOC:
		pyfree(p);
		break;
	case FLOOR:
		floor_free(p);
		break;
	default:
		bench_empty_free(p);
	}
}

static __always_inline void *retake(const enum kind kind, void *p, size_t size)
{
	switch (kind) {
	case KMALLOC:
		return krealloc(p, size, BENCH_GFP);
	case PYALLOC:
		return pyrealloc(p, size, BENCH_GFP);
	default:
		return bench_empty_realloc(p, size, BENCH_GFP);
	}
}

/* A word of each cache line is read before it is freed. */
static __always_inline void block_read(const void *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += SMP_CACHE_BYTES)
		(void)READ_ONCE(*((const u8 *)p + i));
}

/* xorshift32: a few instructions, the same sequence for each allocator. */
static __always_inline u32 rnd_next(u32 *state)
{
	u32 x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return x;
}

/* 0 to n - 1 */
static __always_inline u32 rnd_below(u32 *state, u32 n)
{
	return (u64)rnd_next(state) * n >> 32;
}

/* 1 to PYALLOC_MAX */
static __always_inline u32 rnd_size(u32 *state)
{
	return rnd_below(state, PYALLOC_MAX) + 1;
}

/*
 * A block of a live set is read, freed, and another one takes its place. Without
 * an allocator it is written where it is: what the program itself reads and
 * writes, cache misses and all, is the loop's.
 */
static __always_inline void replace_one(const enum kind kind,
					struct slot *slot, u32 size)
{
	block_read(slot->p, slot->size);
	if (kind == EMPTY) {
		bench_empty_free(slot->p);
		bench_empty_alloc(size, BENCH_GFP);
		block_write(slot->p, slot->size);
		return;
	}
	drop(kind, NULL, slot->p);
	slot->p = take(kind, NULL, size, BENCH_GFP);
	slot->size = size;
	block_write(slot->p, size);
}

static __always_inline void live_fill(const enum kind kind, struct slot *live,
				      u32 nr, u32 seed)
{
	u32 i;

	if (kind == EMPTY) {
		bench_still_fill(live, nr, seed);
		return;
	}
	for (i = 0; i < nr; i++) {
		live[i].size = rnd_size(&seed);
		live[i].p = take(kind, NULL, live[i].size, BENCH_GFP);
		block_write(live[i].p, live[i].size);
	}
}

static __always_inline void live_drop(const enum kind kind, struct slot *live,
				      u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (live[i].p && kind != EMPTY)
			drop(kind, NULL, live[i].p);
		live[i].p = NULL;
	}
}

#endif /* PYALLOC_BENCH_H */
