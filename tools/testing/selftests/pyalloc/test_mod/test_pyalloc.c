// SPDX-License-Identifier: GPL-2.0
/*
 * test_pyalloc: uses pyalloc on command, for the selftests.
 *
 * One command a write to /sys/kernel/debug/test_pyalloc/do:
 *
 *   alloc CPU SIZE COUNT   allocate on that CPU, and hold
 *   free CPU COUNT         free the youngest COUNT of them on that CPU
 *   thin CPU N             free all but every Nth there
 *   foreign SIZE COUNT     give kmalloc()'s memory to pyfree()
 *   twice CPU              free the youngest there, twice: a bug
 *   header CPU             free the arena's own page there: a bug
 *   storm MS               allocate and free in task, softirq and hardirq at
 *                          once, on all CPUs
 *   leave                  do not free on unload what is held then
 *
 * The write fails with EIO if memory did not keep what was written into it.
 * "held" tells what is held, "storm" what the last storm did.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#include <pyalloc.h>

#define ARENA_SIZE	262144UL
#define HELD_MAX	262144U		/* blocks */
#define STORM_MS_MAX	60000U
#define STORM_SIZE_MAX	600U		/* some above PYALLOC_MAX */
#define STORM_BURST	16		/* steps without a pause */
#define NR_SHELF	64U

struct block {
	u8 *p;
	u32 size;
	u8 fill;
};

static DEFINE_MUTEX(lock);	/* one command at a time */
static struct block *held;	/* HELD_MAX of them, nr_held in use */
static u32 nr_held;
static bool leave;
static struct dentry *debugfs;

static bool block_fill(struct block *block, u32 size, gfp_t gfp)
{
	block->p = pyalloc(size, gfp);
	if (!block->p)
		return false;
	block->size = size;
	block->fill = get_random_u32();
	memset(block->p, block->fill, size);
	return true;
}

/* Free a block. Return: whether it still holds what was written into it. */
static bool block_free(struct block *block)
{
	bool ok = !memchr_inv(block->p, block->fill, block->size);

	pyfree(block->p);
	block->p = NULL;
	return ok;
}

/*
 * Blocks that are held
 */

struct job {
	u32 size;
	u32 count;
};

static long do_alloc(void *arg)
{
	struct job *job = arg;

	for (; job->count; job->count--, nr_held++) {
		if (!block_fill(&held[nr_held], job->size, GFP_KERNEL))
			return -ENOMEM;
		cond_resched();
	}
	return 0;
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
	pyfree((void *)((unsigned long)held[nr_held - 1].p & -ARENA_SIZE));
	return 0;
}

static long on_cpu(u32 cpu, long (*fn)(void *arg), struct job *job)
{
	long err = -ENODEV;

	cpus_read_lock();
	if (cpu < nr_cpu_ids && cpu_online(cpu))
		err = work_on_cpu(cpu, fn, job);
	cpus_read_unlock();
	return err;
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
	if (in_hardirq())
		storm_steps(s, IN_HARDIRQ);
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
 * Commands
 */

static long command(const char *line)
{
	struct job job = {};
	u32 cpu;

	if (sscanf(line, "alloc %u %u %u", &cpu, &job.size, &job.count) == 3)
		return job.count > HELD_MAX - nr_held ? -ENOSPC :
			on_cpu(cpu, do_alloc, &job);
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
	if (sscanf(line, "storm %u", &job.count) == 1)
		return job.count > STORM_MS_MAX ? -ERANGE : do_storm(&job);
	if (!strcmp(line, "leave")) {
		leave = true;
		return 0;
	}
	return -EINVAL;
}

static ssize_t do_write(struct file *file, const char __user *buf, size_t count,
			loff_t *pos)
{
	char line[64];
	long err;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	line[count] = '\0';

	mutex_lock(&lock);
	err = command(strim(line));
	mutex_unlock(&lock);
	return err ?: count;
}

static const struct file_operations do_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.write = do_write,
};

static int held_show(struct seq_file *seq, void *v)
{
	u64 requested = 0, usable = 0;
	u32 i;

	mutex_lock(&lock);
	for (i = 0; i < nr_held; i++) {
		requested += held[i].size;
		usable += pysize(held[i].p);
	}
	seq_printf(seq, "blocks %u\nrequested %llu\nusable %llu\n", nr_held,
		   requested, usable);
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

static void __exit test_pyalloc_exit(void)
{
	struct job job = { .count = nr_held };

	debugfs_remove(debugfs);
	if (!leave && do_free(&job))
		pr_err("memory did not keep what was written into it\n");
	kvfree(held);
}
module_exit(test_pyalloc_exit);

MODULE_DESCRIPTION("Uses pyalloc on command, for the selftests");
MODULE_LICENSE("GPL");
