/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: what moves what does not move by itself. Visits to the CPUs, the reaper
 * that makes them, trim, the shrinker, and CPUs that go away.
 *
 * A part of pyalloc.c, and included there alone; see pyalloc_debugfs.h.
 */

/* ---- Visits to the CPUs ---------------------------------------------------- */

#define PY_VISIT_FLUSH	BIT(0)	/* the outbox */
#define PY_VISIT_DRAIN	BIT(1)	/* the inbox */
#define PY_VISIT_AGE	BIT(2)	/* current and spare pools not used meanwhile */
#define PY_VISIT_ALL	BIT(3)	/* current and spare pools, used or not */

/* Batches of the outbox and of the inbox that one visit handles. */
#define PY_VISIT_BATCHES	4

/* How long a visit of all CPUs waits for one that does not answer. */
#define PY_VISIT_WAIT		(HZ / 5)

/* Is there anything on this CPU that such a visit would move? */
static bool cpu_pending(const struct py_cpu *c, u8 what)
{
	return ((what & PY_VISIT_FLUSH) && outbox_any(c)) ||
	       ((what & PY_VISIT_DRAIN) && inbox_any(c)) ||
	       ((what & PY_VISIT_AGE) && READ_ONCE(c->dirty));
}

/* Demotes what did not change since the last visit. Returns what is left. */
static bool visit_heap(struct py_cpu *c, struct pyheap *heap, bool all)
{
	struct pyheap_cpu *hc = this_cpu_ptr(heap->cpu);
	u64 rest;

	for (rest = hc->installed; rest; rest &= rest - 1) {
		unsigned int class = __ffs64(rest);
		struct py_pool *pool = hc->cur[class];

		if (all || pool->left == pool->seen)
			pool_demote(c, hc, class);
		else
			pool->seen = pool->left;
	}
	if (all || hc->spare_idle) {
		while (!list_empty(&hc->spare)) {
			struct py_pool *pool = list_first_entry(&hc->spare,
								struct py_pool,
								list);

			list_del(&pool->list);
			hc->nr_spare--;
			pool_to_unused(pool);
		}
	}
	hc->spare_idle = true;
	return hc->installed || hc->nr_spare;
}

/* On the visited CPU, interrupts off. */
static void visit_here(u8 what)
{
	struct py_cpu *c = this_cpu_ptr(&py_cpu);
	struct pyheap *heap;
	unsigned int i;
	bool more, left = false;

	if (!busy_trylock(c)) {
		WRITE_ONCE(c->visit_again, 1);
		return;
	}
	c->visiting = 1;
	if (what & PY_VISIT_FLUSH)
		for (i = 0; outbox_any(c) && i < PY_VISIT_BATCHES; i++)
			outbox_flush(c);
	if (what & PY_VISIT_DRAIN)
		for (i = 0; inbox_any(c) && i < PY_VISIT_BATCHES; i++)
			inbox_drain(c);
	more = cpu_pending(c, what & (PY_VISIT_FLUSH | PY_VISIT_DRAIN));
	if (more)			/* age them once a round: the last time */
		WRITE_ONCE(c->visit_again, 1);
	if (!more && (what & (PY_VISIT_AGE | PY_VISIT_ALL))) {
		for_each_heap(heap)
			left |= visit_heap(c, heap, what & PY_VISIT_ALL);
		WRITE_ONCE(c->dirty, left);
	}
	c->visiting = 0;
	busy_unlock(c);
}

static void visit_ipi(void *arg)
{
	struct py_cpu *c = arg;

	visit_here(c->visit_what);
	/* What it moved is seen by who sees that it is done: visit_cpus(). */
	smp_store_release(&c->visit_pending, 0);
}

/* Puts each pool in the inbox of a CPU that is gone into its owner's. */
static void inbox_forward(struct py_cpu *dead)
{
	struct llist_node *node = llist_del_all(&dead->inbox), *next;
	unsigned int i;

	for (; node; node = next) {
		struct py_arena *arena = inbox_entry(node, &i);

		next = node->next;
		count_event(arena->heap, PY_EV_FORWARD);
		inbox_add(arena, i);
	}
}

/* What is in the inboxes of CPUs that are gone. */
static void inboxes_forward(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (!cpu_online(cpu))
			inbox_forward(&per_cpu(py_cpu, cpu));
}

/*
 * Sends an interrupt to each CPU that has something pending, or to @all, and
 * waits for the answers, though not for ever: a CPU that does not answer is
 * left to the next round. Says if all have, and have done it. Workers on these
 * CPUs would not do: they starve behind SCHED_FIFO and must not run on isolated
 * ones. No hotplug lock: a CPU that goes away refuses or has answered.
 */
static bool visit_cpus(u8 what, bool all)
{
	unsigned long end = jiffies + PY_VISIT_WAIT;
	unsigned int cpu;
	bool waiting;

	lockdep_assert_held(&visit_mutex);
	if (what & PY_VISIT_DRAIN)
		inboxes_forward();
	py_for_each_online_cpu(cpu) {
		struct py_cpu *c = &per_cpu(py_cpu, cpu);

		WRITE_ONCE(c->visit_again, all || cpu_pending(c, what));
	}
	do {
		waiting = false;
		py_for_each_online_cpu(cpu) {
			struct py_cpu *c = &per_cpu(py_cpu, cpu);

			/* The CPU wrote visit_again before. */
			if (smp_load_acquire(&c->visit_pending)) {
				waiting = true;
				continue;
			}
			if (!READ_ONCE(c->visit_again))
				continue;
			WRITE_ONCE(c->visit_again, 0);
			c->visit_what = what;
			WRITE_ONCE(c->visit_pending, 1);
			if (smp_call_function_single_async(cpu, &c->csd))
				WRITE_ONCE(c->visit_pending, 0);
			waiting = true;
		}
		if (waiting)
			usleep_range(20, 100);
	} while (waiting && time_before(jiffies, end));
	return !waiting;
}

/* Both passes: what is in the outboxes fills the inboxes. @how: AGE or ALL. */
static void visit_all(u8 how)
{
	bool all = how & PY_VISIT_ALL;

	rt_mutex_lock(&visit_mutex);
	visit_cpus(PY_VISIT_FLUSH, all);
	visit_cpus(PY_VISIT_DRAIN | how, all);
	rt_mutex_unlock(&visit_mutex);
}

/* Until no CPU has a visit to answer. */
static void visit_wait(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		while (READ_ONCE(per_cpu(py_cpu, cpu).visit_pending))
			usleep_range(20, 100);
}

/* ---- The reaper ------------------------------------------------------------ */

/* With the semaphore; may sleep. */
static unsigned long heaps_collect(void)
{
	struct pyheap *heap;
	unsigned long pages = 0;
	int nid;

	lockdep_assert_held(&heaps_sem);
	for_each_heap(heap)
		for_each_node(nid)
			while (!llist_empty(&heap->node[nid]->back)) {
				pages += node_collect(heap->node[nid]);
				cond_resched();
			}
	return pages;
}

/* The regions, of which each node keeps @nr_keep. As heaps_collect(). */
static unsigned long heaps_tend(unsigned int nr_keep)
{
	struct pyheap *heap;
	unsigned long pages = 0;
	int nid;

	lockdep_assert_held(&heaps_sem);
	for_each_heap(heap)
		for_each_node(nid)
			if (heap_in_regions(heap))
				pages += regions_tend(heap->node[nid], nr_keep);
	return pages;
}

static bool anything_to_collect(void)
{
	struct pyheap *heap;
	bool any = false;
	int nid;

	rcu_read_lock();
	for_each_heap(heap)
		for_each_node(nid)
			any |= !llist_empty(&heap->node[nid]->back) ||
			       region_pending(heap->node[nid]);
	rcu_read_unlock();
	return any;
}

static bool anything_pending(void)
{
	bool any = anything_to_collect();
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		any |= cpu_pending(&per_cpu(py_cpu, cpu), PY_VISIT_FLUSH |
				   PY_VISIT_DRAIN | PY_VISIT_AGE);
	return any;
}

/*
 * No delayed work: on PREEMPT_RT its timer waits for a thread of this CPU, which
 * a task of higher priority may have to itself. This one is an interrupt.
 */
static void reaper_queue(void)
{
	if (!READ_ONCE(py_reaper.closing))
		hrtimer_start(&py_reaper.timer, ms_to_ktime(reap_ms.value),
			      HRTIMER_MODE_REL_HARD);
}

static enum hrtimer_restart reaper_wake(struct hrtimer *timer)
{
	kthread_queue_work(py_reaper.worker, &py_reaper.round);
	return HRTIMER_NORESTART;
}

/* From irq_work: who arms may be in any context, and under any lock. */
static void reaper_kick(struct irq_work *work)
{
	reaper_queue();
}

/* Puts the pools that were handed back into their arenas. May take long. */
static void reaper_collect(struct work_struct *work)
{
	down_read(&heaps_sem);
	heaps_collect();
	heaps_tend(1);
	up_read(&heaps_sem);
}

/* One round. */
static void reaper_round(struct kthread_work *work)
{
	visit_all(PY_VISIT_AGE);
	if (anything_to_collect())
		queue_work(py_reaper.wq, &py_reaper.collect);

	if (!anything_pending()) {
		WRITE_ONCE(py_reaper.armed, 0);
		smp_mb();	/* pairs with reaper_arm() */
		if (!anything_pending() || xchg(&py_reaper.armed, 1))
			return;
	}
	reaper_queue();
}

/*
 * A thread, and one that any SCHED_FIFO task goes before but no other: a worker
 * of a workqueue that is woken on the CPU of a SCHED_FIFO task stays there until
 * the load is balanced. What it does takes microseconds a CPU; collecting, which
 * may take milliseconds, is left to a workqueue.
 */
static int __init reaper_start(void)
{
	py_reaper.kick = IRQ_WORK_INIT_HARD(reaper_kick);
	py_hrtimer_setup(&py_reaper.timer, reaper_wake, CLOCK_MONOTONIC,
			 HRTIMER_MODE_REL_HARD);
	kthread_init_work(&py_reaper.round, reaper_round);
	INIT_WORK(&py_reaper.collect, reaper_collect);
	/* Three: nobody else waits for grace periods. */
	py_reaper.wq = alloc_workqueue("pyalloc", WQ_UNBOUND | WQ_MEM_RECLAIM,
				       3);
	if (!py_reaper.wq)
		return -ENOMEM;
	py_reaper.worker = kthread_run_worker(0, "pyalloc_reaper");
	if (IS_ERR(py_reaper.worker)) {
		destroy_workqueue(py_reaper.wq);
		return PTR_ERR(py_reaper.worker);
	}
	sched_set_fifo_low(py_reaper.worker->task);
	return 0;
}

/*
 * No round is queued any more, and none runs. What ran when "closing" was set
 * may have started the timer, and that has queued a last round, which starts
 * nothing.
 */
static void reaper_stop(void)
{
	WRITE_ONCE(py_reaper.closing, true);
	smp_mb();	/* before a look at whether the kick is queued */
	irq_work_sync(&py_reaper.kick);
	kthread_cancel_work_sync(&py_reaper.round);
	hrtimer_cancel(&py_reaper.timer);
	kthread_cancel_work_sync(&py_reaper.round);
	cancel_work_sync(&py_reaper.collect);
	visit_wait();
}

static void reaper_exit(void)
{
	kthread_destroy_worker(py_reaper.worker);
	destroy_workqueue(py_reaper.wq);
}

/* ---- Trim and the shrinker -------------------------------------------------- */

/*
 * Gives back unused pages, until it is about @most: empty arenas first, then
 * out of those that blocks keep. With the semaphore; may sleep.
 */
static unsigned long heap_give_back(struct pyheap *heap, unsigned long most)
{
	struct py_arena *arena = NULL;
	unsigned long pages = 0;
	int nid;

	for_each_node(nid)
		pages += node_release_kept(heap->node[nid]);
	while (pages < most && (arena = arena_next(heap, arena))) {
		pages += arena_give_back(arena);
		cond_resched();
	}
	if (arena)
		arena_unpin(arena);
	return pages;
}

static unsigned long heaps_give_back(unsigned long most)
{
	unsigned long pages = heaps_collect();
	struct pyheap *heap;

	for_each_heap(heap)
		if (pages < most)
			pages += heap_give_back(heap, most - pages);
	return pages;
}

/**
 * pyalloc_trim() - give all memory back that holds no block
 *
 * Collects what waits on any CPU, releases empty arenas, also the ones kept,
 * and gives back the unused pages of all others.
 *
 * Context: May sleep. Not where memory is being reclaimed.
 * Return: Pages given back.
 */
unsigned long pyalloc_trim(void)
{
	unsigned long pages;

	might_sleep();
	quarantine_empty(NULL, true);
	visit_all(PY_VISIT_ALL);
	down_read(&heaps_sem);
	pages = heaps_give_back(ULONG_MAX);
	pages += heaps_tend(0);
	up_read(&heaps_sem);
	trace_pyalloc_trim(_RET_IP_, pages);
	return pages;
}
EXPORT_SYMBOL_GPL(pyalloc_trim);

static unsigned long shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	struct pyheap *heap;
	unsigned long pages = 0;
	int nid;

	rcu_read_lock();
	for_each_heap(heap)
		for_each_node(nid)
			pages += READ_ONCE(heap->node[nid]->nr_unused);
	rcu_read_unlock();
	return pages ?: SHRINK_EMPTY;
}

/* Never waits: this CPU's part at once, that of others by the reaper. */
static unsigned long shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long pages = 0, flags;

	local_irq_save(flags);
	visit_here(PY_VISIT_FLUSH | PY_VISIT_DRAIN);
	local_irq_restore(flags);
	reaper_arm();
	if (down_read_trylock(&heaps_sem)) {
		pages = heaps_give_back(sc->nr_to_scan);
		up_read(&heaps_sem);
	}
	return pages ?: SHRINK_STOP;
}

/* ---- CPU hotplug ------------------------------------------------------------- */

/* Makes pool @i of @arena, which a dead CPU owned, ours. Under busy. */
static void pool_adopt(struct py_cpu *c, struct py_arena *arena, unsigned int i,
		       struct pyheap_cpu *dead)
{
	struct pyheap_cpu *hc = this_cpu_ptr(arena->heap->cpu);
	struct py_pool *pool = &arena->pool[i];
	unsigned int class = arena->class[i];

	if (pool->state == PY_POOL_USED || pool->state == PY_POOL_SPARE)
		list_del(&pool->list);
	if (pool->state == PY_POOL_SPARE) {
		pool_to_unused(pool);
		return;
	}
	WRITE_ONCE(arena->owner[i], c->id);
	if (pool->state == PY_POOL_CURRENT) {
		dead->cur[class] = &py_no_pool;
		pool_from_current(c, hc, pool, class);
	} else if (pool->state == PY_POOL_USED) {
		list_add_tail(&pool->list, &hc->used[class]);
	}
}

static void heap_adopt(struct pyheap *heap, unsigned int cpu)
{
	struct pyheap_cpu *dead = per_cpu_ptr(heap->cpu, cpu);
	struct py_arena *arena = NULL;
	unsigned int i;

	while ((arena = arena_next(heap, arena))) {
		for (i = 1; i < PY_ARENA_PAGES; i++) {
			struct py_cpu *c;

			if (READ_ONCE(arena->owner[i]) != cpu)
				continue;
			preempt_disable();
			c = this_cpu_ptr(&py_cpu);
			if (!WARN_ON_ONCE(!busy_trylock(c))) {
				pool_adopt(c, arena, i, dead);
				busy_unlock(c);
			}
			preempt_enable();
		}
	}
	dead->installed = 0;
	dead->nr_spare = 0;
}

/* On another CPU, when @cpu no longer runs: its pools and boxes are ours now. */
static int py_cpu_dead(unsigned int cpu)
{
	struct py_cpu *dead = &per_cpu(py_cpu, cpu);
	struct pyheap *heap;
	void *block, *next;
	unsigned int i;

	down_read(&heaps_sem);
	for_each_heap(heap)
		heap_adopt(heap, cpu);

	for (i = 0; i < 2; i++) {
		block = i ? dead->nested : dead->outbox;
		for (; block && outbox_count(dead); block = next) {
			next = get_next(dead, block);
			dead->flushed++;
			preempt_disable();
			outbox_add(this_cpu_ptr(&py_cpu), block);
			preempt_enable();
		}
	}
	dead->outbox = NULL;
	dead->nested = NULL;
	while (dead->inbox_rest) {
		struct llist_node *node = dead->inbox_rest;

		dead->inbox_rest = node->next;
		llist_add(node, &dead->inbox);
	}
	inbox_forward(dead);
	free_later(dead);
	WRITE_ONCE(dead->dirty, 0);
	reaper_arm();
	heaps_collect();
	up_read(&heaps_sem);
	return 0;
}
