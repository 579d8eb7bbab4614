// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: everything at once, by chance, against a model.
 *
 *   insmod stress_pyalloc.ko [seconds=10] [seed=0] [threads=0] [ops=0] [slots=0]
 *
 * returns when it is over: with 0, or with EIO if anything was wrong, which
 * the log then names. Each thread is four actors that may interrupt each
 * other: the thread itself, which moves between CPUs, an hrtimer, a tasklet
 * and an irq_work. An actor has one item in hand. It exchanges the item with
 * that of a slot of the table that all share, and does something to what it
 * got: so most memory is freed on another CPU and in another context than it
 * was allocated in.
 *
 * An item knows its memory, what was asked for and what was written into it.
 * That is the model: contents, alignment, size and zeroing are compared at
 * every step, the number of blocks of each class whenever the threads rest.
 * Meanwhile the heap is walked: every byte of it must be accounted for.
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
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include <pyalloc.h>
#include <pyalloc_internal.h>

#define SIZE_MAX_ASKED	1100U
#define COMPLAINTS	10	/* more say nothing new */
#define ROUND_MS	1000U
#define WATCH_MS	50U	/* between two walks */
#define SETTLE_MS	3000U	/* a second, and what a busy machine adds */
#define BURST		64U	/* steps without a pause */
#define MOVE_STEPS	1024U	/* between two moves to another CPU */
#define TIDE_STEPS	8192U	/* the table fills, empties, fills, ... */

static unsigned long long seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "What all chance comes from, 0: the kernel's randomness (0)");

static unsigned int seconds = 10;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "How long, 0: until every thread did its steps (10)");

static unsigned int threads;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "How many, 0: two for each CPU (0)");

static unsigned long ops;
module_param(ops, ulong, 0444);
MODULE_PARM_DESC(ops, "Steps of each thread, 0: until the time is over (0)");

static unsigned int slots;
module_param(slots, uint, 0444);
MODULE_PARM_DESC(slots, "In the table, 0: 2000 for each thread (0)");

struct item {
	void *p;
	u64 fill;		/* what the pattern is made of */
	u32 size;		/* asked for, and changed to */
	u8 class;		/* if pooled */
	bool pooled;		/* pyalloc's, not kmalloc()'s */
	bool zeroed;		/* what is behind size is zero */
};

enum context { IN_TASK, IN_SOFTIRQ, IN_TIMER, IN_IRQ_WORK, NR_CONTEXTS };

static const char * const context_name[NR_CONTEXTS] = {
	[IN_TASK] = "task",
	[IN_SOFTIRQ] = "tasklet",
	[IN_TIMER] = "hrtimer",
	[IN_IRQ_WORK] = "irq_work",
};

enum op { ALLOC, ZALLOC, CALLOC, CONSTANT, FOREIGN, REALLOC, FREE, WIPE, KEEP,
	  REFUSED, NR_OPS };

static const char * const op_name[NR_OPS] = {
	[ALLOC] = "alloc", [ZALLOC] = "zalloc", [CALLOC] = "calloc",
	[CONSTANT] = "constant", [FOREIGN] = "kmalloc", [REALLOC] = "realloc",
	[FREE] = "free", [WIPE] = "sensitive", [KEEP] = "kept",
	[REFUSED] = "refused",
};

struct actor {
	unsigned int thread;
	enum context context;
	struct rnd_state rnd;
	struct item *hand;
	u64 steps;
	u64 op[NR_OPS];
};

struct member {
	struct task_struct *task;
	struct hrtimer timer;
	struct tasklet_struct tasklet;
	struct irq_work work;
	struct actor actor[NR_CONTEXTS];
};

static struct member *members;
static struct item *items;
static unsigned int nr_items;
static struct item **table;
static struct pyheap_stats *stats;
static atomic_t wrong;		/* complaints */
static atomic_t finished;	/* threads that did all their steps */

static void complain(const struct actor *a, const struct item *item,
		     const char *what)
{
	if (atomic_inc_return(&wrong) > COMPLAINTS)
		return;
	pr_err("%s: thread %u %s step %llu: size %u, %s class %u, %s\n", what,
	       a->thread, context_name[a->context], a->steps, item->size,
	       item->pooled ? "pooled" : "kmalloc", item->class,
	       item->zeroed ? "zeroed" : "not zeroed");
}

static u32 chance(struct actor *a, u32 below)
{
	return prandom_u32_state(&a->rnd) % below;
}

/*
 * Contents
 */

static u64 pattern(u64 fill, size_t i)
{
	return (fill + i) * 0x9e3779b97f4a7c15;
}

static void put_pattern(void *p, size_t size, u64 fill)
{
	u64 last = pattern(fill, size / 8);
	size_t i;

	for (i = 0; i < size / 8; i++)
		((u64 *)p)[i] = pattern(fill, i);
	for (i = 0; i < size % 8; i++)
		((u8 *)p)[size - size % 8 + i] = last >> 8 * i;
}

static bool has_pattern(const void *p, size_t size, u64 fill)
{
	u64 last = pattern(fill, size / 8);
	size_t i;

	for (i = 0; i < size / 8; i++)
		if (((const u64 *)p)[i] != pattern(fill, i))
			return false;
	for (i = 0; i < size % 8; i++)
		if (((const u8 *)p)[size - size % 8 + i] != (u8)(last >> 8 * i))
			return false;
	return true;
}

/* All of a pool's block, where KASAN does not watch what lies behind @size. */
static size_t item_usable(const struct item *item)
{
	return item->pooled && !IS_ENABLED(CONFIG_KASAN) ?
		py_class_size(item->class) : item->size;
}

static void item_fill(struct actor *a, struct item *item)
{
	item->fill = (u64)prandom_u32_state(&a->rnd) << 32 | a->thread;
	put_pattern(item->p, item->zeroed ? item->size : item_usable(item),
		    item->fill);
}

static void item_check(struct actor *a, const struct item *item)
{
	size_t usable = item_usable(item);

	if (ZERO_OR_NULL_PTR(item->p)) {
		if (item->size || pysize(item->p))
			complain(a, item, "not the memory of size 0");
		return;
	}
	if (item->pooled ? pysize(item->p) != py_class_size(item->class) :
			   pysize(item->p) < item->size)
		complain(a, item, "pysize() is wrong");
	if (!has_pattern(item->p, item->zeroed ? item->size : usable,
			 item->fill))
		complain(a, item, "the contents are damaged");
	if (item->zeroed && item->pooled &&
	    memchr_inv(item->p + item->size, 0, usable - item->size))
		complain(a, item, "something was written behind the contents");
}

/* What @item is now that it has memory that was never its before. */
static void item_new(struct actor *a, struct item *item, u32 size)
{
	item->size = size;
	item->pooled = false;
	if (ZERO_OR_NULL_PTR(item->p))
		return;
	/* The pages of an arena belong to no slab. */
	item->pooled = is_vmalloc_addr(item->p) ||
		       !PageSlab(virt_to_head_page(item->p));
	item->class = PYALLOC_CLASS(size);
	if ((unsigned long)item->p & (PYALLOC_ALIGN - 1) ||
	    (item->pooled && (unsigned long)item->p & ((size & -size) - 1)))
		complain(a, item, "not aligned");
	if (item->pooled && size > PYALLOC_MAX)
		complain(a, item, "too large for a pool");
}

/*
 * Steps
 */

/* Small ones mostly, as objects are. */
static u32 pick_size(struct actor *a)
{
	switch (chance(a, 16)) {
	case 0:
		return chance(a, SIZE_MAX_ASKED + 1);
	case 1:
		return 8 * chance(a, PYALLOC_NR_CLASSES + 1);
	case 2 ... 5:
		return 1 + chance(a, PYALLOC_MAX);
	case 6 ... 8:
		/* The tide's own: its pools become full, and empty. */
		return 1 + (pattern(seed, a->steps / TIDE_STEPS) >> 32) %
			   PYALLOC_MAX;
	default:
		return 1 + chance(a, 64);
	}
}

/* How an operation is done: as a driver, a handler, or reclaim would. */
struct manner {
	gfp_t gfp;
	bool irqs_off;
	bool reserve;
	bool must;		/* too small to fail */
	unsigned long flags;
	unsigned int memalloc;
};

static void manner_begin(struct actor *a, struct manner *m)
{
	u32 r = chance(a, 32);

	*m = (struct manner){ .gfp = GFP_ATOMIC | __GFP_NOWARN };
	if (a->context == IN_TASK) {
		m->irqs_off = r == 0 && !IS_ENABLED(CONFIG_PREEMPT_RT);
		m->reserve = r == 1;
		if (r == 2)
			m->gfp = GFP_NOWAIT | __GFP_NOWARN;
		else if (r == 3)
			m->gfp = GFP_KERNEL_ACCOUNT;
		else if (r > 4)
			m->gfp = GFP_KERNEL;
		m->must = r > 4;
	}
	if (m->irqs_off)
		local_irq_save(m->flags);
	if (m->reserve)
		m->memalloc = memalloc_noreclaim_save();
}

static void manner_end(struct manner *m)
{
	if (m->reserve)
		memalloc_noreclaim_restore(m->memalloc);
	if (m->irqs_off)
		local_irq_restore(m->flags);
}

/* Sizes that are known when this is compiled. */
static void *alloc_constant(u32 *size, u32 which, gfp_t gfp)
{
	switch (which) {
	case 0:
		*size = 8;
		return pyalloc(8, gfp);
	case 1:
		*size = 40;
		return pyalloc(40, gfp);
	case 2:
		*size = 64;
		return pyalloc(64, gfp);
	case 3:
		*size = 192;
		return pyalloc(192, gfp);
	case 4:
		*size = 512;
		return pyzalloc(512, gfp);
	default:
		*size = 513;
		return pyalloc(513, gfp);
	}
}

static enum op pick_alloc(struct actor *a)
{
	switch (chance(a, 32)) {
	case 0 ... 3:
		return ZALLOC;
	case 4 ... 5:
		return CALLOC;
	case 6 ... 8:
		return CONSTANT;
	case 9:
		return FOREIGN;
	case 10 ... 11:
		return REALLOC;
	default:
		return ALLOC;
	}
}

static void step_alloc(struct actor *a, struct item *item)
{
	enum op op = pick_alloc(a);
	u32 size = pick_size(a), which = chance(a, 6), n = 1 + chance(a, 4);
	struct manner m;

	if (op == CALLOC)
		size -= size % n;
	item->zeroed = op == ZALLOC || op == CALLOC;
	manner_begin(a, &m);
	switch (op) {
	case ZALLOC:
		item->p = pyzalloc(size, m.gfp);
		break;
	case CALLOC:
		item->p = pycalloc(n, size / n, m.gfp);
		break;
	case CONSTANT:
		item->p = alloc_constant(&size, which, m.gfp);
		break;
	case FOREIGN:
		item->p = kmalloc(size, m.gfp);
		break;
	case REALLOC:
		item->p = pyrealloc(NULL, size, m.gfp);
		break;
	default:
		item->p = pyalloc(size, m.gfp);
	}
	manner_end(&m);
	/* The compiler knows the size asked for; all of a block is used here. */
	OPTIMIZER_HIDE_VAR(item->p);

	if (!item->p) {
		a->op[REFUSED]++;
		if (m.must)
			complain(a, item, "no memory");
		return;
	}
	a->op[op]++;
	item_new(a, item, size);
	if (ZERO_OR_NULL_PTR(item->p) != !size)
		complain(a, item, "not what size 0 gives");
	if (!size)
		return;
	if (item->pooled && op == FOREIGN)
		complain(a, item, "kmalloc() has memory of an arena");
	if (item->zeroed && memchr_inv(item->p, 0, item_usable(item)))
		complain(a, item, "not zeroed");
	item_fill(a, item);
}

static void step_realloc(struct actor *a, struct item *item)
{
	struct item old = *item;
	u32 size = pick_size(a);
	bool fits, stays, ours = old.pooled || ZERO_OR_NULL_PTR(old.p);
	struct manner m;
	void *p;

	manner_begin(a, &m);
	p = pyrealloc(item->p, size, m.gfp | (old.zeroed ? __GFP_ZERO : 0));
	manner_end(&m);
	if (!p) {
		a->op[REFUSED]++;
		if (m.must)
			complain(a, item, "no memory");
		item_check(a, item);
		return;
	}
	a->op[REALLOC]++;

	fits = old.pooled && size && size <= py_class_size(old.class);
	stays = p == old.p;
	if (old.pooled && fits != stays)
		complain(a, item, fits ? "moved though it fits" :
					 "not moved though it does not fit");
	item->p = p;
	if (fits)
		item->size = size;
	else
		item_new(a, item, size);
	if (!size)
		return;
	if (!has_pattern(p, min(size, old.size), old.fill))
		complain(a, item, "not the contents it had");
	if (old.zeroed && ours && size > old.size &&
	    memchr_inv(p + old.size, 0, size - old.size))
		complain(a, item, "what was added is not zero");
	if (!ours)
		item->zeroed = false;
	item_fill(a, item);
}

static void step_free(struct actor *a, struct item *item)
{
	bool wipe = !chance(a, 16);
	struct manner m;
	void *p = item->p;

	a->op[wipe ? WIPE : FREE]++;
	item->p = NULL;
	manner_begin(a, &m);
	if (wipe)
		pyfree_sensitive(p);
	else
		pyfree(p);
	manner_end(&m);
}

static void step(struct actor *a)
{
	bool ebb = a->steps++ / TIDE_STEPS & 1;
	u32 slot = chance(a, slots), r = chance(a, 16);
	struct item *item = xchg(&table[slot], a->hand);

	a->hand = item;
	if (!item->p) {
		if (!ebb || r < 4)
			step_alloc(a, item);
		return;
	}
	item_check(a, item);
	if (r < (ebb ? 12 : 4))
		step_free(a, item);
	else if (r < 14)
		step_realloc(a, item);
	else
		a->op[KEEP]++;
}

/*
 * Actors
 */

static void act_softirq(struct tasklet_struct *tasklet)
{
	struct member *m = container_of(tasklet, struct member, tasklet);

	step(&m->actor[IN_SOFTIRQ]);
	step(&m->actor[IN_SOFTIRQ]);
}

static enum hrtimer_restart act_timer(struct hrtimer *timer)
{
	struct member *m = container_of(timer, struct member, timer);

	step(&m->actor[IN_TIMER]);
	tasklet_schedule(&m->tasklet);
	return HRTIMER_NORESTART;
}

static void act_irq_work(struct irq_work *work)
{
	step(&container_of(work, struct member, work)->actor[IN_IRQ_WORK]);
}

/* On PREEMPT_RT kmalloc() is not legal in hardirq, so neither is pyalloc(). */
#define TIMER_MODE	(IS_ENABLED(CONFIG_PREEMPT_RT) ? \
			 HRTIMER_MODE_REL_PINNED_SOFT : \
			 HRTIMER_MODE_REL_PINNED_HARD)

static void move_somewhere(struct actor *a)
{
	unsigned int n = chance(a, nr_cpu_ids);
	unsigned int cpu = cpumask_next(n, cpu_online_mask);

	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	/* The CPU may be gone by now: then not this time. */
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

static void act_task(struct member *m)
{
	struct actor *a = &m->actor[IN_TASK];
	unsigned int i;

	for (i = 0; i < BURST; i++) {
		step(a);
		if (a->steps % 8 == 0)
			irq_work_queue(&m->work);
		if (a->steps % 16 == 0 && !hrtimer_active(&m->timer))
			hrtimer_start(&m->timer,
				      ns_to_ktime(1000 + chance(a, 50000)),
				      TIMER_MODE);
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
	irq_work_sync(&m->work);
	tasklet_kill(&m->tasklet);
	return 0;
}

/*
 * The heap, compared with the items
 */

static void stats_wrong(const char *what, u64 is, u64 should)
{
	if (atomic_inc_return(&wrong) <= COMPLAINTS)
		pr_err("%s: %llu, not %llu\n", what, is, should);
}

static void walk_checked(void)
{
	pyheap_walk(pyheap_default(), stats);
	if (pyheap_stats_total(stats) != stats->arenas * PY_ARENA_SIZE)
		stats_wrong("bytes of the arenas", pyheap_stats_total(stats),
			    stats->arenas * PY_ARENA_SIZE);
	if (stats->event[PY_EV_BUSY_IN_TASK])
		stats_wrong("busy found in a task",
			    stats->event[PY_EV_BUSY_IN_TASK], 0);
	if (stats->event[PY_EV_BAD_FREE])
		stats_wrong("frees refused", stats->event[PY_EV_BAD_FREE], 0);
	if (stats->corrupt)
		stats_wrong("free lists found corrupt", stats->corrupt, 0);
}

/* Says the first class of which there are not as many blocks as items. */
static int class_that_differs(u64 *is, u64 *should)
{
	u32 count[PYALLOC_NR_CLASSES] = {};
	unsigned int i;

	for (i = 0; i < nr_items; i++)
		if (items[i].p && items[i].pooled)
			count[items[i].class]++;
	for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
		*is = stats->class[i].handed_out;
		*should = count[i];
		if (*is != *should)
			return i;
	}
	return -1;
}

static void nothing(void *arg)
{
}

static long is_busy(void *arg)
{
	return !pyalloc_test_busy(nothing, NULL);
}

static void no_cpu_busy(void)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu)
		if (work_on_cpu(cpu, is_busy, NULL))
			stats_wrong("busy at rest on a CPU", cpu, 0);
	cpus_read_unlock();
}

/*
 * Nobody allocates or frees now: what is on its way must arrive by itself, or
 * with @trim.
 */
static void settle(bool trim)
{
	unsigned long end = jiffies + msecs_to_jiffies(SETTLE_MS), begun;
	u64 is, should;
	int class;

	if (trim)
		pyalloc_trim();
	for (;;) {
		/* A walk may take seconds itself, and sees what moves in two places or none. */
		begun = jiffies;
		walk_checked();
		class = class_that_differs(&is, &should);
		if (class < 0)
			break;
		if (time_after(begun, end)) {
			stats_wrong("blocks of some class", is, should);
			pr_err("that is the class of %u bytes, %llu of them in transit\n",
			       py_class_size(class),
			       stats->class[class].transit);
			break;
		}
		msleep(20);
	}
	no_cpu_busy();
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
	return 0;
}

static void round_stop(void)
{
	unsigned int i;

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
		walk_checked();
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
		pyfree(items[i].p);
		items[i].p = NULL;
		cond_resched();
	}
	settle(false);
	end = jiffies + msecs_to_jiffies(SETTLE_MS);
	do {
		pyalloc_trim();
		walk_checked();
	} while (stats->arenas && time_before(jiffies, end));
	if (stats->arenas)
		stats_wrong("arenas left", stats->arenas, 0);
}

/*
 * The beginning and the end
 */

static void member_init(struct member *m, unsigned int thread, struct item *hands)
{
	unsigned int i;

	for (i = 0; i < NR_CONTEXTS; i++) {
		m->actor[i].thread = thread;
		m->actor[i].context = i;
		m->actor[i].hand = hands + i;
		prandom_seed_state(&m->actor[i].rnd,
				   seed + (thread * NR_CONTEXTS + i) *
					  0x9e3779b97f4a7c15);
	}
	py_hrtimer_setup(&m->timer, act_timer, CLOCK_MONOTONIC, TIMER_MODE);
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
	nr_items = slots + NR_CONTEXTS * threads;

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
	u64 steps[NR_CONTEXTS] = {}, op[NR_OPS] = {}, all = 0, nested = 0;
	unsigned int i, j, k;

	for (i = 0; i < threads; i++) {
		for (j = 0; j < NR_CONTEXTS; j++) {
			steps[j] += members[i].actor[j].steps;
			for (k = 0; k < NR_OPS; k++)
				op[k] += members[i].actor[j].op[k];
		}
	}
	for (k = 0; k < KEEP; k++)
		all += op[k];
	for (i = 0; i < PY_NR_SIZES; i++)
		nested += stats->fall[PY_FALL_NESTED][i];
	pr_info("%s: %llu operations in %u s, seed %llu, %u threads, %u slots\n",
		atomic_read(&wrong) ? "FAILED" : "passed", all, took, seed,
		threads, slots);
	for (i = 0; i < NR_CONTEXTS; i++)
		pr_info("steps in %s: %llu\n", context_name[i], steps[i]);
	for (i = 0; i < NR_OPS; i++)
		pr_info("%s: %llu\n", op_name[i], op[i]);
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
