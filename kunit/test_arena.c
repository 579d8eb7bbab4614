// SPDX-License-Identifier: GPL-2.0
/*
 * Arenas: when one comes, which one is used, when one goes, what remains of
 * one that a block pins, and what happens when there is none to be had.
 */
#include "common.h"

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/vmstat.h>

/* Beyond this, using up all memory takes too long. */
#define PY_EXHAUST_PAGES	(SZ_1G / PAGE_SIZE)

static void first_block_brings_an_arena(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void *p = py_get(8, GFP_KERNEL);
	const struct pyheap_stats *s = py_walk(test);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, s->arenas, 1);
	KUNIT_EXPECT_EQ(test, s->headers, 1);
	KUNIT_EXPECT_EQ(test, s->unused, PY_ARENA_POOLS - 1);
	KUNIT_EXPECT_EQ(test, s->arenas_total, fix->before->arenas_total + 1);
	KUNIT_EXPECT_PTR_EQ(test, py_arena_of(p)->heap, pyheap_default());
	pyfree(p);
}

static void all_pools_are_used_before_another_arena(struct kunit *test)
{
	void **block = py_get_arenas(test, 1), *p;

	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), PY_ARENA_POOLS);
	KUNIT_EXPECT_EQ(test, py_walk(test)->unused, 0);
	p = py_get(PYALLOC_MAX, GFP_KERNEL);
	KUNIT_EXPECT_PTR_NE(test, py_arena_of(p), py_arena_of(block[0]));
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 2);
	pyfree(p);
	py_put_arena(block, 0);
}

static void header_page_is_not_handed_out(struct kunit *test)
{
	void **block = py_get_arenas(test, 1);
	struct py_arena *arena = py_arena_of(block[0]);
	unsigned int i;

	for (i = 0; i < PY_ARENA_MAX_BLOCKS; i++)
		KUNIT_EXPECT_NE(test, py_index_of(block[i]), 0);
	KUNIT_EXPECT_EQ(test, arena->class[0], PY_CLASS_HEADER);
	KUNIT_EXPECT_EQ(test, arena->owner[0], PY_NOBODY);
	py_put_arena(block, 0);
}

/* Two CPUs must not write one cache line, so they take pools in pairs. */
static void neighbours_in_a_cache_line_have_one_owner(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	struct py_arena *arena;
	unsigned int class, i;
	void *p[2][8];

	for (class = 0; class < 8; class++) {
		p[0][class] = py_get(py_class_size(class), GFP_KERNEL);
		py_move_to(other);
		p[1][class] = py_get(py_class_size(class), GFP_KERNEL);
		py_move_to(here);
	}
	arena = py_arena_of(p[0][0]);
	for (i = 2; i < PY_ARENA_PAGES; i += 2)
		KUNIT_EXPECT_EQ(test, arena->owner[i], arena->owner[i + 1]);
	py_put_many(p[0], 8);
	py_put_many(p[1], 8);
}

/* 30, 10 and 20 pools are free: the 10 go first, then the 20, then the 30. */
static void fullest_arena_comes_first(struct kunit *test)
{
	static const unsigned int pools[] = { 30, 10, 20 };
	static const unsigned int order[] = { 1, 2, 0 };
	void **block = py_get_arenas(test, 3);
	struct py_arena *arena[3];
	unsigned int i, j, n;

	for (i = 0; i < 3; i++) {
		arena[i] = py_arena_of(block[i * PY_ARENA_MAX_BLOCKS]);
		py_put_many(block + i * PY_ARENA_MAX_BLOCKS,
			    pools[i] * PY_POOL_MAX_BLOCKS);
	}
	/* Until the CPU has given back those it kept. */
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->unused, 60);
	KUNIT_EXPECT_EQ(test, py_walk(test)->spare, 0);
	for (j = 0; j < 3; j++) {
		i = order[j];
		for (n = 0; n < pools[i] * PY_POOL_MAX_BLOCKS; n++) {
			void *p = py_get(PYALLOC_MAX, GFP_KERNEL);

			KUNIT_EXPECT_PTR_EQ(test, py_arena_of(p), arena[i]);
			block[i * PY_ARENA_MAX_BLOCKS + n] = p;
		}
	}
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 3);
	py_put_many(block, 3 * PY_ARENA_MAX_BLOCKS);
}

static void pinned_arena_comes_before_the_kept_one(struct kunit *test)
{
	void **block = py_get_arenas(test, 2), *p;
	struct py_arena *pinned = py_arena_of(block[0]);

	py_put_arena(block, 1);
	py_put_many(block, PY_ARENA_MAX_BLOCKS - 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 2);
	p = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, py_arena_of(p), pinned);
	pyfree(p);
	pyfree(block[PY_ARENA_MAX_BLOCKS - 1]);
}

/* One empty arena a node is kept, and no more. */
static void second_empty_arena_goes_back(struct kunit *test)
{
	void **block = py_get_arenas(test, 3);

	py_put_arena(block, 2);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 3);
	py_put_arena(block, 0);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 2);
	py_put_arena(block, 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	KUNIT_EXPECT_EQ(test, py_walk(test)->unused, PY_ARENA_POOLS);
}

static void kept_arena_is_used_again(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void *p = py_get(64, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyfree(p);
	msleep(PY_ONE_SECOND);
	q = py_get(200, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, py_arena_of(p), py_arena_of(q));
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas_total,
			fix->before->arenas_total + 1);
	pyfree(q);
}

/* An arena goes as soon as it is empty, not when the reaper comes. */
static void empty_arenas_go_back_at_once(struct kunit *test)
{
	void **block = py_get_arenas(test, 5);
	unsigned int i;

	for (i = 0; i < 5; i++)
		py_put_arena(block, i);
	/* One is kept, and one is not empty for what the CPU kept of it. */
	KUNIT_EXPECT_LE(test, py_walk(test)->arenas, 3);
}

/*
 * So few that the CPU leaves it to the reaper to put them into their arenas.
 * Tried again when that was faster.
 */
static void few_pools_handed_back_are_collected_within_a_second(struct kunit *test)
{
	struct pyheap_node *node = pyheap_default()->node[numa_mem_id()];
	unsigned int n = 40 * PY_POOL_MAX_BLOCKS, try, i;
	bool waits = false;
	void *p = NULL;
	void **block;

	for (try = 0; try < 10 && !waits; try++) {
		pyalloc_trim();
		block = py_get_many(test, n, PYALLOC_MAX);
		for (i = 0; i < n && !waits; i++) {
			p = block[i];
			py_put_many(block + i, 1);
			waits = !llist_empty(&node->back);
		}
		if (!waits)
			py_put_many(block, n);
	}
	KUNIT_ASSERT_TRUE(test, waits);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_TRUE(test, llist_empty(&node->back));
	KUNIT_EXPECT_TRUE(test, py_arena_of(p)->unused & BIT_ULL(py_index_of(p)));
	py_put_many(block, n);
}

static void back_to_one_arena_within_a_second(struct kunit *test)
{
	unsigned int n = 20000, i;
	void **block = kunit_kcalloc(test, n, sizeof(*block), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, block);
	for (i = 0; i < n; i++)
		block[i] = py_get(1 + i % PYALLOC_MAX, GFP_KERNEL);
	KUNIT_EXPECT_GT(test, py_walk(test)->arenas, 15);
	py_put_many(block, n);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
}

static void survivor_keeps_exactly_its_arena(struct kunit *test)
{
	void **block = py_get_arenas(test, 4);
	unsigned int keep = 2 * PY_ARENA_MAX_BLOCKS + 77;
	u64 high = py_walk(test)->arenas_highwater;
	const struct pyheap_stats *s;
	void *p = block[keep];

	py_fill(p, PYALLOC_MAX, 11);
	block[keep] = NULL;
	py_put_many(block, 4 * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->arenas, 1);
	KUNIT_EXPECT_EQ(test, py_in_use_all(s), 1);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
	KUNIT_EXPECT_TRUE(test, py_holds(p, PYALLOC_MAX, 11));

	pyfree(p);
	pyalloc_trim();
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->arenas, 0);
	KUNIT_EXPECT_EQ(test, s->arenas_highwater, high);
	KUNIT_EXPECT_GE(test, high, 4);
}

static void ledger_counts_what_came_and_went(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void **block = py_get_arenas(test, 3);
	const struct pyheap_stats *s;

	py_put_many(block, 3 * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->arenas_total, fix->before->arenas_total + 3);
	KUNIT_EXPECT_EQ(test, s->arenas_reclaimed,
			fix->before->arenas_reclaimed + 3);
}

static void highwater_mark_rises_and_stays(struct kunit *test)
{
	unsigned int n = py_walk(test)->arenas_highwater + 2;
	void **block = py_get_arenas(test, n);

	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas_highwater, n);
	py_put_many(block, n * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas_highwater, n);

	/* A lower peak does not lower it. */
	block = py_get_arenas(test, 1);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas_highwater, n);
	py_put_arena(block, 0);
}

static void trim_of_nothing_frees_nothing(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pyalloc_trim(), 0);
}

static void trim_returns_the_pages_of_empty_arenas(struct kunit *test)
{
	void **block = py_get_arenas(test, 1);

	/* The last pool is empty, but current: nothing happens at the free. */
	py_put_many(block, PY_ARENA_MAX_BLOCKS);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	KUNIT_EXPECT_EQ(test, pyalloc_trim(), PY_ARENA_PAGES *
			(py_in_regions() ? PY_REGION_ARENAS : 1));
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

/* A CPU that makes arenas come and go. */
struct py_churn {
	void *block[3 * PY_ARENA_MAX_BLOCKS];
	bool trims;
	u64 rounds;
	u64 unknown;
};

static void py_churn_run(void *arg)
{
	unsigned long end = jiffies + msecs_to_jiffies(PY_ONE_SECOND);
	struct py_churn *churn = arg;
	unsigned int i;

	while (time_before(jiffies, end)) {
		for (i = 0; i < ARRAY_SIZE(churn->block); i++)
			churn->block[i] = py_get(PYALLOC_MAX, GFP_KERNEL);
		for (i = 0; i < ARRAY_SIZE(churn->block); i++) {
			if (pysize(churn->block[i]) == PYALLOC_MAX)
				pyfree(churn->block[i]);
			else
				churn->unknown++;
		}
		churn->rounds++;
		if (churn->trims)
			pyalloc_trim();
		cond_resched();
	}
}

/* One CPU's new arena is where another's was a moment ago: it is still known. */
static void arenas_come_and_go_on_two_cpus(struct kunit *test)
{
	struct py_churn *churn = kunit_kcalloc(test, 2, sizeof(*churn), GFP_KERNEL);
	struct py_fixture *fix = test->priv;
	unsigned int other = py_other_cpu(test);
	struct py_worker worker;
	u64 came;

	KUNIT_ASSERT_NOT_NULL(test, churn);
	churn->trims = true;
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_churn_run, churn + 1));
	py_churn_run(churn);
	py_worker_finish(&worker);
	KUNIT_EXPECT_EQ(test, churn[0].unknown + churn[1].unknown, 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	came = py_walk(test)->arenas_total - fix->before->arenas_total;
	KUNIT_EXPECT_GT(test, came, 1);
	kunit_info(test, "%llu arenas came, %llu and %llu rounds\n", came,
		   churn[0].rounds, churn[1].rounds);
}

/* A walk pins what it looks at, and lets it go when all others have. */
static void arenas_go_while_they_are_walked(struct kunit *test)
{
	struct py_churn *churn = kunit_kzalloc(test, sizeof(*churn), GFP_KERNEL);
	struct py_fixture *fix = test->priv;
	unsigned int other = py_other_cpu(test), walks = 0, wrong = 0;
	struct py_worker worker;

	KUNIT_ASSERT_NOT_NULL(test, churn);
	churn->trims = true;
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_churn_run, churn));
	while (!completion_done(&worker.done)) {
		pyheap_walk(pyheap_default(), fix->now);
		walks++;
		wrong += pyheap_stats_total(fix->now) !=
			 fix->now->arenas * PY_ARENA_SIZE || fix->now->corrupt;
	}
	py_worker_finish(&worker);
	kunit_info(test, "%u walks\n", walks);
	KUNIT_EXPECT_EQ(test, churn->unknown, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_GT(test, walks, 1);
}

/* Per-CPU counters blur it; 40 arenas stand out. */
static void arenas_are_booked_as_slab(struct kunit *test)
{
	const long n = 40, blur = 512;
	long before = py_slab_pages(), with, after;
	void **block = py_get_arenas(test, n);

	with = py_slab_pages();
	py_put_many(block, n * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	after = py_slab_pages();
	KUNIT_EXPECT_GT(test, with - before, n * PY_ARENA_PAGES - blur);
	KUNIT_EXPECT_LT(test, with - before, n * PY_ARENA_PAGES + blur);
	KUNIT_EXPECT_LT(test, abs(after - before), blur);
}

/* Who reclaims memory must not take an arena out of the reserves. */
static void reclaimer_brings_no_arena(struct kunit *test)
{
	unsigned int flags = memalloc_noreclaim_save();
	void *p = py_get(64, GFP_KERNEL);

	memalloc_noreclaim_restore(flags);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_RESERVE), 1);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	pyfree(p);
}

static void memalloc_flag_brings_no_arena(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL | __GFP_MEMALLOC);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_RESERVE), 1);
	pyfree(p);
}

static void reclaimer_uses_the_pools_there_are(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL), *q;
	unsigned int flags;

	KUNIT_ASSERT_NOT_NULL(test, p);
	flags = memalloc_noreclaim_save();
	q = py_get(200, GFP_KERNEL);
	memalloc_noreclaim_restore(flags);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(q));
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	pyfree(q);
	pyfree(p);
}

/* All memory that comes in pieces as large as an arena. How many there were. */
static unsigned int py_take_large_pages(struct list_head *list)
{
	unsigned int n;

	for (n = 0; ; n++) {
		struct page *page = alloc_pages(__GFP_NOWARN | __GFP_NORETRY |
						__GFP_NOMEMALLOC, PY_ARENA_ORDER);

		if (!page)
			return n;
		split_page(page, PY_ARENA_ORDER);
		list_add_tail(&page->lru, list);
	}
}

/* Returns the first half of up to @most pieces: too small to be an arena. */
static void py_return_halves(struct list_head *list, unsigned int most)
{
	struct page *page;
	unsigned int i;

	list_for_each_entry(page, list, lru) {
		if (page->private)
			continue;
		for (i = 1; i < PY_ARENA_PAGES / 2; i++)
			__free_page(page + i);
		page->private = 1;
		if (!--most)
			return;
	}
}

static void py_return_all(struct list_head *list)
{
	struct page *page, *next;
	unsigned int i;

	list_for_each_entry_safe(page, next, list, lru) {
		i = page->private ? PY_ARENA_PAGES / 2 : 1;
		page->private = 0;
		list_del(&page->lru);
		for (; i < PY_ARENA_PAGES; i++)
			__free_page(page + i);
		__free_page(page);
	}
}

static void without_an_arena_kmalloc_serves(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	const struct pyheap_stats *s;
	LIST_HEAD(list);
	void *p, *q;

	if (totalram_pages() > PY_EXHAUST_PAGES)
		kunit_skip(test, "too much memory to use all of it");
	/* Until it is not the watermark that stops it. */
	while (py_take_large_pages(&list))
		py_return_halves(&list, 32);
	p = py_get(64, GFP_KERNEL);
	q = py_get(64, GFP_KERNEL);
	s = py_walk(test);
	py_return_all(&list);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	if (py_in_regions()) {		/* what they are for */
		KUNIT_EXPECT_EQ(test, s->arenas, 1);
		KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
		pyfree(p);
		pyfree(q);
		return;
	}
	KUNIT_EXPECT_EQ(test, s->arenas, 0);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_ARENA), 2);
	/* Not asked a second time so soon. */
	KUNIT_EXPECT_EQ(test, s->arenas_failed, fix->before->arenas_failed + 1);
	pyfree(p);
	pyfree(q);

	msleep(PY_ONE_SECOND / 2);
	p = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
	pyfree(p);
}

/* The shrinker, called the way it is called in life. */
static void memory_pressure_releases_the_kept_arena(struct kunit *test)
{
	LIST_HEAD(list);
	void *p;

	if (totalram_pages() > PY_EXHAUST_PAGES)
		kunit_skip(test, "too much memory to use all of it");
	p = py_get(64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	pyfree(p);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	py_take_pages(&list, UINT_MAX, 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	py_return_pages(&list, 0);
}

static struct kunit_case py_arena_cases[] = {
	KUNIT_CASE(first_block_brings_an_arena),
	KUNIT_CASE(all_pools_are_used_before_another_arena),
	KUNIT_CASE(header_page_is_not_handed_out),
	KUNIT_CASE(neighbours_in_a_cache_line_have_one_owner),
	KUNIT_CASE(fullest_arena_comes_first),
	KUNIT_CASE(pinned_arena_comes_before_the_kept_one),
	KUNIT_CASE(second_empty_arena_goes_back),
	KUNIT_CASE(kept_arena_is_used_again),
	KUNIT_CASE(empty_arenas_go_back_at_once),
	KUNIT_CASE(few_pools_handed_back_are_collected_within_a_second),
	KUNIT_CASE(back_to_one_arena_within_a_second),
	KUNIT_CASE(survivor_keeps_exactly_its_arena),
	KUNIT_CASE(ledger_counts_what_came_and_went),
	KUNIT_CASE(highwater_mark_rises_and_stays),
	KUNIT_CASE(trim_of_nothing_frees_nothing),
	KUNIT_CASE(trim_returns_the_pages_of_empty_arenas),
	KUNIT_CASE(arenas_come_and_go_on_two_cpus),
	KUNIT_CASE(arenas_go_while_they_are_walked),
	KUNIT_CASE(arenas_are_booked_as_slab),
	KUNIT_CASE(reclaimer_brings_no_arena),
	KUNIT_CASE(memalloc_flag_brings_no_arena),
	KUNIT_CASE(reclaimer_uses_the_pools_there_are),
	KUNIT_CASE(without_an_arena_kmalloc_serves),
	KUNIT_CASE(memory_pressure_releases_the_kept_arena),
	{}
};

static struct kunit_suite py_arena_suite = {
	.name = "pyalloc_arena",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_arena_cases,
};

kunit_test_suite(py_arena_suite);
