// SPDX-License-Identifier: GPL-2.0
/*
 * Where the profiler looks for the record of a block. Its table is one of our own here, and the
 * addresses are made up: what a machine's memory looks like decides nothing.
 */
#include "common.h"

#include <linux/vmalloc.h>

#include "../prof/hot.h"

#define PY_BUCKET_BITS	13

struct prof_bucket *prof_table;
unsigned int prof_shift = BITS_PER_LONG - PY_BUCKET_BITS;

/* Is there room in one of the buckets of @p? Takes it. */
static bool py_record(unsigned long p)
{
	unsigned long hash = prof_hash((void *)p);
	unsigned int i, slot;

	for (i = 0; i < PROF_CHOICES; i++) {
		struct prof_bucket *b = prof_bucket(hash, i);

		for (slot = 0; slot < PROF_SLOTS; slot++) {
			if (!b->key[slot]) {
				b->key[slot] = p;
				return true;
			}
		}
	}
	return false;
}

/* How many of @left blocks of @size, in every @stride-th arena, find no room. */
static unsigned int py_missed(unsigned int left, unsigned int size, unsigned int stride)
{
	unsigned long arena = 0xffff888004000000UL, pool, block;
	unsigned int missed = 0;

	memset(prof_table, 0, sizeof(*prof_table) << PY_BUCKET_BITS);
	for (; left; arena += (unsigned long)stride * PY_ARENA_SIZE)
		for (pool = 1; pool < PY_ARENA_PAGES && left; pool++)
			for (block = 0; block < PY_POOL_SIZE / size && left; block++, left--)
				missed += !py_record(arena + pool * PY_POOL_SIZE + block * size);
	return missed;
}

/*
 * A table that is half full has room for all but a few, by calculation. With a hash of one
 * multiplication 873 blocks of 96 bytes, in every 114th arena, would find none.
 */
static void equal_distances_find_room(struct kunit *test)
{
	static const struct {
		unsigned int size;
		unsigned int stride;
	} distances[] = { { 8, 1 }, { 64, 1 }, { 96, 114 }, { 512, 64 } };
	unsigned int i;

	prof_table = vmalloc(sizeof(*prof_table) << PY_BUCKET_BITS);
	KUNIT_ASSERT_NOT_NULL(test, prof_table);
	for (i = 0; i < ARRAY_SIZE(distances); i++)
		KUNIT_EXPECT_LE_MSG(test, py_missed(PROF_SLOTS / 2 << PY_BUCKET_BITS,
						    distances[i].size, distances[i].stride),
				    10, "blocks of %u bytes, every %u arenas",
				    distances[i].size, distances[i].stride);
	vfree(prof_table);
}

static struct kunit_case py_prof_cases[] = {
	KUNIT_CASE(equal_distances_find_room),
	{}
};

static struct kunit_suite py_prof_suite = {
	.name = "pyalloc_prof",
	.test_cases = py_prof_cases,
};

kunit_test_suite(py_prof_suite);
