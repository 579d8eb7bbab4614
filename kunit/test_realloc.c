// SPDX-License-Identifier: GPL-2.0
/*
 * pyrealloc(): when the memory stays where it is, what it contains when it
 * moves, and what it does at the edges.
 */
#include "common.h"

/* pyrealloc() of a size that the compiler does not know, nor the result's. */
static noinline void *py_resize(void *p, size_t size, gfp_t gfp)
{
	OPTIMIZER_HIDE_VAR(size);
	return pyrealloc(p, size, gfp);
}

static void within_the_class_stays(struct kunit *test)
{
	size_t size;
	void *p;

	for (size = 1; size <= PYALLOC_MAX; size++) {
		p = py_get(size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_PTR_EQ(test, py_resize(p, round_up(size, 8), GFP_KERNEL), p);
		KUNIT_EXPECT_PTR_EQ(test, py_resize(p, round_down(size - 1, 8) + 1,
						    GFP_KERNEL), p);
		pyfree(p);
	}
}

static void shrinking_stays(struct kunit *test)
{
	void *p = py_get(512, GFP_KERNEL);
	size_t size;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 512, 3);
	for (size = 511; size; size--)
		KUNIT_EXPECT_PTR_EQ(test, py_resize(p, size, GFP_KERNEL), p);
	KUNIT_EXPECT_EQ(test, pysize(p), 512);
	pyfree(p);
}

static void shrinking_keeps_what_remains(struct kunit *test)
{
	void *p = py_get(512, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 512, 3);
	KUNIT_EXPECT_PTR_EQ(test, py_resize(p, 40, GFP_KERNEL), p);
	KUNIT_EXPECT_TRUE(test, py_holds(p, 40, 3));
	pyfree(p);
}

/* From every class into the next, all the way up. */
static void growing_keeps_the_contents(struct kunit *test)
{
	void *p = py_get(8, GFP_KERNEL);
	size_t size;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (size = 8; size < PYALLOC_MAX; size += 8) {
		void *q;

		p = py_resize(p, size, GFP_KERNEL);
		py_fill(p, size, size);
		q = py_resize(p, size + 1, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, q);
		KUNIT_EXPECT_EQ(test, pysize(q), size + 8);
		KUNIT_EXPECT_TRUE_MSG(test, py_holds(q, size, size),
				      "size %zu", size);
		p = q;
	}
	pyfree(p);
}

static void growing_frees_the_old_block(struct kunit *test)
{
	void *p = py_get(8, GFP_KERNEL), *q;
	const struct pyheap_stats *s;

	KUNIT_ASSERT_NOT_NULL(test, p);
	q = py_resize(p, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, py_in_use(s, PYALLOC_CLASS(8)), 0);
	KUNIT_EXPECT_EQ(test, py_in_use(s, PYALLOC_CLASS(100)), 1);
	pyfree(q);
}

static void from_512_to_513_and_back(struct kunit *test)
{
	void *p = py_get(512, GFP_KERNEL), *q, *r;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 512, 9);
	q = py_resize(p, 513, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(q));
	KUNIT_EXPECT_TRUE(test, py_holds(q, 512, 9));
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_SIZE), 1);

	r = py_resize(q, 512, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);
	KUNIT_EXPECT_TRUE(test, py_holds(r, 512, 9));
	pyfree(r);
}

static void grows_from_a_large_block(struct kunit *test)
{
	void *p = py_get(600, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 600, 4);
	q = py_resize(p, 5000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_TRUE(test, py_holds(q, 600, 4));
	KUNIT_EXPECT_GE(test, pysize(q), 5000);
	pyfree(q);
}

/* A request that went to kmalloc() for its flags has a small block there. */
static void grows_from_a_small_block_of_kmalloc(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL_ACCOUNT), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
	py_fill(p, 64, 5);
	q = py_resize(p, 300, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_TRUE(test, py_holds(q, 64, 5));
	pyfree(q);
}

static void of_null_allocates(struct kunit *test)
{
	void *p = py_resize(NULL, 40, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, pysize(p), 40);
	pyfree(p);
}

static void of_zero_size_ptr_allocates(struct kunit *test)
{
	void *p = py_resize(ZERO_SIZE_PTR, 40, GFP_KERNEL);

	KUNIT_ASSERT_FALSE(test, ZERO_OR_NULL_PTR(p));
	KUNIT_EXPECT_EQ(test, pysize(p), 40);
	pyfree(p);
}

static void of_nothing_to_size_zero_is_zero_size_ptr(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, py_resize(NULL, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_PTR_EQ(test, py_resize(ZERO_SIZE_PTR, 0, GFP_KERNEL),
			    ZERO_SIZE_PTR);
}

static void to_size_zero_frees(struct kunit *test)
{
	void *p = py_get(40, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_PTR_EQ(test, py_resize(p, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void large_to_size_zero_frees(struct kunit *test)
{
	void *p = py_get(1000, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_PTR_EQ(test, py_resize(p, 0, GFP_KERNEL), ZERO_SIZE_PTR);
}

static void failure_keeps_the_old_block(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	void *p = py_get(80, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 80, 6);
	KUNIT_EXPECT_NULL(test, py_resize(p, KMALLOC_MAX_SIZE + 1, gfp));
	KUNIT_EXPECT_NULL(test, py_resize(p, SIZE_MAX, gfp));
	KUNIT_EXPECT_TRUE(test, py_holds(p, 80, 6));
	KUNIT_EXPECT_EQ(test, py_in_use(py_walk(test), PYALLOC_CLASS(80)), 1);
	pyfree(p);
}

static bool py_is_zero(const u8 *p, size_t from, size_t to)
{
	return !memchr_inv(p + from, 0, to - from);
}

/* Blocks that were used before, so that zeroes are not there by chance. */
static void py_make_dirty(struct kunit *test)
{
	unsigned int class, i;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		void **block = py_get_many(test, 4, py_class_size(class));

		for (i = 0; i < 4; i++)
			memset(block[i], 0xa5, py_class_size(class));
		py_put_many(block, 4);
	}
}

/* All pairs of a first and a second size, in steps that meet no boundary. */
static void growing_zeroes_what_is_added(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO;
	size_t from, to;
	u8 *p;

	py_make_dirty(test);
	for (from = 1; from < 600; from += 13) {
		for (to = from + 1; to < 640; to += 17) {
			p = py_get(from, gfp);
			KUNIT_ASSERT_NOT_NULL(test, p);
			memset(p, 0xa5, from);
			p = py_resize(p, to, gfp);
			KUNIT_ASSERT_NOT_NULL(test, p);
			KUNIT_EXPECT_TRUE_MSG(test, py_is_zero(p, from, to),
					      "%zu to %zu", from, to);
			KUNIT_EXPECT_EQ(test, p[from - 1], 0xa5);
			pyfree(p);
		}
	}
}

/* What a shrink cut off may not come back. */
static void shrinking_and_growing_zeroes(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO;
	size_t small, large;
	u8 *p;

	for (large = 8; large <= PYALLOC_MAX; large += 40) {
		for (small = 1; small < large; small += 11) {
			p = py_get(large, gfp);
			KUNIT_ASSERT_NOT_NULL(test, p);
			memset(p, 0xa5, large);
			p = py_resize(p, small, gfp);
			KUNIT_ASSERT_NOT_NULL(test, p);
			p = py_resize(p, large + 20, gfp);
			KUNIT_ASSERT_NOT_NULL(test, p);
			KUNIT_EXPECT_TRUE_MSG(test, py_is_zero(p, small, large + 20),
					      "%zu, %zu", large, small);
			pyfree(p);
		}
	}
}

static struct kunit_case py_realloc_cases[] = {
	KUNIT_CASE(within_the_class_stays),
	KUNIT_CASE(shrinking_stays),
	KUNIT_CASE(shrinking_keeps_what_remains),
	KUNIT_CASE(growing_keeps_the_contents),
	KUNIT_CASE(growing_frees_the_old_block),
	KUNIT_CASE(from_512_to_513_and_back),
	KUNIT_CASE(grows_from_a_large_block),
	KUNIT_CASE(grows_from_a_small_block_of_kmalloc),
	KUNIT_CASE(of_null_allocates),
	KUNIT_CASE(of_zero_size_ptr_allocates),
	KUNIT_CASE(of_nothing_to_size_zero_is_zero_size_ptr),
	KUNIT_CASE(to_size_zero_frees),
	KUNIT_CASE(large_to_size_zero_frees),
	KUNIT_CASE(failure_keeps_the_old_block),
	KUNIT_CASE(growing_zeroes_what_is_added),
	KUNIT_CASE(shrinking_and_growing_zeroes),
	{}
};

static struct kunit_suite py_realloc_suite = {
	.name = "pyalloc_realloc",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_realloc_cases,
};

kunit_test_suite(py_realloc_suite);
