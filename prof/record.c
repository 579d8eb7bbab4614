// SPDX-License-Identifier: GPL-2.0
/*
 * The live blocks that the profile knows, by address: a table of buckets. See hot.h.
 */
#include <linux/mm.h>
#include <linux/sched.h>

#include "prof.h"

struct prof_bucket *prof_table;
unsigned int prof_shift;

static unsigned long nr_buckets(void)
{
	return prof_table ? BIT(BITS_PER_LONG - prof_shift) : 0;
}

int prof_records_new(unsigned long nr)
{
	unsigned int bits = order_base_2(DIV_ROUND_UP(nr, PROF_SLOTS));

	prof_shift = BITS_PER_LONG - bits;
	prof_table = kvcalloc(BIT(bits), sizeof(*prof_table), GFP_KERNEL);
	return prof_table ? 0 : -ENOMEM;
}

void prof_records_free(void)
{
	kvfree(prof_table);
	prof_table = NULL;
}

size_t prof_records_bytes(void)
{
	return nr_buckets() * sizeof(*prof_table);
}

/* Those that come or go meanwhile may be missed, or be seen though they went. */
void prof_records_walk(prof_record_fn fn, void *arg)
{
	unsigned long n, key;
	unsigned int i;

	for (n = 0; n < nr_buckets(); n++) {
		for (i = 0; i < PROF_SLOTS; i++) {
			struct prof_bucket *b = &prof_table[n];
			struct prof_record record;

			/* Pairs with the releases of record_in() and forget_in(). */
			key = smp_load_acquire(&b->key[i]);
			if (!key || (key & PROF_UNREADY))
				continue;
			/* data_race(): see whether it is the same afterwards. */
			record = data_race(b->record[i]);
			smp_rmb(); /* the key again, after its record */
			if (READ_ONCE(b->key[i]) == key)
				fn((const void *)key, &record, arg);
		}
		cond_resched();
	}
}
