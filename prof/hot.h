/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc_prof: what runs at each allocation and free, in any context, NMI too, with
 * preemption off. No locks, and no memory to be asked for: what may be full is counted.
 */
#ifndef PYALLOC_PROF_HOT_H
#define PYALLOC_PROF_HOT_H

#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/percpu.h>

#include <asm/local.h>

#include "../pyalloc_internal.h"

/* ---- Records: the live blocks, by address ---- */

/* A live block. */
struct prof_record {
	u32 site;
	u32 size;		/* bytes asked for */
	u32 given;		/* bytes got */
	u32 born;		/* prof_now() */
};

/* Time for the age of a block: as many jiffies, of which 32 bits hold years. */
#define PROF_TICK	64

static inline u32 prof_now(void)
{
	return jiffies / PROF_TICK;
}

#define PROF_SLOTS	8

/* In a key: the record is being written. Blocks are multiples of 8. */
#define PROF_UNREADY	1UL

/*
 * Each block is in one of a few buckets. Only who allocates a block and who frees it write
 * its record, and one comes after the other. The keys of a bucket are one cache line: most
 * blocks are found with one look.
 */
struct prof_bucket {
	unsigned long key[PROF_SLOTS];
	struct prof_record record[PROF_SLOTS];
} ____cacheline_aligned;

extern struct prof_bucket *prof_table;
extern unsigned int prof_shift;		/* of a hash, to an index of it */

#define PROF_CHOICES	3	/* buckets where a block may be */

/*
 * hash_64() alone would not do. Blocks lie at equal distances, in arenas here and there: it
 * puts a few hundred of 51,000 into buckets that are full while most of 32,768 have room.
 */
static inline unsigned long prof_hash(const void *p)
{
	unsigned long hash = (unsigned long)p * GOLDEN_RATIO_64;

	return (hash ^ hash >> 32) * GOLDEN_RATIO_64;
}

/* The first, second, ... choice goes by other bits of @hash. */
static inline struct prof_bucket *prof_bucket(unsigned long hash,
					      unsigned int choice)
{
	unsigned int bits = BITS_PER_LONG - prof_shift;

	return &prof_table[hash << choice * bits >> prof_shift];
}

/* ---- Call sites ---- */

struct prof_site {
	unsigned long key;	/* of its frames; 0 if there is none */
	atomic64_t live;	/* bytes, but for what CPUs have not folded into it */
	atomic64_t most;	/* there were */
	bool ready;		/* its name is there */
	bool hidden;		/* by the filter */
};

extern struct prof_site *prof_site;
extern unsigned int prof_site_mask;

/* Where the site of @ip is, if it has frames of no other. */
static inline u32 prof_site_hash(unsigned long ip)
{
	return hash_long(ip, 32) & prof_site_mask;
}

/* ---- Counts ---- */

/* What one CPU saw of a site. Of type local_t: an interrupt may count too. */
struct prof_count {
	local_t blocks;		/* ever */
	local_t bytes;
	local_t unfolded;	/* live bytes that the site does not know of */
};

/* Folded when it is that much. */
#define PROF_FOLD	SZ_2K

DECLARE_PER_CPU(struct prof_count *, prof_counts);	/* by site */

void prof_fold(u32 site, struct prof_count *c);

static __always_inline void prof_count_alloc(u32 site, u32 size)
{
	struct prof_count *c = __this_cpu_read(prof_counts) + site;

	local_inc(&c->blocks);
	local_add(size, &c->bytes);
	if (unlikely(local_add_return(size, &c->unfolded) >= PROF_FOLD))
		prof_fold(site, c);
}

static __always_inline void prof_count_free(u32 site, u32 size)
{
	struct prof_count *c = __this_cpu_read(prof_counts) + site;

	if (unlikely(local_sub_return(size, &c->unfolded) <= -PROF_FOLD))
		prof_fold(site, c);
}

#endif /* PYALLOC_PROF_HOT_H */
