// SPDX-License-Identifier: GPL-2.0
/*
 * The debug hooks, in a private heap: what a caller who does nothing wrong notices of
 * them. What they report is debug.sh's.
 */
#include "common.h"

#include <linux/delay.h>
#include <linux/slab.h>

/* A heap with the hooks, and what it has at the moment. */
struct py_hooked {
	struct pyheap *heap;
	struct pyheap_stats stats;
};

static struct py_hooked *py_hooked(struct kunit *test)
{
	struct py_hooked *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, h);
	h->heap = pyheap_create("hooked", PYHEAP_DEBUG | PYHEAP_MUST_BE_EMPTY);
	if (PTR_ERR_OR_ZERO(h->heap) == -EOPNOTSUPP)
		kunit_skip(test, "built without debug hooks");
	KUNIT_ASSERT_FALSE(test, IS_ERR(h->heap));
	return h;
}

/* All came back, and nothing was refused. */
static void py_hooked_end(struct kunit *test, struct py_hooked *h)
{
	pyheap_walk(h->heap, &h->stats);
	KUNIT_EXPECT_EQ(test, pyheap_stats_total(&h->stats),
			h->stats.arenas * PY_ARENA_SIZE);
	KUNIT_EXPECT_EQ(test, h->stats.event[PY_EV_BAD_FREE], 0);
	KUNIT_EXPECT_EQ(test, h->stats.corrupt, 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(h->heap), 0);
}

/* A size that the compiler does not know, nor the result's. */
static noinline void *py_get_of(struct py_hooked *h, size_t size, gfp_t gfp)
{
	OPTIMIZER_HIDE_VAR(size);
	return pyheap_alloc(h->heap, size, gfp);
}

static void every_size_is_the_callers(struct kunit *test)
{
	struct py_hooked *h = py_hooked(test);
	void **block = kunit_kcalloc(test, 600, sizeof(*block), GFP_KERNEL);
	size_t size;

	KUNIT_ASSERT_NOT_NULL(test, block);
	for (size = 1; size < 600; size++) {
		block[size] = py_get_of(h, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block[size]);
		/* As it is without: to the largest power of two that divides it. */
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)block[size],
						   1UL << __ffs(round_up(size, 8))));
		py_fill(block[size], size, size);
	}
	for (size = 1; size < 600; size++)
		KUNIT_EXPECT_TRUE(test, py_holds(block[size], size, size));
	KUNIT_EXPECT_EQ(test, pysize(block[13]), 13);
	KUNIT_EXPECT_EQ(test, pysize(block[201]), 201);
	for (size = 1; size < 600; size++)
		pyheap_free(h->heap, block[size]);
	py_hooked_end(test, h);
}

/* CPython's byte, where nothing else is to be there. */
static void what_was_not_written_shows(struct kunit *test)
{
	static const size_t size[] = { 8, 40, 300, 500 };
	struct py_hooked *h = py_hooked(test);
	u8 fresh = want_init_on_alloc(GFP_KERNEL) ? 0 : 0xcd;
	unsigned int i, again;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		for (again = 0; again < 2; again++) {
			u8 *p = py_get_of(h, size[i], GFP_KERNEL), *q;

			KUNIT_ASSERT_NOT_NULL(test, p);
			KUNIT_EXPECT_NULL(test, memchr_inv(p, fresh, size[i]));
			memset(p, 0xa5, size[i]);
			q = py_get_of(h, size[i], GFP_KERNEL | __GFP_ZERO);
			KUNIT_ASSERT_NOT_NULL(test, q);
			KUNIT_EXPECT_NULL(test, memchr_inv(q, 0, size[i]));
			pyheap_free(h->heap, p);
			pyheap_free(h->heap, q);
		}
	}
	py_hooked_end(test, h);
}

/*
 * Through all kinds: small, above what a pool has, and back. What is too large to be
 * checked is resized by kmalloc()'s.
 */
static void resized_it_moves_with_its_contents(struct kunit *test)
{
	static const size_t size[] = { 8, 9, 300, 301, 500, 512, 500, 300, 16, 8,
				       2000, 100 };
	struct py_hooked *h = py_hooked(test);
	void *p = py_get_of(h, 8, GFP_KERNEL), *q;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 8, 5);
	for (i = 1; i < ARRAY_SIZE(size); i++) {
		q = pyheap_realloc(h->heap, p, size[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, q);
		if (size[i - 1] <= PYALLOC_MAX)
			KUNIT_EXPECT_PTR_NE(test, q, p);
		KUNIT_EXPECT_TRUE(test, py_holds(q, min(size[i], size[i - 1]), 5));
		py_fill(q, size[i], 5);
		p = q;
	}
	KUNIT_EXPECT_PTR_EQ(test, pyheap_realloc(h->heap, p, 0, GFP_KERNEL),
			    ZERO_SIZE_PTR);
	py_hooked_end(test, h);
}

/* What cannot move to more stays; what cannot move to less, too, but is as good. */
static void at_the_limit_nothing_is_lost(struct kunit *test)
{
	struct py_hooked *h = py_hooked(test);
	unsigned int n = 0;
	void *block[200];
	void *p;

	pyheap_set_limit(h->heap, 8 * PY_POOL_SIZE);
	p = py_get_of(h, 200, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 200, 6);
	while (n < ARRAY_SIZE(block)) {
		block[n] = py_get_of(h, 200, GFP_KERNEL);
		if (!block[n])
			break;
		n++;
	}
	KUNIT_EXPECT_LT(test, n, ARRAY_SIZE(block));
	KUNIT_EXPECT_NULL(test, py_get_of(h, 512, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, pyheap_realloc(h->heap, p, 210, GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, py_holds(p, 200, 6));
	KUNIT_EXPECT_PTR_EQ(test, pyheap_realloc(h->heap, p, 190, GFP_KERNEL), p);
	KUNIT_EXPECT_TRUE(test, py_holds(p, 190, 6));
	pyheap_walk(h->heap, &h->stats);
	KUNIT_EXPECT_EQ(test, h->stats.event[PY_EV_LIMIT], 4);
	KUNIT_EXPECT_LE(test, h->stats.held, 8 * PY_POOL_SIZE);

	/* Who cannot be refused is not. */
	block[n] = py_get_of(h, 200, GFP_KERNEL | __GFP_NOFAIL);
	KUNIT_EXPECT_NOT_NULL(test, block[n]);
	for (n++; n; n--)
		pyheap_free(h->heap, block[n - 1]);
	pyheap_free(h->heap, p);
	py_hooked_end(test, h);
}

static void without_an_arena_it_is_kmallocs(struct kunit *test)
{
	struct py_hooked *h = py_hooked(test);
	void *p;

	py_arenas_fail(true);
	p = py_get_of(h, 40, GFP_KERNEL);
	py_arenas_fail(false);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 1, 40);
	pyheap_walk(h->heap, &h->stats);
	KUNIT_EXPECT_EQ(test, h->stats.fall[PY_FALL_ARENA][0], 1);
	KUNIT_EXPECT_EQ(test, h->stats.large, 1);
	KUNIT_EXPECT_EQ(test, h->stats.arenas, 0);
	pyheap_free(h->heap, p);
	py_hooked_end(test, h);
}

/* The heap has no current pool to take one from, nor to free one into. */
static void freed_elsewhere_they_come_home(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id(), i;
	struct py_hooked *h = py_hooked(test);
	void *block[200];

	for (i = 0; i < ARRAY_SIZE(block); i++) {
		block[i] = py_get_of(h, 100, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block[i]);
	}
	py_move_to(other);
	for (i = 0; i < ARRAY_SIZE(block); i++)
		pyheap_free(h->heap, block[i]);
	py_move_to(here);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, pyheap_held(h->heap), 0);
	py_hooked_end(test, h);
}

/* That one heap has the hooks changes nothing for others, nor for kmalloc()'s memory. */
static void other_heaps_are_as_before(struct kunit *test)
{
	struct py_hooked *h = py_hooked(test);
	void *p = py_get(13, GFP_KERNEL), *q = kmalloc(1000, GFP_KERNEL), *bulk[10];
	void *checked = py_get_of(h, 13, GFP_KERNEL);
	struct pyheap *plain;

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_EQ(test, pysize(checked), 13);
	KUNIT_EXPECT_EQ(test, pysize(p), 16);
	KUNIT_EXPECT_EQ(test, pysize(q), ksize(q));
	KUNIT_EXPECT_PTR_EQ(test, pyrealloc(p, 16, GFP_KERNEL), p);
	py_fill(p, 16, 1);
	p = pyrealloc(p, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, py_holds(p, 16, 1));
	q = pyrealloc(q, 2000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	pyfree_nolock(q);
	pyfree_sensitive(p);
	pyfree_nolock(py_get(40, GFP_KERNEL));
	pykvfree(py_get(2000, GFP_KERNEL));
	pyfree(kmalloc(40, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pyalloc_bulk(40, GFP_KERNEL, 10, bulk), 10);
	pyfree_bulk(10, bulk);

	plain = pyheap_create("plain", 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(plain));
	p = pyheap_alloc(plain, 13, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, pyheap_realloc(plain, p, 16, GFP_KERNEL), p);
	q = pyheap_alloc(plain, 1000, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, q);
	pyheap_free(plain, q);
	PY_SUPPRESS_WARN(test)
		pyheap_free(h->heap, p);	/* of which nothing is known */
	pyheap_walk(h->heap, &h->stats);
	KUNIT_EXPECT_EQ(test, h->stats.event[PY_EV_BAD_FREE], 1);
	pyheap_free(plain, p);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(plain), 0);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	pyheap_free(h->heap, checked);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(h->heap), 0);
}

static struct kunit_case py_debug_cases[] = {
	KUNIT_CASE(every_size_is_the_callers),
	KUNIT_CASE(what_was_not_written_shows),
	KUNIT_CASE(resized_it_moves_with_its_contents),
	KUNIT_CASE(at_the_limit_nothing_is_lost),
	KUNIT_CASE(without_an_arena_it_is_kmallocs),
	KUNIT_CASE(freed_elsewhere_they_come_home),
	KUNIT_CASE(other_heaps_are_as_before),
	{}
};

static struct kunit_suite py_debug_suite = {
	.name = "pyalloc_debug",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_debug_cases,
};

kunit_test_suite(py_debug_suite);
