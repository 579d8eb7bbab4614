// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: which size class serves them, how they are aligned, what they
 * contain; and those that are none of pyalloc's own: zero, large, overflowing
 * and flagged ones.
 */
#include "common.h"

/* Blocks of each size that the alignment tests look at. */
#define PY_SAMPLE	24

/* Sizes that kmalloc() serves: just above the limit, odd, and whole pages. */
static const size_t py_large[] = {
	513, 520, 576, 600, 1024, 1025, 2000, 4096, 4097, 8192, 8193, 100000,
};

static void size_selects_class_8_bytes_apart(struct kunit *test)
{
	size_t size;

	for (size = 1; size <= PYALLOC_MAX; size++) {
		void *p = py_get(size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
		KUNIT_EXPECT_EQ_MSG(test, py_class_of(p), (size - 1) / 8,
				    "size %zu", size);
		pyfree(p);
	}
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
}

/* The boundaries once more, as literals: the class is a compile-time matter. */
static void constant_size_selects_the_same_class(struct kunit *test)
{
	void *p[] = {
		pyalloc(1, GFP_KERNEL), pyalloc(8, GFP_KERNEL),
		pyalloc(9, GFP_KERNEL), pyalloc(16, GFP_KERNEL),
		pyalloc(17, GFP_KERNEL), pyalloc(256, GFP_KERNEL),
		pyalloc(257, GFP_KERNEL), pyalloc(504, GFP_KERNEL),
		pyalloc(505, GFP_KERNEL), pyalloc(512, GFP_KERNEL),
	};
	static const unsigned int class[] = {
		0, 0, 1, 1, 2, 31, 32, 62, 63, 63,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p); i++) {
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		KUNIT_EXPECT_TRUE(test, py_is_pooled(p[i]));
		KUNIT_EXPECT_EQ(test, py_class_of(p[i]), class[i]);
	}
	py_put_many(p, ARRAY_SIZE(p));
}

static void usable_size_is_class_size(struct kunit *test)
{
	size_t size;

	for (size = 1; size <= PYALLOC_MAX; size++) {
		void *p = py_get(size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_EQ(test, pysize(p), round_up(size, 8));
		pyfree(p);
	}
}

static void roundup_is_usable_size(struct kunit *test)
{
	size_t size;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, pyalloc_size_roundup(0), 0);
	for (size = 1; size <= PYALLOC_MAX; size++)
		KUNIT_EXPECT_EQ(test, pyalloc_size_roundup(size),
				round_up(size, 8));
	for (i = 0; i < ARRAY_SIZE(py_large); i++)
		KUNIT_EXPECT_EQ(test, pyalloc_size_roundup(py_large[i]),
				kmalloc_size_roundup(py_large[i]));
}

/* What kmalloc() promises: the largest power of two that divides the size. */
static void every_size_is_aligned(struct kunit *test)
{
	void *p[PY_SAMPLE];
	unsigned long align;
	unsigned int i;
	size_t size;

	for (size = 1; size <= PYALLOC_MAX; size++) {
		align = max_t(unsigned long, size & -size, PYALLOC_ALIGN);
		for (i = 0; i < PY_SAMPLE; i++)
			p[i] = py_get(size, GFP_KERNEL);
		for (i = 0; i < PY_SAMPLE; i++) {
			KUNIT_ASSERT_NOT_NULL(test, p[i]);
			KUNIT_EXPECT_TRUE_MSG(test, IS_ALIGNED((unsigned long)p[i], align),
					      "size %zu", size);
		}
		py_put_many(p, PY_SAMPLE);
	}
}

/* All of the usable size may be written, and it is nobody else's. */
static void neighbours_do_not_overlap(struct kunit *test)
{
	void *p[PY_SAMPLE];
	unsigned int i;
	size_t size;

	for (size = 8; size <= PYALLOC_MAX; size += 8) {
		for (i = 0; i < PY_SAMPLE; i++) {
			p[i] = py_get(size, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, p[i]);
			py_fill(p[i], size, i);
		}
		for (i = 0; i < PY_SAMPLE; i++)
			KUNIT_EXPECT_TRUE(test, py_holds(p[i], size, i));
		py_put_many(p, PY_SAMPLE);
	}
}

static void size_zero_is_zero_size_ptr(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, py_get(0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_PTR_EQ(test, pyalloc(0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_PTR_EQ(test, pyzalloc(0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_PTR_EQ(test, pyalloc_array(0, 8, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_PTR_EQ(test, pycalloc(8, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

static void free_of_nothing_does_nothing(struct kunit *test)
{
	pyfree(NULL);
	pyfree(ZERO_SIZE_PTR);
	pyfree_sensitive(NULL);
	pyfree_sensitive(ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

static void size_of_nothing_is_zero(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pysize(NULL), 0);
	KUNIT_EXPECT_EQ(test, pysize(ZERO_SIZE_PTR), 0);
}

static void large_size_falls_through(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(py_large); i++) {
		void *p = py_get(py_large[i], GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
		KUNIT_EXPECT_EQ(test, pysize(p), ksize(p));
		KUNIT_EXPECT_GE(test, pysize(p), py_large[i]);
		pyfree(p);
	}
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_SIZE), ARRAY_SIZE(py_large));
	KUNIT_EXPECT_EQ(test, py_falls_all(test), ARRAY_SIZE(py_large));
}

/* Each power of two above PYALLOC_MAX has a column, the last takes the rest. */
static void large_sizes_are_counted_by_size(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	static const struct {
		size_t size;
		unsigned int column;
	} want[] = {
		{ 513, 1 }, { 1024, 1 }, { 1025, 2 }, { 2048, 2 }, { 2049, 3 },
		{ 4096, 3 }, { 4097, 4 }, { 8192, 4 }, { 8193, 5 }, { 65536, 5 },
	};
	const struct pyheap_stats *s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		unsigned int column = want[i].column;
		void *p = py_get(want[i].size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, p);
		pyfree(p);
		s = py_walk(test);
		KUNIT_EXPECT_EQ_MSG(test, s->fall[PY_FALL_SIZE][column],
				    fix->before->fall[PY_FALL_SIZE][column] + 1,
				    "size %zu", want[i].size);
		*fix->before = *s;
	}
}

/* Nothing of pyalloc is even called then. */
static void large_constant_size_is_plain_kmalloc(struct kunit *test)
{
	void *p = pyalloc(513, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	pyfree(p);
}

static void huge_size_fails(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

	KUNIT_EXPECT_NULL(test, py_get(KMALLOC_MAX_SIZE + 1, gfp));
	KUNIT_EXPECT_NULL(test, py_get(SIZE_MAX / 2, gfp));
	KUNIT_EXPECT_NULL(test, py_get(SIZE_MAX, gfp));
	KUNIT_EXPECT_NULL(test, py_get(SIZE_MAX - 7, gfp | __GFP_ZERO));
}

static void array_is_as_large_as_its_product(struct kunit *test)
{
	size_t n = 7;
	void *p;

	OPTIMIZER_HIDE_VAR(n);
	p = pyalloc_array(n, 24, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, pysize(p), 7 * 24);
	pyfree(p);

	p = pycalloc(3, n, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, pysize(p), 24);
	pyfree(p);
}

/* The products are small numbers modulo 2^64: 8 and 2. */
static void array_overflow_fails(struct kunit *test)
{
	size_t n = SIZE_MAX / 8 + 2, m = SIZE_MAX / 2 + 2;
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

	OPTIMIZER_HIDE_VAR(n);
	OPTIMIZER_HIDE_VAR(m);
	KUNIT_EXPECT_NULL(test, pyalloc_array(n, 8, gfp));
	KUNIT_EXPECT_NULL(test, pycalloc(n, 8, gfp));
	KUNIT_EXPECT_NULL(test, pyalloc_array(m, 2, gfp));
	KUNIT_EXPECT_NULL(test, pyalloc_array(2, m, gfp));
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

static bool py_is_zero(const void *p, size_t size)
{
	return !memchr_inv(p, 0, size);
}

/* Recycled, so that it is the allocator who zeroes; all of the usable size. */
static void zalloc_zeroes_a_dirty_block(struct kunit *test)
{
	void *anchor, *p, *q;
	size_t size;

	for (size = 1; size <= PYALLOC_MAX; size++) {
		/* Keeps the pool in its class if the reaper comes by. */
		anchor = py_get(size, GFP_KERNEL);
		p = py_get(size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, anchor);
		KUNIT_ASSERT_NOT_NULL(test, p);
		memset(p, 0xa5, py_room(size));
		pyfree(p);
		q = py_get(size, GFP_KERNEL | __GFP_ZERO);
		KUNIT_EXPECT_PTR_EQ(test, p, q);
		KUNIT_EXPECT_TRUE_MSG(test, py_is_zero(q, py_room(size)),
				      "size %zu", size);
		pyfree(q);
		pyfree(anchor);
	}
}

/* A pool's page may hold anything when it comes. */
static void zalloc_zeroes_virgin_blocks(struct kunit *test)
{
	unsigned int class, i;
	void *p[2 * PY_SAMPLE];

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		size_t size = py_class_size(class);

		for (i = 0; i < ARRAY_SIZE(p); i++) {
			p[i] = py_get(size, GFP_KERNEL | __GFP_ZERO);
			KUNIT_ASSERT_NOT_NULL(test, p[i]);
			KUNIT_EXPECT_TRUE(test, py_is_zero(p[i], size));
			memset(p[i], 0xa5, size);
		}
		py_put_many(p, ARRAY_SIZE(p));
	}
}

static void constant_zalloc_zeroes(struct kunit *test)
{
	void *anchor = py_get(40, GFP_KERNEL);
	void *p = pyalloc(40, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, anchor);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 0xa5, 40);
	pyfree(p);
	q = pyzalloc(40, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, p, q);
	KUNIT_EXPECT_TRUE(test, py_is_zero(q, 40));
	pyfree(q);
	pyfree(anchor);
}

static void calloc_zeroes(struct kunit *test)
{
	void *anchor = py_get(48, GFP_KERNEL);
	void *p = py_get(48, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, anchor);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 0xa5, 48);
	pyfree(p);
	q = pycalloc(3, 16, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, p, q);
	KUNIT_EXPECT_TRUE(test, py_is_zero(q, 48));
	pyfree(q);
	pyfree(anchor);
}

static void large_zalloc_zeroes(struct kunit *test)
{
	unsigned int i;
	void *p;

	for (i = 0; i < ARRAY_SIZE(py_large); i++) {
		p = py_get(py_large[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		memset(p, 0xa5, py_large[i]);
		pyfree(p);
		p = py_get(py_large[i], GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_TRUE(test, py_is_zero(p, py_large[i]));
		pyfree(p);
	}
}

static void kmalloced_memory_can_be_freed_and_sized(struct kunit *test)
{
	static const size_t size[] = { 1, 8, 64, 512, 513, 4096, 20000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		void *p = kmalloc(size[i], GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_EQ(test, pysize(p), ksize(p));
		pyfree(p);
		p = kmalloc(size[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		pyfree_sensitive(p);
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

static void flags_of_kmalloc_fall_through(struct kunit *test)
{
	static const gfp_t flag[] = {
		__GFP_DMA, __GFP_ACCOUNT, __GFP_RECLAIMABLE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flag); i++) {
		void *p = py_get(64, GFP_KERNEL | flag[i]);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
		KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_GFP), i + 1);
		pyfree(p);
	}
	KUNIT_EXPECT_EQ(test, py_falls_all(test), ARRAY_SIZE(flag));
}

static void flags_of_kmalloc_fall_through_with_constant_size(struct kunit *test)
{
	void *p = pyalloc(64, GFP_KERNEL_ACCOUNT);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_GFP), 1);
	pyfree(p);
}

/* These are served: they say how to get pages, not what kind. */
static void flags_of_context_are_served(struct kunit *test)
{
	static const gfp_t flag[] = {
		GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, GFP_NOIO, GFP_NOFS,
		GFP_KERNEL | __GFP_NOWARN, GFP_KERNEL | __GFP_NORETRY,
		GFP_KERNEL | __GFP_RETRY_MAYFAIL, GFP_KERNEL | __GFP_ZERO,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flag); i++) {
		void *p = py_get(64, flag[i]);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
		pyfree(p);
	}
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
}

static struct kunit_case py_class_cases[] = {
	KUNIT_CASE(size_selects_class_8_bytes_apart),
	KUNIT_CASE(constant_size_selects_the_same_class),
	KUNIT_CASE(usable_size_is_class_size),
	KUNIT_CASE(roundup_is_usable_size),
	KUNIT_CASE(every_size_is_aligned),
	KUNIT_CASE(neighbours_do_not_overlap),
	KUNIT_CASE(size_zero_is_zero_size_ptr),
	KUNIT_CASE(free_of_nothing_does_nothing),
	KUNIT_CASE(size_of_nothing_is_zero),
	KUNIT_CASE(large_size_falls_through),
	KUNIT_CASE(large_sizes_are_counted_by_size),
	KUNIT_CASE(large_constant_size_is_plain_kmalloc),
	KUNIT_CASE(huge_size_fails),
	KUNIT_CASE(array_is_as_large_as_its_product),
	KUNIT_CASE(array_overflow_fails),
	KUNIT_CASE(zalloc_zeroes_a_dirty_block),
	KUNIT_CASE(zalloc_zeroes_virgin_blocks),
	KUNIT_CASE(constant_zalloc_zeroes),
	KUNIT_CASE(calloc_zeroes),
	KUNIT_CASE(large_zalloc_zeroes),
	KUNIT_CASE(kmalloced_memory_can_be_freed_and_sized),
	KUNIT_CASE(flags_of_kmalloc_fall_through),
	KUNIT_CASE(flags_of_kmalloc_fall_through_with_constant_size),
	KUNIT_CASE(flags_of_context_are_served),
	{}
};

static struct kunit_suite py_class_suite = {
	.name = "pyalloc_class",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_class_cases,
};

kunit_test_suite(py_class_suite);
