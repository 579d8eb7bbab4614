// SPDX-License-Identifier: GPL-2.0
/*
 * Private heaps: whose pages, up to which limit, and how they go.
 */
#include "common.h"

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

/* The test's own heap, and what it has at the moment. */
struct py_own {
	struct pyheap *heap;
	struct pyheap_stats stats;
};

static struct py_own *py_own(struct kunit *test, unsigned int flags)
{
	struct py_own *own = kunit_kzalloc(test, sizeof(*own), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, own);
	own->heap = pyheap_create("kunit", flags);
	KUNIT_ASSERT_FALSE(test, IS_ERR(own->heap));
	return own;
}

static const struct pyheap_stats *py_look(struct py_own *own)
{
	pyheap_walk(own->heap, &own->stats);
	return &own->stats;
}

/* pyheap_alloc() of a size that the compiler does not know, nor the result's. */
static noinline void *py_get_of(struct py_own *own, size_t size, gfp_t gfp)
{
	OPTIMIZER_HIDE_VAR(size);
	return pyheap_alloc(own->heap, size, gfp);
}

static void **py_get_many_of(struct kunit *test, struct py_own *own,
			     unsigned int n, size_t size)
{
	void **block = kunit_kcalloc(test, n, sizeof(*block), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, block);
	for (i = 0; i < n; i++) {
		block[i] = py_get_of(own, size, GFP_KERNEL);
		if (block[i])
			py_fill(block[i], size, i);
	}
	return block;
}

static void py_put_many_of(struct py_own *own, void **block, unsigned int n)
{
	while (n)
		pyheap_free(own->heap, block[--n]);
}

static bool py_heap_of(const void *p, const struct py_own *own)
{
	return py_arena_of(p)->heap == own->heap;
}

static void blocks_have_the_heaps_own_arenas(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *mine, *common = py_get(40, GFP_KERNEL);
	size_t size;

	for (size = 1; size <= PYALLOC_MAX; size += 7) {
		mine = py_get_of(own, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, mine);
		KUNIT_EXPECT_TRUE(test, py_heap_of(mine, own));
		KUNIT_EXPECT_EQ(test, pysize(mine), pyalloc_size_roundup(size));
		pyheap_free(own->heap, mine);
	}
	KUNIT_EXPECT_FALSE(test, py_heap_of(common, own));
	/* One pool a class, of 63 an arena. */
	KUNIT_EXPECT_LE(test, py_look(own)->arenas, 2);
	KUNIT_EXPECT_EQ(test, pyheap_stats_total(&own->stats),
			own->stats.arenas * PY_ARENA_SIZE);
	KUNIT_EXPECT_EQ(test, py_in_use_all(&own->stats), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
	pyfree(common);
}

static void zero_bytes_and_nothing(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);

	KUNIT_EXPECT_PTR_EQ(test, py_get_of(own, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	pyheap_free(own->heap, ZERO_SIZE_PTR);
	pyheap_free(own->heap, NULL);
	KUNIT_EXPECT_NULL(test, pyheap_calloc(own->heap, SIZE_MAX, 2, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(NULL), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(ERR_PTR(-ENOMEM)), 0);
}

static void zeroed_is_zero(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	size_t size;

	for (size = 8; size <= 2048; size *= 2) {
		u8 *dirty = py_get_of(own, size, GFP_KERNEL);
		u8 *p;

		KUNIT_ASSERT_NOT_NULL(test, dirty);
		memset(dirty, 0xa5, size);
		pyheap_free(own->heap, dirty);
		p = pyheap_zalloc(own->heap, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, size));
		pyheap_free(own->heap, p);
	}
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void names_are_checked(struct kunit *test)
{
	static const char * const bad[] = { NULL, "", ".", "..", "a/b", "/",
		"a name of sixty-four characters, which is one more than it may be" };
	struct pyheap *heap, *other;
	unsigned int i;
	char name[] = "a name";

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		heap = pyheap_create(bad[i], 0);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(heap), -EINVAL);
	}
	heap = pyheap_create("kunit", ~0U);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(heap), -EINVAL);

	heap = pyheap_create(name, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(heap));
	other = pyheap_create(name, 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(other), -EEXIST);
	other = pyheap_create("default", 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(other), -EEXIST);
	name[0] = 'b';		/* it has a copy */
	other = pyheap_create(name, 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR(other));
	KUNIT_EXPECT_EQ(test, pyheap_destroy(heap), 0);
	heap = pyheap_create("a name", 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR(heap));
	KUNIT_EXPECT_EQ(test, pyheap_destroy(heap), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(other), 0);
}

static void live_blocks_go_with_it(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	unsigned int size;

	for (size = 8; size <= 4096; size += 80)
		py_get_many_of(test, own, 200, size);
	KUNIT_EXPECT_GT(test, py_look(own)->arenas, 1);
	KUNIT_EXPECT_GT(test, own->stats.large, 1000);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* What does not come back from 40 heaps of 2 MiB would be seen. */
static void nothing_is_left_of_many(struct kunit *test)
{
	unsigned long before = 0, after;
	unsigned int round;

	for (round = 0; round < 40; round++) {
		struct py_own *own = py_own(test, 0);
		void **block = py_get_many_of(test, own, 4000, 512);

		KUNIT_EXPECT_NOT_NULL(test, block[3999]);
		KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
		kunit_kfree(test, block);
		if (round == 10)
			before = si_mem_available();
	}
	rcu_barrier();
	after = si_mem_available();
	KUNIT_EXPECT_GT(test, after + SZ_32M / PAGE_SIZE, before);
}

static void live_blocks_forbid_it(struct kunit *test)
{
	struct py_own *own = py_own(test, PYHEAP_MUST_BE_EMPTY);
	void *small = py_get_of(own, 40, GFP_KERNEL);
	void *large = py_get_of(own, 4000, GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), -EBUSY);
	pyheap_free(own->heap, small);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), -EBUSY);
	small = py_get_of(own, 40, GFP_KERNEL);		/* it is as it was */
	pyheap_free(own->heap, large);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), -EBUSY);
	pyheap_free(own->heap, small);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* On its way home, a block is not live. */
static void blocks_in_transit_do_not(struct kunit *test)
{
	struct py_own *own = py_own(test, PYHEAP_MUST_BE_EMPTY);
	unsigned int here = raw_smp_processor_id();
	void **block = py_get_many_of(test, own, 1000, 64);

	py_move_to(py_other_cpu(test));
	py_put_many_of(own, block, 1000);
	py_move_to(here);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* What is in other CPUs' boxes must not be found there when the pages are gone. */
static void destroyed_while_blocks_are_in_transit(struct kunit *test)
{
	unsigned int here = raw_smp_processor_id(), other = py_other_cpu(test);
	unsigned int round;

	for (round = 0; round < 50; round++) {
		struct py_own *own = py_own(test, 0);
		void **block = py_get_many_of(test, own, 100 + round * 10, 200);
		void **mixed = py_get_many(test, 50, 200);

		py_move_to(other);
		py_put_many_of(own, block, 70 + round);
		py_put_many(mixed, 50);
		py_move_to(here);
		KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
		kunit_kfree(test, block);
		kunit_kfree(test, mixed);
	}
}

struct py_reader {
	bool reads;
	bool over;
};

static void py_reader_run(void *arg)
{
	struct py_reader *reader = arg;

	rcu_read_lock();
	WRITE_ONCE(reader->reads, true);
	mdelay(200);
	WRITE_ONCE(reader->over, true);
	rcu_read_unlock();
}

/* Visits and the shrinker have the list of heaps under RCU alone. */
static void destroyed_when_nobody_has_it_from_the_list(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	struct py_reader reader = {};
	struct py_worker worker;

	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, py_other_cpu(test),
						py_reader_run, &reader));
	while (!READ_ONCE(reader.reads))
		cpu_relax();
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(reader.over));
	py_worker_finish(&worker);
}

static void above_512_bytes_it_is_the_heaps_still(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *p = py_get_of(own, 513, GFP_KERNEL);
	void *q = py_get_of(own, 5000, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	memset(p, 1, 513);
	memset(q, 2, 5000);
	KUNIT_EXPECT_EQ(test, py_look(own)->large, 2);
	KUNIT_EXPECT_EQ(test, own->stats.large_bytes,
			kmalloc_size_roundup(513) + kmalloc_size_roundup(5000));
	KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), own->stats.large_bytes);
	pyheap_free(own->heap, p);
	KUNIT_EXPECT_EQ(test, py_look(own)->large, 1);
	pyheap_free(own->heap, q);
	KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void flags_of_kmallocs_are_the_heaps_too(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *p = py_get_of(own, 64, GFP_KERNEL_ACCOUNT);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_look(own)->large, 1);
	KUNIT_EXPECT_EQ(test, own->stats.fall[PY_FALL_GFP][0], 1);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void limit_refuses(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	size_t limit = 100 * 1000;
	void **block;
	unsigned int n;

	pyheap_set_limit(own->heap, limit);
	block = py_get_many_of(test, own, 2000, 64);
	for (n = 0; n < 2000 && block[n]; n++)
		;
	/* In pools of 4 KiB, and a pair of them is more than the last. */
	KUNIT_EXPECT_LE(test, n * py_class_stride(PYALLOC_CLASS(64)), limit);
	KUNIT_EXPECT_GT(test, n * py_class_stride(PYALLOC_CLASS(64)), limit * 9 / 10);
	KUNIT_EXPECT_LE(test, pyheap_held(own->heap), limit);
	KUNIT_EXPECT_EQ(test, py_look(own)->event[PY_EV_LIMIT], 2000 - n);
	KUNIT_EXPECT_EQ(test, own->stats.limit, limit);
	KUNIT_EXPECT_NULL(test, py_get_of(own, 3000, GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_EQ(test, own->stats.large, 0);

	py_put_many_of(own, block, n);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), 0);
	block[0] = py_get_of(own, 3000, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block[0]);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void limit_counts_what_kmalloc_serves(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void **block;
	unsigned int n;

	pyheap_set_limit(own->heap, 64 * 1024);
	block = py_get_many_of(test, own, 20, 8192);
	for (n = 0; n < 20 && block[n]; n++)
		;
	KUNIT_EXPECT_EQ(test, n, 8);
	KUNIT_EXPECT_NULL(test, py_get_of(own, 8, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, pyheap_realloc(own->heap, block[0], 9000, GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, py_holds(block[0], 8192, 0));
	pyheap_free(own->heap, block[1]);
	block[1] = py_get_of(own, 8, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block[1]);
	pyheap_set_limit(own->heap, 0);
	block[2] = py_get_of(own, 64 * 1024, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, block[2]);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/*
 * Some pools that this CPU has handed back, but nobody has put into their arenas yet, as
 * is done with eight at a time. Limits the heap to what it holds.
 */
static void py_hand_back(struct kunit *test, struct py_own *own)
{
	unsigned int pools, n;
	size_t large = py_look(own)->large_bytes;
	void **block;

	pyheap_set_limit(own->heap, 0);
	for (pools = 2 * PY_SPARE_MAX; pools < 4 * PY_SPARE_MAX; pools++) {
		n = pools * py_class_blocks(PYALLOC_CLASS(128));
		block = py_get_many_of(test, own, n, 128);	/* pools come in pairs */
		py_put_many_of(own, block, n);
		pyheap_set_limit(own->heap, pyheap_held(own->heap));
		/* One that is current, and the spare ones. */
		if (pyheap_held(own->heap) > large + (PY_SPARE_MAX + 1) * PY_POOL_SIZE)
			return;
		pyheap_set_limit(own->heap, 0);
	}
	KUNIT_FAIL(test, "all are collected at once");
}

static void limit_lets_kmalloc_have_what_nobody_has(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *p;

	py_hand_back(test, own);
	p = py_get_of(own, PY_POOL_SIZE, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, p);
	py_hand_back(test, own);
	p = pyheap_realloc(own->heap, p, 2 * PY_POOL_SIZE, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_look(own)->event[PY_EV_LIMIT], 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* The heap holds more then; others are refused still. */
static void limit_does_not_bind_who_cannot_fail(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *p;

	pyheap_set_limit(own->heap, 1);
	KUNIT_EXPECT_NULL(test, py_get_of(own, 64, GFP_KERNEL));
	p = py_get_of(own, 64, GFP_KERNEL | __GFP_NOFAIL);
	KUNIT_EXPECT_TRUE(test, p && py_heap_of(p, own));
	KUNIT_EXPECT_NOT_NULL(test, py_get_of(own, 1000, GFP_KERNEL | __GFP_NOFAIL));
	KUNIT_EXPECT_NULL(test, py_get_of(own, 1000, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, py_look(own)->event[PY_EV_LIMIT], 2);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* What kmalloc() serves instead is the heap's, and counts. */
static void without_an_arena_kmalloc_serves_the_heap(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *p;

	py_arenas_fail(true);
	p = py_get_of(own, 64, GFP_KERNEL);
	py_arenas_fail(false);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_look(own)->fall[PY_FALL_ARENA][0], 1);
	KUNIT_EXPECT_EQ(test, own->stats.arenas_failed, 1);
	KUNIT_EXPECT_EQ(test, own->stats.large, 1);
	KUNIT_EXPECT_EQ(test, own->stats.held, kmalloc_size_roundup(64));
	pyheap_free(own->heap, p);
	KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void limit_that_was_lowered_lets_shrink(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *p = py_get_of(own, 16384, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyheap_set_limit(own->heap, 4096);
	p = pyheap_realloc(own->heap, p, 8192, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, p);
	KUNIT_EXPECT_NULL(test, py_get_of(own, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void impossible_sizes_count_for_nothing(struct kunit *test)
{
	static const size_t sizes[] = { KMALLOC_MAX_SIZE + 1, LONG_MAX, SIZE_MAX };
	struct py_own *own = py_own(test, 0);
	void *p = py_get_of(own, 1000, GFP_KERNEL);
	size_t held = pyheap_held(own->heap);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];

		OPTIMIZER_HIDE_VAR(size);
		KUNIT_EXPECT_NULL(test, py_get_of(own, size, GFP_KERNEL | __GFP_NOWARN));
		KUNIT_EXPECT_NULL(test, pyheap_realloc(own->heap, p, size,
						       GFP_KERNEL | __GFP_NOWARN));
		KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), held);
	}
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void resized_it_keeps_its_contents(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	size_t size, last = 8;
	void *p = py_get_of(own, 8, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 8, 9);
	for (size = 16; size <= 20000; size += size / 4 + 8) {
		p = pyheap_realloc(own->heap, p, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_TRUE(test, py_holds(p, last, 9));
		py_fill(p, size, 9);
		last = size;
	}
	for (; size >= 8; size /= 2) {
		p = pyheap_realloc(own->heap, p, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_TRUE(test, py_holds(p, min(size, last), 9));
	}
	KUNIT_EXPECT_PTR_EQ(test, pyheap_realloc(own->heap, p, 0, GFP_KERNEL),
			    ZERO_SIZE_PTR);
	p = pyheap_realloc(own->heap, NULL, 100, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, p && py_heap_of(p, own));
	pyheap_free(own->heap, p);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_look(own)), 0);
	KUNIT_EXPECT_EQ(test, own->stats.large, 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void memory_of_others_is_refused(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void *common = py_get(40, GFP_KERNEL), *theirs;
	void *foreign = kmalloc(4000, GFP_KERNEL);
	struct pyheap *other = pyheap_create("another", 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	theirs = pyheap_alloc(other, 40, GFP_KERNEL);
	PY_SUPPRESS_WARN(test) {
		pyheap_free(own->heap, common);
		pyheap_free(own->heap, theirs);
		pyheap_free(own->heap, foreign);
		KUNIT_EXPECT_NULL(test, pyheap_realloc(own->heap, theirs, 50,
						       GFP_KERNEL));
		KUNIT_EXPECT_NULL(test, pyheap_realloc(own->heap, foreign, 50,
						       GFP_KERNEL));
	}
	KUNIT_EXPECT_EQ(test, py_look(own)->event[PY_EV_BAD_FREE], 5);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	pyheap_free(other, theirs);
	kfree(foreign);
	pyfree(common);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(other), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void empty_one_costs_little(struct kunit *test)
{
	struct pyheap *heap = pyheap_default();
	size_t bytes = kmalloc_size_roundup(sizeof(*heap)) +
		       kmalloc_size_roundup(nr_node_ids * sizeof(*heap->node)) +
		       kmalloc_size_roundup(PY_ONE_SECOND / 16 + 1) +	/* a name */
		       kmalloc_size_roundup(sizeof(**heap->node));
	struct py_own *own = py_own(test, 0);

	KUNIT_EXPECT_LE(test, bytes, SZ_4K);
	KUNIT_EXPECT_LE(test, sizeof(struct pyheap_cpu), SZ_2K);
	KUNIT_EXPECT_EQ(test, py_look(own)->arenas, 0);
	KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void what_it_held_comes_back(struct kunit *test)
{
	struct py_own *own = py_own(test, 0);
	void **block = py_get_many_of(test, own, 5000, 200);

	KUNIT_EXPECT_GE(test, pyheap_held(own->heap), 5000 * 200);
	py_put_many_of(own, block, 5000);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_LE(test, py_look(own)->arenas, 1);
	KUNIT_EXPECT_EQ(test, pyheap_held(own->heap), 0);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_look(own)->arenas, 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

static void single_pages_look_like_an_arena(struct kunit *test)
{
	struct py_own *own = py_own(test, PYHEAP_VMALLOC);
	unsigned int n = 10 * PY_ARENA_MAX_BLOCKS, i;
	void **block = py_get_many_of(test, own, n, PYALLOC_MAX);

	for (i = 0; i < n; i++) {
		KUNIT_ASSERT_TRUE(test, block[i] && is_vmalloc_addr(block[i]));
		KUNIT_EXPECT_TRUE(test, py_heap_of(block[i], own));
		KUNIT_EXPECT_TRUE(test, py_holds(block[i], PYALLOC_MAX, i));
	}
	KUNIT_EXPECT_EQ(test, py_look(own)->arenas, 10);
	KUNIT_EXPECT_EQ(test, pyheap_stats_total(&own->stats), 10 * PY_ARENA_SIZE);
	py_put_many_of(own, block, n);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_look(own)->arenas, 0);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* Two regions while there are ten arenas, none after a trim, and none after the heap. */
static void single_pages_are_booked(struct kunit *test)
{
	unsigned int n = 10 * PY_ARENA_MAX_BLOCKS, try;
	long before, during = 0, trimmed = 0, after = 0;
	struct py_own *own;
	void **block;

	/*
	 * The books are exact to some pages a CPU. But with KASAN megabytes of what others
	 * freed wait, and go at any time: then it is tried again.
	 */
	for (try = 0; try < 5; try++) {
		before = py_slab_pages();
		own = py_own(test, PYHEAP_VMALLOC);
		block = py_get_many_of(test, own, n, PYALLOC_MAX);
		during = py_slab_pages() - before;
		py_put_many_of(own, block, n);
		kunit_kfree(test, block);
		pyalloc_trim();
		trimmed = py_slab_pages() - before;
		KUNIT_EXPECT_NOT_NULL(test, py_get_of(own, 64, GFP_KERNEL));
		KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
		after = py_slab_pages() - before;
		if (during >= 15 * PY_ARENA_PAGES && during <= 18 * PY_ARENA_PAGES &&
		    trimmed <= PY_ARENA_PAGES && after <= PY_ARENA_PAGES)
			return;
	}
	KUNIT_FAIL(test, "booked: %ld pages, %ld after trim, %ld after all", during,
		   trimmed, after);
}

/* Not a page of a region has two places: what is written to one stays there. */
static void single_pages_are_there_once(struct kunit *test)
{
	struct py_own *own = py_own(test, PYHEAP_VMALLOC);
	unsigned int n = PY_REGION_ARENAS * PY_ARENA_MAX_BLOCKS, i;
	void **block = py_get_many_of(test, own, n, PYALLOC_MAX);

	KUNIT_EXPECT_EQ(test, py_look(own)->arenas, PY_REGION_ARENAS);
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_TRUE(test, py_holds(block[i], PYALLOC_MAX, i));
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* A region that an atomic caller missed is not made for a heap that goes. */
static void single_pages_go_with_the_heap(struct kunit *test)
{
	unsigned long before, regions = 16;
	unsigned int i;

	before = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	for (i = 0; i < regions; i++) {
		struct py_own *own = py_own(test, PYHEAP_VMALLOC);

		KUNIT_EXPECT_NOT_NULL(test, py_get_of(own, 64, GFP_ATOMIC));
		KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
	}
	KUNIT_EXPECT_LT(test, global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B),
			before + regions * PY_REGION_ARENAS * PY_ARENA_PAGES / 2);
}

/* Who cannot wait is served by kmalloc(), and the reaper sees to it. */
static void single_pages_are_mapped_by_who_may_sleep(struct kunit *test)
{
	struct py_own *own = py_own(test, PYHEAP_VMALLOC);
	void *p = py_get_of(own, 64, GFP_ATOMIC);
	unsigned int seconds = 0;

	KUNIT_EXPECT_TRUE(test, p && !is_vmalloc_addr(p));
	KUNIT_EXPECT_EQ(test, py_look(own)->large, 1);
	do {	/* 2 MiB can take an emulated machine more than one */
		pyheap_free(own->heap, p);
		msleep(PY_ONE_SECOND);
		p = py_get_of(own, 64, GFP_ATOMIC);
	} while (p && !is_vmalloc_addr(p) && ++seconds < 10);
	KUNIT_EXPECT_TRUE(test, p && is_vmalloc_addr(p));
	KUNIT_EXPECT_EQ(test, pyheap_destroy(own->heap), 0);
}

/* Many heaps, two CPUs, each freeing the other's: then all go at once. */
#define PY_HEAPS	8
#define PY_HEAP_OPS	20000
#define PY_HEAP_SLOTS	64

struct py_crowd {
	struct pyheap *heap[PY_HEAPS];
	void *slot[PY_HEAPS][PY_HEAP_SLOTS];
	bool wrong;
};

static void py_crowd_run(void *arg)
{
	struct py_crowd *crowd = arg;
	u32 seed = 1 + raw_smp_processor_id();
	unsigned int i;

	for (i = 0; i < PY_HEAP_OPS; i++) {
		unsigned int h, s;
		size_t size;
		u32 *p;

		seed = seed * 1664525 + 1013904223;
		h = seed >> 8 & (PY_HEAPS - 1);
		s = seed >> 12 & (PY_HEAP_SLOTS - 1);
		size = 8 + (seed >> 18) % 600;
		p = pyheap_alloc(crowd->heap[h], size, GFP_KERNEL);
		if (!p) {
			crowd->wrong = true;
			return;
		}
		*p = h;
		p = xchg(&crowd->slot[h][s], p);
		if (p && *p != h)
			crowd->wrong = true;
		pyheap_free(crowd->heap[h], p);
		if (i % 64 == 0)
			cond_resched();
	}
}

static void many_heaps_on_two_cpus(struct kunit *test)
{
	struct py_crowd *crowd = kunit_kzalloc(test, sizeof(*crowd), GFP_KERNEL);
	unsigned int i, other = py_other_cpu(test);
	struct py_worker w;
	char name[16];

	KUNIT_ASSERT_NOT_NULL(test, crowd);
	for (i = 0; i < PY_HEAPS; i++) {
		snprintf(name, sizeof(name), "crowd %u", i);
		crowd->heap[i] = pyheap_create(name, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR(crowd->heap[i]));
	}
	KUNIT_ASSERT_TRUE(test, py_worker_start(&w, other, py_crowd_run, crowd));
	py_crowd_run(crowd);
	py_worker_finish(&w);
	KUNIT_EXPECT_FALSE(test, crowd->wrong);
	for (i = 0; i < PY_HEAPS; i++)
		KUNIT_EXPECT_EQ(test, pyheap_destroy(crowd->heap[i]), 0);
}

static struct kunit_case py_heap_cases[] = {
	KUNIT_CASE(blocks_have_the_heaps_own_arenas),
	KUNIT_CASE(zero_bytes_and_nothing),
	KUNIT_CASE(zeroed_is_zero),
	KUNIT_CASE(names_are_checked),
	KUNIT_CASE(live_blocks_go_with_it),
	KUNIT_CASE(nothing_is_left_of_many),
	KUNIT_CASE(live_blocks_forbid_it),
	KUNIT_CASE(blocks_in_transit_do_not),
	KUNIT_CASE(destroyed_while_blocks_are_in_transit),
	KUNIT_CASE(destroyed_when_nobody_has_it_from_the_list),
	KUNIT_CASE(above_512_bytes_it_is_the_heaps_still),
	KUNIT_CASE(flags_of_kmallocs_are_the_heaps_too),
	KUNIT_CASE(limit_refuses),
	KUNIT_CASE(limit_counts_what_kmalloc_serves),
	KUNIT_CASE(limit_lets_kmalloc_have_what_nobody_has),
	KUNIT_CASE(limit_does_not_bind_who_cannot_fail),
	KUNIT_CASE(without_an_arena_kmalloc_serves_the_heap),
	KUNIT_CASE(limit_that_was_lowered_lets_shrink),
	KUNIT_CASE(impossible_sizes_count_for_nothing),
	KUNIT_CASE(resized_it_keeps_its_contents),
	KUNIT_CASE(memory_of_others_is_refused),
	KUNIT_CASE(empty_one_costs_little),
	KUNIT_CASE(what_it_held_comes_back),
	KUNIT_CASE(single_pages_look_like_an_arena),
	KUNIT_CASE(single_pages_are_booked),
	KUNIT_CASE(single_pages_are_there_once),
	KUNIT_CASE(single_pages_go_with_the_heap),
	KUNIT_CASE(single_pages_are_mapped_by_who_may_sleep),
	KUNIT_CASE(many_heaps_on_two_cpus),
	{}
};

static struct kunit_suite py_heap_suite = {
	.name = "pyalloc_heap",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_heap_cases,
};

kunit_test_suite(py_heap_suite);
