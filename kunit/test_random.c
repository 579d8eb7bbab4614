// SPDX-License-Identifier: GPL-2.0
/*
 * Random histories against a model that knows nothing of pools: which sizes
 * live, and what each block must contain. A failure is repeated with the
 * seed that was printed: insmod pyalloc_kunit.ko seed=...
 */
#include "common.h"

#include <linux/module.h>
#include <linux/random.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Seed of the random histories (0: another one each time)");

/* KASAN makes each a hundred times slower. */
#define PY_OPS		(IS_ENABLED(CONFIG_KASAN) ? 100000 : 1000000)
#define PY_SLOTS	16384
#define PY_SIZES	601	/* 0 to 600: some go to kmalloc() */

/* A block of the model; @serial gives its contents. */
struct py_object {
	void *p;
	u32 size;	/* as requested */
	u32 room;	/* whole words that are ours to write */
	u64 serial;
	u32 lock;	/* for histories of several CPUs */
};

/**
 * struct py_model - what must live
 * @object: the slots
 * @slots: how many
 * @sizes: sizes go from @least to below @least + @sizes
 * @least: see @sizes
 * @rnd: where the history comes from
 * @class: blocks in use, by class
 * @serial: contents for the next block
 * @bad: contents or pointers that were wrong
 * @failed: allocations that were
 */
struct py_model {
	struct py_object *object;
	unsigned int slots;
	unsigned int sizes;
	unsigned int least;
	struct rnd_state rnd;
	s64 class[PYALLOC_NR_CLASSES];
	u64 serial;
	u64 bad;
	u64 failed;
};

static u64 py_seed(struct kunit *test)
{
	u64 s = seed ?: get_random_u64() >> 1;

	kunit_info(test, "seed=%llu\n", s);
	return s;
}

static struct py_object *py_objects(struct kunit *test, unsigned int slots)
{
	struct py_object *object = vzalloc(array_size(slots, sizeof(*object)));

	KUNIT_ASSERT_NOT_NULL(test, object);
	return object;
}

static void py_model_init(struct py_model *m, struct py_object *object, u64 s)
{
	*m = (struct py_model) {
		.object = object,
		.slots = PY_SLOTS,
		.sizes = PY_SIZES,
		.serial = s,
	};
	prandom_seed_state(&m->rnd, s);
}

static u32 py_random(struct py_model *m, u32 below)
{
	return prandom_u32_state(&m->rnd) % below;
}

/* What the model knows of a block that is new, or has another size now. */
static void py_model_born(struct py_model *m, struct py_object *o)
{
	if (ZERO_OR_NULL_PTR(o->p)) {
		o->room = 0;
		return;
	}
	if (pysize(o->p) < o->size)
		m->bad++;
	/* Of kmalloc()'s blocks, and with KASAN, only what was requested. */
	o->room = round_down(o->size, 8);
	if (py_is_pooled(o->p)) {
		if (!IS_ENABLED(CONFIG_KASAN))
			o->room = pysize(o->p);
		m->class[py_class_of(o->p)]++;
	}
	o->serial = m->serial++;
	py_fill(o->p, o->room, o->serial);
}

static void py_model_dies(struct py_model *m, struct py_object *o)
{
	if (ZERO_OR_NULL_PTR(o->p))
		return;
	if (!py_holds(o->p, o->room, o->serial))
		m->bad++;
	if (py_is_pooled(o->p))
		m->class[py_class_of(o->p)]--;
}

static void py_step_alloc(struct py_model *m, struct py_object *o)
{
	gfp_t gfp = GFP_KERNEL;

	o->size = m->least + py_random(m, m->sizes);
	if (!py_random(m, 8))
		gfp |= __GFP_ZERO;
	o->p = py_get(o->size, gfp);
	if (!o->p) {
		m->failed++;
		return;
	}
	if ((gfp & __GFP_ZERO) && o->size && memchr_inv(o->p, 0, o->size))
		m->bad++;
	if (!o->size && o->p != ZERO_SIZE_PTR)
		m->bad++;
	py_model_born(m, o);
}

static void py_step_free(struct py_model *m, struct py_object *o)
{
	py_model_dies(m, o);
	if (py_random(m, 16))
		pyfree(o->p);
	else
		pyfree_sensitive(o->p);
	o->p = NULL;
}

static void py_step_realloc(struct py_model *m, struct py_object *o)
{
	u32 size = m->least + py_random(m, m->sizes);
	u32 keep = min(o->room, round_down(size, 8));
	void *p;

	py_model_dies(m, o);
	p = pyrealloc(o->p, size, GFP_KERNEL);
	if (!p) {
		m->failed++;
		if (py_is_pooled(o->p))
			m->class[py_class_of(o->p)]++;
		return;
	}
	if (keep && !py_holds(p, keep, o->serial))
		m->bad++;
	o->p = p;
	o->size = size;
	py_model_born(m, o);
}

/*
 * One operation on one slot. @grow of 16 alternatives for an empty slot
 * allocate, and for one in use keep it; so that memory swells and shrinks.
 */
static void py_model_step(struct py_model *m, struct py_object *o,
			  unsigned int grow)
{
	if (!o->p) {
		if (py_random(m, 16) < grow)
			py_step_alloc(m, o);
	} else if (!py_random(m, 4)) {
		py_step_realloc(m, o);
	} else if (py_random(m, 16) >= grow) {
		py_step_free(m, o);
	}
}

/* The walker's numbers are the model's, class by class. */
static void py_model_compare(struct kunit *test, const struct py_model *m)
{
	const struct pyheap_stats *s = py_walk(test);
	unsigned int i;

	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		KUNIT_EXPECT_EQ_MSG(test, py_in_use(s, i), (u64)m->class[i],
				    "class %u", i);
	KUNIT_EXPECT_EQ(test, py_transit_all(s), 0);
}

static void py_model_end(struct kunit *test, struct py_model *m)
{
	unsigned int i;

	for (i = 0; i < m->slots; i++)
		py_step_free(m, &m->object[i]);
	/* Brings home what the other CPU owns. */
	pyalloc_trim();
	py_model_compare(test, m);
	KUNIT_EXPECT_EQ(test, m->bad, 0);
	KUNIT_EXPECT_EQ(test, m->failed, 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	vfree(m->object);
}

/* Swells and shrinks five times, and compares at each turn. */
static void py_history(struct kunit *test, struct py_model *m, u32 ops)
{
	static const unsigned int grow[] = { 14, 2, 12, 6, 15, 1, 13, 3, 8, 2 };
	unsigned int i;
	u32 op;

	for (i = 0; i < ARRAY_SIZE(grow); i++) {
		for (op = 0; op < ops / ARRAY_SIZE(grow); op++) {
			py_model_step(m, &m->object[py_random(m, m->slots)],
				      grow[i]);
			if (!(op % 4096))
				cond_resched();
		}
		py_model_compare(test, m);
	}
}

static void all_sizes(struct kunit *test)
{
	struct py_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	py_model_init(m, py_objects(test, PY_SLOTS), py_seed(test));
	py_history(test, m, PY_OPS);
	py_model_end(test, m);
}

/* Few slots: pools are empty, full and current in quick succession. */
static void few_blocks(struct kunit *test)
{
	struct py_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	py_model_init(m, py_objects(test, PY_SLOTS), py_seed(test));
	m->slots = 40;
	py_history(test, m, PY_OPS / 2);
	py_model_end(test, m);
}

static void one_class_of_large_blocks(struct kunit *test)
{
	struct py_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	py_model_init(m, py_objects(test, PY_SLOTS), py_seed(test));
	m->least = 505;
	m->sizes = 8;
	py_history(test, m, PY_OPS / 2);
	py_model_end(test, m);
}

static void one_class_of_small_blocks(struct kunit *test)
{
	struct py_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	py_model_init(m, py_objects(test, PY_SLOTS), py_seed(test));
	m->least = 1;
	m->sizes = 8;
	py_history(test, m, PY_OPS / 2);
	py_model_end(test, m);
}

/* Two CPUs and one set of slots: whoever gets a slot's lock has its block. */
/* Counts the pools on this CPU's lists that another owns. Under "busy". */
static void py_strangers(void *arg)
{
	struct pyheap_cpu *hc = this_cpu_ptr(pyheap_default()->cpu);
	unsigned int cpu = smp_processor_id(), class;
	struct py_pool *pool;
	unsigned int *n = arg, wrong = 0;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		list_for_each_entry(pool, &hc->used[class], list)
			wrong += py_arena_of(pool)->owner[py_pool_index(pool)] != cpu;
		pool = hc->cur[class];
		if (hc->installed & BIT_ULL(class))
			wrong += py_arena_of(pool)->owner[py_pool_index(pool)] != cpu;
	}
	*n += wrong;
}

struct py_side {
	struct py_model model;
	u32 ops;
	bool watch;			/* for strangers */
	unsigned int strangers;
};

static void py_side_run(void *arg)
{
	struct py_side *side = arg;
	struct py_model *m = &side->model;
	u32 op;

	for (op = 0; op < side->ops; op++) {
		struct py_object *o = &m->object[py_random(m, m->slots)];

		if (xchg(&o->lock, 1))
			continue;
		py_model_step(m, o, 8 + (op >> 15) % 3 * 3 - 3);
		/* Whoever gets the lock next sees what we did. */
		smp_store_release(&o->lock, 0);
		if (side->watch && !(op % 32))
			pyalloc_test_busy(py_strangers, &side->strangers);
		if (!(op % 1024))
			cond_resched();
	}
}

static struct py_side *py_side_new(struct kunit *test, struct py_object *object,
				   u64 s, u32 ops)
{
	struct py_side *side = kunit_kzalloc(test, sizeof(*side), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, side);
	py_model_init(&side->model, object, s);
	side->model.slots = 4096;
	side->ops = ops;
	return side;
}

static void py_side_add(struct py_model *sum, const struct py_model *m)
{
	unsigned int i;

	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		sum->class[i] += m->class[i];
	sum->bad += m->bad;
	sum->failed += m->failed;
}

static void two_cpus(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	struct py_object *object = py_objects(test, PY_SLOTS);
	u64 s = py_seed(test);
	struct py_side *here = py_side_new(test, object, s, PY_OPS / 2);
	struct py_side *there = py_side_new(test, object, s + (1ULL << 32), PY_OPS / 2);
	struct py_worker worker;

	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_side_run, there));
	py_side_run(here);
	py_worker_finish(&worker);
	py_side_add(&here->model, &there->model);
	pyalloc_trim();
	py_model_compare(test, &here->model);
	py_model_end(test, &here->model);
}

/*
 * Tasks that are moved from CPU to CPU, wherever the kernel lets them be moved.
 * Few blocks of one class, so that both want the same pools; large ones, so that
 * many frees move a pool from list to list.
 */
static void moved_from_cpu_to_cpu(struct kunit *test)
{
	unsigned int cpu[] = { raw_smp_processor_id(), py_other_cpu(test) };
	struct py_object *object = py_objects(test, PY_SLOTS);
	struct py_worker worker[2];
	u64 s = py_seed(test);
	struct py_side *side[2];
	unsigned int i, moves = 0;

	for (i = 0; i < 2; i++) {
		side[i] = py_side_new(test, object, s + ((u64)i << 32), PY_OPS);
		side[i]->model.slots = 40;
		side[i]->model.least = 505;
		side[i]->model.sizes = 8;
		side[i]->watch = true;
	}
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker[0], cpu[0], py_side_run, side[0]));
	if (py_worker_start(&worker[1], cpu[1], py_side_run, side[1])) {
		while (!completion_done(&worker[0].done) ||
		       !completion_done(&worker[1].done)) {
			moves++;
			for (i = 0; i < 2; i++)
				set_cpus_allowed_ptr(worker[i].task,
						     cpumask_of(cpu[(moves + i) % 2]));
			cond_resched();
		}
		py_worker_finish(&worker[1]);
		py_side_add(&side[0]->model, &side[1]->model);
	}
	py_worker_finish(&worker[0]);
	kunit_info(test, "%u moves\n", moves);
	KUNIT_EXPECT_GT(test, moves, 1);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, side[i]->strangers, 0);
	pyalloc_trim();
	py_model_compare(test, &side[0]->model);
	py_model_end(test, &side[0]->model);
}

struct py_trimmer {
	bool stop;
	unsigned int trims;
};

static void py_trimmer_run(void *arg)
{
	struct py_trimmer *trimmer = arg;

	while (!READ_ONCE(trimmer->stop)) {
		pyalloc_trim();
		trimmer->trims++;
		cond_resched();
	}
}

/* Trim takes current pools and pages away under those who work with them. */
static void two_cpus_and_trim(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	struct py_object *object = py_objects(test, PY_SLOTS);
	u64 s = py_seed(test);
	struct py_side *here = py_side_new(test, object, s, PY_OPS / 5);
	struct py_side *there = py_side_new(test, object, s + (1ULL << 32), PY_OPS / 5);
	struct py_trimmer trimmer = {};
	struct py_worker worker, third;

	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_side_run, there));
	if (py_worker_start(&third, other, py_trimmer_run, &trimmer)) {
		py_side_run(here);
		WRITE_ONCE(trimmer.stop, true);
		py_worker_finish(&third);
	}
	py_worker_finish(&worker);
	KUNIT_EXPECT_GT(test, trimmer.trims, 0);
	py_side_add(&here->model, &there->model);
	pyalloc_trim();
	py_model_compare(test, &here->model);
	py_model_end(test, &here->model);
}

/* The identity holds in the middle of the turmoil too, at any time. */
static void identity_holds_while_two_cpus_work(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here_cpu = raw_smp_processor_id();
	struct py_object *object = py_objects(test, PY_SLOTS);
	struct py_fixture *fix = test->priv;
	u64 s = py_seed(test);
	struct py_side *here = py_side_new(test, object, s, PY_OPS / 2);
	struct py_side *there = py_side_new(test, object, s + (1ULL << 32), PY_OPS / 2);
	struct py_worker worker, second;
	unsigned int walks = 0, wrong = 0;

	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_side_run, there));
	if (py_worker_start(&second, here_cpu, py_side_run, here)) {
		while (!completion_done(&second.done)) {
			pyheap_walk(pyheap_default(), fix->now);
			walks++;
			wrong += pyheap_stats_total(fix->now) !=
				 fix->now->arenas * PY_ARENA_SIZE ||
				 fix->now->corrupt;
			cond_resched();
		}
		py_worker_finish(&second);
	}
	py_worker_finish(&worker);
	kunit_info(test, "%u walks\n", walks);
	KUNIT_EXPECT_GT(test, walks, 1);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	py_side_add(&here->model, &there->model);
	pyalloc_trim();
	py_model_compare(test, &here->model);
	py_model_end(test, &here->model);
}

static struct kunit_case py_random_cases[] = {
	KUNIT_CASE(all_sizes),
	KUNIT_CASE(few_blocks),
	KUNIT_CASE(one_class_of_large_blocks),
	KUNIT_CASE(one_class_of_small_blocks),
	KUNIT_CASE(two_cpus),
	KUNIT_CASE(moved_from_cpu_to_cpu),
	KUNIT_CASE(two_cpus_and_trim),
	KUNIT_CASE(identity_holds_while_two_cpus_work),
	{}
};

static struct kunit_suite py_random_suite = {
	.name = "pyalloc_random",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_random_cases,
};

kunit_test_suite(py_random_suite);
