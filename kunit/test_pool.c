// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: how they are carved, which states they pass through, in which order
 * their blocks come, and what their free lists look like. Where a test says
 * what an owner's pool is, it looks at the descriptor in the arena's header.
 */
#include "common.h"

#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/mm.h>

/* All blocks of one fresh pool of @class. */
static void **py_get_pool(struct kunit *test, unsigned int class)
{
	unsigned int i, n = py_class_blocks(class);
	void **block = py_get_many(test, n, py_class_size(class));

	for (i = 0; i < n; i++)
		KUNIT_ASSERT_PTR_EQ(test, py_pool_of(block[i]), py_pool_of(block[0]));
	return block;
}

/* Blocks start at the first byte of the page: that is where alignment is from. */
static void first_block_is_first_byte_of_the_page(struct kunit *test)
{
	unsigned int class;

	py_shuffle.value = 0;
	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		void *p = py_get(py_class_size(class), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_EQ(test, offset_in_page(p), 0);
		pyfree(p);
		pyalloc_trim();
	}
}

static void fresh_blocks_come_in_address_order(struct kunit *test)
{
	unsigned int class, i;

	py_shuffle.value = 0;
	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		void **block = py_get_pool(test, class);

		for (i = 0; i < py_class_blocks(class); i++)
			KUNIT_EXPECT_EQ(test, offset_in_page(block[i]),
					i * py_class_stride(class));
		py_put_many(block, py_class_blocks(class));
		pyalloc_trim();
	}
}

/* In how many places do the orders of blocks of two fresh pools differ? */
static unsigned int py_orders_differ(struct kunit *test, unsigned int class)
{
	unsigned int i, n = py_class_blocks(class), differ = 0;
	void **a = py_get_pool(test, class), **b = py_get_pool(test, class);

	for (i = 0; i < n; i++)
		differ += offset_in_page(a[i]) != offset_in_page(b[i]);
	KUNIT_EXPECT_EQ(test, pyheap_stats_total(py_walk(test)), PY_ARENA_SIZE);
	py_put_many(a, n);
	py_put_many(b, n);
	pyalloc_trim();
	return differ;
}

/* Of n blocks, all but one are elsewhere on average; of at least 16 half at the least. */
static void fresh_blocks_come_in_random_order(struct kunit *test)
{
	unsigned int class;

	py_shuffle.value = 1;
	for (class = 0; py_class_carve(class) >= 16; class++)
		KUNIT_EXPECT_GT(test, py_orders_differ(test, class),
				py_class_blocks(class) / 2);
	KUNIT_EXPECT_GT(test, class, 0);
	py_shuffle.value = 0;
	KUNIT_EXPECT_EQ(test, py_orders_differ(test, 0), 0);
}

static void py_expect_each_block_once(struct kunit *test, unsigned int class)
{
	DECLARE_BITMAP(seen, PY_POOL_BLOCKS);
	void **block = py_get_pool(test, class);
	unsigned int i, index;

	bitmap_zero(seen, PY_POOL_BLOCKS);
	for (i = 0; i < py_class_blocks(class); i++) {
		index = offset_in_page(block[i]) / py_class_stride(class);
		KUNIT_EXPECT_EQ(test, offset_in_page(block[i]),
				index * py_class_stride(class));
		KUNIT_EXPECT_LT(test, index, py_class_blocks(class));
		KUNIT_EXPECT_FALSE(test, __test_and_set_bit(index, seen));
	}
	py_put_many(block, py_class_blocks(class));
	pyalloc_trim();
}

static void pool_hands_out_each_block_once(struct kunit *test)
{
	unsigned int class;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		for (py_shuffle.value = 0; py_shuffle.value < 2; py_shuffle.value++)
			py_expect_each_block_once(test, class);
	}
}

static void pool_is_carved_in_small_batches(struct kunit *test)
{
	unsigned int class, i, n, carved;
	struct py_pool *pool;
	void **block;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		n = py_class_blocks(class);
		block = kunit_kcalloc(test, n, sizeof(*block), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block);
		for (i = 0; i < n; i++) {
			block[i] = py_get(py_class_size(class), GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, block[i]);
			pool = py_pool_of(block[i]);
			carved = min(n, (i / py_class_carve(class) + 1) * py_class_carve(class));
			KUNIT_EXPECT_EQ_MSG(test, pool->carved, carved,
					    "class %u, block %u", class, i);
		}
		py_put_many(block, n);
		pyalloc_trim();
	}
}

static void freed_blocks_come_before_virgin_ones(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(8), carve = py_class_carve(class), round, i;
	void **block = py_get_many(test, carve, 8);
	struct py_pool *pool = py_pool_of(block[0]);

	for (round = 0; round < 3; round++) {
		py_put_many(block, carve);
		for (i = 0; i < carve; i++)
			block[i] = py_get(8, GFP_KERNEL);
		KUNIT_EXPECT_EQ(test, pool->carved, carve);
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_CARVE), 1);
	py_put_many(block, carve);
}

static void walk_counts_virgin_free_and_used_blocks(struct kunit *test)
{
	unsigned int class, n, carved;
	const struct py_class_stats *c;
	void **block;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		n = min(5U, py_class_blocks(class));
		carved = min(roundup(n, py_class_carve(class)),
			     py_class_blocks(class));
		block = py_get_many(test, n, py_class_size(class));
		pyfree(block[n - 1]);
		c = &py_walk(test)->class[class];
		KUNIT_EXPECT_EQ(test, c->pools, 1);
		KUNIT_EXPECT_EQ(test, c->handed_out, n - 1);
		KUNIT_EXPECT_EQ(test, c->free, carved - (n - 1));
		KUNIT_EXPECT_EQ(test, c->virgin, py_class_blocks(class) - carved);
		KUNIT_EXPECT_EQ(test, c->transit, 0);
		py_put_many(block, n - 1);
		pyalloc_trim();
	}
}

/* The walk counts what is there, not what would have to be there. */
static void walk_misses_lost_blocks(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void **block = py_get_many(test, 4, 64), *list;
	struct py_pool *pool = py_pool_of(block[0]);
	u64 lost, total;

	py_put_many(block, 2);
	lost = py_walk(test)->class[PYALLOC_CLASS(64)].free;
	KUNIT_EXPECT_GE(test, lost, 2);
	list = pool->free;
	WRITE_ONCE(pool->free, NULL);
	pyheap_walk(pyheap_default(), fix->now);
	WRITE_ONCE(pool->free, list);
	total = pyheap_stats_total(fix->now);
	KUNIT_EXPECT_EQ(test, total + lost * 64, fix->now->arenas * PY_ARENA_SIZE);
	py_put_many(block + 2, 2);
}

/* A link that points between two blocks, and one to what was never handed out. */
static void walk_finds_corrupt_lists(struct kunit *test)
{
	struct py_fixture *fix = test->priv;
	void **block = py_get_many(test, 4, 64), *list;
	struct py_pool *pool = py_pool_of(block[0]);
	void *wrong[] = {
		block[0] + PYALLOC_ALIGN,
		py_pool_base(pool) + PY_POOL_SIZE - py_class_stride(PYALLOC_CLASS(64)),
	};
	unsigned int i;

	list = pool->free;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		WRITE_ONCE(pool->free, wrong[i]);
		pyheap_walk(pyheap_default(), fix->now);
		WRITE_ONCE(pool->free, list);
		KUNIT_EXPECT_EQ(test, fix->now->corrupt, 1);
	}
	py_put_many(block, 4);
}

static void first_pool_of_a_class_is_current(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL);
	struct py_arena *arena = py_arena_of(p);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_pool_of(p)->state, PY_POOL_CURRENT);
	KUNIT_EXPECT_EQ(test, arena->owner[py_index_of(p)], raw_smp_processor_id());
	KUNIT_EXPECT_EQ(test, arena->class[py_index_of(p)], PYALLOC_CLASS(64));
	pyfree(p);
}

/* So that a free into the current pool never reaches 0, which is an event. */
static void current_pool_counts_one_more_than_its_blocks(struct kunit *test)
{
	void **block = py_get_many(test, 9, 64);
	struct py_pool *pool = py_pool_of(block[0]);

	KUNIT_EXPECT_EQ(test, pool->left, 9 + 1);
	py_put_many(block + 4, 5);
	KUNIT_EXPECT_EQ(test, pool->left, 4 + 1);
	py_put_many(block, 4);
	KUNIT_EXPECT_EQ(test, pool->left, 1);
}

static void current_pool_stays_when_it_runs_empty(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyfree(p);
	KUNIT_EXPECT_EQ(test, py_pool_of(p)->state, PY_POOL_CURRENT);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_POOL_EVENT), 0);
	q = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, p, q);
	pyfree(q);
}

static void exhausted_pool_is_full_once_another_is_needed(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(64), n = py_class_blocks(class);
	void **block = py_get_pool(test, class);
	struct py_pool *pool = py_pool_of(block[0]);
	void *next = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, next);
	KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_FULL);
	KUNIT_EXPECT_EQ(test, pool->left, 1);
	KUNIT_EXPECT_PTR_NE(test, py_pool_of(next), pool);
	KUNIT_EXPECT_EQ(test, py_pool_of(next)->state, PY_POOL_CURRENT);
	pyfree(next);
	py_put_many(block, n);
}

static void full_pool_is_used_after_one_free(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(64), n = py_class_blocks(class);
	void **block = py_get_pool(test, class);
	struct py_pool *pool = py_pool_of(block[0]);
	void *next = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, next);
	pyfree(block[n - 1]);
	KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_USED);
	KUNIT_EXPECT_EQ(test, pool->left, n - 1);
	KUNIT_EXPECT_EQ(test, py_walk(test)->class[class].free, 1 +
			py_class_carve(class) - 1);
	pyfree(next);
	py_put_many(block, n - 1);
}

/* For every class, of which the smallest pool has 8 blocks and the largest 512. */
static void used_pool_counts_its_blocks(struct kunit *test)
{
	unsigned int class, n, i;
	struct py_pool *pool;
	void **block, *next;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		n = py_class_blocks(class);
		block = py_get_pool(test, class);
		pool = py_pool_of(block[0]);
		next = py_get(py_class_size(class), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, next);
		for (i = 0; i < n - 1; i++) {
			pyfree(block[i]);
			KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_USED);
			KUNIT_EXPECT_EQ(test, pool->left, n - 1 - i);
		}
		pyfree(block[n - 1]);
		KUNIT_EXPECT_NE(test, pool->state, PY_POOL_USED);
		pyfree(next);
		pyalloc_trim();
	}
}

static void empty_used_pool_has_no_class(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(64), n = py_class_blocks(class);
	void **block = py_get_pool(test, class);
	struct py_arena *arena = py_arena_of(block[0]);
	unsigned int index = py_index_of(block[0]);
	void *next = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, next);
	py_put_many(block, n);
	KUNIT_EXPECT_EQ(test, arena->class[index], PY_CLASS_NONE);
	KUNIT_EXPECT_TRUE(test, arena->pool[index].state == PY_POOL_SPARE ||
			  arena->pool[index].state == PY_POOL_UNUSED);
	KUNIT_EXPECT_EQ(test, py_walk(test)->class[class].pools, 1);
	pyfree(next);
}

static void used_pool_is_taken_before_a_fresh_one(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(128), n = py_class_blocks(class), i;
	void **first = py_get_pool(test, class);
	struct py_pool *pool = py_pool_of(first[0]);
	void **second = py_get_pool(test, class);

	py_put_many(first, n / 2);
	for (i = 0; i < n / 2; i++) {
		first[i] = py_get(128, GFP_KERNEL);
		KUNIT_EXPECT_PTR_EQ(test, py_pool_of(first[i]), pool);
	}
	KUNIT_EXPECT_EQ(test, py_walk(test)->class[class].pools, 2);
	py_put_many(first, n);
	py_put_many(second, n);
}

static void used_pool_becomes_current_again(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(128), n = py_class_blocks(class);
	void **first = py_get_pool(test, class);
	struct py_pool *pool = py_pool_of(first[0]);
	void **second = py_get_pool(test, class), *p;

	py_put_many(first, 3);
	p = py_get(128, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, py_pool_of(p), pool);
	KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_CURRENT);
	KUNIT_EXPECT_EQ(test, pool->left, n - 2 + 1);
	KUNIT_EXPECT_EQ(test, py_pool_of(second[0])->state, PY_POOL_FULL);
	pyfree(p);
	py_put_many(first + 3, n - 3);
	py_put_many(second, n);
}

static void last_freed_is_next_allocated(struct kunit *test)
{
	void **block = py_get_many(test, 20, 72), *freed[10];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(freed); i++) {
		freed[i] = block[(i * 7) % 10];
		pyfree(freed[i]);
	}
	for (i = ARRAY_SIZE(freed); i--;)
		KUNIT_EXPECT_PTR_EQ(test, py_get(72, GFP_KERNEL), freed[i]);
	py_put_many(block, 20);
}

static void last_freed_is_first_of_a_used_pool(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(72), n = py_class_blocks(class), i;
	void **first = py_get_pool(test, class);
	void **second = py_get_pool(test, class);
	void *freed[5];

	for (i = 0; i < ARRAY_SIZE(freed); i++) {
		freed[i] = first[i * 3];
		pyfree(freed[i]);
	}
	for (i = ARRAY_SIZE(freed); i--;)
		KUNIT_EXPECT_PTR_EQ(test, py_get(72, GFP_KERNEL), freed[i]);
	py_put_many(first, n);
	py_put_many(second, n);
}

static void classes_share_no_pool(struct kunit *test)
{
	void **block = kunit_kcalloc(test, PYALLOC_NR_CLASSES, sizeof(*block),
				     GFP_KERNEL);
	const struct pyheap_stats *s;
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, block);
	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		block[i] = py_get(py_class_size(i), GFP_KERNEL);
	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_PTR_NE(test, py_pool_of(block[i]),
					    py_pool_of(block[j]));
	s = py_walk(test);
	for (i = 0; i < PYALLOC_NR_CLASSES; i++) {
		KUNIT_EXPECT_EQ(test, s->class[i].pools, 1);
		KUNIT_EXPECT_EQ(test, s->class[i].handed_out, 1);
	}
	py_put_many(block, PYALLOC_NR_CLASSES);
}

static void empty_pool_serves_another_class(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(64), n = py_class_blocks(class);
	void **block = py_get_pool(test, class);
	struct py_pool *pool = py_pool_of(block[0]);
	void *next = py_get(64, GFP_KERNEL), *other;

	py_put_many(block, n);
	other = py_get(256, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, py_pool_of(other), pool);
	KUNIT_EXPECT_EQ(test, py_class_of(other), PYALLOC_CLASS(256));
	KUNIT_EXPECT_EQ(test, pool->left, 1 + 1);
	KUNIT_EXPECT_EQ(test, pool->carved, py_class_carve(PYALLOC_CLASS(256)));
	pyfree(other);
	pyfree(next);
}

static void cpu_keeps_few_spare_pools(struct kunit *test)
{
	unsigned int n = 20 * 8;
	void **block = py_get_many(test, n, 512);
	const struct pyheap_stats *s;

	py_put_many(block, n);
	s = py_walk(test);
	KUNIT_EXPECT_LE(test, s->spare, PY_SPARE_MAX);
	KUNIT_EXPECT_GE(test, s->unused, s->spare);
	KUNIT_EXPECT_LE(test, py_pools_all(s), 1);
}

/* One lock for all of them; none is for ever. */
static void pools_taken_together_are_spare(struct kunit *test)
{
	void *p = py_get(PYALLOC_MAX, GFP_KERNEL);
	u64 takes = py_events(test, PY_EV_NODE_TAKE);
	unsigned int n = PY_SPARE_MAX * PY_POOL_MAX_BLOCKS;
	const struct pyheap_stats *s;
	void **block;

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_walk(test)->spare, PY_SPARE_MAX);
	block = py_get_many(test, n, PYALLOC_MAX);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_NODE_TAKE), takes);
	py_put_many(block, n);
	pyalloc_trim();
	pyfree(p);

	p = py_get(PYALLOC_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	pyalloc_trim();
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->spare, 0);
	KUNIT_EXPECT_EQ(test, s->unused + s->gone, PY_ARENA_POOLS - 1);
	KUNIT_EXPECT_EQ(test, s->unused, py_in_regions() ? PY_ARENA_POOLS - 1 : 0);
	KUNIT_EXPECT_EQ(test, s->arenas, 1);
	pyfree(p);
}

static void trim_takes_the_current_pool(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 1);
	pyfree(p);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 0);
}

static void idle_current_pool_is_given_back(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL);
	const struct pyheap_stats *s;

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyfree(p);
	msleep(PY_ONE_SECOND);
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, py_pools_all(s), 0);
	KUNIT_EXPECT_EQ(test, s->spare, 0);
}

/* The second class's pool comes with its neighbour in the cache line. */
static void idle_spare_pool_is_given_back(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL), *q = py_get(128, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_EQ(test, py_walk(test)->spare, 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->spare, 0);
	pyfree(p);
	pyfree(q);
}

static void idle_current_pool_with_a_block_is_used(struct kunit *test)
{
	void *p = py_get(64, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 64, 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_pool_of(p)->state, PY_POOL_USED);
	KUNIT_EXPECT_EQ(test, py_pool_of(p)->left, 1);
	q = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, py_pool_of(q), py_pool_of(p));
	KUNIT_EXPECT_EQ(test, py_pool_of(p)->state, PY_POOL_CURRENT);
	KUNIT_EXPECT_TRUE(test, py_holds(p, 64, 1));
	pyfree(q);
	pyfree(p);
}

/* The pool has nothing to give, so it cannot be on the list of used ones. */
static void idle_exhausted_pool_is_full(struct kunit *test)
{
	unsigned int class = PYALLOC_CLASS(512), n = py_class_blocks(class);
	void **block = py_get_pool(test, class), *next;
	struct py_pool *pool = py_pool_of(block[0]);

	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_FULL);
	KUNIT_EXPECT_EQ(test, pool->left, 1);
	next = py_get(512, GFP_KERNEL);
	KUNIT_EXPECT_PTR_NE(test, py_pool_of(next), pool);
	pyfree(next);
	py_put_many(block, n);
}

/* Two freed blocks: the second one's first word is the link to the first. */
static void free_list_is_encoded_where_the_kernel_hardens(struct kunit *test)
{
	void **block = py_get_many(test, 3, 64);
	unsigned long link;

	pyfree(block[0]);
	pyfree(block[1]);
	link = py_freed_link(block[1]);
	if (IS_ENABLED(CONFIG_SLAB_FREELIST_HARDENED))
		KUNIT_EXPECT_NE(test, link, (unsigned long)block[0]);
	else
		KUNIT_EXPECT_EQ(test, link, (unsigned long)block[0]);
	pyfree(block[2]);
}

/* With the address mixed in, equal links at two places look different. */
static void encoding_depends_on_the_address(struct kunit *test)
{
	void **block = py_get_many(test, 3, 64);
	unsigned long first, second;

	if (!IS_ENABLED(CONFIG_SLAB_FREELIST_HARDENED)) {
		py_put_many(block, 3);
		kunit_skip(test, "needs SLAB_FREELIST_HARDENED");
	}
	pyfree(block[0]);
	pyfree(block[1]);
	first = py_freed_link(block[1]);
	KUNIT_EXPECT_PTR_EQ(test, py_get(64, GFP_KERNEL), block[1]);
	pyfree(block[2]);
	second = py_freed_link(block[2]);
	KUNIT_EXPECT_NE(test, first, second);
	pyfree(block[1]);
}

static void sensitive_free_wipes_the_block(struct kunit *test)
{
	unsigned int class;

	for (class = 1; class < PYALLOC_NR_CLASSES; class++) {
		size_t size = py_class_size(class);
		void *anchor = py_get(size, GFP_KERNEL);
		u8 *p = py_get(size, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, anchor);
		KUNIT_ASSERT_NOT_NULL(test, p);
		memset(p, 0xa5, size);
		pyfree_sensitive(p);
		KUNIT_EXPECT_TRUE(test, py_freed_holds(p, size, 0));
		KUNIT_EXPECT_PTR_EQ(test, py_get(size, GFP_KERNEL), (void *)p);
		pyfree(p);
		pyfree(anchor);
	}
}

/* Where the kernel was booted with init_on_free=1, and only there. */
static void freed_block_is_wiped_as_booted(struct kunit *test)
{
	void *anchor = py_get(128, GFP_KERNEL), *p = py_get(128, GFP_KERNEL);
	unsigned long dirt = 0xa5a5a5a5a5a5a5a5;

	KUNIT_ASSERT_NOT_NULL(test, anchor);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 0xa5, 128);
	pyfree(p);
	KUNIT_EXPECT_TRUE(test, py_freed_holds(p, 128, want_init_on_free() ? 0 : dirt));
	pyfree(anchor);
}

/* Where the kernel was booted with init_on_alloc=1, and only there. */
static void new_block_is_zeroed_as_booted(struct kunit *test)
{
	void *anchor = py_get(128, GFP_KERNEL), *p = py_get(128, GFP_KERNEL);
	bool zero = want_init_on_alloc(GFP_KERNEL) || want_init_on_free();

	KUNIT_ASSERT_NOT_NULL(test, anchor);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 0xa5, 128);
	pyfree(p);
	p = py_get(121, GFP_KERNEL);
	KUNIT_EXPECT_NULL(test, memchr_inv(p + 8, zero ? 0 : 0xa5,
					   py_room(121) - 8));
	if (want_init_on_alloc(GFP_KERNEL))
		KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, 8));
	pyfree(p);
	pyfree(anchor);
}

/* The list's head is compared: enough for the naive double free. */
static void double_free_is_refused(struct kunit *test)
{
	void **block = py_get_many(test, 3, 64), *p, *q;
	struct py_pool *pool = py_pool_of(block[0]);
	unsigned int left;

	pyfree(block[0]);
	left = pool->left;
	PY_SUPPRESS_WARN(test)
		pyfree(block[0]);
	KUNIT_EXPECT_EQ(test, pool->left, left);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	p = py_get(64, GFP_KERNEL);
	q = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, p, block[0]);
	KUNIT_EXPECT_PTR_NE(test, p, q);
	pyfree(p);
	pyfree(q);
	py_put_many(block + 1, 2);
}

/* The wiping must leave the link alone that the first free wrote. */
static void py_wipe_twice(struct kunit *test, void (*wipe)(const void *p))
{
	void **block = py_get_many(test, 3, 64);

	pyfree(block[1]);
	wipe(block[0]);
	PY_SUPPRESS_WARN(test)
		wipe(block[0]);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	KUNIT_EXPECT_EQ(test, py_walk(test)->corrupt, 0);
	KUNIT_EXPECT_PTR_EQ(test, py_get(64, GFP_KERNEL), block[0]);
	KUNIT_EXPECT_PTR_EQ(test, py_get(64, GFP_KERNEL), block[1]);
	py_put_many(block, 3);
}

static void double_sensitive_free_is_refused(struct kunit *test)
{
	py_wipe_twice(test, pyfree_sensitive);
}

static void py_kvwipe(const void *p)
{
	pykvfree_sensitive(p, 64);
}

static void double_sensitive_free_of_what_may_be_vmallocs_is_refused(struct kunit *test)
{
	py_wipe_twice(test, py_kvwipe);
}

static struct kunit_case py_pool_cases[] = {
	KUNIT_CASE(first_block_is_first_byte_of_the_page),
	KUNIT_CASE(fresh_blocks_come_in_address_order),
	KUNIT_CASE(fresh_blocks_come_in_random_order),
	KUNIT_CASE(pool_hands_out_each_block_once),
	KUNIT_CASE(pool_is_carved_in_small_batches),
	KUNIT_CASE(freed_blocks_come_before_virgin_ones),
	KUNIT_CASE(walk_counts_virgin_free_and_used_blocks),
	KUNIT_CASE(walk_misses_lost_blocks),
	KUNIT_CASE(walk_finds_corrupt_lists),
	KUNIT_CASE(first_pool_of_a_class_is_current),
	KUNIT_CASE(current_pool_counts_one_more_than_its_blocks),
	KUNIT_CASE(current_pool_stays_when_it_runs_empty),
	KUNIT_CASE(exhausted_pool_is_full_once_another_is_needed),
	KUNIT_CASE(full_pool_is_used_after_one_free),
	KUNIT_CASE(used_pool_counts_its_blocks),
	KUNIT_CASE(empty_used_pool_has_no_class),
	KUNIT_CASE(used_pool_is_taken_before_a_fresh_one),
	KUNIT_CASE(used_pool_becomes_current_again),
	KUNIT_CASE(last_freed_is_next_allocated),
	KUNIT_CASE(last_freed_is_first_of_a_used_pool),
	KUNIT_CASE(classes_share_no_pool),
	KUNIT_CASE(empty_pool_serves_another_class),
	KUNIT_CASE(cpu_keeps_few_spare_pools),
	KUNIT_CASE(pools_taken_together_are_spare),
	KUNIT_CASE(trim_takes_the_current_pool),
	KUNIT_CASE(idle_current_pool_is_given_back),
	KUNIT_CASE(idle_spare_pool_is_given_back),
	KUNIT_CASE(idle_current_pool_with_a_block_is_used),
	KUNIT_CASE(idle_exhausted_pool_is_full),
	KUNIT_CASE(free_list_is_encoded_where_the_kernel_hardens),
	KUNIT_CASE(encoding_depends_on_the_address),
	KUNIT_CASE(sensitive_free_wipes_the_block),
	KUNIT_CASE(freed_block_is_wiped_as_booted),
	KUNIT_CASE(new_block_is_zeroed_as_booted),
	KUNIT_CASE(double_free_is_refused),
	KUNIT_CASE(double_sensitive_free_is_refused),
	KUNIT_CASE(double_sensitive_free_of_what_may_be_vmallocs_is_refused),
	{}
};

static struct kunit_suite py_pool_suite = {
	.name = "pyalloc_pool",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_pool_cases,
};

kunit_test_suite(py_pool_suite);
