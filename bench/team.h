/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc_bench: threads that run a loop on several CPUs at once.
 */
#ifndef PYALLOC_BENCH_TEAM_H
#define PYALLOC_BENCH_TEAM_H

#include <linux/atomic.h>
#include <linux/completion.h>

#include "bench.h"

#define TEAM_MAX	16

struct team;

struct worker {
	struct team *team;
	struct task_struct *task;
	int id;
	u64 start;
	u64 end;
	u64 begin;		/* a part that the loop times itself */
} ____cacheline_aligned;

typedef void (*worker_fn)(struct worker *w);

struct team {
	int nr;			/* CPUs */
	worker_fn fn;
	unsigned int n;		/* operations of each */
	size_t size;
	bool take;
	struct kmem_cache *cache;
	struct slot *live;
	atomic_t ready;
	atomic_t running;
	atomic_t met;
	struct completion done;
	struct worker worker[TEAM_MAX];
};

s64 team_run(struct team *team);

#endif /* PYALLOC_BENCH_TEAM_H */
