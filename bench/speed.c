// SPDX-License-Identifier: GPL-2.0
/*
 * Loops on one CPU.
 */
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include "bench.h"

static const size_t pair_sizes[] = { 8, 16, 24, 40, 64, 100, 136, 200, 264,
				     384, 512 };
#define BULK	16

/* Many at once: an operation is one of them. */
static __always_inline void bulk(const enum kind kind, struct run *run)
{
	void *p[BULK];
	unsigned int i;

	for (i = 0; i < run->n; i += BULK) {
		if (kind == PYALLOC) {
			if (pyalloc_bulk(run->size, BENCH_GFP, BULK, p))
				pyfree_bulk(BULK, p);
		} else if (kind == KMALLOC) {
			if (kmem_cache_alloc_bulk(run->cache, BENCH_GFP, BULK, p))
				kmem_cache_free_bulk(run->cache, BULK, p);
		} else {
			bench_empty_free(bench_empty_alloc(run->size, BENCH_GFP));
		}
	}
}

/* The same, one by one. */
static __always_inline void single(const enum kind kind, struct run *run)
{
	void *p[BULK];
	unsigned int i, j;

	for (i = 0; i < run->n; i += BULK) {
		for (j = 0; j < BULK; j++)
			p[j] = take(kind, run->cache, run->size, BENCH_GFP);
		for (j = 0; j < BULK; j++)
			drop(kind, run->cache, p[j]);
	}
}

BENCH_LOOP_SIZES(bulk);
BENCH_LOOP_SIZES(single);

static const size_t many_sizes[] = { 8, 64, 512 };

static struct kmem_cache *cache_new(size_t size)
{
	return kmem_cache_create("pyalloc_bench", size, 0, 0, NULL);
}

/* Pair: allocate one, free it. */
static __always_inline void pair_of(const enum kind kind, struct run *run,
				    size_t size)
{
	unsigned int i;

	for (i = 0; i < run->n; i++)
		drop(kind, run->cache, take(kind, run->cache, size, BENCH_GFP));
}

static __always_inline void pair(const enum kind kind, struct run *run)
{
	pair_of(kind, run, run->size);
}

BENCH_LOOP(pair);

static __always_inline void pair_const_8(const enum kind kind, struct run *run)
{
	pair_of(kind, run, 8);
}

BENCH_LOOP(pair_const_8);

static __always_inline void pair_const_64(const enum kind kind,
					  struct run *run)
{
	pair_of(kind, run, 64);
}

BENCH_LOOP(pair_const_64);

static __always_inline void pair_const_512(const enum kind kind,
					   struct run *run)
{
	pair_of(kind, run, 512);
}

BENCH_LOOP(pair_const_512);

/* With everything that one size needs. */
static int compare_size(const char *name, const loop_fn fns[NR_KINDS],
			size_t size, struct run *run)
{
	char row[48];
	int err;

	run->size = size;
	run->cache = cache_new(size);
	if (!run->cache)
		return -ENOMEM;
	migrate_disable();
	err = floor_fill(size, run->n + 1);
	if (!err) {
		snprintf(row, sizeof(row), "%s %zu", name, size);
		bench_compare(row, fns, run, run->n);
		floor_empty();
	}
	migrate_enable();
	kmem_cache_destroy(run->cache);
	return err;
}

int bench_pair(void)
{
	static const struct {
		size_t size;
		const loop_fn *fns;
	} constant[] = {
		{ 8, pair_const_8_fns },
		{ 64, pair_const_64_fns },
		{ 512, pair_const_512_fns },
	};
	struct run run = { .n = count };
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(pair_sizes); i++)
		err = compare_size("pair", pair_fns, pair_sizes[i], &run);
	if (!err)
		err = compare_size("16 at once", bulk_fns, 64, &run);
	if (!err)
		err = compare_size("16 one by one", single_fns, 64, &run);
	for (i = 0; !err && i < ARRAY_SIZE(constant); i++)
		err = compare_size("pair, constant", constant[i].fns,
				   constant[i].size, &run);
	return err;
}

/* Many: allocate all, then free them in the same, reverse or a random order. */
static __always_inline void many_take(const enum kind kind, struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->n; i++)
		run->block[i] = take(kind, run->cache, run->size, BENCH_GFP);
}

static __always_inline void many_same(const enum kind kind, struct run *run)
{
	unsigned int i;

	many_take(kind, run);
	for (i = 0; i < run->n; i++)
		drop(kind, run->cache, run->block[i]);
}

BENCH_LOOP(many_same);

static __always_inline void many_reverse(const enum kind kind, struct run *run)
{
	unsigned int i;

	many_take(kind, run);
	for (i = run->n; i; i--)
		drop(kind, run->cache, run->block[i - 1]);
}

BENCH_LOOP(many_reverse);

static __always_inline void many_random(const enum kind kind, struct run *run)
{
	unsigned int i;

	many_take(kind, run);
	for (i = 0; i < run->n; i++)
		drop(kind, run->cache, run->block[run->order[i]]);
}

BENCH_LOOP(many_random);

static u32 *permutation(u32 n)
{
	u32 *order = vmalloc(array_size(n, sizeof(*order)));
	u32 i, seed = 4711;

	if (!order)
		return NULL;
	for (i = 0; i < n; i++) {
		u32 j = rnd_below(&seed, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

int bench_many(void)
{
	struct run run = { .n = count };
	u32 *order = permutation(count);
	unsigned int i;
	int err = 0;

	run.block = vmalloc(array_size(count, sizeof(*run.block)));
	run.order = order;
	if (!order || !run.block)
		err = -ENOMEM;
	for (i = 0; !err && i < ARRAY_SIZE(many_sizes); i++) {
		err = compare_size("many, same order", many_same_fns,
				   many_sizes[i], &run) ?:
		      compare_size("many, reverse order", many_reverse_fns,
				   many_sizes[i], &run) ?:
		      compare_size("many, random order", many_random_fns,
				   many_sizes[i], &run);
	}
	vfree(run.block);
	vfree(order);
	return err;
}

/*
 * Random replacement in a live set: in each round other slots and other sizes,
 * for all allocators the same.
 */
static __always_inline void replace(const enum kind kind, struct run *run)
{
	struct slot *live = run->live + (size_t)kind * run->nr_live;
	u32 seed = run->seed + run->round;
	unsigned int i;

	for (i = 0; i < run->n; i++) {
		struct slot *slot = &live[rnd_below(&seed, run->nr_live)];

		replace_one(kind, slot, rnd_size(&seed));
	}
}

BENCH_LOOP_SIZES(replace);

/* The live sets of all allocators are there at the same time. */
int bench_replace(void)
{
	struct run run = { .nr_live = 20000, .seed = 1234 };
	u32 nr = run.nr_live;

	run.live = bench_live_new(NR_KINDS * nr);
	if (!run.live)
		return -ENOMEM;
	live_fill(EMPTY, run.live + EMPTY * nr, nr, 99);
	live_fill(KMALLOC, run.live + KMALLOC * nr, nr, 99);
	live_fill(PYALLOC, run.live + PYALLOC * nr, nr, 99);
	/* What a set costs that was just filled is not what it costs later. */
	run.round = rounds;
	run.n = 4 * nr;
	replace_KMALLOC(&run);
	replace_PYALLOC(&run);
	/* Enough that the slots and sizes of one round cost what another's do. */
	run.n = 10 * count;
	bench_compare("replace, 20000 live", replace_fns, &run, run.n);
	live_drop(KMALLOC, run.live + KMALLOC * nr, nr);
	live_drop(PYALLOC, run.live + PYALLOC * nr, nr);
	bench_still_free();
	vfree(run.live);
	return 0;
}

static __always_inline void big_fill(const enum kind kind, struct run *run)
{
	live_fill(kind, run->live, run->nr_live, run->seed);
}

BENCH_LOOP_SIZES(big_fill);

static __always_inline void big_replace(const enum kind kind, struct run *run)
{
	u32 seed = run->seed;
	unsigned int i;

	for (i = 0; i < run->n; i++) {
		struct slot *slot = &run->live[rnd_below(&seed, run->nr_live)];

		replace_one(kind, slot, rnd_size(&seed));
	}
	run->seed = seed;
}

BENCH_LOOP_SIZES(big_replace);

static void big_write(const struct run *run)
{
	u32 i;

	for (i = 0; i < run->nr_live; i++)
		block_write(run->live[i].p, run->live[i].size);
}

static __always_inline void big_drop(const enum kind kind, struct run *run)
{
	live_drop(kind, run->live, run->nr_live);
}

BENCH_LOOP_SIZES(big_drop);

/*
 * Four million blocks are a GB, so that there is room for one live set only:
 * each allocator in turn fills it, works on it, and frees it. What is measured
 * begins when as many blocks were replaced as there are: a set in disorder.
 */
int bench_big(void)
{
	struct run run = { .nr_live = live_big };
	u64 best[NR_KINDS], fill[NR_KINDS], gone[NR_KINDS];
	unsigned int i, turn;

	run.live = bench_live_new(live_big);
	if (!run.live)
		return -ENOMEM;
	memset(best, 0xff, sizeof(best));
	memset(fill, 0xff, sizeof(fill));
	memset(gone, 0xff, sizeof(gone));
	for (turn = 0; turn < 2; turn++) {
		for (run.kind = 0; run.kind < NR_KINDS; run.kind++) {
			enum kind k = run.kind;
			u64 start;

			if (!big_replace_fns[k] || bench_stopped())
				continue;
			run.seed = 99;
			if (k == EMPTY)		/* the chunks are not the loop's */
				big_fill_fns[k](&run);
			start = ktime_get_ns();
			if (k == EMPTY)
				big_write(&run);
			else
				big_fill_fns[k](&run);
			fill[k] = min(fill[k], ktime_get_ns() - start);
			run.n = live_big / 16;
			for (i = 0; i < 16 + 8 && !bench_stopped(); i++) {
				start = ktime_get_ns();
				big_replace_fns[k](&run);
				if (i >= 16)
					best[k] = min(best[k],
						      ktime_get_ns() - start);
			}
			start = ktime_get_ns();
			big_drop_fns[k](&run);
			gone[k] = min(gone[k], ktime_get_ns() - start);
			bench_still_free();
		}
	}
	bench_report("replace, 4 million live", best, run.n);
	bench_report("fill 4 million", fill, live_big);
	bench_report("free 4 million, in disorder", gone, live_big);
	vfree(run.live);
	return 0;
}

/* A string built byte by byte, its terminating zero included. */
static __always_inline void grow_string(const enum kind kind, struct run *run)
{
	char *p = NULL;
	unsigned int i, len;

	for (i = 0; i < run->n; i++) {
		for (len = 0; len < run->size; len++) {
			p = retake(kind, p, len + 2);
			p[kind == EMPTY ? 0 : len] = 'x';
		}
		drop(kind, NULL, p);
		p = NULL;
	}
}

BENCH_LOOP_SIZES(grow_string);

/* Python's list.append(): room for an eighth more, and a little. */
static __always_inline void grow_list(const enum kind kind, struct run *run)
{
	void **p = NULL;
	unsigned int i, len, room = 0;

	for (i = 0; i < run->n; i++) {
		for (len = 0; len < run->size; len++) {
			if (len == room) {
				room = (len + 1 + (len >> 3) + 6) & ~3U;
				p = retake(kind, p, room * sizeof(*p));
			}
			WRITE_ONCE(p[kind == EMPTY ? 0 : len], NULL);
		}
		drop(kind, NULL, p);
		p = NULL;
		room = 0;
	}
}

BENCH_LOOP_SIZES(grow_list);

int bench_realloc(void)
{
	static const size_t lengths[] = { 100, 500 };
	struct run run = {};
	unsigned int i;
	char row[48];

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		run.size = lengths[i];
		run.n = max(count / lengths[i], 1UL);
		snprintf(row, sizeof(row), "string of %zu bytes, a byte",
			 run.size);
		bench_compare(row, grow_string_fns, &run, run.n * run.size);
		run.size /= 10;
		run.n *= 10;
		snprintf(row, sizeof(row), "list of %zu items, an item",
			 run.size);
		bench_compare(row, grow_list_fns, &run, run.n * run.size);
	}
	return 0;
}

/* Above the limit: what kmalloc() serves costs this much more to free. */
static noinline void boundary_empty(struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->n; i++)
		bench_empty_free(run->block[i]);
}

static noinline void boundary_kfree(struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->n; i++)
		kfree(run->block[i]);
}

static noinline void boundary_pyfree(struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->n; i++)
		pyfree(run->block[i]);
}

/*
 * Few at a time, so that they come from one slab, and kfree() is at its best. What is held
 * beside them moves the place where one sheaf of kmalloc's is full and another begins.
 */
int bench_boundary(void)
{
	static const loop_fn fns[NR_KINDS] = {
		[EMPTY] = boundary_empty,
		[KMALLOC] = boundary_kfree,
		[PYALLOC] = boundary_pyfree,
	};
	void *block[8], *held[16];
	struct run run = { .n = ARRAY_SIZE(block), .block = block };
	u64 best[NR_KINDS];
	unsigned int round, i;

	memset(best, 0xff, sizeof(best));
	for (round = 0; round < 100 * rounds && !bench_stopped(); round++) {
		const unsigned int n = round % (ARRAY_SIZE(held) + 1);

		for (i = 0; i < n; i++)
			held[i] = kmalloc(1024, BENCH_GFP);
		for (run.kind = 0; run.kind < NR_KINDS; run.kind++) {
			u64 start;

			if (!fns[run.kind])
				continue;
			for (i = 0; i < run.n; i++)
				block[i] = kmalloc(1024, BENCH_GFP);
			start = ktime_get_ns();
			fns[run.kind](&run);
			best[run.kind] = min(best[run.kind],
					     ktime_get_ns() - start);
			for (i = 0; run.kind == EMPTY && i < run.n; i++)
				kfree(block[i]);
		}
		for (i = 0; i < n; i++)
			kfree(held[i]);
	}
	bench_report("free of kmalloc'd 1024", best, run.n);
	return 0;
}
