// SPDX-License-Identifier: GPL-2.0
/*
 * Bugs of callers that are found without KASAN and without debug hooks: frees of what is
 * not in use, by the class of its pool, the pool's count, or the length of a chain. What
 * such a bug loses is lost in a private heap, and goes with it.
 */
#include "common.h"

#include <linux/delay.h>

/* The default heap's: what was freed long ago is in no pool that has a class. */
static void *py_stale(struct kunit *test, size_t size)
{
	void *p = py_get(size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	pyfree(p);
	msleep(PY_ONE_SECOND);
	KUNIT_ASSERT_EQ(test, py_class_of(p), PY_CLASS_NONE);
	return p;
}

static void freed_when_its_pool_is_unused_is_refused(struct kunit *test)
{
	void *p = py_stale(test, 64);

	PY_SUPPRESS_WARN(test) {
		pyfree(p);
		pyfree_sensitive(p);
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 2);
	KUNIT_EXPECT_EQ(test, py_walk(test)->unused, PY_ARENA_POOLS);
}

static void resized_when_its_pool_is_unused_is_refused(struct kunit *test)
{
	void *p = py_stale(test, 64);

	KUNIT_EXPECT_EQ(test, pysize(p), 0);
	PY_SUPPRESS_WARN(test)
		KUNIT_EXPECT_NULL(test, pyrealloc(p, 100, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

/* What pyfree_nolock() may not free at once waits in a list. */
static void kmalloc_s_memory_freed_twice_without_locks_is_refused(struct kunit *test)
{
	void *p = kmalloc(600, GFP_KERNEL), *q = kmalloc(600, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	PY_SUPPRESS_WARN(test) {
		local_irq_disable();		/* nobody frees between the two */
		pyfree_nolock(q);
		pyfree_nolock(p);
		pyfree_nolock(p);
		local_irq_enable();
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
}

/* It makes a ring of the list; what is in that is lost, but for this test. */
static void ring_of_what_is_freed_later_is_refused(struct kunit *test)
{
	void *p = kmalloc(600, GFP_KERNEL), *q = kmalloc(600, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	PY_SUPPRESS_WARN(test) {
		preempt_disable();
		local_irq_disable();
		pyfree_nolock(p);
		pyfree_nolock(q);
		pyfree_nolock(p);
		local_irq_enable();
		mdelay(50);			/* an irq_work may wait for a tick */
		preempt_enable();
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	kfree(p);
	kfree(q);
}

/*
 * What happens to a block when it is freed happens to what the first free left in it, too.
 * So all others are for kernels where nothing does.
 */
#if !defined(CONFIG_KASAN) && !defined(CONFIG_DEBUG_KMEMLEAK) && \
	!defined(CONFIG_MEM_ALLOC_PROFILING)
#define PY_FREES_TOUCH_NOTHING
#endif

#ifdef PY_FREES_TOUCH_NOTHING

/* Kept by the CPU, it has an owner still, but no block that could be freed. */
static void freed_when_its_pool_is_spare_is_refused(struct kunit *test)
{
	void *p;

	if (want_init_on_free())
		kunit_skip(test, "a block is wiped when it is freed");
	p = py_get(64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	pyalloc_trim();			/* its pool is not current */
	PY_SUPPRESS_WARN(test) {
		local_irq_disable();	/* nobody takes the pool away */
		pyfree(p);
		pyfree(p);
		local_irq_enable();
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	p = py_get(200, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
	pyfree(p);
}

static void bulk_that_has_a_block_twice_frees_it_once(struct kunit *test)
{
	void **block = py_get_many(test, 4, 64);
	void *p[] = { block[0], block[1], block[1], block[2] };

	PY_SUPPRESS_WARN(test)
		pyfree_bulk(ARRAY_SIZE(p), p);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	pyfree(block[3]);
}

static void double_free_without_locks_is_refused(struct kunit *test)
{
	void **block;

	if (want_init_on_free())
		kunit_skip(test, "a block is wiped when it is freed");
	block = py_get_many(test, 2, 64);
	PY_SUPPRESS_WARN(test) {
		local_irq_disable();	/* nobody sends it between the two */
		pyfree_nolock(block[0]);
		pyfree_nolock(block[0]);
		local_irq_enable();
	}
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	pyfree(block[1]);
}

/* The first waits to be sent when the second has made its pool empty. */
static void double_free_first_without_locks_is_refused(struct kunit *test)
{
	void *p;

	if (want_init_on_free())
		kunit_skip(test, "a block is wiped when it is freed");
	p = py_get(64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	pyalloc_trim();			/* its pool is not current */
	local_irq_disable();		/* nobody sends it between the two */
	pyfree_nolock(p);
	pyfree(p);
	local_irq_enable();
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

/*
 * A heap that two CPUs spoil: this one allocates, the other frees. The reaper may be faster
 * than the test, and what is freed twice be refused for another reason, once all the same:
 * then it is tried again, with another heap.
 */
struct py_spoilt {
	struct pyheap *heap;
	struct pyheap_stats stats;
	unsigned int here;
	unsigned int other;
	unsigned int try;
	bool met;		/* what the test is about */
};

#define PY_TRIES	20

static struct py_spoilt *py_spoilt(struct kunit *test)
{
	struct py_spoilt *s;

	if (want_init_on_free())
		kunit_skip(test, "a block is wiped when it is freed");
	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	s->here = raw_smp_processor_id();
	s->other = py_other_cpu(test);
	return s;
}

/* Once more? Then there is a new heap, with @n blocks in pools that are not current. */
static bool py_spoilt_begin(struct kunit *test, struct py_spoilt *s, void **block,
			    unsigned int n, size_t size)
{
	unsigned int i;

	if (s->met || s->try++ == PY_TRIES) {
		KUNIT_EXPECT_TRUE(test, s->met);
		return false;
	}
	s->heap = pyheap_create("spoilt", 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(s->heap));
	for (i = 0; i < n; i++) {
		block[i] = pyheap_alloc(s->heap, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, block[i]);
	}
	pyalloc_trim();
	return true;
}

/* Free on the other CPU, into its outbox; @fill, PY_BATCH blocks, makes that be sent. */
static void py_spoilt_free(struct py_spoilt *s, void **block, unsigned int n, void **fill)
{
	unsigned int i;

	py_move_to(s->other);
	for (i = 0; i < n; i++)
		pyheap_free(s->heap, block[i]);
	if (fill)
		py_put_many(fill, PY_BATCH);
	py_move_to(s->here);
}

/* One free was refused, nothing hangs, and every byte is accounted for. */
static void py_spoilt_end(struct kunit *test, struct py_spoilt *s)
{
	pyalloc_trim();
	pyheap_walk(s->heap, &s->stats);
	KUNIT_EXPECT_EQ(test, s->stats.event[PY_EV_BAD_FREE], 1);
	KUNIT_EXPECT_EQ(test, s->stats.corrupt, 0);
	KUNIT_EXPECT_EQ(test, pyheap_stats_total(&s->stats),
			s->stats.arenas * PY_ARENA_SIZE);
	KUNIT_EXPECT_EQ(test, pyheap_destroy(s->heap), 0);
}

static u32 py_chain_of(const void *p)
{
	return READ_ONCE(py_arena_of(p)->remote[py_index_of(p)]);
}

/* The chain is longer than what the pool has in use. Its blocks are lost. */
static void ring_in_the_outbox_is_refused(struct kunit *test)
{
	struct py_spoilt *s = py_spoilt(test);
	void *block[3];

	while (py_spoilt_begin(test, s, block, 2, 64)) {
		block[2] = block[0];
		PY_SUPPRESS_WARN(test)
			py_spoilt_free(s, block, 3, NULL);
		py_spoilt_end(test, s);
		s->met = py_in_use_all(&s->stats) == 2;
	}
}

/* More blocks on their way to a pool than it has. */
static void chain_longer_than_the_pool_is_refused(struct kunit *test)
{
	struct py_spoilt *s = py_spoilt(test);
	void *block[PY_POOL_MAX_BLOCKS];
	unsigned int n = PY_POOL_MAX_BLOCKS;

	while (py_spoilt_begin(test, s, block, n, PYALLOC_MAX)) {
		void **fill = py_get_many(test, PY_BATCH, 16);
		void **more = py_get_many(test, PY_BATCH, 16);

		PY_SUPPRESS_WARN(test) {
			py_spoilt_free(s, block, n, fill);
			s->met = py_chain_count(py_chain_of(block[0])) == n;
			py_spoilt_free(s, block, 1, more);
			s->met &= py_chain_count(py_chain_of(block[0])) == n;
		}
		py_spoilt_end(test, s);
		if (s->met)
			KUNIT_EXPECT_EQ(test, py_in_use_all(&s->stats), 0);
	}
}

/* It must not be handed to others while it is in an inbox. */
static void pool_emptied_with_a_chain_under_way_is_kept(struct kunit *test)
{
	struct py_spoilt *s = py_spoilt(test);
	void *p;

	while (py_spoilt_begin(test, s, &p, 1, 64)) {
		void **fill = py_get_many(test, PY_BATCH, 16);

		PY_SUPPRESS_WARN(test) {
			py_spoilt_free(s, &p, 1, fill);
			s->met = py_chain_of(p);
			pyheap_free(s->heap, p);
		}
		s->met &= READ_ONCE(py_pool_of(p)->state) == PY_POOL_FULL;
		py_spoilt_end(test, s);
	}
}

/* The owner was faster, and keeps the pool for any class. */
static void chain_for_a_pool_without_class_is_refused(struct kunit *test)
{
	struct py_spoilt *s = py_spoilt(test);
	void *p;

	while (py_spoilt_begin(test, s, &p, 1, 64)) {
		void **fill = py_get_many(test, PY_BATCH, 16);

		PY_SUPPRESS_WARN(test) {
			py_spoilt_free(s, &p, 1, NULL);
			pyheap_free(s->heap, p);
			s->met = READ_ONCE(py_pool_of(p)->state) == PY_POOL_SPARE;
			py_spoilt_free(s, NULL, 0, fill);
		}
		if (s->met)
			KUNIT_EXPECT_EQ(test, py_chain_of(p), 0);
		py_spoilt_end(test, s);
	}
}

/* The owner was faster, has enough pools for any class, and gave it back. */
static void chain_for_an_unused_pool_is_refused(struct kunit *test)
{
	struct py_spoilt *s = py_spoilt(test);
	unsigned int n = (PY_SPARE_MAX + 2) * PY_POOL_MAX_BLOCKS, i;
	void **block = kunit_kcalloc(test, n, sizeof(*block), GFP_KERNEL);
	void *p;

	KUNIT_ASSERT_NOT_NULL(test, block);
	while (py_spoilt_begin(test, s, block, n, PYALLOC_MAX)) {
		void **fill = py_get_many(test, PY_BATCH, 16);

		p = block[n - 1];
		for (i = 0; i < n - 1; i++)
			pyheap_free(s->heap, block[i]);
		PY_SUPPRESS_WARN(test) {
			py_spoilt_free(s, &p, 1, NULL);
			pyheap_free(s->heap, p);
			s->met = READ_ONCE(py_arena_of(p)->owner[py_index_of(p)]) ==
				 PY_NOBODY;
			py_spoilt_free(s, NULL, 0, fill);
		}
		py_spoilt_end(test, s);
		if (s->met)
			KUNIT_EXPECT_EQ(test, py_in_use_all(&s->stats), 0);
	}
}

/* The owner gave it back while the chain was between the pool and the inbox. */
static void chain_for_a_pool_that_went_meanwhile_is_refused(struct kunit *test)
{
	struct py_spoilt *s = py_spoilt(test);
	void *p;

	while (py_spoilt_begin(test, s, &p, 1, 64)) {
		void **fill = py_get_many(test, PY_BATCH, 16);
		u16 *owner = &py_arena_of(p)->owner[py_index_of(p)];

		py_spoilt_free(s, &p, 1, fill);
		local_irq_disable();	/* nobody takes the chain in */
		s->met = py_chain_of(p);
		if (s->met)
			WRITE_ONCE(*owner, PY_NOBODY);
		local_irq_enable();
		if (s->met) {
			pyalloc_trim();
			KUNIT_EXPECT_EQ(test, py_chain_of(p), 0);
			WRITE_ONCE(*owner, s->here);
		} else {
			PY_SUPPRESS_WARN(test)
				pyheap_free(s->heap, p);
		}
		py_spoilt_end(test, s);
	}
}
#endif

static struct kunit_case py_misuse_cases[] = {
	KUNIT_CASE(freed_when_its_pool_is_unused_is_refused),
	KUNIT_CASE(resized_when_its_pool_is_unused_is_refused),
	KUNIT_CASE(kmalloc_s_memory_freed_twice_without_locks_is_refused),
	KUNIT_CASE(ring_of_what_is_freed_later_is_refused),
#ifdef PY_FREES_TOUCH_NOTHING
	KUNIT_CASE(freed_when_its_pool_is_spare_is_refused),
	KUNIT_CASE(bulk_that_has_a_block_twice_frees_it_once),
	KUNIT_CASE(double_free_without_locks_is_refused),
	KUNIT_CASE(double_free_first_without_locks_is_refused),
	KUNIT_CASE(ring_in_the_outbox_is_refused),
	KUNIT_CASE(chain_longer_than_the_pool_is_refused),
	KUNIT_CASE(pool_emptied_with_a_chain_under_way_is_kept),
	KUNIT_CASE(chain_for_a_pool_without_class_is_refused),
	KUNIT_CASE(chain_for_an_unused_pool_is_refused),
	KUNIT_CASE(chain_for_a_pool_that_went_meanwhile_is_refused),
#endif
	{}
};

static struct kunit_suite py_misuse_suite = {
	.name = "pyalloc_misuse",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_misuse_cases,
};

kunit_test_suite(py_misuse_suite);
