// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that arenas give back while blocks keep them: that others may have them,
 * that they come again, and what is in the books meanwhile.
 */
#include "common.h"

#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/vmstat.h>

/* Pages that came again to the arenas that gave them away, since the test began. */
static u64 py_pages_again(struct kunit *test)
{
	struct py_fixture *fix = test->priv;

	return py_walk(test)->pages_again - fix->before->pages_again;
}

static void trim_gives_back_the_unused_pages_of_a_pinned_arena(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void *p = py_get(64, GFP_KERNEL);
	const struct pyheap_stats *s;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 64, 12);
	KUNIT_EXPECT_EQ(test, pyalloc_trim(), PY_ARENA_POOLS - 1);
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->arenas, 1);
	KUNIT_EXPECT_EQ(test, s->gone, PY_ARENA_POOLS - 1);
	KUNIT_EXPECT_EQ(test, s->unused, 0);
	KUNIT_EXPECT_EQ(test, s->pages_back,
			fix->before->pages_back + PY_ARENA_POOLS - 1);
	KUNIT_EXPECT_TRUE(test, py_holds(p, 64, 12));
	KUNIT_EXPECT_EQ(test, pyalloc_trim(), 0);
	pyfree(p);
}

static void arena_with_gone_pages_serves_its_pools(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyalloc_trim();
	q = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, py_pool_of(p), py_pool_of(q));
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	pyfree(q);
	pyfree(p);
}

/* Not worth keeping: it could serve less than a fresh one. */
static void empty_arena_with_gone_pages_is_not_kept(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyalloc_trim();
	pyfree(p);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

/*
 * A pinned arena whose pages are gone, and blocks that kmalloc() served since,
 * the last of them from one of those pages.
 */
#define PY_FOREIGN_TRIES	50000
#define PY_LARGE_PIECES		1024

struct py_foreign {
	struct py_arena *arena;
	void *pin;
	void **block;
	unsigned int n;
	void *p;
};

/* kmalloc() until it serves from page @first to @last of the arena. */
static bool py_foreign_find(struct py_foreign *f, unsigned int first,
			    unsigned int last)
{
	while (f->n < PY_FOREIGN_TRIES) {
		void *p = kmalloc(64, GFP_KERNEL);

		if (!p)
			return false;
		/* A header made of these bytes would call all blocks small. */
		memset(p, 5, 64);
		f->block[f->n++] = p;
		f->p = p;
		if (py_arena_of(p) == f->arena && py_index_of(p) >= first &&
		    py_index_of(p) <= last)
			return true;
	}
	return false;
}

static void py_foreign_end(struct kunit *test, struct py_foreign *f)
{
	py_put_many(f->block, f->n);
	pyfree(f->pin);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
}

static void py_foreign_begin(struct kunit *test, struct py_foreign *f)
{
	memset(f, 0, sizeof(*f));
	f->block = kunit_kcalloc(test, PY_FOREIGN_TRIES, sizeof(*f->block),
				 GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->block);
	f->pin = py_get(8, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->pin);
	f->arena = py_arena_of(f->pin);
	pyalloc_trim();
	if (!py_foreign_find(f, 1, PY_ARENA_POOLS)) {
		py_foreign_end(test, f);
		kunit_skip(test, "kmalloc() served from elsewhere");
	}
	KUNIT_EXPECT_EQ(test, f->arena->class[py_index_of(f->p)], PY_CLASS_GONE);
}

/* Others may come again, but not the one that kmalloc() has. */
static void page_that_kmalloc_has_is_not_handed_out(struct kunit *test)
{
	struct py_foreign f;
	void **block;
	unsigned int i;

	py_foreign_begin(test, &f);
	py_fill(f.p, 64, 15);
	block = py_get_many(test, PY_ARENA_MAX_BLOCKS, PYALLOC_MAX);
	for (i = 0; i < PY_ARENA_MAX_BLOCKS; i++) {
		memset(block[i], 0xa5, PYALLOC_MAX);
		KUNIT_EXPECT_PTR_NE(test, PTR_ALIGN_DOWN(block[i], PY_POOL_SIZE),
				    PTR_ALIGN_DOWN(f.p, PY_POOL_SIZE));
	}
	KUNIT_EXPECT_GT(test, py_pages_again(test), 0);
	KUNIT_EXPECT_EQ(test, py_class_of(f.p), PY_CLASS_GONE);
	KUNIT_EXPECT_TRUE(test, py_holds(f.p, 64, 15));
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), PY_ARENA_MAX_BLOCKS + 1);
	py_foreign_end(test, &f);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), PY_ARENA_MAX_BLOCKS);
	py_put_many(block, PY_ARENA_MAX_BLOCKS);
}

static void block_of_kmalloc_in_a_gone_page_has_its_size(struct kunit *test)
{
	struct py_foreign f;

	py_foreign_begin(test, &f);
	KUNIT_EXPECT_EQ(test, pysize(f.p), ksize(f.p));
	KUNIT_EXPECT_EQ(test, pysize(f.p), 64);
	py_foreign_end(test, &f);
}

/* py_foreign_end() frees it with pyfree(), which must not refuse it. */
static void block_of_kmalloc_in_a_gone_page_can_be_freed(struct kunit *test)
{
	struct py_foreign f;

	py_foreign_begin(test, &f);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	py_foreign_end(test, &f);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

/* In any context: no list of pyalloc's blocks may have it. */
static void block_of_kmalloc_in_a_gone_page_can_be_freed_without_locks(struct kunit *test)
{
	struct py_foreign f;

	py_foreign_begin(test, &f);
	pyfree_nolock(f.p);
	f.block[f.n - 1] = NULL;
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	py_foreign_end(test, &f);
}

static void block_of_kmalloc_in_a_gone_page_can_grow(struct kunit *test)
{
	struct py_foreign f;
	void *p;

	py_foreign_begin(test, &f);
	py_fill(f.p, 64, 13);
	p = pyrealloc(f.p, 100, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, p);
	if (p) {
		KUNIT_EXPECT_TRUE(test, py_holds(p, 64, 13));
		f.block[f.n - 1] = p;
	}
	py_foreign_end(test, &f);
}

static void arena_may_go_while_kmalloc_uses_its_gone_page(struct kunit *test)
{
	struct py_foreign f;

	py_foreign_begin(test, &f);
	pyfree(f.pin);
	f.pin = NULL;
	py_fill(f.p, 64, 14);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	KUNIT_EXPECT_TRUE(test, py_holds(f.p, 64, 14));
	KUNIT_EXPECT_EQ(test, pysize(f.p), ksize(f.p));
	py_foreign_end(test, &f);
}

/* As large as an arena: the largest that could be made of what it gave back. */
static void gone_page_is_not_given_back_with_its_arena(struct kunit *test)
{
	struct py_foreign f;
	struct page *page;
	LIST_HEAD(pages);

	py_foreign_begin(test, &f);
	pyfree(f.pin);
	f.pin = NULL;
	pyalloc_trim();
	py_take_pages(&pages, PY_LARGE_PIECES, PY_ARENA_ORDER);
	list_for_each_entry(page, &pages, lru)
		KUNIT_EXPECT_PTR_NE(test, page_address(page), (void *)f.arena);
	py_return_pages(&pages, PY_ARENA_ORDER);
	py_foreign_end(test, &f);
}

/* Then what used to be its header may say anything. */
static void __maybe_unused released_arena_is_forgotten(struct kunit *test)
{
	struct py_foreign f;
	unsigned int i;

	py_foreign_begin(test, &f);
	pyfree(f.pin);
	f.pin = NULL;
	pyalloc_trim();
	rcu_barrier();
	/* All of that page, which is one slab. */
	for (i = 0; i < PY_POOL_SIZE / 64; i++) {
		if (!py_foreign_find(&f, 0, 0)) {
			py_foreign_end(test, &f);
			kunit_skip(test, "kmalloc() did not use the header's page");
		}
	}
	KUNIT_EXPECT_EQ(test, pysize(f.p), 64);
	py_foreign_end(test, &f);
}

struct py_late {
	void *p;
	bool begun;
};

static void py_late_run(void *arg)
{
	struct py_late *late = arg;

	WRITE_ONCE(late->begun, true);
	pyfree(late->p);
}

/* Who frees may have asked already whether the block is in an arena. */
static void arena_may_go_while_its_gone_page_is_freed(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), i;
	struct py_worker worker;
	struct py_late late = {};
	struct py_foreign f;

	py_foreign_begin(test, &f);
	late.p = f.p;
	f.block[f.n - 1] = NULL;
	pyfree(f.pin);
	f.pin = NULL;
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_late_run, &late));
	while (!READ_ONCE(late.begun))
		cpu_relax();
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	/* What was the header may say anything by then. KASAN makes it slow to come by. */
	rcu_barrier();
	for (i = 0; i < (IS_ENABLED(CONFIG_KASAN) ? 4 : PY_POOL_SIZE / 64); i++)
		if (!py_foreign_find(&f, 0, 0))
			break;
	py_worker_finish(&worker);
	/* Until a block that was believed to be ours would have been sent. */
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	py_foreign_end(test, &f);
}

/*
 * A pinned arena that gave its other pages away, and blocks for which they were
 * asked for again. What the page allocator has in small pieces is kept from it
 * meanwhile, so that they are what it has next.
 */
#define PY_SMALL_PIECES	4096

struct py_again {
	struct py_arena *arena;
	void *pin;
	unsigned long gone;	/* pages */
	u64 again;		/* of these */
	void **block;
	unsigned int n;
};

static void py_again_begin(struct kunit *test, struct py_again *a,
			   unsigned int pools)
{
	u64 before = py_pages_again(test);
	LIST_HEAD(pages);
	unsigned int i;

	a->n = pools * PY_POOL_MAX_BLOCKS;
	a->block = kunit_kcalloc(test, a->n, sizeof(*a->block), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a->block);
	a->pin = py_get(8, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a->pin);
	a->arena = py_arena_of(a->pin);
	py_take_pages(&pages, PY_SMALL_PIECES, 0);
	a->gone = pyalloc_trim();
	for (i = 0; i < a->n; i++)
		a->block[i] = py_get(PYALLOC_MAX, GFP_KERNEL);
	py_return_pages(&pages, 0);
	for (i = 0; i < a->n; i++)
		KUNIT_ASSERT_NOT_NULL(test, a->block[i]);
	a->again = py_pages_again(test) - before;
}

static void py_again_end(struct py_again *a)
{
	py_put_many(a->block, a->n);
	pyfree(a->pin);
}

static void gone_pages_come_again(struct kunit *test)
{
	const struct pyheap_stats *s;
	unsigned int i, here = 0;
	struct py_again a;

	py_again_begin(test, &a, 20);
	KUNIT_EXPECT_EQ(test, a.gone, PY_ARENA_POOLS - 1);
	KUNIT_EXPECT_GT(test, a.again, 0);
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->gone, a.gone - a.again);
	KUNIT_EXPECT_EQ(test, hweight64(a.arena->gone), a.gone - a.again);
	for (i = 0; i < a.n; i++) {
		py_fill(a.block[i], PYALLOC_MAX, i);
		here += py_arena_of(a.block[i]) == a.arena;
	}
	KUNIT_EXPECT_GT(test, here, 0);
	for (i = 0; i < a.n; i++) {
		KUNIT_EXPECT_EQ(test, pysize(a.block[i]), PYALLOC_MAX);
		KUNIT_EXPECT_TRUE(test, py_holds(a.block[i], PYALLOC_MAX, i));
	}
	KUNIT_EXPECT_EQ(test, py_in_use_all(s), a.n + 1);
	py_again_end(&a);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
}

/* Then a kfree() of a block, which is a bug, has none to drop, and frees no page. */
static void pages_of_arenas_have_no_reference(struct kunit *test)
{
	unsigned int i, here = 0;
	struct py_again a;
	void *p;

	p = py_get(64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, page_count(virt_to_page(p)), 0);
	pyfree(p);
	py_again_begin(test, &a, 20);
	KUNIT_EXPECT_EQ(test, page_count(virt_to_page(a.pin)), 0);
	for (i = 0; i < a.n; i++) {
		here += py_arena_of(a.block[i]) == a.arena;
		KUNIT_EXPECT_EQ(test, page_count(virt_to_page(a.block[i])), 0);
	}
	KUNIT_EXPECT_GT(test, here, 0);
	py_again_end(&a);
}

/* Of @n arenas from py_get_arenas(), each keeps its first block. */
static void py_put_all_but_pins(void **block, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		py_put_many(block + i * PY_ARENA_MAX_BLOCKS + 1, PY_ARENA_MAX_BLOCKS - 1);
}

/* As kfree() of 6.1 and 6.12 does to the page of a block. */
static void py_stray(const void *p)
{
	struct page *page = virt_to_page(p);

	page_ref_dec(page);
	mod_node_page_state(page_pgdat(page), NR_SLAB_UNRECLAIMABLE_B, -(long)PAGE_SIZE);
}

/*
 * What kfree() did to pages is counted, and undone when they go back. A block stays in each
 * arena, in a page that is left alone: so they go back in the trim, where warnings are
 * expected, and not when the reaper comes by.
 */
static void what_kfree_did_is_undone(struct kunit *test)
{
	const unsigned int n = 20, pools = n * (PY_ARENA_POOLS - 1);
	const unsigned int a_pool = PY_ARENA_MAX_BLOCKS / PY_ARENA_POOLS;
	const long blur = 512;
	long before = py_slab_pages();
	void **block = py_get_arenas(test, n);
	unsigned int i;

	for (i = 0; i < n * PY_ARENA_MAX_BLOCKS; i++) {
		if (i % PY_ARENA_MAX_BLOCKS >= a_pool && i % a_pool == 0)
			py_stray(block[i]);
	}
	KUNIT_EXPECT_EQ(test, py_walk(test)->strays, pools);
	py_put_all_but_pins(block, n);
	PY_SUPPRESS_WARN(test)
		pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, n);
	KUNIT_EXPECT_EQ(test, py_walk(test)->strays, 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), pools);
	py_put_many(block, n * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	KUNIT_EXPECT_LT(test, abs(py_slab_pages() - before), blur);
}

/* They go away and come again as often as it takes. */
static void pages_go_and_come_again_many_times(struct kunit *test)
{
	unsigned int round, i;
	struct py_again a;
	u64 again = 0;
	void *p;

	py_again_begin(test, &a, 20);
	for (round = 0; round < 20; round++) {
		py_put_many(a.block, a.n);
		again += a.again;
		p = a.pin;
		py_again_begin(test, &a, 20);
		pyfree(p);
		for (i = 0; i < a.n; i++)
			py_fill(a.block[i], PYALLOC_MAX, i);
		for (i = 0; i < a.n; i++)
			KUNIT_EXPECT_TRUE(test, py_holds(a.block[i], PYALLOC_MAX, i));
	}
	KUNIT_EXPECT_GT(test, again, 20);
	py_again_end(&a);
}

/*
 * Order 6 again, but in pieces: each is freed once. Tried again when somebody
 * else was faster to a page.
 */
static void arena_whose_pages_all_came_again_goes_whole(struct kunit *test)
{
	unsigned int try, i, used = 0;
	unsigned long trimmed;
	struct py_again a;

	for (try = 0; try < 10; try++) {
		py_again_begin(test, &a, PY_ARENA_POOLS - 1);
		if (a.again == a.gone)
			break;
		py_again_end(&a);
		pyalloc_trim();
	}
	KUNIT_EXPECT_EQ(test, a.again, PY_ARENA_POOLS - 1);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	KUNIT_EXPECT_EQ(test, a.arena->gone, 0);
	py_again_end(&a);
	trimmed = pyalloc_trim();
	KUNIT_EXPECT_EQ(test, trimmed, PY_ARENA_PAGES);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	rcu_barrier();
	/* A page that is free has no user; a few may have one again. */
	for (i = 0; i < PY_ARENA_PAGES; i++)
		used += !!page_count(virt_to_page((void *)a.arena + i * PY_POOL_SIZE));
	KUNIT_EXPECT_LT(test, used, PY_ARENA_PAGES / 4);
}

/* Pages that are in no arena were only asked for. */
static void pages_of_others_are_not_kept(struct kunit *test)
{
	void *p = py_get(8, GFP_KERNEL), *q;
	struct page *page, *next, *other[2 * PY_REFILL];
	unsigned int i, n = 0, used = 0;
	LIST_HEAD(pages);

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyalloc_trim();
	/* All that the arena gave away, too; and then back what others had. */
	py_take_pages(&pages, PY_SMALL_PIECES, 0);
	list_for_each_entry_safe(page, next, &pages, lru) {
		if (py_arena_of(page_address(page)) == py_arena_of(p))
			continue;
		list_del(&page->lru);
		other[n++] = page;
		if (n == ARRAY_SIZE(other))
			break;
	}
	for (i = 0; i < n; i++)
		__free_page(other[i]);
	q = py_get(PYALLOC_MAX, GFP_KERNEL);
	for (i = 0; i < n; i++)
		used += !!page_count(other[i]);
	py_return_pages(&pages, 0);
	KUNIT_EXPECT_EQ(test, n, ARRAY_SIZE(other));
	KUNIT_EXPECT_LT(test, used, PY_REFILL / 2);
	KUNIT_EXPECT_EQ(test, py_pages_again(test), 0);
	pyfree(q);
	pyfree(p);
}

struct py_reader {
	bool reads;
	bool stop;
};

/* As pyfree() reads a header: with preemption off. */
static void py_reader_run(void *arg)
{
	struct py_reader *reader = arg;

	preempt_disable();
	WRITE_ONCE(reader->reads, true);
	while (!READ_ONCE(reader->stop))
		cpu_relax();
	preempt_enable();
}

/* Does the page allocator hand out the page at @p? */
static bool py_page_is_free(const void *p)
{
	struct page *page[64];
	unsigned int i;
	bool found = !page_count(virt_to_page(p));

	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = alloc_page(GFP_KERNEL);
		found |= page[i] && page_address(page[i]) == p;
	}
	for (i = 0; i < ARRAY_SIZE(page); i++)
		if (page[i])
			__free_page(page[i]);
	return found;
}

/* Who frees a pointer into a gone page may have found the mark, and reads on. */
static void header_outlives_who_reads_it(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	struct py_reader reader = {};
	struct py_worker worker;
	struct py_arena *arena;
	void *p = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	arena = py_arena_of(p);
	pyalloc_trim();
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_reader_run, &reader));
	while (!READ_ONCE(reader.reads))
		cpu_relax();
	pyfree(p);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
	KUNIT_EXPECT_FALSE(test, py_page_is_free(arena));
	WRITE_ONCE(reader.stop, true);
	py_worker_finish(&worker);
}

/* A CPU that gives most pages of all arenas away, or does not; and asks for them again. */
struct py_tide {
	bool trims;
	void *block[3 * PY_ARENA_MAX_BLOCKS];
	u64 seed;
	u64 rounds;
	u64 bad;
};

static void py_tide_get(struct py_tide *tide, unsigned int i)
{
	void *p = py_get(PYALLOC_MAX, GFP_KERNEL);

	if (p)
		py_fill(p, PYALLOC_MAX, tide->seed + i);
	else
		tide->bad++;
	tide->block[i] = p;
}

static void py_tide_put(struct py_tide *tide, unsigned int i)
{
	void *p = tide->block[i];

	tide->block[i] = NULL;
	if (!p)
		return;
	if (py_is_pooled(p) && py_holds(p, PYALLOC_MAX, tide->seed + i))
		pyfree(p);
	else
		tide->bad++;
}

/* One block of each arena and a half stays. */
static bool py_tide_stays(unsigned int i)
{
	return !(i % (PY_ARENA_MAX_BLOCKS * 3 / 2));
}

static void py_tide_run(void *arg)
{
	unsigned long end = jiffies + msecs_to_jiffies(2 * PY_ONE_SECOND);
	struct py_tide *tide = arg;
	unsigned int i;

	while (time_before(jiffies, end)) {
		for (i = 0; i < ARRAY_SIZE(tide->block); i++)
			py_tide_get(tide, i);
		for (i = 0; i < ARRAY_SIZE(tide->block); i++)
			if (!py_tide_stays(i))
				py_tide_put(tide, i);
		if (tide->trims)
			pyalloc_trim();
		for (i = 0; i < ARRAY_SIZE(tide->block) / 2; i++)
			if (!py_tide_stays(i))
				py_tide_get(tide, i);
		for (i = 0; i < ARRAY_SIZE(tide->block); i++)
			py_tide_put(tide, i);
		if (tide->trims)
			pyalloc_trim();
		tide->rounds++;
		cond_resched();
	}
}

/* One CPU releases an arena of which another has a page in hand. */
static void pages_come_again_on_two_cpus(struct kunit *test)
{
	struct py_tide *tide = kunit_kcalloc(test, 2, sizeof(*tide), GFP_KERNEL);
	unsigned int other = py_other_cpu(test);
	struct py_worker worker;
	LIST_HEAD(pages);

	KUNIT_ASSERT_NOT_NULL(test, tide);
	tide[0].trims = true;
	tide[1].seed = 1000000;
	py_take_pages(&pages, PY_SMALL_PIECES, 0);
	if (py_worker_start(&worker, other, py_tide_run, tide + 1)) {
		py_tide_run(tide);
		py_worker_finish(&worker);
	}
	py_return_pages(&pages, 0);
	KUNIT_EXPECT_EQ(test, tide[0].bad + tide[1].bad, 0);
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	KUNIT_EXPECT_GT(test, tide[1].rounds, 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	KUNIT_EXPECT_GT(test, py_pages_again(test), 0);
	kunit_info(test, "%llu pages came again, %llu and %llu rounds\n",
		   py_pages_again(test), tide[0].rounds, tide[1].rounds);
}

/* The pages given back, one by one, must leave the books once only. */
static void gone_pages_leave_the_books(struct kunit *test)
{
	const long n = 40, blur = 512;
	long before = py_slab_pages(), after;
	void **block = py_get_arenas(test, n);

	py_put_all_but_pins(block, n);
	pyalloc_trim();
	after = py_slab_pages();
	KUNIT_EXPECT_LT(test, abs(after - before - 2 * n), blur);
	py_put_many(block, n * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	after = py_slab_pages();
	KUNIT_EXPECT_LT(test, abs(after - before), blur);
}

static void pages_that_come_again_are_booked(struct kunit *test)
{
	const long n = 40, blur = 512;
	long before = py_slab_pages(), with, after;
	void **block = py_get_arenas(test, n);
	const struct pyheap_stats *s;
	LIST_HEAD(pages);
	unsigned int round, i;

	py_take_pages(&pages, PY_SMALL_PIECES, 0);
	/* Which pages the page allocator has next is its own affair. */
	for (round = 0; round < 20 && py_pages_again(test) <= 2 * blur; round++) {
		py_put_all_but_pins(block, n);
		pyalloc_trim();
		for (i = 0; i < n * PY_ARENA_MAX_BLOCKS; i++)
			if (!block[i])
				block[i] = py_get(PYALLOC_MAX, GFP_KERNEL);
	}
	py_return_pages(&pages, 0);
	with = py_slab_pages();
	s = py_walk(test);
	KUNIT_EXPECT_LT(test, abs(with - before -
				  (long)(s->arenas * PY_ARENA_PAGES - s->gone)), blur);
	KUNIT_EXPECT_GT(test, py_pages_again(test), 2 * blur);
	py_put_many(block, n * PY_ARENA_MAX_BLOCKS);
	pyalloc_trim();
	after = py_slab_pages();
	KUNIT_EXPECT_LT(test, abs(after - before), blur);
}

static struct kunit_case py_gone_cases[] = {
	KUNIT_CASE(trim_gives_back_the_unused_pages_of_a_pinned_arena),
	KUNIT_CASE(arena_with_gone_pages_serves_its_pools),
	KUNIT_CASE(empty_arena_with_gone_pages_is_not_kept),
	KUNIT_CASE(page_that_kmalloc_has_is_not_handed_out),
	KUNIT_CASE(block_of_kmalloc_in_a_gone_page_has_its_size),
	KUNIT_CASE(block_of_kmalloc_in_a_gone_page_can_be_freed),
	KUNIT_CASE(block_of_kmalloc_in_a_gone_page_can_be_freed_without_locks),
	KUNIT_CASE(block_of_kmalloc_in_a_gone_page_can_grow),
	KUNIT_CASE(arena_may_go_while_kmalloc_uses_its_gone_page),
	KUNIT_CASE(gone_page_is_not_given_back_with_its_arena),
#ifndef CONFIG_KASAN	/* keeps kmalloc() from using that page again so soon */
	KUNIT_CASE(released_arena_is_forgotten),
#endif
	KUNIT_CASE(arena_may_go_while_its_gone_page_is_freed),
	KUNIT_CASE(gone_pages_come_again),
	KUNIT_CASE(pages_of_arenas_have_no_reference),
	KUNIT_CASE(what_kfree_did_is_undone),
	KUNIT_CASE(pages_go_and_come_again_many_times),
	KUNIT_CASE(arena_whose_pages_all_came_again_goes_whole),
	KUNIT_CASE(pages_of_others_are_not_kept),
	KUNIT_CASE(header_outlives_who_reads_it),
	KUNIT_CASE(pages_come_again_on_two_cpus),
	KUNIT_CASE(gone_pages_leave_the_books),
	KUNIT_CASE(pages_that_come_again_are_booked),
	{}
};

static struct kunit_suite py_gone_suite = {
	.name = "pyalloc_gone",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_gone_cases,
};

kunit_test_suite(py_gone_suite);
