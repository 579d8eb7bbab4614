// SPDX-License-Identifier: GPL-2.0
/*
 * Does the work off the fast path grow with the number of CPUs? Counted, not
 * timed: events for a million operations, when each CPU replaces random blocks
 * of its own and one of eight goes through a table that all of them share.
 */
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "../pyalloc_internal.h"
#include "bench.h"
#include "team.h"

#define SCALE_LIVE	4000
#define SCALE_SHARED	1000

static struct slot scale_shared[SCALE_SHARED];
static struct team team;

static void scale_work(struct worker *w)
{
	struct slot *live = team.live + SCALE_LIVE * w->id;
	u32 i, seed = 3 + w->id;

	for (i = 0; i < team.n; i++) {
		struct slot *slot = &live[rnd_below(&seed, SCALE_LIVE)];

		if (i % 8 == 0)
			slot->p = xchg(&scale_shared[rnd_below
				       (&seed, SCALE_SHARED)].p, slot->p);
		pyfree(slot->p);
		slot->p = pyalloc(rnd_size(&seed), BENCH_GFP);
		if (i % 4096 == 0)
			cond_resched();
	}
}

static void scale_report(int cpus, const struct pyheap_stats *before,
			 const struct pyheap_stats *after)
{
	static const struct {
		const char *name;
		enum py_event event;
	} events[] = {
		{ "slow allocations", PY_EV_SLOW_ALLOC },
		{ "slow frees", PY_EV_POOL_EVENT },
		{ "node locks to take pools", PY_EV_NODE_TAKE },
		{ "node locks to hand pools back", PY_EV_NODE_BACK },
		{ "remote batches", PY_EV_CHAIN },
		{ "blocks in remote batches", PY_EV_CHAIN_BLOCKS },
	};
	u64 ops = (u64)cpus * team.n;
	unsigned int i;
	char row[64];

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		u64 n = after->event[events[i].event] -
			before->event[events[i].event];

		snprintf(row, sizeof(row), "%d CPUs, %s", cpus, events[i].name);
		bench_value(row, "pyalloc", "%llu",
			    div64_u64(n * 1000000, ops));
	}
	snprintf(row, sizeof(row), "%d CPUs, calls of the page allocator",
		 cpus);
	bench_value(row, "pyalloc", "%llu",
		    div64_u64((after->arenas_total + after->arenas_reclaimed +
			       after->arenas_failed - before->arenas_total -
			       before->arenas_reclaimed -
			       before->arenas_failed) * 1000000, ops));
}

static int scale(int cpus, struct pyheap_stats *before,
		 struct pyheap_stats *after)
{
	s64 time;

	team.nr = cpus;
	team.fn = scale_work;
	/* The first run fills the live sets: not a steady state. */
	team.n = 20 * SCALE_LIVE;
	time = team_run(&team);
	if (time < 0)
		return time;
	pyheap_walk(pyheap_default(), before);
	team.n = 5 * count;
	time = team_run(&team);
	pyheap_walk(pyheap_default(), after);
	scale_report(cpus, before, after);
	live_drop(PYALLOC, team.live, cpus * SCALE_LIVE);
	live_drop(PYALLOC, scale_shared, SCALE_SHARED);
	pyalloc_trim();
	return time < 0 ? time : 0;
}

int bench_scale(void)
{
	struct pyheap_stats *before = vmalloc(sizeof(*before));
	struct pyheap_stats *after = vmalloc(sizeof(*after));
	int cpus, err = -ENOMEM;

	team.live = bench_live_new(TEAM_MAX * SCALE_LIVE);
	if (before && after && team.live)
		err = 0;
	for (cpus = 1; !err && cpus <= min_t(int, num_online_cpus(), TEAM_MAX);
	     cpus *= 2)
		err = scale(cpus, before, after);
	vfree(team.live);
	vfree(before);
	vfree(after);
	return err;
}
