// SPDX-License-Identifier: GPL-2.0
/*
 * The live blocks that the profile knows, by address. For any context, so without locks and
 * without memory to be asked for: a table of buckets, each block in one of two. Only who
 * allocates a block and who frees it write its record, and the caller sees to it that
 * one comes after the other.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "prof.h"

#define BUCKET_SLOTS	8

/* In a key: the record is being written. Blocks are multiples of 8. */
#define KEY_UNREADY	1UL

/* The keys of a bucket are one cache line: most blocks are found with one look. */
struct bucket {
	unsigned long key[BUCKET_SLOTS];
	struct prof_record record[BUCKET_SLOTS];
} ____cacheline_aligned;

static struct bucket *table;
static atomic_t *maybe;			/* records by py_prof_hash() */
static unsigned int bits;		/* of the number of buckets */
static bool count_maybe;

int prof_records_new(unsigned long nr, bool sampled)
{
	unsigned long n, i;

	bits = max(order_base_2(DIV_ROUND_UP(nr, BUCKET_SLOTS)), 1);
	n = BIT(bits);
	table = kvcalloc(n, sizeof(*table), GFP_KERNEL);
	maybe = kvcalloc(n, sizeof(*maybe), GFP_KERNEL);
	if (!table || !maybe) {
		prof_records_free();
		return -ENOMEM;
	}
	/* If all are recorded, each free is worth a look; else few. */
	count_maybe = sampled;
	for (i = 0; !sampled && i < n; i++)
		atomic_set(&maybe[i], 1);
	return 0;
}

void prof_records_free(void)
{
	kvfree(table);
	kvfree(maybe);
	table = NULL;
	maybe = NULL;
}

size_t prof_records_bytes(void)
{
	return table ? BIT(bits) * (sizeof(*table) + sizeof(*maybe)) : 0;
}

void prof_records_hash(struct py_prof *prof)
{
	prof->maybe = maybe;
	prof->bits = bits;
}

/* The first or the second bucket of a block. */
static struct bucket *bucket_of(const void *p, unsigned int which)
{
	if (which)
		return &table[hash_long(~(unsigned long)p, bits)];
	return &table[py_prof_hash(p, bits)];
}

/* Says if there was room. */
bool prof_record_add(const void *p, const struct prof_record *record)
{
	unsigned long key = (unsigned long)p;
	unsigned int which, i;

	for (which = 0; which < 2; which++) {
		struct bucket *b = bucket_of(p, which);

		for (i = 0; i < BUCKET_SLOTS; i++) {
			if (READ_ONCE(b->key[i]) ||
			    cmpxchg(&b->key[i], 0, key | KEY_UNREADY))
				continue;
			b->record[i] = *record;
			smp_store_release(&b->key[i], key);
			if (count_maybe)
				atomic_inc(&maybe[py_prof_hash(p, bits)]);
			return true;
		}
	}
	return false;
}

/* Says if the block was known; it no longer is. */
bool prof_record_take(const void *p, struct prof_record *record)
{
	unsigned int which, i;

	for (which = 0; which < 2; which++) {
		struct bucket *b = bucket_of(p, which);

		for (i = 0; i < BUCKET_SLOTS; i++) {
			if (READ_ONCE(b->key[i]) != (unsigned long)p)
				continue;
			*record = b->record[i];
			smp_store_release(&b->key[i], 0);
			if (count_maybe)
				atomic_dec(&maybe[py_prof_hash(p, bits)]);
			return true;
		}
	}
	return false;
}

/* Those that come or go meanwhile may be missed, or be seen though they went. */
void prof_for_each_record(void (*fn)(const void *p,
				     const struct prof_record *record,
				     void *arg), void *arg)
{
	unsigned long n, key;
	unsigned int i;

	for (n = 0; table && n < BIT(bits); n++) {
		for (i = 0; i < BUCKET_SLOTS; i++) {
			struct bucket *b = &table[n];
			struct prof_record record;

			key = smp_load_acquire(&b->key[i]);
			if (!key || (key & KEY_UNREADY))
				continue;
			/* data_race(): see whether it is the same afterwards. */
			record = data_race(b->record[i]);
			smp_rmb();
			if (READ_ONCE(b->key[i]) == key)
				fn((const void *)key, &record, arg);
		}
		cond_resched();
	}
}
