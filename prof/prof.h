/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc_prof: what its files share. record.c knows the live blocks, site.c who
 * allocated them; main.c is told of allocations and frees, and begins and ends; view.c and
 * pins.c show. See Documentation/profiler.rst.
 */
#ifndef PYALLOC_PROF_H
#define PYALLOC_PROF_H

#include <linux/jiffies.h>
#include <linux/seq_file.h>
#include <linux/types.h>

#include "../pyalloc_internal.h"

/* Of the begin of the profile till now, or till it was stopped. */
struct prof_setup {
	unsigned int every;	/* one of so many allocations is recorded */
	unsigned int depth;	/* frames that make a site */
	bool on;
};

extern struct prof_setup prof_setup;
extern struct mutex prof_mutex;	/* begin, end, and who looks */

/* ---- record.c: the live blocks ---- */

/* A live block. */
struct prof_record {
	u32 site;
	u32 size;		/* bytes asked for */
	u32 given;		/* bytes got */
	u32 born;		/* prof_now() */
};

int prof_records_new(unsigned long nr, bool sampled);
void prof_records_free(void);
size_t prof_records_bytes(void);
void prof_records_hash(struct py_prof *prof);
bool prof_record_add(const void *p, const struct prof_record *record);
bool prof_record_take(const void *p, struct prof_record *record);
void prof_for_each_record(void (*fn)(const void *p,
				     const struct prof_record *record,
				     void *arg), void *arg);

/* Time for the age of a block: as many jiffies, of which 32 bits hold years. */
#define PROF_TICK	64

static inline u32 prof_now(void)
{
	return jiffies / PROF_TICK;
}

static inline u64 prof_age_ms(u32 age)
{
	return age * (PROF_TICK * 1000ULL) / HZ;
}

/* ---- site.c: who allocated ---- */

#define PROF_DEPTH_MAX	16

/* What is told of a site; estimated if not all is recorded. */
struct prof_sum {
	s64 blocks;		/* live */
	s64 bytes;		/* that their callers asked for */
	s64 given;
	s64 peak;		/* most bytes; 2 KiB a CPU may be missing, 64 of the total */
	u64 total_blocks;	/* ever */
	u64 total_bytes;
	u32 age;		/* of the oldest, in prof_now()'s units */
};

int prof_sites_new(unsigned int nr, unsigned int depth);
void prof_sites_free(void);
size_t prof_sites_bytes(void);
unsigned int prof_nr_sites(void);
u32 prof_site_find(unsigned long ip);
bool prof_site_hidden(u32 site);
bool prof_site_shown(u32 site);
void prof_site_name(struct seq_file *m, u32 site);
const char *prof_site_frame(u32 site, unsigned int frame);
void prof_count_alloc(const struct prof_record *record);
void prof_count_free(const struct prof_record *record);
void prof_count_drop(void);
u64 prof_dropped(void);
struct prof_sum *prof_sums(struct prof_sum *total);
int prof_peak_reset(void);

int prof_filter_set(char *text);
void prof_filter_show(struct seq_file *m);
bool prof_filter_size(size_t size);

/* ---- view.c and pins.c: debugfs ---- */

void prof_view_files(struct dentry *dir);
void prof_snapshots_free(void);
size_t prof_snapshots_bytes(void);
void prof_json(struct seq_file *m);
extern const struct file_operations prof_pins_fops;

#endif /* PYALLOC_PROF_H */
