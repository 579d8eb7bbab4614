// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: everything at once, by chance, against a model.
 *
 *   insmod stress_pyalloc.ko [seconds=10] [seed=0] [threads=0] [ops=0] [slots=0]
 *
 * returns when it is over: with 0, or with EIO if anything was wrong, which
 * the log then names. Each thread is five actors that may interrupt each
 * other: the thread itself, which moves between CPUs, an hrtimer, a tasklet,
 * an irq_work, and an hrtimer that is an interrupt with PREEMPT_RT too, and
 * so has the _nolock functions alone. An actor has one item in hand. It
 * exchanges the item with that of a slot of the table that all share, and does
 * something to what it got (ops.c): so most memory is freed on another CPU and
 * in another context than it was allocated in.
 *
 * An item knows its memory, what was asked for and what was written into it.
 * That is the model (item.c): contents, alignment, size and zeroing are
 * compared at every step, the number of blocks of each class whenever the
 * threads rest. Meanwhile the heaps are walked: every byte of them must be
 * accounted for (compare.c).
 *
 * Some items are of private heaps, which a thread of their own limits, empties
 * and destroys meanwhile (heap.c). Some objects are no items: they are looked
 * at under RCU while others free them (shared.c).
 *
 * What an actor does depends on the seed and its number alone, but for what it
 * finds in the slots.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/signal.h>

#include "stress.h"

#define ROUND_MS	1000U
#define WATCH_MS	50U	/* between two walks */
#define EMPTY_MS	3000U	/* a second, and what a busy machine adds */
#define BURST		64U	/* steps without a pause */
#define MOVE_STEPS	1024U	/* between two moves to another CPU */

unsigned long long seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "What all chance comes from, 0: the kernel's randomness (0)");

static unsigned int seconds = 10;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "How long, 0: until every thread did its steps (10)");

unsigned int threads;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "How many, 0: two for each CPU (0)");

static unsigned long ops;
module_param(ops, ulong, 0444);
MODULE_PARM_DESC(ops, "Steps of each thread, 0: until the time is over (0)");

unsigned int slots;
module_param(slots, uint, 0444);
MODULE_PARM_DESC(slots, "In the table, 0: 2000 for each thread (0)");

const char * const context_name[NR_CONTEXTS] = {
	[IN_TASK] = "task",
	[IN_SOFTIRQ] = "tasklet",
	[IN_TIMER] = "hrtimer",
	[IN_IRQ_WORK] = "irq_work",
	[IN_HARDIRQ] = "hardirq",
};

static const char * const outcome_name[NR_OUTCOMES] = {
	[IN_PLACE] = "realloc in place",
	[REFUSED] = "refused",
};

struct member {
	struct task_struct *task;
	struct hrtimer timer;
	struct hrtimer hard;
	struct tasklet_struct tasklet;
	struct irq_work work;
	struct actor actor[NR_CONTEXTS];
};

struct item *items;
unsigned int nr_items;
struct item **table;

static struct member *members;
static atomic_t finished;	/* threads that did all their steps */

/*
 * Actors
 */

static void act_softirq(struct tasklet_struct *tasklet)
{
	struct member *m = container_of(tasklet, struct member, tasklet);

	step(&m->actor[IN_SOFTIRQ]);
	step(&m->actor[IN_SOFTIRQ]);
}

/* On PREEMPT_RT a softirq: kmalloc() is not legal in hardirq, so neither is pyalloc(). */
static enum hrtimer_restart act_timer(struct hrtimer *timer)
{
	struct member *m = container_of(timer, struct member, timer);

	step(&m->actor[IN_TIMER]);
	tasklet_schedule(&m->tasklet);
	return HRTIMER_NORESTART;
}

static enum hrtimer_restart act_hard(struct hrtimer *timer)
{
	step(&container_of(timer, struct member, hard)->actor[IN_HARDIRQ]);
	return HRTIMER_NORESTART;
}

static void act_irq_work(struct irq_work *work)
{
	step(&container_of(work, struct member, work)->actor[IN_IRQ_WORK]);
}

static void move_somewhere(struct actor *a)
{
	unsigned int cpu;

	/*
	 * A task that is not moved, as the CPU is going away, stays where it may not be, and
	 * with PREEMPT_RT its next migrate_enable(), such as kmalloc()'s, warns of that.
	 */
	cpus_read_lock();
	cpu = cpumask_next(chance(a, nr_cpu_ids), cpu_online_mask);
	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	cpus_read_unlock();
}

static void timer_start(struct actor *a, struct hrtimer *timer, enum hrtimer_mode mode)
{
	if (!hrtimer_active(timer))
		hrtimer_start(timer, ns_to_ktime(1000 + chance(a, 50000)), mode);
}

/*
 * Not while it runs: the task may have moved since it queued it, and then it would run on
 * two CPUs.
 */
static void work_start(struct irq_work *work)
{
	if (!irq_work_is_busy(work))
		irq_work_queue(work);
}

static void act_task(struct member *m)
{
	struct actor *a = &m->actor[IN_TASK];
	unsigned int i;

	for (i = 0; i < BURST; i++) {
		step(a);
		if (a->steps % 8 == 0)
			work_start(&m->work);
		if (a->steps % 16 == 0)
			timer_start(a, &m->timer, HRTIMER_MODE_REL_PINNED);
		if (a->steps % 16 == 8)
			timer_start(a, &m->hard, HRTIMER_MODE_REL_PINNED_HARD);
	}
	if (a->steps % MOVE_STEPS == 0)
		move_somewhere(a);
	cond_resched();
}

static int member_run(void *arg)
{
	struct member *m = arg;
	bool done = false;

	while (!kthread_should_stop()) {
		if (ops && m->actor[IN_TASK].steps >= ops) {
			if (!done)
				atomic_inc(&finished);
			done = true;
			msleep(20);
		} else {
			act_task(m);
		}
	}
	hrtimer_cancel(&m->timer);
	hrtimer_cancel(&m->hard);
	irq_work_sync(&m->work);
	tasklet_kill(&m->tasklet);
	return 0;
}

/*
 * Rounds
 */

static int round_start(void)
{
	struct task_struct *task;
	unsigned int i;

	atomic_set(&finished, 0);
	for (i = 0; i < threads; i++) {
		task = kthread_run(member_run, &members[i], "stress/%u", i);
		if (IS_ERR(task))
			return PTR_ERR(task);
		members[i].task = task;
	}
	return keeper_start();
}

static void round_stop(void)
{
	unsigned int i;

	keeper_stop();
	for (i = 0; i < threads; i++) {
		if (members[i].task)
			kthread_stop(members[i].task);
		members[i].task = NULL;
	}
}

/* Return: whether there is more to do. */
static bool round_run(unsigned long end)
{
	unsigned long now = jiffies + msecs_to_jiffies(ROUND_MS);
	bool over = false;

	while (!over && time_before(jiffies, now)) {
		msleep(WATCH_MS);
		watch();
		over = (seconds && time_after(jiffies, end)) ||
		       atomic_read(&finished) == threads ||
		       atomic_read(&wrong) || signal_pending(current);
	}
	return !over;
}

static int run(void)
{
	unsigned long end = jiffies + seconds * HZ;
	unsigned int round = 0;
	bool more;
	int err;

	do {
		err = round_start();
		more = !err && round_run(end);
		round_stop();
		settle(round++ & 1);
	} while (more);
	return err ?: signal_pending(current) ? -EINTR : 0;
}

/* Everything is freed here: then nothing may be left. */
static void end_with_nothing(void)
{
	struct actor *a = &members[0].actor[IN_TASK];
	unsigned long end;
	unsigned int i;

	for (i = 0; i < nr_items; i++) {
		if (items[i].p)
			item_check(a, &items[i]);
		item_free(&items[i]);
		cond_resched();
	}
	shared_free(a);
	heaps_destroy();
	settle(false);
	end = jiffies + msecs_to_jiffies(EMPTY_MS);
	do {
		pyalloc_trim();
		watch();
	} while (stats->arenas && time_before(jiffies, end));
	if (stats->arenas)
		stats_wrong("arenas left", stats->arenas, 0);
}

/*
 * The beginning and the end
 */

void actor_init(struct actor *a, unsigned int thread, enum context context,
		struct item *hand)
{
	a->thread = thread;
	a->context = context;
	a->hand = hand;
	prandom_seed_state(&a->rnd, seed + (thread * NR_CONTEXTS + context) *
					   0x9e3779b97f4a7c15);
}

static void member_init(struct member *m, unsigned int thread, struct item *hands)
{
	unsigned int i;

	for (i = 0; i < NR_CONTEXTS; i++)
		actor_init(&m->actor[i], thread, i, hands + i);
	py_hrtimer_setup(&m->timer, act_timer, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_PINNED);
	py_hrtimer_setup(&m->hard, act_hard, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_PINNED_HARD);
	tasklet_setup(&m->tasklet, act_softirq);
	m->work = IRQ_WORK_INIT(act_irq_work);
}

static int prepare(void)
{
	unsigned int i;

	while (!seed)
		seed = get_random_u32();
	threads = threads ?: 2 * num_online_cpus();
	slots = slots ?: 2000 * threads;
	nr_items = slots + NR_CONTEXTS * threads + 1;

	stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	items = kvcalloc(nr_items, sizeof(*items), GFP_KERNEL);
	table = kvcalloc(slots, sizeof(*table), GFP_KERNEL);
	members = kvcalloc(threads, sizeof(*members), GFP_KERNEL);
	if (!stats || !items || !table || !members)
		return -ENOMEM;
	for (i = 0; i < slots; i++)
		table[i] = &items[i];
	for (i = 0; i < threads; i++)
		member_init(&members[i], i, &items[slots + i * NR_CONTEXTS]);
	heaps_prepare(&items[nr_items - 1]);
	return 0;
}

static void release(void)
{
	kvfree(members);
	kvfree(table);
	kvfree(items);
	kfree(stats);
}

static void report(unsigned int took)
{
	u64 steps[NR_CONTEXTS] = {}, outcome[NR_OUTCOMES] = {}, op[NR_OPS_MAX] = {};
	u64 all = 0, nested = 0;
	unsigned int i, j, k;

	for (i = 0; i < threads; i++) {
		for (j = 0; j < NR_CONTEXTS; j++) {
			const struct actor *a = &members[i].actor[j];

			steps[j] += a->steps;
			all += a->steps;
			for (k = 0; k < NR_OPS_MAX; k++)
				op[k] += a->op[k];
			for (k = 0; k < NR_OUTCOMES; k++)
				outcome[k] += a->outcome[k];
		}
	}
	for (i = 0; i < PY_NR_SIZES; i++)
		nested += stats->fall[PY_FALL_NESTED][i];
	pr_info("%s: %llu steps in %u s, seed %llu, %u threads, %u slots\n",
		atomic_read(&wrong) ? "FAILED" : "passed", all, took, seed,
		threads, slots);
	for (i = 0; i < NR_CONTEXTS; i++)
		pr_info("steps in %s: %llu\n", context_name[i], steps[i]);
	for (i = 0; op_name(i); i++)
		pr_info("%s: %llu\n", op_name(i), op[i]);
	for (i = 0; i < NR_OUTCOMES; i++)
		pr_info("%s: %llu\n", outcome_name[i], outcome[i]);
	keeper_report();
	pr_info("met busy: %llu allocations, %llu frees; blocks in batches: %llu; arenas: %llu, failed %llu; pages given back: %llu; batches forwarded: %llu\n",
		nested, stats->event[PY_EV_NESTED_FREE],
		stats->event[PY_EV_CHAIN_BLOCKS], stats->arenas_total,
		stats->arenas_failed, stats->pages_back,
		stats->event[PY_EV_FORWARD]);
}

static int __init stress_pyalloc_init(void)
{
	unsigned long begin = jiffies;
	int err;

	err = prepare();
	if (err)
		goto out;
	pr_info("seed %llu, %u threads, %u slots\n", seed, threads, slots);
	err = run();
	end_with_nothing();
	report((jiffies - begin) / HZ);
	if (!err && atomic_read(&wrong))
		err = -EIO;
out:
	release();
	return err;
}
module_init(stress_pyalloc_init);

static void __exit stress_pyalloc_exit(void)
{
}
module_exit(stress_pyalloc_exit);

MODULE_DESCRIPTION("Everything pyalloc can do at once, by chance, against a model");
MODULE_LICENSE("GPL");
PY_IMPORT_NS(PYALLOC_INTERNAL);
