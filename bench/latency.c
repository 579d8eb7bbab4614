// SPDX-License-Identifier: GPL-2.0
/*
 * How long one operation takes: the median, the 99.99th percentile, the worst.
 * Interrupts are off, so that what is seen is the allocator's doing; a section
 * in which preemption is off cannot last longer than the operation it is in.
 */
#include <linux/module.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "bench.h"

#define LATENCY_OPS	100000
#define LATENCY_LIVE	4000

static u32 *latency[2];			/* of allocations, of frees */

static __always_inline void replace_timed(const enum kind kind,
					  struct run *run)
{
	u32 seed = run->seed;
	unsigned int i;
	u64 time;

	for (i = 0; i < run->n; i++) {
		struct slot *slot = &run->live[rnd_below(&seed, run->nr_live)];
		u32 size = rnd_size(&seed);
		unsigned long flags;

		local_irq_save(flags);
		time = ktime_get_ns();
		drop(kind, NULL, slot->p);
		latency[1][i] = ktime_get_ns() - time;
		time = ktime_get_ns();
		slot->p = take(kind, NULL, size, GFP_NOWAIT);
		latency[0][i] = ktime_get_ns() - time;
		local_irq_restore(flags);
		slot->size = size;
		if (slot->p)
			block_write(slot->p, size);
	}
}

BENCH_LOOP_SIZES(replace_timed);

static __always_inline void latency_fill(const enum kind kind, struct run *run)
{
	live_fill(kind, run->live, run->nr_live, 5);
}

BENCH_LOOP_SIZES(latency_fill);

static __always_inline void latency_drop(const enum kind kind, struct run *run)
{
	live_drop(kind, run->live, run->nr_live);
	if (kind == EMPTY)
		bench_still_free();
}

BENCH_LOOP_SIZES(latency_drop);

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/* @clock is what reading the clock takes. */
static void report(const char *row, enum kind kind, u32 *values, u32 clock)
{
	static const struct {
		const char *name;
		u32 index;
	} points[] = {
		{ "p50", LATENCY_OPS / 2 },
		{ "p99.99", LATENCY_OPS - LATENCY_OPS / 10000 - 1 },
		{ "max", LATENCY_OPS - 1 },
	};
	unsigned int i;
	char name[40];

	for (i = 0; i < ARRAY_SIZE(points); i++) {
		u32 value = values[points[i].index];

		snprintf(name, sizeof(name), "%s, %s", row, points[i].name);
		bench_value(name, bench_kind_name(kind), "%u",
			    value - min(value, clock));
	}
}

int bench_latency(void)
{
	struct run run = { .n = LATENCY_OPS, .nr_live = LATENCY_LIVE };
	u32 clock[2] = {};
	int i, err = 0;

	run.live = bench_live_new(LATENCY_LIVE);
	for (i = 0; i < 2; i++)
		latency[i] = vmalloc(LATENCY_OPS * sizeof(u32));
	if (!run.live || !latency[0] || !latency[1])
		err = -ENOMEM;
	for (run.kind = 0; !err && run.kind < NR_KINDS; run.kind++) {
		if (!replace_timed_fns[run.kind])
			continue;
		run.seed = 31;
		latency_fill_fns[run.kind](&run);
		replace_timed_fns[run.kind](&run);
		latency_drop_fns[run.kind](&run);
		for (i = 0; i < 2; i++) {
			sort(latency[i], LATENCY_OPS, sizeof(u32), compare_u32,
			     NULL);
			if (run.kind == EMPTY)
				clock[i] = latency[i][LATENCY_OPS / 2];
			else
				report(i ? "one free" : "one allocation",
				       run.kind, latency[i], clock[i]);
		}
	}
	for (i = 0; i < 2; i++)
		vfree(latency[i]);
	vfree(run.live);
	return err;
}
