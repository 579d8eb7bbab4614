/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc_prof: what its files share. record.c knows the live blocks, site.c who
 * allocated them; hot.h is what each allocation and free does; main.c begins and ends;
 * view.c and pins.c show. See Documentation/profiler.rst.
 */
#ifndef PYALLOC_PROF_H
#define PYALLOC_PROF_H

#include <linux/seq_file.h>
#include <linux/types.h>

#include "hot.h"

/* Of the begin of the profile till now, or till it was stopped. */
struct prof_setup {
	unsigned int every;	/* one of so many allocations is recorded */
	unsigned int depth;	/* frames that make a site */
	bool on;
};

extern struct prof_setup prof_setup;
extern struct mutex prof_mutex;	/* begin, end, and who looks */

/* Allocations that were to be recorded, and for which there was no room. */
u64 prof_dropped(void);

size_t prof_overhead(void);		/* bytes that the profile takes */

char *prof_text(char *text, size_t room, const char __user *buf, size_t count);

/* ---- record.c: the live blocks ---- */

int prof_records_new(unsigned long nr);
void prof_records_free(void);
size_t prof_records_bytes(void);

typedef void (*prof_record_fn)(const void *p, const struct prof_record *record,
			       void *arg);
void prof_records_walk(prof_record_fn fn, void *arg);

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
	s64 peak;		/* most bytes, within PROF_FOLD a CPU and site */
	u64 total_blocks;	/* ever */
	u64 total_bytes;
	u32 age;		/* of the oldest, in prof_now()'s units */
};

int prof_sites_new(unsigned int nr);
void prof_sites_free(void);
size_t prof_sites_bytes(void);
unsigned int prof_nr_sites(void);
bool prof_site_shown(u32 site);
void prof_site_name(struct seq_file *m, u32 site);
const char *prof_site_frame(u32 site, unsigned int frame);
u32 prof_site_find(unsigned long ip);
struct prof_sum *prof_sums(struct prof_sum *total);
int prof_peak_reset(void);

/* Bytes of a request that is recorded. */
extern size_t prof_size_min, prof_size_max;

bool prof_filter_is_set(void);
int prof_filter_set(char *text);
void prof_filter_show(struct seq_file *m);

/* ---- view.c and pins.c: debugfs ---- */

void prof_view_files(struct dentry *dir);
void prof_snapshots_free(void);
size_t prof_snapshots_bytes(void);
void prof_json(struct seq_file *m);
void prof_pins_file(struct dentry *dir);

#endif /* PYALLOC_PROF_H */
