// SPDX-License-Identifier: GPL-2.0
/*
 * test_pyalloc: uses pyalloc on command, for the selftests.
 *
 * One command a write to /sys/kernel/debug/test_pyalloc/do:
 *
 *   alloc CPU SIZE COUNT [HOW]
 *                          allocate on that CPU, and hold. HOW: "atomic", under
 *                          a spinlock, or "reserve", as reclaim does
 *   on CPU NODE SIZE COUNT allocate on that CPU, of that node's memory alone
 *   here SIZE COUNT [account] [kmalloc]
 *                          allocate in the task that writes, if that is easy, for its
 *                          cgroup with "account"; with "kmalloc", by that
 *   pairs CPU COUNT        allocate as many blocks of 40 and of 48 bytes, in turn,
 *                          each size at a call site of its own, the latter zeroed
 *   paths CPU COUNT        allocate as many blocks of 40 or 48 bytes, each by a call
 *                          path of its own
 *   resize CPU SIZE COUNT  resize the youngest COUNT of them
 *   free CPU COUNT         free the youngest COUNT of them on that CPU
 *   thin CPU N             free all but every Nth there
 *   foreign SIZE COUNT     give kmalloc()'s memory to pyfree()
 *   twice CPU              free the youngest there, twice: a bug
 *   header CPU             free the arena's own page there: a bug
 *   stray CPU              give the youngest there to kfree(), and hold it all the same:
 *                          a bug. Fails with EFAULT if its page is given to others
 *   storm MS               allocate and free in task, softirq and hardirq at
 *                          once, on all CPUs
 *   leave                  do not free on unload what is held then
 *   later                  free it then after a grace period
 *   faults CPU COUNT [HOW]
 *                          on that CPU, in turn let each of the first COUNT
 *                          arenas of an empty heap not be had once
 *   fragment               leave no 256 KiB of memory in one piece
 *   mend                   free what that took
 *   hog CPU MS             keep a thread of high priority running there
 *   busy CPU KIND COUNT    allocate and free in interrupts that find "busy"
 *                          taken. KIND: "hrtimer", "softirq", "irq_work", and
 *                          not on PREEMPT_RT; or "visit": a trim meets it
 *   rest                   fails if "busy" is taken on any CPU
 *
 * The write fails with EIO if memory did not keep what was written into it.
 * "held" tells what is held, and how many blocks in the memory of which node; "storm"
 * what the last storm did.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#include <pyalloc.h>
#include <pyalloc_internal.h>

#include "command.h"

#define HELD_MAX	262144U		/* blocks */
#define STORM_MS_MAX	60000U
#define STORM_SIZE_MAX	600U		/* some above PYALLOC_MAX */
#define STORM_BURST	16		/* steps without a pause */
#define NR_SHELF	64U
#define HOG_MS_MAX	10000U
#define SHOT_SIZE	100
#define SHOT_WAIT_US	1000000

struct block {
	u8 *p;
	u32 size;
	u8 fill;
};

static DEFINE_MUTEX(lock);	/* one command at a time */
static DEFINE_SPINLOCK(atomic_lock);
static struct block *held;	/* HELD_MAX of them, nr_held in use */
static u32 nr_held;
static bool leave, later;
static struct dentry *debugfs;

static bool block_set(struct block *block, void *p, u32 size)
{
	block->p = p;
	if (!p)
		return false;
	block->size = size;
	block->fill = get_random_u32();
	memset(block->p, block->fill, size);
	return true;
}

/* noinline: tests know it as the caller. */
static noinline bool block_fill(struct block *block, u32 size, gfp_t gfp)
{
	return block_set(block, pyalloc(size, gfp), size);
}

/* Free a block. Return: whether it still holds what was written into it. */
static bool block_free(struct block *block)
{
	bool ok = !memchr_inv(block->p, block->fill, block->size);

	/* Whoever may free may do it by either. */
	if (block->fill % 2)
		pykvfree(block->p);
	else
		pyfree(block->p);
	block->p = NULL;
	return ok;
}

/*
 * Blocks that are held
 */

enum how { HOW_KERNEL, HOW_ATOMIC, HOW_RESERVE };

struct job {
	u32 size;
	u32 count;
	enum how how;
	u32 node;
};

static bool block_fill_how(struct block *block, u32 size, enum how how)
{
	unsigned int flags;
	bool ok;

	switch (how) {
	case HOW_ATOMIC:
		spin_lock(&atomic_lock);
		ok = block_fill(block, size, GFP_ATOMIC);
		spin_unlock(&atomic_lock);
		return ok;
	case HOW_RESERVE:
		flags = memalloc_noreclaim_save();
		ok = block_fill(block, size, GFP_KERNEL);
		memalloc_noreclaim_restore(flags);
		return ok;
	default:
		return block_fill(block, size, GFP_KERNEL);
	}
}

static long do_alloc(void *arg)
{
	struct job *job = arg;

	for (; job->count; job->count--, nr_held++) {
		if (!block_fill_how(&held[nr_held], job->size, job->how))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

static long do_on(void *arg)
{
	struct job *job = arg;
	void *p;

	for (; job->count; job->count--, nr_held++) {
		p = pyalloc_node(job->size, GFP_KERNEL | __GFP_THISNODE,
				 job->node);
		if (!block_set(&held[nr_held], p, job->size))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/* Not at any price: what has a limit says no instead of killing somebody. */
static long do_here(const struct job *job, bool account, bool by_kmalloc)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN |
		    (account ? __GFP_ACCOUNT : 0);
	u32 i;

	for (i = 0; i < job->count; i++, nr_held++) {
		void *p = by_kmalloc ? kmalloc(job->size, gfp) :
				       pyalloc(job->size, gfp);

		if (!block_set(&held[nr_held], p, job->size))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/* Callers of pyalloc(), each by itself. */
static noinline bool fill_40(struct block *block)
{
	return block_set(block, pyalloc(40, GFP_KERNEL), 40);
}

static noinline bool fill_48(struct block *block)
{
	return block_set(block, pyalloc(48, GFP_KERNEL | __GFP_ZERO), 48);
}

static noinline bool path_40(struct block *block, u32 way);
static noinline bool path_48(struct block *block, u32 way);

/* A call path of its own for each @way: each of its bits is a call. */
static bool path(struct block *block, u32 way)
{
	return way & 1 ? path_40(block, way) : path_48(block, way);
}

static noinline bool path_40(struct block *block, u32 way)
{
	bool ok = way == 1 ? fill_40(block) : path(block, way >> 1);

	barrier();	/* a tail call would leave no frame */
	return ok;
}

static noinline bool path_48(struct block *block, u32 way)
{
	bool ok = way == 2 ? fill_48(block) : path(block, way >> 1);

	barrier();
	return ok;
}

static long do_paths(void *arg)
{
	struct job *job = arg;
	u32 way;

	for (way = 1; way <= job->count; way++, nr_held++)
		if (!path(&held[nr_held], way))
			return -ENOMEM;
	return 0;
}

static long do_pairs(void *arg)
{
	struct job *job = arg;

	for (; job->count; job->count--, nr_held += 2) {
		if (!fill_40(&held[nr_held]))
			return -ENOMEM;
		if (!fill_48(&held[nr_held + 1])) {
			nr_held++;
			return -ENOMEM;
		}
		cond_resched();
	}
	return 0;
}

static long do_resize(void *arg)
{
	struct job *job = arg;
	long err = 0;
	u32 i;

	for (i = nr_held - job->count; i < nr_held; i++) {
		struct block *block = &held[i];
		u8 *p = pyrealloc(block->p, job->size, GFP_KERNEL);

		if (!p)
			return -ENOMEM;
		if (memchr_inv(p, block->fill, min(block->size, job->size)))
			err = -EIO;
		block_set(block, p, job->size);
		cond_resched();
	}
	return err;
}

static long do_free(void *arg)
{
	struct job *job = arg;
	long err = 0;

	for (; job->count; job->count--) {
		if (!block_free(&held[--nr_held]))
			err = -EIO;
		cond_resched();
	}
	return err;
}

static long do_thin(void *arg)
{
	struct job *job = arg;
	u32 i, kept = 0;
	long err = 0;

	for (i = 0; i < nr_held; i++) {
		if (i % job->count == 0)
			held[kept++] = held[i];
		else if (!block_free(&held[i]))
			err = -EIO;
		cond_resched();
	}
	nr_held = kept;
	return err;
}

static long do_twice(void *arg)
{
	u8 *p;

	if (!nr_held)
		return -ERANGE;
	p = held[--nr_held].p;
	pyfree(p);
	pyfree(p);
	return 0;
}

static long do_header(void *arg)
{
	if (!nr_held)
		return -ERANGE;
	pyfree(py_arena_of(held[nr_held - 1].p));
	return 0;
}

#define STRAY_PAGES	512

/* What was freed last is what the page allocator gives first. */
static long do_stray(void *arg)
{
	struct page *page, *next, *stray;
	LIST_HEAD(pages);
	long err = 0;
	int i;

	if (!nr_held)
		return -ERANGE;
	stray = virt_to_page(held[nr_held - 1].p);
	kfree(held[nr_held - 1].p);
	for (i = 0; i < STRAY_PAGES; i++) {
		page = alloc_page(GFP_KERNEL);
		if (!page)
			break;
		if (page == stray)
			err = -EFAULT;
		list_add(&page->lru, &pages);
	}
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	return err;
}

/* If the CPU goes away meanwhile, which is not kept from it, on another. */
static long on_cpu(u32 cpu, long (*fn)(void *arg), void *arg)
{
	if (cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -ENODEV;
	return work_on_cpu(cpu, fn, arg);
}

static long do_foreign(struct job *job)
{
	void *p;

	for (; job->count; job->count--) {
		p = kmalloc(job->size, GFP_KERNEL);
		if (!p)
			return -ENOMEM;
		pyfree(p);
		cond_resched();
	}
	return 0;
}

/*
 * The storm: on each CPU a thread, a tasklet that may interrupt it and an
 * interrupt from the neighbour that may interrupt both. Each has one block in
 * hand and keeps swapping it with the shelf that all of them share, so that
 * most blocks are freed on another CPU and in another context than they were
 * allocated in.
 */

enum context { IN_TASK, IN_SOFTIRQ, IN_HARDIRQ, NR_CONTEXTS };

static const char * const context_name[NR_CONTEXTS] = {
	[IN_TASK] = "task", [IN_SOFTIRQ] = "softirq", [IN_HARDIRQ] = "hardirq",
};

struct storm {
	struct task_struct *task;
	struct tasklet_struct tasklet;
	call_single_data_t csd;
	bool flying;		/* the interrupt is under way */
	struct block *hand[NR_CONTEXTS];
	u64 steps[NR_CONTEXTS];
	u64 damaged[NR_CONTEXTS];
	u64 failed[NR_CONTEXTS];
};

static DEFINE_PER_CPU(struct storm, storms);
static struct block *shelf[NR_SHELF];

static void storm_steps(struct storm *s, enum context context)
{
	gfp_t gfp = context == IN_TASK ? GFP_KERNEL : GFP_ATOMIC;
	struct block *block;
	int i;

	for (i = 0; i < STORM_BURST; i++) {
		block = xchg(&shelf[get_random_u32() % NR_SHELF],
			     s->hand[context]);
		s->hand[context] = block;
		if (block->p)
			s->damaged[context] += !block_free(block);
		else if (!block_fill(block, 1 + get_random_u32() % STORM_SIZE_MAX, gfp))
			s->failed[context]++;
		s->steps[context]++;
	}
}

static void storm_tasklet(struct tasklet_struct *tasklet)
{
	storm_steps(container_of(tasklet, struct storm, tasklet), IN_SOFTIRQ);
}

static void storm_interrupt(void *arg)
{
	struct storm *s = arg;

	/* A machine with one CPU calls this like any function. */
	if (in_hardirq()) {
		lockdep_hardirq_threaded();	/* as a device's: it may call kmalloc() */
		storm_steps(s, IN_HARDIRQ);
	}
	tasklet_schedule(&s->tasklet);
	/* Last: storm_stop() may go on, and the neighbour send the next. */
	smp_store_release(&s->flying, false);
}

/* Have @cpu interrupted, unless the last interrupt is still under way. */
static void storm_interrupt_on(unsigned int cpu)
{
	struct storm *to = per_cpu_ptr(&storms, cpu);

	/* Pairs with the release in storm_interrupt(). */
	if (smp_load_acquire(&to->flying))
		return;
	WRITE_ONCE(to->flying, true);
	if (smp_call_function_single_async(cpu, &to->csd))
		WRITE_ONCE(to->flying, false);
}

static int storm_task(void *arg)
{
	struct storm *s = this_cpu_ptr(&storms);
	unsigned int cpu = smp_processor_id(), next;

	next = cpumask_next(cpu, cpu_online_mask);
	if (next >= nr_cpu_ids)
		next = cpumask_first(cpu_online_mask);

	while (!kthread_should_stop()) {
		/*
		 * On PREEMPT_RT kmalloc() is not legal in hardirq, so neither
		 * is pyalloc(), and softirqs are better raised by a task.
		 */
		if (IS_ENABLED(CONFIG_PREEMPT_RT))
			tasklet_schedule(&s->tasklet);
		else
			storm_interrupt_on(next);
		storm_steps(s, IN_TASK);
		cond_resched();
	}
	return 0;
}

static void storm_prepare(struct block *blocks)
{
	int cpu, i;

	for (i = 0; i < NR_SHELF; i++)
		shelf[i] = blocks++;
	for_each_possible_cpu(cpu) {
		struct storm *s = per_cpu_ptr(&storms, cpu);

		memset(s, 0, sizeof(*s));
		tasklet_setup(&s->tasklet, storm_tasklet);
		INIT_CSD(&s->csd, storm_interrupt, s);
		for (i = 0; i < NR_CONTEXTS; i++)
			s->hand[i] = blocks++;
	}
}

static long storm_start(void)
{
	struct task_struct *task;
	int cpu;

	for_each_online_cpu(cpu) {
		task = kthread_create_on_cpu(storm_task, NULL, cpu,
					     "test_pyalloc/%u");
		if (IS_ERR(task))
			return PTR_ERR(task);
		per_cpu_ptr(&storms, cpu)->task = task;
		wake_up_process(task);
	}
	return 0;
}

static void storm_stop(void)
{
	int cpu;

	for_each_online_cpu(cpu) {
		if (per_cpu_ptr(&storms, cpu)->task)
			kthread_stop(per_cpu_ptr(&storms, cpu)->task);
	}
	for_each_online_cpu(cpu) {
		struct storm *s = per_cpu_ptr(&storms, cpu);

		/* Pairs with the release: the tasklet is scheduled by then. */
		while (smp_load_acquire(&s->flying))
			msleep(20);
		tasklet_kill(&s->tasklet);
	}
}

static long do_storm(struct job *job)
{
	u32 i, nr_blocks = NR_SHELF + NR_CONTEXTS * num_possible_cpus();
	struct block *blocks;
	int cpu, context;
	long err;

	blocks = kvcalloc(nr_blocks, sizeof(*blocks), GFP_KERNEL);
	if (!blocks)
		return -ENOMEM;

	cpus_read_lock();
	storm_prepare(blocks);
	err = storm_start();
	if (!err)
		msleep(job->count);
	storm_stop();
	cpus_read_unlock();

	for (i = 0; i < nr_blocks; i++) {
		if (blocks[i].p && !block_free(&blocks[i]))
			err = -EIO;
	}
	for_each_possible_cpu(cpu) {
		for (context = 0; context < NR_CONTEXTS; context++) {
			if (per_cpu(storms, cpu).damaged[context])
				err = -EIO;
		}
	}
	kvfree(blocks);
	return err;
}

static int storm_show(struct seq_file *seq, void *v)
{
	int cpu, context;

	mutex_lock(&lock);
	for_each_online_cpu(cpu) {
		struct storm *s = per_cpu_ptr(&storms, cpu);

		for (context = 0; context < NR_CONTEXTS; context++)
			seq_printf(seq, "cpu %d %s steps %llu damaged %llu failed %llu\n",
				   cpu, context_name[context],
				   s->steps[context], s->damaged[context],
				   s->failed[context]);
	}
	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(storm);

/*
 * Arenas that are not to be had
 */

/* Blocks of the largest class that fill one arena. */
#define ARENA_BLOCKS	(PY_ARENA_POOLS * py_class_blocks(PYALLOC_NR_CLASSES - 1))

struct counts {
	u64 arenas;
	u64 in_use;
	u64 refusals;
	u64 fallen;
};

static int count(struct counts *counts)
{
	struct pyheap_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	int err = 0;

	if (!stats)
		return -ENOMEM;
	pyheap_walk(pyheap_default(), stats);
	counts->arenas = stats->arenas;
	counts->in_use = stats->class[PYALLOC_NR_CLASSES - 1].handed_out;
	counts->refusals = stats->arenas_failed;
	counts->fallen = stats->fall[PY_FALL_ARENA][0];
	if (pyheap_stats_total(stats) != stats->arenas * PY_ARENA_SIZE)
		err = -EIO;
	kfree(stats);
	return err;
}

static void fail_next_arena(bool fail)
{
	py_fail.interval = 1;
	py_fail.probability = fail ? 100 : 0;
	atomic_set(&py_fail.space, 0);
	atomic_set(&py_fail.times, 1);
}

/* Let pyalloc ask for arenas at once after a refusal. */
static void ask_again(void)
{
	int nid;

	for_each_node(nid)
		WRITE_ONCE(pyheap_default()->node[nid]->retry, jiffies);
}

/*
 * A block with its own number in front, and nothing more: millions are wanted.
 */
static bool stamp(u32 i, enum how how)
{
	u32 *p;

	if (how == HOW_ATOMIC) {
		spin_lock(&atomic_lock);
		p = pyalloc(PYALLOC_MAX, GFP_ATOMIC);
		spin_unlock(&atomic_lock);
	} else {
		p = pyalloc(PYALLOC_MAX, GFP_KERNEL);
	}
	held[i].p = (u8 *)p;
	if (p)
		*p = i;
	return p;
}

static bool unstamp(u32 i)
{
	bool ok = *(u32 *)held[i].p == i;

	pyfree(held[i].p);
	return ok;
}

static bool stamp_all(u32 blocks, enum how how)
{
	for (; blocks; blocks--) {
		if (!stamp(nr_held, how))
			return false;
		nr_held++;
		if (nr_held % 64 == 0)
			cond_resched();
	}
	return true;
}

/*
 * The arenas there are, @n, are full, and the next one fails: the block that would
 * be its first is kmalloc()'s, and nothing else changes.
 */
static int fault(u32 n, enum how how)
{
	struct counts before, after;
	bool stamped;
	int err;

	err = count(&before);
	if (err)
		return err;
	fail_next_arena(true);
	stamped = stamp_all(1, how);
	fail_next_arena(false);
	ask_again();
	if (!stamped)
		return -ENOMEM;

	err = count(&after);
	if (!err && (after.arenas != n || before.arenas != n ||
		     after.in_use != before.in_use ||
		     after.refusals != before.refusals + 1 ||
		     after.fallen != before.fallen + 1)) {
		pr_err("arena %u failed: %llu arenas, %llu blocks, %llu refusals, %llu by kmalloc()\n",
		       n, after.arenas, after.in_use,
		       after.refusals - before.refusals,
		       after.fallen - before.fallen);
		err = -EIO;
	}
	return err;
}

static long do_faults(void *arg)
{
	struct job *job = arg;
	int err = 0;
	u32 n;

	if (nr_held || job->count > HELD_MAX / (ARENA_BLOCKS + 1))
		return -ERANGE;
	pyalloc_trim();
	for (n = 0; n < job->count && !err; n++) {
		err = fault(n, job->how);
		if (!err && !stamp_all(ARENA_BLOCKS, job->how))
			err = -ENOMEM;
	}
	while (nr_held) {
		if (!unstamp(--nr_held))
			err = -EIO;
		if (nr_held % 64 == 0)
			cond_resched();
	}
	return err;
}

/*
 * Memory in pieces: the page allocator's blocks of an arena's size are taken,
 * and all but each 16th page is freed: the kernel itself wants up to 8 pages in
 * one piece. A page that is kept points to the next.
 */
#define PIECE_PAGES	16

static void **pieces;

static void mend(void)
{
	void **next;

	for (; pieces; pieces = next) {
		next = *pieces;
		__free_page(virt_to_page(pieces));
		cond_resched();
	}
}

/* Return: whether there were any, and there may be more. */
static bool fragment_once(void)
{
	struct page *page, *blocks = NULL;
	bool any;
	unsigned int i;

	while ((page = alloc_pages(__GFP_NOWARN | __GFP_NORETRY |
				   __GFP_NOMEMALLOC, PY_ARENA_ORDER))) {
		split_page(page, PY_ARENA_ORDER);
		*(struct page **)page_address(page) = blocks;
		blocks = page;
		cond_resched();
	}
	any = blocks;
	while (blocks) {
		page = blocks;
		blocks = *(struct page **)page_address(page);
		for (i = 0; i < PY_ARENA_PAGES; i++) {
			if (i % PIECE_PAGES) {
				__free_page(page + i);
				continue;
			}
			*(void **)page_address(page + i) = pieces;
			pieces = page_address(page + i);
		}
		cond_resched();
	}
	return any;
}

/* The page allocator refuses when little is left: then free most, and go on. */
static void fragment(void)
{
	while (fragment_once())
		;
}

/*
 * The hog
 */

static struct task_struct *hog;

static int hog_run(void *arg)
{
	unsigned long end = jiffies + msecs_to_jiffies((unsigned long)arg);

	sched_set_fifo(current);
	while (time_before(jiffies, end) && !kthread_should_stop())
		cpu_relax();
	sched_set_normal(current, 0);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void hog_stop(void)
{
	if (hog)
		kthread_stop(hog);
	hog = NULL;
}

static long hog_start(u32 cpu, u32 ms)
{
	struct task_struct *task;

	if (ms > HOG_MS_MAX || cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -ERANGE;
	hog_stop();
	task = kthread_create(hog_run, (void *)(unsigned long)ms, "hog/%u", cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, cpu);
	hog = task;
	wake_up_process(task);
	return 0;
}

/*
 * Shots: interrupts that come while this CPU is "busy"
 */

struct shot {
	struct hrtimer timer;
	struct tasklet_struct tasklet;
	struct irq_work work;
	char kind;		/* 'h', 's' or 'i' */
	u8 *old;		/* freed in the interrupt */
	struct block new;	/* allocated there */
	bool done;
};

/* In the interrupt. */
static void shot_hit(struct shot *shot, bool as_meant)
{
	pyfree(shot->old);
	shot->done = block_fill(&shot->new, SHOT_SIZE, GFP_ATOMIC) && as_meant;
	/* Pairs with shot_wait(). */
	smp_store_release(&shot->kind, 0);
}

static enum hrtimer_restart shot_timer(struct hrtimer *timer)
{
	struct shot *shot = container_of(timer, struct shot, timer);

	if (shot->kind == 's')
		tasklet_schedule(&shot->tasklet);
	else
		shot_hit(shot, in_hardirq());
	return HRTIMER_NORESTART;
}

static void shot_tasklet(struct tasklet_struct *tasklet)
{
	shot_hit(container_of(tasklet, struct shot, tasklet),
		 in_serving_softirq());
}

static void shot_work(struct irq_work *work)
{
	shot_hit(container_of(work, struct shot, work), in_hardirq());
}

/* While "busy" is taken. */
static void shot_wait(void *arg)
{
	struct shot *shot = arg;
	unsigned int us;

	if (shot->kind == 'i')
		irq_work_queue(&shot->work);
	else
		hrtimer_start(&shot->timer, ns_to_ktime(20000),
			      HRTIMER_MODE_REL_PINNED);
	/* Pairs with shot_hit(). */
	for (us = 0; us < SHOT_WAIT_US && smp_load_acquire(&shot->kind); us += 5)
		udelay(5);
}

static long shoot(char kind)
{
	static struct shot shot;	/* one command at a time */
	bool got, pooled;

	memset(&shot, 0, sizeof(shot));
	shot.kind = kind;
	shot.old = pyalloc(SHOT_SIZE, GFP_KERNEL);
	if (!shot.old)
		return -ENOMEM;
	py_hrtimer_setup(&shot.timer, shot_timer, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_PINNED);
	tasklet_setup(&shot.tasklet, shot_tasklet);
	shot.work = IRQ_WORK_INIT(shot_work);

	got = pyalloc_test_busy(shot_wait, &shot);

	hrtimer_cancel(&shot.timer);
	irq_work_sync(&shot.work);
	tasklet_kill(&shot.tasklet);
	if (!got || !shot.done)
		return -EIO;
	/* The pages of an arena belong to no slab. */
	pooled = is_vmalloc_addr(shot.new.p) ||
		 !PageSlab(virt_to_head_page(shot.new.p));
	return block_free(&shot.new) && !pooled ? 0 : -EIO;
}

/* A trim on another CPU, which begins when "busy" is taken on this. */
struct meeting {
	struct work_struct work;
	bool taken;
	bool begun;
};

static void meeting_trim(struct work_struct *work)
{
	struct meeting *m = container_of(work, struct meeting, work);
	unsigned int us;

	/* Both pair with meeting_wait(). */
	for (us = 0; us < SHOT_WAIT_US && !smp_load_acquire(&m->taken); us += 5)
		udelay(5);
	/* The trim has begun, as good as. */
	smp_store_release(&m->begun, true);
	pyalloc_trim();
}

/* While "busy" is taken: for some visits longer than the trim has begun. */
static void meeting_wait(void *arg)
{
	struct meeting *m = arg;
	unsigned int us;

	/* Both pair with meeting_trim(). */
	smp_store_release(&m->taken, true);
	/* It cannot be over before this CPU answers. */
	for (us = 0; us < SHOT_WAIT_US && !smp_load_acquire(&m->begun); us += 5)
		udelay(5);
	mdelay(2);
}

/* On a CPU that the caller is bound to. */
static long meet(void)
{
	static struct meeting m;	/* one command at a time */
	unsigned int other;
	bool got;

	other = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (other >= nr_cpu_ids)
		return -ENODEV;
	memset(&m, 0, sizeof(m));
	INIT_WORK(&m.work, meeting_trim);
	schedule_work_on(other, &m.work);
	got = pyalloc_test_busy(meeting_wait, &m);
	flush_work(&m.work);
	return got && m.begun ? 0 : -EIO;
}

static long do_busy(void *arg)
{
	struct job *job = arg;
	long err = 0;

	for (; job->count && !err; job->count--) {
		err = job->size == 'v' ? meet() : shoot(job->size);
		cond_resched();
	}
	return err;
}

static void nothing(void *arg)
{
}

static long is_busy(void *arg)
{
	return !pyalloc_test_busy(nothing, NULL);
}

static long all_rest(void)
{
	long err = 0;
	u32 cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		if (work_on_cpu(cpu, is_busy, NULL))
			err = -EIO;
	}
	cpus_read_unlock();
	return err;
}

/*
 * Commands
 */

/* Commands that attack. */
static long attack(const char *line)
{
	struct job job = {};
	char word[16];
	u32 cpu, ms;

	if (sscanf(line, "faults %u %u", &cpu, &job.count) == 2) {
		job.how = strstr(line, " atomic") ? HOW_ATOMIC : HOW_KERNEL;
		return on_cpu(cpu, do_faults, &job);
	}
	if (sscanf(line, "hog %u %u", &cpu, &ms) == 2)
		return hog_start(cpu, ms);
	if (sscanf(line, "busy %u %15s %u", &cpu, word, &job.count) == 3) {
		job.size = word[0];
		return strchr(IS_ENABLED(CONFIG_PREEMPT_RT) ? "v" : "hisv",
			      word[0]) ? on_cpu(cpu, do_busy, &job) : -EINVAL;
	}
	if (!strcmp(line, "rest"))
		return all_rest();
	if (!strcmp(line, "fragment"))
		fragment();
	else if (!strcmp(line, "mend"))
		mend();
	else
		return -EINVAL;
	return 0;
}

static long command(const char *line)
{
	struct job job = {};
	u32 cpu;

	if (sscanf(line, "alloc %u %u %u", &cpu, &job.size, &job.count) == 3) {
		if (strstr(line, " atomic"))
			job.how = HOW_ATOMIC;
		if (strstr(line, " reserve"))
			job.how = HOW_RESERVE;
		return job.count > HELD_MAX - nr_held ? -ENOSPC :
			on_cpu(cpu, do_alloc, &job);
	}
	if (sscanf(line, "on %u %u %u %u", &cpu, &job.node, &job.size,
		   &job.count) == 4)
		return job.count > HELD_MAX - nr_held ? -ENOSPC :
			job.node >= nr_node_ids || !node_online(job.node) ? -ENODEV :
			on_cpu(cpu, do_on, &job);
	if (sscanf(line, "here %u %u", &job.size, &job.count) == 2)
		return job.count > HELD_MAX - nr_held ? -ENOSPC :
			do_here(&job, strstr(line, " account"),
				strstr(line, " kmalloc"));
	if (sscanf(line, "pairs %u %u", &cpu, &job.count) == 2)
		return job.count > (HELD_MAX - nr_held) / 2 ? -ENOSPC :
			on_cpu(cpu, do_pairs, &job);
	if (sscanf(line, "paths %u %u", &cpu, &job.count) == 2)
		return job.count > HELD_MAX - nr_held ? -ENOSPC :
			on_cpu(cpu, do_paths, &job);
	if (sscanf(line, "resize %u %u %u", &cpu, &job.size, &job.count) == 3)
		return job.count > nr_held || !job.size ? -ERANGE :
			on_cpu(cpu, do_resize, &job);
	if (sscanf(line, "free %u %u", &cpu, &job.count) == 2)
		return job.count > nr_held ? -ERANGE :
			on_cpu(cpu, do_free, &job);
	if (sscanf(line, "thin %u %u", &cpu, &job.count) == 2)
		return job.count ? on_cpu(cpu, do_thin, &job) : -ERANGE;
	if (sscanf(line, "foreign %u %u", &job.size, &job.count) == 2)
		return do_foreign(&job);
	if (sscanf(line, "twice %u", &cpu) == 1)
		return on_cpu(cpu, do_twice, &job);
	if (sscanf(line, "header %u", &cpu) == 1)
		return on_cpu(cpu, do_header, &job);
	if (sscanf(line, "stray %u", &cpu) == 1)
		return on_cpu(cpu, do_stray, &job);
	if (sscanf(line, "storm %u", &job.count) == 1)
		return job.count > STORM_MS_MAX ? -ERANGE : do_storm(&job);
	if (!strcmp(line, "leave")) {
		leave = true;
		return 0;
	}
	if (!strcmp(line, "later")) {
		later = true;
		return 0;
	}
	return attack(line);
}

static ssize_t do_write(struct file *file, const char __user *buf, size_t count,
			loff_t *pos)
{
	return command_write(buf, count, &lock, command);
}

static const struct file_operations do_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.write = do_write,
};

static int block_node(const struct block *block)
{
	return page_to_nid(is_vmalloc_addr(block->p) ? vmalloc_to_page(block->p) :
						       virt_to_page(block->p));
}

static int held_show(struct seq_file *seq, void *v)
{
	u64 requested = 0, usable = 0;
	u32 i, n;
	int nid;

	mutex_lock(&lock);
	for (i = 0; i < nr_held; i++) {
		requested += held[i].size;
		usable += pysize(held[i].p);
	}
	seq_printf(seq, "blocks %u\nrequested %llu\nusable %llu\n", nr_held,
		   requested, usable);
	for_each_online_node(nid) {
		for (i = n = 0; i < nr_held; i++)
			n += block_node(&held[i]) == nid;
		seq_printf(seq, "node%d %u\n", nid, n);
	}
	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(held);

static int __init test_pyalloc_init(void)
{
	held = kvcalloc(HELD_MAX, sizeof(*held), GFP_KERNEL);
	if (!held)
		return -ENOMEM;

	debugfs = debugfs_create_dir("test_pyalloc", NULL);
	debugfs_create_file("do", 0200, debugfs, NULL, &do_fops);
	debugfs_create_file("held", 0400, debugfs, NULL, &held_fops);
	debugfs_create_file("storm", 0400, debugfs, NULL, &storm_fops);
	return 0;
}
module_init(test_pyalloc_init);

/*
 * The blocks have room for it. Some in the other way there is, but not many: who makes
 * objects for them is slower than grace periods are. All others are given by one RCU reader,
 * so that no grace period ends meanwhile: or the worker that frees them would have done so
 * before this module is gone, where it is faster than they are given.
 */
static void free_later(void)
{
	struct { struct rcu_head rcu; } *p;
	u32 i;

	for (i = 0; i < nr_held; i += 64) {
		pyfree_rcu_mightsleep(held[i].p);
		cond_resched();
	}
	rcu_read_lock();
	for (i = 0; i < nr_held; i++) {
		p = (void *)held[i].p;
		if (i % 64)
			pyfree_rcu(p, rcu);
	}
	rcu_read_unlock();
	nr_held = 0;
}

static void __exit test_pyalloc_exit(void)
{
	struct job job = {};

	debugfs_remove(debugfs);
	hog_stop();
	mend();
	if (later)
		free_later();
	job.count = nr_held;
	if (!leave && do_free(&job))
		pr_err("memory did not keep what was written into it\n");
	kvfree(held);
}
module_exit(test_pyalloc_exit);

MODULE_DESCRIPTION("Uses pyalloc on command, for the selftests");
MODULE_LICENSE("GPL");
PY_IMPORT_NS(PYALLOC_INTERNAL);
