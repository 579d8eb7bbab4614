// SPDX-License-Identifier: GPL-2.0
/*
 * What all suites of the tests share: see common.h.
 */
#include "common.h"

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>

/* A CPU was found "busy" for good: from then on there is nothing to be walked. */
static bool py_stuck;

static void py_do_nothing(void *arg)
{
}

static void py_try_busy(void *arg)
{
	*(bool *)arg = pyalloc_test_busy(py_do_nothing, NULL);
}

/*
 * A walk, and an unload, wait for each CPU until it is not "busy": who left it
 * set would make them wait for ever. No section takes as long as a second.
 */
static bool py_busy_is_free(void)
{
	unsigned int cpu, i;

	for_each_online_cpu(cpu) {
		bool got = false;

		for (i = 0; i < PY_ONE_SECOND && !py_stuck; i++) {
			smp_call_function_single(cpu, py_try_busy, &got, 1);
			if (got)
				break;
			usleep_range(1000, 2000);
		}
		py_stuck |= !got;
	}
	return !py_stuck;
}

/* Pools are on their way back, and may release their arena at any moment. */
static bool py_pools_on_the_way(void)
{
	int nid;

	for_each_node(nid)
		if (!llist_empty(&pyheap_default()->node[nid]->back))
			return true;
	return false;
}

/*
 * The walk itself, and what must hold whenever one looks. What the reaper
 * releases between the walk and the ledger is looked for again; but at rest a
 * walk that finds an arena to release, when it lets go of it, finds a bug.
 */
const struct pyheap_stats *py_walk(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	struct pyheap_stats *s = fix->now;
	unsigned int try = 0;
	bool again;

	if (!py_busy_is_free()) {
		KUNIT_FAIL(test, "a CPU stays \"busy\"");
		return s;
	}
	do {
		again = py_pools_on_the_way();
		pyheap_walk(pyheap_default(), s);
	} while (s->arenas != s->arenas_total - s->arenas_reclaimed &&
		 (again || py_transit_all(s)) && ++try < 10);
	KUNIT_EXPECT_EQ(test, pyheap_stats_total(s), s->arenas * PY_ARENA_SIZE);
	KUNIT_EXPECT_EQ(test, s->headers, s->arenas);
	KUNIT_EXPECT_EQ(test, s->corrupt, 0);
	KUNIT_EXPECT_EQ(test, s->arenas, s->arenas_total - s->arenas_reclaimed);
	KUNIT_EXPECT_EQ(test, s->arenas,
			(u64)atomic_long_read(&pyheap_default()->arenas));
	KUNIT_EXPECT_GE(test, s->arenas_highwater, s->arenas);
	return s;
}

u64 py_in_use(const struct pyheap_stats *s, unsigned int class)
{
	return s->class[class].handed_out - s->class[class].transit;
}

u64 py_in_use_all(const struct pyheap_stats *s)
{
	unsigned int class;
	u64 n = 0;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++)
		n += py_in_use(s, class);
	return n;
}

/* Blocks that the reaper moves while one looks may be missed in transit. */
bool py_in_use_is(struct kunit *test, u64 n)
{
	unsigned int try;

	for (try = 0; try < 10; try++)
		if (py_in_use_all(py_walk(test)) == n)
			return true;
	return false;
}

u64 py_transit_all(const struct pyheap_stats *s)
{
	unsigned int class;
	u64 n = 0;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++)
		n += s->class[class].transit;
	return n;
}

/* Pools that have a class. */
u64 py_pools_all(const struct pyheap_stats *s)
{
	unsigned int class;
	u64 n = 0;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++)
		n += s->class[class].pools;
	return n;
}

/* Events since the test began. */
u64 py_events(struct kunit *test, enum py_event event)
{
	struct py_fixture *fix = test->priv;

	return py_walk(test)->event[event] - fix->before->event[event];
}

/* Requests that went to kmalloc() for @reason since the test began. */
u64 py_falls(struct kunit *test, enum py_reason reason)
{
	struct py_fixture *fix = test->priv;
	const struct pyheap_stats *s = py_walk(test);
	unsigned int i;
	u64 n = 0;

	for (i = 0; i < PY_NR_SIZES; i++)
		n += s->fall[reason][i] - fix->before->fall[reason][i];
	return n;
}

u64 py_falls_all(struct kunit *test)
{
	enum py_reason reason;
	u64 n = 0;

	for (reason = 0; reason < PY_NR_REASONS; reason++)
		n += py_falls(test, reason);
	return n;
}

int py_test_init(struct kunit *test)
{
	struct py_fixture *fix;

	fix = kunit_kzalloc(test, sizeof(*fix), GFP_KERNEL);
	if (!fix)
		return -ENOMEM;
	fix->before = kunit_kzalloc(test, sizeof(*fix->before), GFP_KERNEL);
	fix->now = kunit_kzalloc(test, sizeof(*fix->now), GFP_KERNEL);
	if (!fix->before || !fix->now)
		return -ENOMEM;
	fix->shuffle = py_shuffle.value;
	test->priv = fix;
	if (!py_busy_is_free())
		return -EBUSY;

	/* Each test runs in a thread of its own, so this need not be undone. */
	py_move_to(cpumask_first(cpu_online_mask));
	pyalloc_trim();
	*fix->before = *py_walk(test);
	KUNIT_EXPECT_EQ_MSG(test, py_in_use_all(fix->before), 0,
			    "an earlier test left blocks");
	KUNIT_EXPECT_EQ(test, fix->before->arenas, 0);
	return 0;
}

void py_test_exit(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	const struct pyheap_stats *s;

	if (!fix)
		return;
	py_shuffle.value = fix->shuffle;
	pyalloc_trim();
	s = py_walk(test);
	KUNIT_EXPECT_EQ_MSG(test, py_in_use_all(s), 0, "the test left blocks");
	KUNIT_EXPECT_EQ(test, py_transit_all(s), 0);
	KUNIT_EXPECT_EQ(test, s->arenas, 0);
	KUNIT_EXPECT_EQ_MSG(test, py_events(test, PY_EV_BUSY_IN_TASK),
			    fix->busy_in_task, "task context met \"busy\"");
}

/* pyalloc() of a size that the compiler does not know, nor the result's. */
noinline void *py_get(size_t size, gfp_t gfp)
{
	OPTIMIZER_HIDE_VAR(size);
	return pyalloc(size, gfp);
}

/* @n blocks of @size bytes, in the order in which they came. */
void **py_get_many(struct kunit *test, unsigned int n, size_t size)
{
	void **block = kunit_kcalloc(test, n, sizeof(*block), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, block);
	for (i = 0; i < n; i++)
		block[i] = py_get(size, GFP_KERNEL);
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_NOT_NULL(test, block[i]);
	return block;
}

void py_put_many(void **block, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		pyfree(block[i]);
		block[i] = NULL;
	}
}

/*
 * Is @p a block of the default heap? By its list of arenas, not by its map. A
 * page that was given back may serve kmalloc() by now.
 */
bool py_is_pooled(const void *p)
{
	struct pyheap *heap = pyheap_default();
	struct pyheap_node *node;
	struct py_arena *arena;
	unsigned long flags;
	bool found = false;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		node = heap->node[nid];
		if (!node)
			continue;
		spin_lock_irqsave(&node->lock, flags);
		list_for_each_entry(arena, &node->arenas, all)
			found |= arena == py_arena_of(p) &&
				 py_class_of(p) < PYALLOC_NR_CLASSES;
		spin_unlock_irqrestore(&node->lock, flags);
	}
	return found;
}

struct py_pool *py_pool_of(const void *p)
{
	return &py_arena_of(p)->pool[py_index_of(p)];
}

unsigned int py_class_of(const void *p)
{
	return py_arena_of(p)->class[py_index_of(p)];
}

/* The link of a freed block, as it is stored. KASAN need not know. */
unsigned long py_freed_link(const void *p)
{
	return READ_ONCE_NOCHECK(*(const unsigned long *)p);
}

/* Are all words of a freed block but the link @word? */
bool py_freed_holds(const void *p, size_t size, unsigned long word)
{
	const unsigned long *at = p;
	size_t i;

	for (i = 1; i < size / sizeof(*at); i++)
		if (READ_ONCE_NOCHECK(at[i]) != word)
			return false;
	return true;
}

/* Word @i of the contents that belong to @seed. */
static u64 py_word(u64 seed, size_t i)
{
	return (seed + i) * 0x9e3779b97f4a7c15ULL;
}

/* Fill the whole words of a block with what @seed stands for. */
void py_fill(void *p, size_t size, u64 seed)
{
	u64 *word = p;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = py_word(seed, i);
}

/* Do they still hold it? */
bool py_holds(const void *p, size_t size, u64 seed)
{
	const u64 *word = p;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		if (word[i] != py_word(seed, i))
			return false;
	return true;
}

/* A CPU that is not this one; skips the test where there is none. */
unsigned int py_other_cpu(struct kunit *test)
{
	unsigned int cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());

	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs a second CPU");
	return cpu;
}

/* Go on, and stay, on @cpu. */
void py_move_to(unsigned int cpu)
{
	WARN_ON(set_cpus_allowed_ptr(current, cpumask_of(cpu)));
}

static int py_worker_run(void *data)
{
	struct py_worker *w = data;

	w->fn(w->arg);
	complete(&w->done);

	/* kthread_stop() needs the thread to be there still. */
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Do not assert between here and py_worker_finish(): @w must outlive it. */
bool py_worker_start(struct py_worker *w, unsigned int cpu,
		     void (*fn)(void *arg), void *arg)
{
	w->fn = fn;
	w->arg = arg;
	init_completion(&w->done);
	w->task = kthread_create(py_worker_run, w, "pyalloc_kunit/%u", cpu);
	if (IS_ERR(w->task))
		return false;
	kthread_bind(w->task, cpu);
	wake_up_process(w->task);
	return true;
}

/* Wait until the worker's function has returned. */
void py_worker_finish(struct py_worker *w)
{
	wait_for_completion(&w->done);
	kthread_stop(w->task);
}

/* Free @n blocks on @cpu, in their order. */
void py_free_many_on(unsigned int cpu, void **block, unsigned int n)
{
	unsigned int here = raw_smp_processor_id();

	py_move_to(cpu);
	py_put_many(block, n);
	py_move_to(here);
}

/* @n arenas, full of blocks of the largest class, in the arenas' order. */
void **py_get_arenas(struct kunit *test, unsigned int n)
{
	void **block = py_get_many(test, n * PY_ARENA_MAX_BLOCKS, PYALLOC_MAX);
	unsigned int i, first;

	KUNIT_ASSERT_EQ(test, py_walk(test)->arenas, n);
	for (i = 0; i < n * PY_ARENA_MAX_BLOCKS; i++) {
		first = rounddown(i, PY_ARENA_MAX_BLOCKS);
		KUNIT_ASSERT_PTR_EQ(test, py_arena_of(block[i]),
				    py_arena_of(block[first]));
	}
	return block;
}

void py_put_arena(void **block, unsigned int i)
{
	py_put_many(block + i * PY_ARENA_MAX_BLOCKS, PY_ARENA_MAX_BLOCKS);
}

/* No arena is to be had, until that is over. */
void py_arenas_fail(bool fail)
{
	py_fail.probability = fail ? 100 : 0;
	atomic_set(&py_fail.times, fail ? -1 : 1);
	if (!fail)
		msleep(150);	/* nobody asks for one so soon after a refusal */
}

void py_take_pages(struct list_head *list, unsigned int n, unsigned int order)
{
	struct page *page;

	while (n--) {
		page = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, order);
		if (!page)
			return;
		list_add(&page->lru, list);
	}
}

void py_return_pages(struct list_head *list, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
}

long py_slab_pages(void)
{
	return atomic_long_read(&vm_node_stat[NR_SLAB_UNRECLAIMABLE_B]);
}

MODULE_DESCRIPTION("KUnit tests of pyalloc");
MODULE_LICENSE("GPL");
PY_IMPORT_NS(PYALLOC_INTERNAL);
