// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks that one CPU allocates and another frees: through the outbox and the
 * inbox, to an owner that works or that sleeps.
 */
#include "common.h"

#include <linux/delay.h>

static void freed_elsewhere_is_no_longer_in_use(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	void **block = py_get_many(test, 10, 64);

	py_free_many_on(other, block, 4);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 6));
	KUNIT_EXPECT_LE(test, py_transit_all(py_walk(test)), 4);
	py_free_many_on(other, block + 4, 6);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 0));
}

/* Tried again when the reaper was faster. */
static void one_block_waits_in_the_outbox(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), try;
	u64 transit = 0;
	u32 chain = 1;
	void *p, *q;

	for (try = 0; try < 10 && (chain || !transit); try++) {
		pyalloc_trim();
		p = py_get(64, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		q = p;
		py_free_many_on(other, &q, 1);
		chain = READ_ONCE(py_arena_of(p)->remote[py_index_of(p)]);
		transit = py_transit_all(py_walk(test));
	}
	KUNIT_EXPECT_EQ(test, chain, 0);
	KUNIT_EXPECT_EQ(test, transit, 1);
}

/*
 * PY_BATCH blocks of one pool make one chain and one entry of the inbox. Looked
 * at where they are freed, at once, or it might be the reaper who sent them.
 * Tried again when it was faster.
 */
static void full_outbox_becomes_one_chain(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	unsigned int before = 0, after = 0, try, i;
	struct py_arena *arena;
	u64 transit = 0;
	void **block;

	for (try = 0; try < 10 && (before || transit != PY_BATCH); try++) {
		pyalloc_trim();
		block = py_get_many(test, PY_BATCH, 16);
		arena = py_arena_of(block[0]);
		i = py_index_of(block[0]);
		py_move_to(other);
		py_put_many(block, PY_BATCH - 1);
		before = py_chain_count(READ_ONCE(arena->remote[i]));
		pyfree(block[PY_BATCH - 1]);
		after = py_chain_count(READ_ONCE(arena->remote[i]));
		py_move_to(here);
		transit = py_transit_all(py_walk(test));
	}
	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, after, PY_BATCH);
	KUNIT_EXPECT_EQ(test, transit, PY_BATCH);
}

/* What was sent no longer counts. Tried again when the reaper was faster. */
static void second_batch_waits_like_the_first(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = 2 * PY_BATCH - 1, try, i;
	unsigned int chain = 0;
	struct py_arena *arena;
	u64 transit = 0;
	void **block;

	for (try = 0; try < 10 && (chain != PY_BATCH || transit != n); try++) {
		pyalloc_trim();
		block = py_get_many(test, n, 16);
		arena = py_arena_of(block[0]);
		i = py_index_of(block[0]);
		py_free_many_on(other, block, n);
		chain = py_chain_count(READ_ONCE(arena->remote[i]));
		transit = py_transit_all(py_walk(test));
	}
	KUNIT_EXPECT_EQ(test, transit, n);
	KUNIT_EXPECT_EQ(test, chain, PY_BATCH);
}

/* Blocks of more pools than are gathered at a time still all arrive. */
static void blocks_of_many_pools_all_arrive(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), i, n = 60 * 8;
	void **block = py_get_many(test, n, 512);
	void **mixed = kunit_kcalloc(test, n, sizeof(*mixed), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mixed);
	for (i = 0; i < n; i++)
		mixed[i] = block[i % 60 * 8 + i / 60];
	py_free_many_on(other, mixed, n);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 0));
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_CHAIN_BLOCKS), n);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

/* The smallest block holds nothing but its link. */
static void chains_of_every_class_arrive(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), class, n;
	const struct pyheap_stats *s;
	void **block;

	for (class = 0; class < PYALLOC_NR_CLASSES; class++) {
		n = 2 * py_class_blocks(class);
		block = py_get_many(test, n, py_class_size(class));
		py_free_many_on(other, block, n);
		pyalloc_trim();
		s = py_walk(test);
		KUNIT_EXPECT_EQ(test, s->class[class].pools, 0);
		KUNIT_EXPECT_EQ(test, s->arenas, 0);
	}
}

/* The walk reads them all, and believes none that is not a block. */
static void links_of_another_cpu_make_sense(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	void **block = py_get_many(test, 20, 64);
	const struct pyheap_stats *s;

	py_free_many_on(other, block, 10);
	pyalloc_trim();
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, s->class[PYALLOC_CLASS(64)].handed_out, 10);
	KUNIT_EXPECT_GE(test, s->class[PYALLOC_CLASS(64)].free, 10);
	py_put_many(block + 10, 10);
}

/* What adoption does, to a full pool with a chain: neither is on a list of pools. */
static bool py_give_away(void *p, unsigned int cpu)
{
	struct py_arena *arena = py_arena_of(p);
	unsigned int i = py_index_of(p);
	unsigned long flags;
	bool given;

	local_irq_save(flags);
	given = arena->pool[i].state == PY_POOL_FULL && arena->remote[i];
	if (given)
		WRITE_ONCE(arena->owner[i], cpu);
	local_irq_restore(flags);
	return given;
}

/*
 * A chain in the inbox of a CPU that its pool no longer belongs to. Tried again
 * when the reaper was faster.
 */
static void chain_follows_the_pool_to_its_new_owner(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), class = PYALLOC_CLASS(16), try;
	unsigned int n = py_class_blocks(class);
	struct py_pool *pool = NULL;
	bool given = false;
	void **block = NULL;

	for (try = 0; try < 10 && !given; try++) {
		if (block)
			py_put_many(block + PY_BATCH, n + 1 - PY_BATCH);
		pyalloc_trim();
		block = py_get_many(test, n + 1, 16);
		pool = py_pool_of(block[0]);
		py_free_many_on(other, block, PY_BATCH);
		given = py_give_away(block[n - 1], other);
	}
	KUNIT_EXPECT_TRUE(test, given);
	/* The first brings it to the new owner, the second makes that take it. */
	pyalloc_trim();
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_FORWARD), 1);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_USED);
	KUNIT_EXPECT_EQ(test, pool->left, n - PY_BATCH);
	py_put_many(block + PY_BATCH, n + 1 - PY_BATCH);
}

static void owner_takes_in_before_it_takes_a_pool(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = 20 * PY_BATCH, round;
	void **block = py_get_many(test, n, 64);
	u64 pools = py_pools_all(py_walk(test));

	for (round = 0; round < 20; round++) {
		py_free_many_on(other, block, n);
		block = py_get_many(test, n, 64);
		KUNIT_EXPECT_LE(test, py_pools_all(py_walk(test)), pools + 1);
	}
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	py_put_many(block, n);
}

/* The owner does nothing at all: no allocation, no free. */
static void sleeping_owner_gets_its_blocks_within_a_second(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = 3000;
	void **block = py_get_many(test, n, 200);
	const struct pyheap_stats *s;

	py_free_many_on(other, block, n);
	msleep(PY_ONE_SECOND);
	s = py_walk(test);
	KUNIT_EXPECT_EQ(test, py_transit_all(s), 0);
	KUNIT_EXPECT_EQ(test, py_pools_all(s), 0);
	KUNIT_EXPECT_EQ(test, s->arenas, 1);
}

static void one_block_arrives_within_a_second(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	void *p = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_free_many_on(other, &p, 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 0);
}

/* When the reaper has come to rest: the block itself must wake it. */
static void block_freed_into_silence_arrives(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	void *p = py_get(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_pool_of(p)->state, PY_POOL_USED);
	py_free_many_on(other, &p, 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_pools_all(py_walk(test)), 0);
}

/* More pools than one visit takes in, and more than one round's visits. */
static void many_pools_arrive_within_a_second(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = 6000 * PY_POOL_MAX_BLOCKS;
	void **block = py_get_many(test, n, 512);

	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, DIV_ROUND_UP(6000, PY_ARENA_POOLS));
	py_free_many_on(other, block, n);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
}

static void trim_takes_in_many_pools(struct kunit *test)
{
	/* It waits for a fifth of a second, in which KCSAN takes in a third of 3000. */
	unsigned int pools = IS_ENABLED(CONFIG_KCSAN) ? 300 : 3000;
	unsigned int other = py_other_cpu(test), n = pools * PY_POOL_MAX_BLOCKS;
	void **block = py_get_many(test, n, 512);

	py_free_many_on(other, block, n);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 0);
}

/*
 * It is on no list of its owner's: the chain must bring it back. Tried again when
 * the reaper was faster.
 */
static void full_pool_is_used_after_a_remote_free(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = py_class_blocks(PYALLOC_CLASS(64));
	struct py_pool *pool = NULL;
	void **block = NULL, *freed = NULL, *p;
	unsigned int try;

	for (try = 0; try < 10; try++) {
		block = py_get_many(test, n + 1, 64);
		pool = py_pool_of(block[0]);
		freed = block[5];
		KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_FULL);
		py_free_many_on(other, block + 5, 1);
		if (READ_ONCE(pool->state) == PY_POOL_FULL)
			break;
		py_put_many(block, n + 1);
		pyalloc_trim();
	}
	KUNIT_ASSERT_LT(test, try, 10);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, pool->state, PY_POOL_USED);
	KUNIT_EXPECT_EQ(test, pool->left, n - 1);
	py_put_many(block + n, 1);
	pyalloc_trim();
	p = py_get(64, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, p, freed);
	pyfree(p);
	py_put_many(block, n);
}

static void used_pool_emptied_remotely_has_no_class(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = py_class_blocks(PYALLOC_CLASS(64));
	void **block = py_get_many(test, n + 1, 64);
	struct py_arena *arena = py_arena_of(block[0]);
	unsigned int i = py_index_of(block[0]);

	pyfree(block[0]);
	py_free_many_on(other, block + 1, n - 1);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, arena->class[i], PY_CLASS_NONE);
	KUNIT_EXPECT_EQ(test, arena->owner[i], PY_NOBODY);
	KUNIT_EXPECT_EQ(test, arena->pool[i].state, PY_POOL_UNUSED);
	pyfree(block[n]);
}

/*
 * The whole of a full pool in one chain: it is never a used one. What lacks of
 * a whole batch is of another pool. Tried again when the reaper was faster.
 */
static void full_pool_emptied_remotely_has_no_class(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), n = py_class_blocks(PYALLOC_CLASS(16));
	unsigned int more = roundup(n, PY_BATCH) - n, count = 0, try, i = 0;
	struct py_arena *arena = NULL;
	void **block, **others, *next = NULL;

	for (try = 0; try < 10 && count != n; try++) {
		pyfree(next);
		pyalloc_trim();
		others = py_get_many(test, more, 40);
		block = py_get_many(test, n + 1, 16);
		next = block[n];
		arena = py_arena_of(block[0]);
		i = py_index_of(block[0]);
		py_free_many_on(other, block, n);
		py_free_many_on(other, others, more);
		count = py_chain_count(READ_ONCE(arena->remote[i]));
	}
	KUNIT_EXPECT_EQ(test, count, n);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, arena->class[i], PY_CLASS_NONE);
	pyfree(next);
}

/* Contents and count are right when both CPUs free into one pool. */
static void both_cpus_free_into_one_pool(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), i;
	unsigned int n = py_class_blocks(PYALLOC_CLASS(8));
	void **block = py_get_many(test, n, 8);
	struct py_pool *pool = py_pool_of(block[0]);

	for (i = 0; i < n / 2; i++) {
		pyfree(block[2 * i]);
		block[2 * i] = NULL;
	}
	py_free_many_on(other, block, n);
	block = py_get_many(test, n, 8);
	for (i = 0; i < n; i++)
		py_fill(block[i], 8, i);
	for (i = 0; i < n; i++)
		KUNIT_EXPECT_TRUE(test, py_holds(block[i], 8, i));
	KUNIT_EXPECT_LE(test, py_pools_all(py_walk(test)), 2);
	KUNIT_EXPECT_LE(test, pool->carved, n);
	py_put_many(block, n);
}

static void realloc_elsewhere_keeps_the_contents(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	void *p = py_get(64, GFP_KERNEL), *q;

	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 64, 21);
	py_move_to(other);
	q = pyrealloc(p, 300, GFP_KERNEL);
	py_move_to(here);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_TRUE(test, py_holds(q, 64, 21));
	KUNIT_EXPECT_EQ(test, pysize(q), 304);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	pyfree(q);
}

static void sensitive_free_elsewhere_wipes(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	u8 *anchor = py_get(128, GFP_KERNEL), *p = py_get(128, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, anchor);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 0xa5, 128);
	py_move_to(other);
	pyfree_sensitive(p);
	py_move_to(here);
	KUNIT_EXPECT_TRUE(test, py_freed_holds(p, 128, 0));
	pyfree(anchor);
}

static void double_free_elsewhere_is_refused(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	void **block;

	block = py_get_many(test, 3, 64);
	py_move_to(other);
	pyfree(block[0]);
	PY_SUPPRESS_WARN(test)
		pyfree(block[0]);
	py_move_to(here);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 1);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 2);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
	py_put_many(block + 1, 2);
}

/* Each CPU has pools of its own: no line is written by two. */
static void cpus_share_no_pool(struct kunit *test)
{
	unsigned int other = py_other_cpu(test), here = raw_smp_processor_id();
	void *p, *q;

	p = py_get(64, GFP_KERNEL);
	py_move_to(other);
	q = py_get(64, GFP_KERNEL);
	py_move_to(here);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_PTR_NE(test, py_pool_of(p), py_pool_of(q));
	KUNIT_EXPECT_EQ(test, py_arena_of(p)->owner[py_index_of(p)], here);
	KUNIT_EXPECT_EQ(test, py_arena_of(q)->owner[py_index_of(q)], other);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
	pyfree(p);
	pyfree(q);
}

/*
 * A ring between two CPUs. The producer writes into each block what the
 * consumer finds by its place alone.
 */
#define PY_RING		512

struct py_ring {
	void *slot[PY_RING];
	u64 blocks;
	u64 bad;
	u64 failed;
};

static size_t py_ring_size(u64 i)
{
	static const size_t size[] = { 8, 32, 40, 136, 264, 512, 16, 504 };

	return size[i * 7 % ARRAY_SIZE(size)];
}

/* What is in a slot, and all that its block contains. */
static void *py_ring_look(void **slot)
{
	/* Pairs with py_ring_put(). */
	return smp_load_acquire(slot);
}

static void py_ring_put(void **slot, void *p)
{
	/* Pairs with py_ring_look(): the contents come before the block. */
	smp_store_release(slot, p);
}

static void py_ring_produce(struct py_ring *ring)
{
	u64 i;

	for (i = 0; i < ring->blocks; i++) {
		void **slot = &ring->slot[i % PY_RING];
		size_t size = py_ring_size(i);
		void *p = py_get(size, GFP_KERNEL);

		if (!p) {
			ring->failed++;
			p = ZERO_SIZE_PTR;
		} else {
			py_fill(p, size, i);
		}
		while (py_ring_look(slot))
			cond_resched();
		py_ring_put(slot, p);
	}
}

static void py_ring_consume(void *arg)
{
	struct py_ring *ring = arg;
	u64 i;

	for (i = 0; i < ring->blocks; i++) {
		void **slot = &ring->slot[i % PY_RING];
		void *p;

		for (;;) {
			p = py_ring_look(slot);
			if (p)
				break;
			cond_resched();
		}
		py_ring_put(slot, NULL);
		if (p != ZERO_SIZE_PTR && !py_holds(p, py_ring_size(i), i))
			ring->bad++;
		pyfree(p);
	}
}

static void consumer_frees_what_the_producer_makes(struct kunit *test)
{
	struct py_ring *ring = kunit_kzalloc(test, sizeof(*ring), GFP_KERNEL);
	struct py_fixture *fix = test->priv;
	unsigned int other = py_other_cpu(test);
	struct py_worker worker;
	u64 came;

	KUNIT_ASSERT_NOT_NULL(test, ring);
	ring->blocks = 150000;
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_ring_consume, ring));
	py_ring_produce(ring);
	py_worker_finish(&worker);
	KUNIT_EXPECT_EQ(test, ring->bad, 0);
	KUNIT_EXPECT_EQ(test, ring->failed, 0);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 0));
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	/* It goes round: at most a ring, an outbox and inboxes full at a time. */
	came = py_walk(test)->arenas_total - fix->before->arenas_total;
	KUNIT_EXPECT_LE(test, came, 20);
	pyalloc_trim();
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_CHAIN_BLOCKS), ring->blocks);
}

/* Each CPU frees into the other's pools while it works in its own. */
struct py_swap {
	struct py_ring *in;
	struct py_ring *out;
};

static void py_swap_run(void *arg)
{
	struct py_swap *swap = arg;
	u64 made = 0, taken = 0, blocks = swap->in->blocks;

	while (made < blocks || taken < blocks) {
		void **slot = &swap->out->slot[made % PY_RING];
		void *p;

		if (made < blocks && !py_ring_look(slot)) {
			p = py_get(py_ring_size(made), GFP_KERNEL);
			if (p)
				py_fill(p, py_ring_size(made), made);
			else
				swap->out->failed++;
			py_ring_put(slot, p ?: ZERO_SIZE_PTR);
			made++;
		}
		slot = &swap->in->slot[taken % PY_RING];
		p = py_ring_look(slot);
		if (taken < blocks && p) {
			py_ring_put(slot, NULL);
			if (p != ZERO_SIZE_PTR &&
			    !py_holds(p, py_ring_size(taken), taken))
				swap->in->bad++;
			pyfree(p);
			taken++;
		}
		cond_resched();
	}
}

static void two_cpus_free_each_others_blocks(struct kunit *test)
{
	struct py_ring *ring = kunit_kcalloc(test, 2, sizeof(*ring), GFP_KERNEL);
	struct py_swap here = { .in = ring, .out = ring + 1 };
	struct py_swap there = { .in = ring + 1, .out = ring };
	unsigned int other = py_other_cpu(test);
	struct py_worker worker;

	KUNIT_ASSERT_NOT_NULL(test, ring);
	ring[0].blocks = 100000;
	ring[1].blocks = 100000;
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_swap_run, &there));
	py_swap_run(&here);
	py_worker_finish(&worker);
	KUNIT_EXPECT_EQ(test, ring[0].bad + ring[1].bad, 0);
	KUNIT_EXPECT_EQ(test, ring[0].failed + ring[1].failed, 0);
	KUNIT_EXPECT_TRUE(test, py_in_use_is(test, 0));
	KUNIT_EXPECT_EQ(test, py_events(test, PY_EV_BAD_FREE), 0);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_walk(test)->arenas, 1);
}

static struct kunit_case py_remote_cases[] = {
	KUNIT_CASE(freed_elsewhere_is_no_longer_in_use),
	KUNIT_CASE(one_block_waits_in_the_outbox),
	KUNIT_CASE(full_outbox_becomes_one_chain),
	KUNIT_CASE(second_batch_waits_like_the_first),
	KUNIT_CASE(blocks_of_many_pools_all_arrive),
	KUNIT_CASE(chains_of_every_class_arrive),
	KUNIT_CASE(links_of_another_cpu_make_sense),
	KUNIT_CASE(chain_follows_the_pool_to_its_new_owner),
	KUNIT_CASE(owner_takes_in_before_it_takes_a_pool),
	KUNIT_CASE(sleeping_owner_gets_its_blocks_within_a_second),
	KUNIT_CASE(one_block_arrives_within_a_second),
	KUNIT_CASE(block_freed_into_silence_arrives),
	KUNIT_CASE(many_pools_arrive_within_a_second),
	KUNIT_CASE(trim_takes_in_many_pools),
	KUNIT_CASE(full_pool_is_used_after_a_remote_free),
	KUNIT_CASE(used_pool_emptied_remotely_has_no_class),
	KUNIT_CASE(full_pool_emptied_remotely_has_no_class),
	KUNIT_CASE(both_cpus_free_into_one_pool),
	KUNIT_CASE(realloc_elsewhere_keeps_the_contents),
	KUNIT_CASE(sensitive_free_elsewhere_wipes),
	KUNIT_CASE(double_free_elsewhere_is_refused),
	KUNIT_CASE(cpus_share_no_pool),
	KUNIT_CASE(consumer_frees_what_the_producer_makes),
	KUNIT_CASE(two_cpus_free_each_others_blocks),
	{}
};

static struct kunit_suite py_remote_suite = {
	.name = "pyalloc_remote",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_remote_cases,
};

kunit_test_suite(py_remote_suite);
