// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: what they get when they find "busy" taken, and task, softirq
 * and hardirq at work at once. The first kind is made to happen, with
 * pyalloc_test_busy(); the second is left to chance, many times.
 */
#include "common.h"

#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/mm.h>

/* How long to wait for an interrupt, spinning: ms. */
#define PY_IRQ_WAIT	1000

/**
 * struct py_shot - one function, run once in an interrupt
 * @work: the hardirq
 * @tasklet: the softirq that follows it
 * @soft: run it in the softirq
 * @fn: the function
 * @p: what it allocates or frees
 * @busy: "busy" is taken meanwhile
 * @done: it has run
 */
struct py_shot {
	struct irq_work work;
	struct tasklet_struct tasklet;
	bool soft;
	void (*fn)(struct py_shot *shot);
	void *p;
	bool busy;
	bool done;
};

static void py_shot_hard(struct irq_work *work)
{
	struct py_shot *shot = container_of(work, struct py_shot, work);

	if (shot->soft) {
		tasklet_schedule(&shot->tasklet);
		return;
	}
	shot->fn(shot);
	WRITE_ONCE(shot->done, in_hardirq());
}

static void py_shot_soft(struct tasklet_struct *tasklet)
{
	struct py_shot *shot = container_of(tasklet, struct py_shot, tasklet);

	shot->fn(shot);
	WRITE_ONCE(shot->done, in_serving_softirq());
}

static void py_shot_wait(void *arg)
{
	struct py_shot *shot = arg;
	unsigned int i;

	irq_work_queue(&shot->work);
	for (i = 0; i < PY_IRQ_WAIT && !READ_ONCE(shot->done); i++)
		mdelay(1);
}

/* Runs @shot->fn in an interrupt of this CPU. */
static void py_shoot(struct kunit *test, struct py_shot *shot)
{
	shot->work = IRQ_WORK_INIT(py_shot_hard);
	tasklet_setup(&shot->tasklet, py_shot_soft);
	shot->done = false;
	if (shot->busy)
		KUNIT_EXPECT_TRUE(test, pyalloc_test_busy(py_shot_wait, shot));
	else
		py_shot_wait(shot);
	irq_work_sync(&shot->work);
	tasklet_kill(&shot->tasklet);
	KUNIT_EXPECT_TRUE(test, shot->done);
}

static void py_shot_alloc(struct py_shot *shot)
{
	shot->p = py_get(100, GFP_ATOMIC);
}

static void py_shot_alloc_constant(struct py_shot *shot)
{
	shot->p = pyalloc(100, GFP_ATOMIC);
}

static void py_shot_alloc_zero(struct py_shot *shot)
{
	shot->p = py_get(100, GFP_ATOMIC | __GFP_ZERO);
}

static void py_shot_free(struct py_shot *shot)
{
	pyfree(shot->p);
}

static void hardirq_that_meets_busy_gets_kmalloc(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_alloc, .busy = true };

	py_shoot(test, &shot);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(shot.p));
	KUNIT_EXPECT_GE(test, pysize(shot.p), 100);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NESTED), 1);
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 1);
	pyfree(shot.p);
}

static void softirq_that_meets_busy_gets_kmalloc(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_alloc, .busy = true, .soft = true };

	py_shoot(test, &shot);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(shot.p));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NESTED), 1);
	pyfree(shot.p);
}

static void constant_size_that_meets_busy_gets_kmalloc(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_alloc_constant, .busy = true };

	py_shoot(test, &shot);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(shot.p));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NESTED), 1);
	pyfree(shot.p);
}

static void zalloc_that_meets_busy_is_zeroed(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_alloc_zero, .busy = true };

	py_shoot(test, &shot);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	KUNIT_EXPECT_NULL(test, memchr_inv(shot.p, 0, 100));
	pyfree(shot.p);
}

/* A heap's block stays one, whoever serves it. */
struct py_heap_shot {
	struct py_shot shot;
	struct pyheap *heap;
};

static void py_shot_alloc_of(struct py_shot *shot)
{
	struct py_heap_shot *hs = container_of(shot, struct py_heap_shot, shot);

	shot->p = pyheap_alloc(hs->heap, 100, GFP_ATOMIC);
}

static void py_shot_free_of(struct py_shot *shot)
{
	struct py_heap_shot *hs = container_of(shot, struct py_heap_shot, shot);

	pyheap_free(hs->heap, shot->p);
}

static void heap_that_meets_busy_has_the_block(struct kunit *test)
{
	struct py_heap_shot hs = { .shot.busy = true };
	struct pyheap_stats *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	void *pooled;

	KUNIT_ASSERT_NOT_NULL(test, s);
	hs.heap = pyheap_create("shot", PYHEAP_MUST_BE_EMPTY);
	KUNIT_ASSERT_FALSE(test, IS_ERR(hs.heap));
	pooled = pyheap_alloc(hs.heap, 100, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, pooled);
	hs.shot.fn = py_shot_alloc_of;
	py_shoot(test, &hs.shot);
	KUNIT_EXPECT_NOT_NULL(test, hs.shot.p);
	pyheap_walk(hs.heap, s);
	KUNIT_EXPECT_EQ(test, s->large, 1);
	KUNIT_EXPECT_EQ(test, s->fall[PY_FALL_NESTED][0], 1);

	hs.shot.fn = py_shot_free_of;
	py_shoot(test, &hs.shot);
	pyheap_walk(hs.heap, s);
	KUNIT_EXPECT_EQ(test, s->large, 0);
	KUNIT_EXPECT_EQ(test, s->event[PY_EV_NESTED_FREE], 0);
	hs.shot.p = pooled;
	py_shoot(test, &hs.shot);
	pyheap_walk(hs.heap, s);
	KUNIT_EXPECT_EQ(test, s->event[PY_EV_NESTED_FREE], 1);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(hs.heap), 0);
}

#define PY_SHOT_BULK	10

static void py_shot_bulk(struct py_shot *shot)
{
	void **p = shot->p;

	if (!p[0] && !pyalloc_bulk(100, GFP_ATOMIC, PY_SHOT_BULK, p))
		return;
	if (p[PY_SHOT_BULK])
		pyfree_bulk(PY_SHOT_BULK, p);
}

static void bulk_that_meets_busy_is_served(struct kunit *test)
{
	void *p[PY_SHOT_BULK + 1] = {};
	struct py_shot shot = { .fn = py_shot_bulk, .busy = true, .p = p };
	unsigned int i;

	py_shoot(test, &shot);
	for (i = 0; i < PY_SHOT_BULK; i++) {
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		KUNIT_EXPECT_FALSE(test, py_is_pooled(p[i]));
	}
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NESTED), PY_SHOT_BULK);
	pyfree_bulk(PY_SHOT_BULK, p);

	KUNIT_ASSERT_EQ(test, pyalloc_bulk(100, GFP_KERNEL, PY_SHOT_BULK, p), PY_SHOT_BULK);
	p[PY_SHOT_BULK] = p;		/* free them */
	py_shoot(test, &shot);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), PY_SHOT_BULK);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void free_that_meets_busy_arrives_later(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_free, .busy = true };
	struct py_pool *pool;
	void *p;

	p = py_get(100, GFP_KERNEL);
	shot.p = py_get(100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	pool = py_pool_of(p);
	py_shoot(test, &shot);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), 1);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 1));

	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	KUNIT_EXPECT_EQ(test, pool->left, 1);
	pyfree(p);
}

/* When the reaper has come to rest: the block itself must wake it. */
static void free_that_meets_busy_into_silence_arrives(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_free, .busy = true };

	shot.p = py_get(100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_pool_of(shot.p)->state, PY_POOL_USED);
	py_shoot(test, &shot);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), 1);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 0);
}

static void py_shot_free_twice(struct py_shot *shot)
{
	pyfree(shot->p);
	pyfree(shot->p);
}

static void double_free_that_meets_busy_is_refused(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_free_twice, .busy = true };
	void *p = py_get(100, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	shot.p = py_get(100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	PY_SUPPRESS_WARN(test)
		py_shoot(test, &shot);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	pyfree(p);
}

/* An interrupt that frees many blocks. */
struct py_salvo {
	struct py_shot shot;
	void **block;
	unsigned int n;
};

static void py_salvo_free(struct py_shot *shot)
{
	struct py_salvo *salvo = container_of(shot, struct py_salvo, shot);

	py_put_many(salvo->block, salvo->n);
}

/*
 * What a task freed is in the outbox; what interrupts free that find it being
 * changed is kept apart, counts with it, and is sent with it. Tried again when
 * the reaper was faster.
 */
static void frees_of_task_and_interrupts_make_one_batch(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	struct py_salvo salvo = {
		.shot = { .fn = py_salvo_free, .busy = true },
		.n = PY_BATCH / 4,
	};
	unsigned int n = PY_BATCH / 4, before = 0, after = 0, try, i;
	struct py_arena *arena;
	void **block;

	for (try = 0; try < 10 && after != PY_BATCH; try++) {
		pyalloc_trim();
		py_move_to(other);
		block = py_get_many(test, PY_BATCH, 16);
		py_move_to(here);
		arena = py_arena_of(block[0]);
		i = py_index_of(block[0]);
		py_put_many(block, n);
		salvo.block = block + n;
		py_shoot(test, &salvo.shot);
		py_put_many(block + 2 * n, PY_BATCH - 2 * n - 1);
		before = py_chain_count(READ_ONCE(arena->remote[i]));
		pyfree(block[PY_BATCH - 1]);
		after = py_chain_count(READ_ONCE(arena->remote[i]));
	}
	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, after, PY_BATCH);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), try * n);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 0);
}

/* A softirq that frees while "busy" is taken, and hardirqs that come upon it. */
struct py_burst {
	struct tasklet_struct tasklet;
	struct hrtimer timer;
	void **block;
	unsigned int n;
	atomic_t next;
	unsigned int hard;
};

static bool py_burst_step(struct py_burst *burst)
{
	unsigned int i = atomic_inc_return(&burst->next) - 1;

	if (i >= burst->n)
		return false;
	pyfree(burst->block[i]);
	return true;
}

static enum hrtimer_restart py_burst_hard(struct hrtimer *timer)
{
	struct py_burst *burst = container_of(timer, struct py_burst, timer);

	if (!py_burst_step(burst))
		return HRTIMER_NORESTART;
	burst->hard++;
	hrtimer_forward_now(timer, ns_to_ktime(50 * NSEC_PER_USEC));
	return HRTIMER_RESTART;
}

static void py_burst_soft(struct tasklet_struct *tasklet)
{
	struct py_burst *burst = container_of(tasklet, struct py_burst, tasklet);

	hrtimer_start(&burst->timer, ns_to_ktime(50 * NSEC_PER_USEC),
		      HRTIMER_MODE_REL_PINNED);
	while (py_burst_step(burst))
		udelay(5);
}

/* Not out of a hardirq: User-Mode Linux has no timer's within a timer's. */
static void py_burst_fire(void *arg)
{
	struct py_burst *burst = arg;

	local_bh_disable();
	tasklet_schedule(&burst->tasklet);
	local_bh_enable();
}

static void interrupts_that_free_at_once_all_arrive(struct kunit *test)
{
	struct py_burst *burst = kunit_kzalloc(test, sizeof(*burst), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, burst);
	burst->n = 4000;
	burst->block = py_get_many(test, burst->n, 64);
	tasklet_setup(&burst->tasklet, py_burst_soft);
	py_hrtimer_setup(&burst->timer, py_burst_hard, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_PINNED);
	KUNIT_EXPECT_TRUE(test, pyalloc_test_busy(py_burst_fire, burst));
	hrtimer_cancel(&burst->timer);
	tasklet_kill(&burst->tasklet);
	KUNIT_EXPECT_GE(test, atomic_read(&burst->next), burst->n);
	KUNIT_EXPECT_GT(test, burst->hard, 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), burst->n);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	kunit_info(test, "%u of %u in hardirqs\n", burst->hard, burst->n);
}

/* All of a pool, so that its chain has to make an event of it too. */
static void frees_that_meet_busy_empty_the_pool(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_free, .busy = true };
	void **block = py_get_many(test, 2 * 8, 512);
	unsigned int i;

	for (i = 0; i < 2 * 8; i++) {
		shot.p = block[i];
		py_shoot(test, &shot);
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), 2 * 8);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 0));
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
}

static void softirq_free_that_meets_busy_arrives_later(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_free, .busy = true, .soft = true };

	shot.p = py_get(100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	py_shoot(test, &shot);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), 1);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

static void kmalloced_memory_is_freed_though_busy(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_free, .busy = true };

	shot.p = py_get(1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	py_shoot(test, &shot);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), 0);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
}

static void hardirq_uses_the_pools_otherwise(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_alloc };

	if (py_in_regions())		/* which are not made in interrupts */
		pyfree(py_get(100, GFP_KERNEL));
	py_shoot(test, &shot);
	KUNIT_ASSERT_NOT_NULL(test, shot.p);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(shot.p));
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	shot.fn = py_shot_free;
	py_shoot(test, &shot);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NESTED_FREE), 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->class[PYALLOC_CLASS(100)].handed_out, 0);

	/* A task takes pools under the same lock: lockdep compares. */
	pyalloc_trim();
	shot.p = py_get(100, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(shot.p));
	pyfree(shot.p);
}

static void py_take_busy_again(void *arg)
{
	*(bool *)arg = pyalloc_test_busy(py_take_busy_again, arg);
}

static void busy_is_taken_once(struct kunit *test)
{
	bool again = true;

	KUNIT_EXPECT_TRUE(test, pyalloc_test_busy(py_take_busy_again, &again));
	KUNIT_EXPECT_FALSE(test, again);
}

static void py_alloc_in_task(void *arg)
{
	*(void **)arg = py_get(64, GFP_NOWAIT);
}

static void py_free_in_task(void *arg)
{
	pyfree(arg);
}

/* What every test's end relies on: the counter that must stay 0 does count. */
static void busy_met_in_task_is_noticed(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void *p = NULL;

	KUNIT_EXPECT_TRUE(test, pyalloc_test_busy(py_alloc_in_task, &p));
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BUSY_IN_TASK), 1);
	pyfree(p);

	p = py_get(64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, pyalloc_test_busy(py_free_in_task, p));
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BUSY_IN_TASK), 2);
	fix->busy_in_task = 2;
}

/* A CPU that is "busy" for long, with a pool that trim wants. */
struct py_hog {
	bool busy;
	bool over;
	bool in_time;
	bool left_alone;	/* the pool, all the time */
	struct py_pool *pool;
	unsigned int ms;
};

static void py_hog_spin(void *arg)
{
	struct py_hog *hog = arg;

	WRITE_ONCE(hog->busy, true);
	mdelay(hog->ms);
	hog->left_alone = READ_ONCE(hog->pool->state) == PY_POOL_CURRENT;
	WRITE_ONCE(hog->over, true);
}

static void py_hog_run(void *arg)
{
	struct py_hog *hog = arg;
	void *p = py_get(64, GFP_KERNEL);

	hog->pool = py_pool_of(p);
	pyfree(p);
	hog->in_time = pyalloc_test_busy(py_hog_spin, hog);
}

/*
 * Tried again when it was "busy" for longer than trim waits, as on a host that
 * does not let the CPU run.
 */
static void visit_comes_back_to_a_busy_cpu(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), try;
	struct py_worker worker;
	u64 arenas = 1;

	for (try = 0; try < 10 && arenas; try++) {
		struct py_hog hog = { .ms = 60 };

		KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_hog_run, &hog));
		while (!READ_ONCE(hog.busy))
			cpu_relax();
		pyalloc_trim();
		arenas = py_walk(test)->arenas;
		py_worker_finish(&worker);
		KUNIT_EXPECT_TRUE(test, hog.in_time);
		KUNIT_EXPECT_TRUE(test, hog.left_alone);
	}
	KUNIT_EXPECT_EQ(test, arenas, 0);
}

static void walk_waits_for_a_busy_cpu(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	struct py_hog hog = { .ms = 60 };
	struct pyheap_stats *stats = kunit_kzalloc(test, sizeof(*stats), GFP_KERNEL);
	struct py_worker worker;

	KUNIT_ASSERT_NOT_NULL(test, stats);
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_hog_run, &hog));
	while (!READ_ONCE(hog.busy))
		cpu_relax();
	/* py_walk() would wait by itself. */
	pyheap_walk(pyheap_default(), stats);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(hog.over));
	KUNIT_EXPECT_EQ(test, py_pools_all(stats), 1);
	py_worker_finish(&worker);
}

/*
 * The storm: slots that hold a block or nothing; whoever comes puts a new
 * block into one and frees what was there. Who finds a block has it alone.
 */
#define PY_STORM_SLOTS	256
#define PY_STORM_MS	1000

enum py_storm_context { PY_STORM_TASK, PY_STORM_SOFT, PY_STORM_HARD,
			PY_STORM_CONTEXTS };

struct py_storm {
	void *slot[PY_STORM_SLOTS];
	atomic_t bad;
	atomic_t failed;
};

/* One CPU's part of it. */
struct py_storm_cpu {
	struct py_storm *storm;
	struct hrtimer timer;
	struct tasklet_struct tasklet;
	u64 interval;
	struct rnd_state rnd[PY_STORM_CONTEXTS];
	u64 steps[PY_STORM_CONTEXTS];
};

/* The first word of a block says its size, the rest is as it says. */
static void py_storm_step(struct py_storm_cpu *sc, enum py_storm_context context)
{
	struct py_storm *storm = sc->storm;
	struct rnd_state *rnd = &sc->rnd[context];
	u64 size = 16 + prandom_u32_state(rnd) % 520;
	unsigned int i = prandom_u32_state(rnd) % PY_STORM_SLOTS;
	u64 *p = NULL;

	/* An interrupt looks at its task's. */
	WRITE_ONCE(sc->steps[context], sc->steps[context] + 1);
	if (prandom_u32_state(rnd) % 4) {
		p = py_get(size, GFP_ATOMIC);
		if (p) {
			p[0] = size;
			py_fill(p + 1, size - 8, size);
		} else {
			atomic_inc(&storm->failed);
		}
	}
	p = xchg(&storm->slot[i], p);
	if (p && !py_holds(p + 1, p[0] - 8, p[0]))
		atomic_inc(&storm->bad);
	pyfree(p);
}

static enum hrtimer_restart py_storm_hard(struct hrtimer *timer)
{
	struct py_storm_cpu *sc = container_of(timer, struct py_storm_cpu, timer);

	py_storm_step(sc, PY_STORM_HARD);
	tasklet_schedule(&sc->tasklet);
	/* Give way if the task does not come to its turn. */
	if (sc->steps[PY_STORM_HARD] > 100 + 2 * READ_ONCE(sc->steps[PY_STORM_TASK]))
		sc->interval += 1000;
	hrtimer_forward_now(timer, ns_to_ktime(sc->interval));
	return HRTIMER_RESTART;
}

static void py_storm_soft(struct tasklet_struct *tasklet)
{
	struct py_storm_cpu *sc = container_of(tasklet, struct py_storm_cpu, tasklet);

	py_storm_step(sc, PY_STORM_SOFT);
	py_storm_step(sc, PY_STORM_SOFT);
}

static void py_storm_run(void *arg)
{
	struct py_storm_cpu *sc = arg;
	unsigned long end = jiffies + msecs_to_jiffies(PY_STORM_MS);

	py_hrtimer_setup(&sc->timer, py_storm_hard, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_PINNED);
	tasklet_setup(&sc->tasklet, py_storm_soft);
	hrtimer_start(&sc->timer, ns_to_ktime(sc->interval),
		      HRTIMER_MODE_REL_PINNED);
	while (time_before(jiffies, end)) {
		py_storm_step(sc, PY_STORM_TASK);
		cond_resched();
	}
	hrtimer_cancel(&sc->timer);
	tasklet_kill(&sc->tasklet);
}

static struct py_storm_cpu *py_storm_new(struct kunit *test,
					 struct py_storm *storm, u64 seed)
{
	struct py_storm_cpu *sc = kunit_kzalloc(test, sizeof(*sc), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, sc);
	sc->storm = storm;
	sc->interval = 20000;
	for (i = 0; i < PY_STORM_CONTEXTS; i++)
		prandom_seed_state(&sc->rnd[i], seed + i);
	return sc;
}

static void py_storm_check(struct kunit *test, const struct py_storm_cpu *sc)
{
	kunit_info(test, "steps: task %llu, softirq %llu, hardirq %llu\n",
		   sc->steps[PY_STORM_TASK], sc->steps[PY_STORM_SOFT],
		   sc->steps[PY_STORM_HARD]);
	KUNIT_EXPECT_GT(test, sc->steps[PY_STORM_TASK], 0);
	KUNIT_EXPECT_GT(test, sc->steps[PY_STORM_SOFT], 0);
	KUNIT_EXPECT_GT(test, sc->steps[PY_STORM_HARD], 0);
}

static void py_storm_end(struct kunit *test, struct py_storm *storm)
{
	u64 live = 0;
	unsigned int i;

	for (i = 0; i < PY_STORM_SLOTS; i++)
		live += storm->slot[i] && py_is_pooled(storm->slot[i]);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), live);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	py_put_many(storm->slot, PY_STORM_SLOTS);
	KUNIT_EXPECT_EQ(test, atomic_read(&storm->bad), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&storm->failed), 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	kunit_info(test, "met \"busy\": %llu allocations, %llu frees\n",
		   py_falls(test, PY_FALL_NESTED),
		   py_events(test, PY_EV_NESTED_FREE));
}

static void task_softirq_and_hardirq_at_once(struct kunit *test)
{
	struct py_storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	struct py_storm_cpu *sc;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	sc = py_storm_new(test, storm, 1);
	py_storm_run(sc);
	py_storm_check(test, sc);
	py_storm_end(test, storm);
}

static void all_contexts_of_two_cpus_at_once(struct kunit *test)
{
	struct py_storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	unsigned int other = py_other_cpu(test);
	struct py_storm_cpu *here, *there;
	struct py_worker worker;

	KUNIT_ASSERT_NOT_NULL(test, storm);
	here = py_storm_new(test, storm, 1);
	there = py_storm_new(test, storm, 101);
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_storm_run, there));
	py_storm_run(here);
	py_worker_finish(&worker);
	py_storm_check(test, here);
	py_storm_check(test, there);
	py_storm_end(test, storm);
}

struct py_volley {
	struct py_storm_cpu *sc;
	unsigned int cpu;
};

static void py_volley_hard(void *arg)
{
	lockdep_hardirq_threaded();	/* as a device's: it may call kmalloc() */
	py_storm_step(arg, PY_STORM_HARD);
}

static void py_volley_run(void *arg)
{
	struct py_volley *volley = arg;
	unsigned long end = jiffies + msecs_to_jiffies(PY_STORM_MS);

	while (time_before(jiffies, end)) {
		smp_call_function_single(volley->cpu, py_volley_hard, volley->sc, 1);
		cond_resched();
	}
}

/* Interrupts from the other CPU as fast as they go: between any instructions. */
static void interrupts_of_another_cpu_between_any_instructions(struct kunit *test)
{
	struct py_storm *storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	unsigned int other = py_other_cpu(test);
	struct py_volley volley = { .cpu = raw_smp_processor_id() };
	struct py_worker worker;
	unsigned long end = jiffies + msecs_to_jiffies(PY_STORM_MS);

	KUNIT_ASSERT_NOT_NULL(test, storm);
	volley.sc = py_storm_new(test, storm, 201);
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_volley_run, &volley));
	while (time_before(jiffies, end)) {
		py_storm_step(volley.sc, PY_STORM_TASK);
		cond_resched();
	}
	py_worker_finish(&worker);
	KUNIT_EXPECT_GT(test, volley.sc->steps[PY_STORM_HARD], 0);
	kunit_info(test, "steps: task %llu, hardirq %llu\n",
		   volley.sc->steps[PY_STORM_TASK],
		   volley.sc->steps[PY_STORM_HARD]);
	py_storm_end(test, storm);
}

static void without_locks_what_is_here_is_served(struct kunit *test)
{
	void *first = py_get(100, GFP_KERNEL), *p;
	unsigned int i;
	u8 *zero;

	/* To the last block of the pool, carved or not. */
	for (i = 1; i < py_class_blocks(PYALLOC_CLASS(100)); i++) {
		p = pyalloc_nolock(100, 0);
		KUNIT_ASSERT_TRUE(test, py_is_pooled(p));
		memset(p, 0xff, 100);
		pyfree(p);
		zero = pyalloc_nolock(100, __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, zero);
		KUNIT_EXPECT_PTR_EQ(test, (void *)zero, p);
		KUNIT_EXPECT_NULL(test, memchr_inv(zero, 0, 100));
		pyfree_nolock(zero);
	}
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NOLOCK), 0);
	KUNIT_EXPECT_PTR_EQ(test, pyalloc_nolock(0, 0), ZERO_SIZE_PTR);
	pyfree_nolock(ZERO_SIZE_PTR);
	pyfree_nolock(NULL);
	pyfree(first);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

/* Without an interrupt, and so without the reaper. */
static void without_locks_blocks_do_not_pile_up(struct kunit *test)
{
	void **block = py_get_many(test, 10 * PY_BATCH, 24);
	unsigned int i;

	local_irq_disable();
	for (i = 0; i < 10 * PY_BATCH; i++)
		pyfree_nolock(block[i]);
	local_irq_enable();
	KUNIT_EXPECT_LE(test, py_transit_all(py_walk(test)), PY_BATCH);
	msleep(PY_ONE_SECOND);		/* what must be wiped, an irq_work frees */
}

/* No arena for it: the heap is empty. kmalloc_nolock(), or nothing. */
static void without_locks_no_arena_is_asked_for(struct kunit *test)
{
	void *p = pyalloc_nolock(100, 0);
	void *q = pyalloc_nolock(1000, 0);

	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NOLOCK), 2);
	pyfree_nolock(p);
	pyfree(q);
}

/* What is accounted is kmalloc_nolock()'s. */
static void without_locks_flags_are_kmallocs(struct kunit *test)
{
	void *first = py_get(100, GFP_KERNEL), *p = pyalloc_nolock(100, __GFP_ACCOUNT);

	KUNIT_EXPECT_FALSE(test, p && py_is_pooled(p));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NOLOCK), 1);
	pyfree_nolock(p);
	pyfree(first);
}

static void py_shot_alloc_nolock(struct py_shot *shot)
{
	shot->p = pyalloc_nolock(100, 0);
}

static void py_shot_free_nolock(struct py_shot *shot)
{
	pyfree_nolock(shot->p);
}

static void without_locks_busy_is_left_alone(struct kunit *test)
{
	struct py_shot shot = { .fn = py_shot_alloc_nolock, .busy = true };
	void *p = py_get(100, GFP_KERNEL);

	py_shoot(test, &shot);
	KUNIT_EXPECT_FALSE(test, shot.p && py_is_pooled(shot.p));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NOLOCK), 1);
	pyfree(shot.p);

	shot.p = p;
	shot.fn = py_shot_free_nolock;
	py_shoot(test, &shot);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
}

/* Freed by an irq_work: it is there again to whoever asks, or the walk would count. */
static void without_locks_kmalloced_memory_is_freed(struct kunit *test)
{
	unsigned long before = si_mem_available();
	unsigned int i;

	/* KASAN keeps what was freed for a while: up to 1/32 of the memory. */
	for (i = 0; i < SZ_64M / SZ_4K; i++) {
		pyfree_nolock(py_get(SZ_4K, GFP_KERNEL));
		if (i % 1024 == 0)
			msleep(20);
	}
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_GT(test, si_mem_available() + SZ_32M / PAGE_SIZE, before);
}

static struct kunit_case py_nested_cases[] = {
	KUNIT_CASE(hardirq_that_meets_busy_gets_kmalloc),
	KUNIT_CASE(softirq_that_meets_busy_gets_kmalloc),
	KUNIT_CASE(constant_size_that_meets_busy_gets_kmalloc),
	KUNIT_CASE(zalloc_that_meets_busy_is_zeroed),
	KUNIT_CASE(heap_that_meets_busy_has_the_block),
	KUNIT_CASE(bulk_that_meets_busy_is_served),
	KUNIT_CASE(free_that_meets_busy_arrives_later),
	KUNIT_CASE(free_that_meets_busy_into_silence_arrives),
	KUNIT_CASE(double_free_that_meets_busy_is_refused),
	KUNIT_CASE(frees_of_task_and_interrupts_make_one_batch),
	KUNIT_CASE(interrupts_that_free_at_once_all_arrive),
	KUNIT_CASE(frees_that_meet_busy_empty_the_pool),
	KUNIT_CASE(softirq_free_that_meets_busy_arrives_later),
	KUNIT_CASE(kmalloced_memory_is_freed_though_busy),
	KUNIT_CASE(hardirq_uses_the_pools_otherwise),
	KUNIT_CASE(without_locks_what_is_here_is_served),
	KUNIT_CASE(without_locks_blocks_do_not_pile_up),
	KUNIT_CASE(without_locks_no_arena_is_asked_for),
	KUNIT_CASE(without_locks_flags_are_kmallocs),
	KUNIT_CASE(without_locks_busy_is_left_alone),
	KUNIT_CASE(without_locks_kmalloced_memory_is_freed),
	KUNIT_CASE(busy_is_taken_once),
	KUNIT_CASE(busy_met_in_task_is_noticed),
	KUNIT_CASE(visit_comes_back_to_a_busy_cpu),
	KUNIT_CASE(walk_waits_for_a_busy_cpu),
	KUNIT_CASE(task_softirq_and_hardirq_at_once),
	KUNIT_CASE(all_contexts_of_two_cpus_at_once),
	KUNIT_CASE(interrupts_of_another_cpu_between_any_instructions),
	{}
};

static struct kunit_suite py_nested_suite = {
	.name = "pyalloc_nested",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_nested_cases,
};

kunit_test_suite(py_nested_suite);
