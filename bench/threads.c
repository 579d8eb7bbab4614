// SPDX-License-Identifier: GPL-2.0
/*
 * Loops on several CPUs at once, one thread on each.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "bench.h"
#include "team.h"

/* Threads that start together; the time is from the first start to the last end. */
static int worker_main(void *arg)
{
	struct worker *w = arg;
	struct team *team = w->team;

	atomic_inc(&team->ready);
	while (atomic_read(&team->ready) < team->nr)
		cpu_relax();
	w->start = ktime_get_ns();
	w->team->fn(w);
	w->end = ktime_get_ns();
	if (atomic_dec_and_test(&team->running))
		complete(&team->done);
	return 0;
}

/* Runs @team->fn on the first @team->nr CPUs. Returns the time, or an error. */
s64 team_run(struct team *team)
{
	u64 start = U64_MAX, end = 0;
	unsigned int i, cpu;

	atomic_set(&team->ready, 0);
	atomic_set(&team->running, team->nr);
	init_completion(&team->done);
	i = 0;
	for_each_online_cpu(cpu) {
		struct worker *w = &team->worker[i];

		if (i == team->nr)
			break;
		w->team = team;
		w->id = i++;
		w->task = kthread_create(worker_main, w, "bench/%u", cpu);
		if (IS_ERR(w->task)) {
			while (--i)
				kthread_stop(team->worker[i - 1].task);
			return -ENOMEM;
		}
		kthread_bind(w->task, cpu);
	}
	if (i < team->nr)
		team->nr = i;
	for (i = 0; i < team->nr; i++)
		wake_up_process(team->worker[i].task);
	wait_for_completion(&team->done);
	for (i = 0; i < team->nr; i++) {
		start = min(start, team->worker[i].start);
		end = max(end, team->worker[i].end);
	}
	return end - start;
}

/* Waits for all of the team; @turn counts from 1. */
static __always_inline void team_meet(struct team *team, unsigned int turn)
{
	atomic_inc(&team->met);
	while (atomic_read(&team->met) < turn * team->nr)
		cpu_relax();
}

#define TEAM_LOOP_KIND(name, kind)					\
static noinline void name##_##kind(struct worker *w)			\
{									\
	name(kind, w);							\
}

#define TEAM_LOOP(name)							\
TEAM_LOOP_KIND(name, EMPTY)						\
TEAM_LOOP_KIND(name, KMALLOC)						\
TEAM_LOOP_KIND(name, CACHE)						\
TEAM_LOOP_KIND(name, PYALLOC)						\
static const worker_fn name##_fns[NR_KINDS] = {				\
	[EMPTY] = name##_EMPTY,						\
	[KMALLOC] = name##_KMALLOC,					\
	[CACHE] = name##_CACHE,						\
	[PYALLOC] = name##_PYALLOC,					\
}

#define TEAM_LOOP_SIZES(name)						\
TEAM_LOOP_KIND(name, EMPTY)						\
TEAM_LOOP_KIND(name, KMALLOC)						\
TEAM_LOOP_KIND(name, PYALLOC)						\
static const worker_fn name##_fns[NR_KINDS] = {				\
	[EMPTY] = name##_EMPTY,						\
	[KMALLOC] = name##_KMALLOC,					\
	[PYALLOC] = name##_PYALLOC,					\
}

/*
 * Producer and consumer (xmalloc): one CPU allocates and writes a message, the
 * other reads and frees it. A ring of pointers is between them, in batches, so
 * that its own traffic is small.
 */
#define RING_SLOTS	1024
#define RING_BATCH	64

static struct {
	void *slot[RING_SLOTS];
	u32 head ____cacheline_aligned;		/* written by the producer */
	u32 tail ____cacheline_aligned;		/* written by the consumer */
} ring;

static __always_inline void xmalloc(const enum kind kind, struct worker *w)
{
	struct team *team = w->team;
	u32 done, i;

	for (done = 0; done < team->n; done += RING_BATCH) {
		void **slot = &ring.slot[done % RING_SLOTS];

		if (w->id == 0) {
			/* Pairs with the consumer's release: it is done with them. */
			while (done - smp_load_acquire(&ring.tail) >= RING_SLOTS)
				cpu_relax();
			for (i = 0; i < RING_BATCH; i++) {
				slot[i] = take(kind, team->cache, team->size,
					       BENCH_GFP);
				WRITE_ONCE(*(u32 *)slot[i], done);
			}
			/* The slots and what they point to come first. */
			smp_store_release(&ring.head, done + RING_BATCH);
		} else {
			/* Pairs with the producer's release. */
			while (smp_load_acquire(&ring.head) == done)
				cpu_relax();
			for (i = 0; i < RING_BATCH; i++) {
				(void)READ_ONCE(*(u32 *)slot[i]);
				drop(kind, team->cache, slot[i]);
			}
			/* The slots were read before they are given back. */
			smp_store_release(&ring.tail, done + RING_BATCH);
		}
	}
}

TEAM_LOOP(xmalloc);

/* Both at once: each CPU allocates 64 and frees them. */
static __always_inline void both(const enum kind kind, struct worker *w)
{
	struct team *team = w->team;
	void *block[64];
	u32 done, i;

	for (done = 0; done < team->n; done += ARRAY_SIZE(block)) {
		for (i = 0; i < ARRAY_SIZE(block); i++)
			block[i] = take(kind, team->cache, team->size,
					BENCH_GFP);
		for (i = 0; i < ARRAY_SIZE(block); i++)
			drop(kind, team->cache, block[i]);
	}
}

TEAM_LOOP(both);

/*
 * Larson: a server's threads replace random blocks of theirs; now and then a
 * thread's blocks go to another one, which frees what it did not allocate.
 */
#define LARSON_SLOTS	1000
#define LARSON_EPOCHS	8

static __always_inline void larson(const enum kind kind, struct worker *w)
{
	struct team *team = w->team;
	u32 epoch, i, seed = 77 + w->id;

	for (epoch = 0; epoch < LARSON_EPOCHS; epoch++) {
		struct slot *live = team->live + LARSON_SLOTS *
				    ((w->id + epoch) % team->nr);

		if (!epoch)
			live_fill(kind, live, LARSON_SLOTS, seed);
		for (i = 0; i < team->n / LARSON_EPOCHS; i++)
			replace_one(kind, &live[rnd_below(&seed, LARSON_SLOTS)],
				    rnd_size(&seed));
		team_meet(team, epoch + 1);
		if (epoch == LARSON_EPOCHS - 1)
			live_drop(kind, live, LARSON_SLOTS);
	}
}

TEAM_LOOP_SIZES(larson);

/*
 * Phases (mstress): each fills its live set, most of it small blocks; three of
 * four are freed, and some of the survivors change places with another CPU's.
 */
#define PHASES		10
#define PHASE_SLOTS	4000
#define PHASE_SHARED	1000

static struct slot phase_shared[PHASE_SHARED];

/* Not one for both CPUs, or the loop alone would be slower. */
static char phase_scratch[2][PYALLOC_MAX] __aligned(PYALLOC_MAX);

static __always_inline u32 phase_size(u32 *seed)
{
	u32 limit = PYALLOC_MAX >> rnd_below(seed, 5);

	return rnd_below(seed, limit) + 1;
}

static __always_inline void phases(const enum kind kind, struct worker *w)
{
	struct team *team = w->team;
	struct slot *live = team->live + PHASE_SLOTS * w->id;
	u32 phase, i, seed = 13 + w->id;

	for (phase = 0; phase < PHASES; phase++) {
		for (i = 0; i < PHASE_SLOTS; i++) {
			if (live[i].p)
				continue;
			live[i].size = phase_size(&seed);
			live[i].p = take(kind, NULL, live[i].size, BENCH_GFP);
			block_write(kind == EMPTY ? phase_scratch[w->id] :
				    live[i].p, live[i].size);
		}
		for (i = 0; i < PHASE_SLOTS; i++) {
			u32 rnd = rnd_below(&seed, 16);

			if (rnd < 12) {
				drop(kind, NULL, live[i].p);
				live[i].p = NULL;
			} else if (rnd == 12) {
				live[i].p = xchg(&phase_shared[rnd_below
						 (&seed, PHASE_SHARED)].p,
						 live[i].p);
			}
		}
	}
	live_drop(kind, live, PHASE_SLOTS);
	team_meet(team, 1);
	if (!w->id)
		live_drop(kind, phase_shared, PHASE_SHARED);
}

TEAM_LOOP_SIZES(phases);

static void team_reset(struct team *team)
{
	atomic_set(&team->met, 0);
	ring.head = 0;
	ring.tail = 0;
}

/* As bench_compare(); @ops is of the whole team. */
static int team_compare(const char *row, const worker_fn fns[NR_KINDS],
			struct team *team, u64 ops)
{
	u64 best[NR_KINDS];
	unsigned int round;
	enum kind kind;
	s64 time;

	memset(best, 0xff, sizeof(best));
	for (round = 0; round < rounds && !bench_stopped(); round++) {
		for (kind = 0; kind < NR_KINDS; kind++) {
			if (!fns[kind])
				continue;
			team_reset(team);
			team->fn = fns[kind];
			time = team_run(team);
			if (time < 0)
				return time;
			best[kind] = min_t(u64, best[kind], time);
			bench_still_free();
		}
	}
	bench_report(row, best, ops);
	return 0;
}

/* Operations of a CPU: enough that starting the threads does not count. */
#define TEAM_OPS	(10 * count)

int bench_two(void)
{
	struct team team = { .nr = 2, .n = TEAM_OPS, .size = 32 };
	int err;

	if (num_online_cpus() < 2)
		return 0;
	team.live = bench_live_new(2 * LARSON_SLOTS);
	team.cache = kmem_cache_create("pyalloc_bench", team.size, 0, 0, NULL);
	err = -ENOMEM;
	if (team.live && team.cache)
		err = team_compare("producer/consumer, 2 CPUs", xmalloc_fns,
				   &team, team.n) ?:
		      team_compare("both CPUs at once", both_fns,
				   &team, team.n) ?:
		      team_compare("larson, 2 CPUs", larson_fns, &team, team.n);
	kmem_cache_destroy(team.cache);
	vfree(team.live);
	return err;
}

int bench_phases(void)
{
	struct team team = { .nr = min(num_online_cpus(), 2U), .n = count };
	char row[40];
	int err;

	team.live = bench_live_new(team.nr * PHASE_SLOTS);
	if (!team.live)
		return -ENOMEM;
	snprintf(row, sizeof(row), "phases with survivors, %d CPU%s", team.nr,
		 team.nr == 1 ? "" : "s");
	err = team_compare(row, phases_fns, &team, PHASES * PHASE_SLOTS);
	vfree(team.live);
	return err;
}

/*
 * Remote free: another CPU allocates, and sleeps; this one frees; the other one
 * allocates as many again, and takes in what came. Each CPU's part is timed
 * while the other one does nothing, so that the sum is exact even where the
 * CPUs take turns, as they do in a virtual machine that counts instructions.
 */
#define REMOTE_BLOCKS	512

static void *remote_block[REMOTE_BLOCKS];

static __always_inline void remote(const enum kind kind, struct worker *w)
{
	struct team *team = w->team;
	u32 i;

	if (w->id != team->n)
		return;
	w->begin = ktime_get_ns();
	if (team->take)
		for (i = 0; i < REMOTE_BLOCKS; i++)
			remote_block[i] = take(kind, team->cache, team->size,
					       BENCH_GFP);
	else
		for (i = 0; i < REMOTE_BLOCKS; i++)
			drop(kind, team->cache, remote_block[i]);
	w->begin = ktime_get_ns() - w->begin;
}

TEAM_LOOP(remote);

/*
 * The longest that a free works with preemption off: it sends a batch of blocks,
 * each of another pool. Taken in the order of their addresses, freed across it.
 */
#define FAR_SIZE	512
#define FAR_BLOCKS	(64 * (PAGE_SIZE / FAR_SIZE))

static_assert(FAR_BLOCKS <= REMOTE_BLOCKS);

static __always_inline void far(const enum kind kind, struct worker *w)
{
	struct team *team = w->team;
	u64 start;
	u32 i;

	if (w->id != team->n)
		return;
	w->begin = 0;
	for (i = 0; i < FAR_BLOCKS; i++) {
		if (team->take) {
			remote_block[i] = take(kind, NULL, FAR_SIZE, BENCH_GFP);
			continue;
		}
		start = ktime_get_ns();
		drop(kind, NULL, remote_block[i % 64 * (PAGE_SIZE / FAR_SIZE) +
					      i / 64]);
		w->begin = max(w->begin, ktime_get_ns() - start);
	}
}

TEAM_LOOP_SIZES(far);

/* One CPU's part, while the others' threads have ended. */
static int remote_step(struct team *team, const worker_fn fn, u32 cpu,
		       bool take, u64 *best)
{
	s64 time;

	team->fn = fn;
	team->n = cpu;
	team->take = take;
	time = team_run(team);
	if (time < 0)
		return time;
	*best = min(*best, team->worker[cpu].begin);
	return 0;
}

int bench_remote(void)
{
	struct team team = { .nr = 2, .size = 64 };
	u64 took[NR_KINDS], freed[NR_KINDS], longest[NR_KINDS], unused = 0;
	unsigned int round;
	enum kind kind;
	int err = 0;

	if (num_online_cpus() < 2)
		return 0;
	team.cache = kmem_cache_create("pyalloc_bench", team.size, 0, 0, NULL);
	if (!team.cache)
		return -ENOMEM;
	memset(took, 0xff, sizeof(took));
	memset(freed, 0xff, sizeof(freed));
	memset(longest, 0xff, sizeof(longest));
	for (round = 0; !err && round < rounds && !bench_stopped(); round++)
		for (kind = 0; kind < NR_KINDS; kind++)
			if (remote_fns[kind])
				err = remote_step(&team, remote_fns[kind], 1,
						  true, &took[kind]) ?:
				      remote_step(&team, remote_fns[kind], 0,
						  false, &freed[kind]);
	for (round = 0; !err && round < rounds && !bench_stopped(); round++)
		for (kind = 0; kind < NR_KINDS; kind++)
			if (far_fns[kind])
				err = remote_step(&team, far_fns[kind], 1,
						  true, &unused) ?:
				      remote_step(&team, far_fns[kind], 0,
						  false, &longest[kind]);
	kmem_cache_destroy(team.cache);
	if (err)
		return err;
	bench_report("remote: free on another CPU", freed, REMOTE_BLOCKS);
	bench_report("remote: allocate what came back", took, REMOTE_BLOCKS);
	for (kind = 0; kind < NR_KINDS; kind++)
		if (remote_fns[kind])
			took[kind] += freed[kind];
	bench_report("remote: both", took, REMOTE_BLOCKS);
	bench_report("remote: the longest free, whole", longest, 1);
	return 0;
}
