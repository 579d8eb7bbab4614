// SPDX-License-Identifier: GPL-2.0
/*
 * What an allocator takes from the kernel for its blocks, by the kernel's
 * counter of slab pages, in which pyalloc books its arenas.
 */
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "../pyalloc_internal.h"
#include "bench.h"
#include "team.h"

/*
 * The kernel-wide counter lags by what each CPU has not yet added to it: read
 * those parts too.
 */
s64 bench_slab_pages(void)
{
	s64 pages = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	int nid, cpu;

	for_each_online_node(nid) {
		struct per_cpu_nodestat __percpu *stat =
			NODE_DATA(nid)->per_cpu_nodestats;

		for_each_online_cpu(cpu)
			pages += per_cpu_ptr(stat, cpu)->vm_node_stat_diff
				 [NR_SLAB_UNRECLAIMABLE_B];
	}
	return pages;
}

/* A set of blocks. What is random about block i is computed from i. */
static struct {
	size_t size;			/* 0: uniform 1 to PYALLOC_MAX */
	void **block;
	unsigned int nr;
	u64 bytes;			/* requested */
	s64 base;			/* slab pages before */
} set;

static u32 set_size(u32 i)
{
	return set.size ?: hash_32(i, 9) + 1;
}

/* Nine of ten blocks, scattered. */
static bool is_short_lived(u32 i)
{
	return hash_32(i ^ 0x5bd1e995, 16) % 10;
}

static int set_new(size_t size, unsigned int megabytes)
{
	u32 i;

	set.size = size;
	set.nr = div_u64((u64)megabytes * 1000000,
			 size ?: (PYALLOC_MAX + 1) / 2);
	set.block = vzalloc(array_size(set.nr, sizeof(void *)));
	if (!set.block)
		return -ENOMEM;
	set.bytes = 0;
	for (i = 0; i < set.nr; i++)
		set.bytes += set_size(i);
	set.base = bench_slab_pages();
	return 0;
}

static void set_delete(void)
{
	vfree(set.block);
	set.block = NULL;
}

static void *any_take(enum kind kind, size_t size)
{
	return kind == PYALLOC ? pyalloc(size, BENCH_GFP) :
				 kmalloc(size, BENCH_GFP);
}

static void any_drop(enum kind kind, void *p)
{
	if (kind == PYALLOC)
		pyfree(p);
	else
		kfree(p);
}

static void set_fill_one(enum kind kind, u32 i)
{
	if (set.block[i])
		return;
	set.block[i] = any_take(kind, set_size(i));
	if (!(i % 4096))
		cond_resched();
}

static void set_drop_one(enum kind kind, u32 i)
{
	if (!set.block[i])
		return;
	any_drop(kind, set.block[i]);
	set.block[i] = NULL;
	if (!(i % 4096))
		cond_resched();
}

static void set_fill(enum kind kind)
{
	u32 i;

	for (i = 0; i < set.nr; i++)
		set_fill_one(kind, i);
}

static void set_drop_short_lived(enum kind kind)
{
	u32 i;

	for (i = 0; i < set.nr; i++)
		if (is_short_lived(i))
			set_drop_one(kind, i);
}

static void set_drop_all(enum kind kind)
{
	u32 i;

	for (i = 0; i < set.nr; i++)
		set_drop_one(kind, i);
}

/* What is held now: bytes per byte requested at first. */
static void say_ratio(const char *row, const char *when, enum kind kind)
{
	u64 bytes = max(bench_slab_pages() - set.base, 0LL) * PAGE_SIZE;
	u64 mille = div64_u64(bytes * 1000 + set.bytes / 2, set.bytes);
	char name[80];
	u32 rest;

	snprintf(name, sizeof(name), "%s, %s", row, when);
	mille = div_u64_rem(mille, 1000, &rest);
	bench_value(name, bench_kind_name(kind), "%llu.%03u", mille, rest);
}

/* What pyalloc holds, pages. The kernel's counter has other users' slabs, too. */
static s64 arena_pages(void)
{
	struct pyheap_stats *stats = kmalloc(sizeof(*stats), BENCH_GFP);
	s64 pages;

	pyheap_walk(pyheap_default(), stats);
	pages = stats->arenas * PY_ARENA_PAGES - stats->gone;
	kfree(stats);
	return pages;
}

static void say_kib(const char *row, const char *when, enum kind kind)
{
	s64 pages = kind == PYALLOC ? arena_pages() :
				      bench_slab_pages() - set.base;
	char name[80];

	snprintf(name, sizeof(name), "%s, %s", row, when);
	bench_value(name, bench_kind_name(kind), "%lld",
		    pages * (s64)(PAGE_SIZE / SZ_1K));
}

static int footprint(const char *row, size_t size, enum kind kind)
{
	int err = set_new(size, mb);

	if (err)
		return err;
	set_fill(kind);
	say_ratio(row, "at the peak", kind);
	set_drop_short_lived(kind);
	msleep(MSEC_PER_SEC);
	say_ratio(row, "9 of 10 freed", kind);
	pyalloc_trim();
	say_ratio(row, "9 of 10 freed and trimmed", kind);
	set_fill(kind);
	say_ratio(row, "holes filled again", kind);
	set_drop_all(kind);
	msleep(MSEC_PER_SEC);
	say_kib(row, "KiB a second after all was freed", kind);
	pyalloc_trim();
	say_kib(row, "KiB after trim", kind);
	set_delete();
	return 0;
}

int bench_memory(void)
{
	static const struct {
		const char *row;
		size_t size;
	} sets[] = {
		{ "1..512 bytes", 0 },
		{ "40 bytes", 40 },
		{ "136 bytes", 136 },
		{ "264 bytes", 264 },
	};
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(sets) && !bench_stopped(); i++)
		err = footprint(sets[i].row, sets[i].size, KMALLOC) ?:
		      footprint(sets[i].row, sets[i].size, PYALLOC);
	return err;
}

/*
 * The same objects, one of ten of them long-lived: allocated as they come, or
 * the long-lived ones first, as programmers of Python are told to.
 */
static int lifetimes(const char *row, bool grouped, enum kind kind)
{
	int err = set_new(0, mb / 3);
	u32 i;

	if (err)
		return err;
	for (i = 0; grouped && i < set.nr; i++)
		if (!is_short_lived(i))
			set_fill_one(kind, i);
	set_fill(kind);
	set_drop_short_lived(kind);
	msleep(MSEC_PER_SEC);
	say_ratio(row, "9 of 10 freed", kind);
	pyalloc_trim();
	say_ratio(row, "9 of 10 freed and trimmed", kind);
	set_drop_all(kind);
	set_delete();
	pyalloc_trim();
	return 0;
}

int bench_lifetimes(void)
{
	return lifetimes("lifetimes mixed", false, KMALLOC) ?:
	       lifetimes("lifetimes mixed", false, PYALLOC) ?:
	       lifetimes("lifetimes grouped", true, KMALLOC) ?:
	       lifetimes("lifetimes grouped", true, PYALLOC);
}

/* On several CPUs at once: each takes its share, and frees its neighbour's. */
static enum kind share_kind;
static struct team team;

static void share_take(struct worker *w)
{
	u32 i;

	for (i = w->id; i < set.nr; i += team.nr)
		set_fill_one(share_kind, i);
}

static void share_drop(struct worker *w)
{
	u32 i;

	for (i = (w->id + 1) % team.nr; i < set.nr; i += team.nr)
		set_drop_one(share_kind, i);
}

static int shares(int cpus, enum kind kind)
{
	char row[40];
	s64 time;
	int err;

	err = set_new(0, mb / 3);
	if (err)
		return err;
	snprintf(row, sizeof(row), "%d CPU%s", cpus, cpus == 1 ? "" : "s");
	share_kind = kind;
	team.nr = cpus;
	team.fn = share_take;
	time = team_run(&team);
	say_ratio(row, "at the peak", kind);
	team.fn = share_drop;
	if (time >= 0)
		time = team_run(&team);
	msleep(MSEC_PER_SEC);
	say_kib(row, "KiB a second after all was freed", kind);
	pyalloc_trim();
	say_kib(row, "KiB after trim", kind);
	set_delete();
	return time < 0 ? time : 0;
}

int bench_cpus(void)
{
	static const int cpus[] = { 1, 2, 8 };
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(cpus) && !bench_stopped(); i++)
		if (cpus[i] <= num_online_cpus())
			err = shares(cpus[i], KMALLOC) ?:
			      shares(cpus[i], PYALLOC);
	return err;
}

/*
 * The same again and again: the CPUs take turns at allocating, others free, one
 * of ten blocks survives for a round. What is held must not creep up.
 */
#define CREEP_ROUNDS	50

static u32 creep_turn;

static bool creep_survives(u32 i)
{
	return hash_32(i + creep_turn * 0x9e3779b9, 16) % 10 == 0;
}

static void creep_take(struct worker *w)
{
	u32 i;

	if (w->id != creep_turn % team.nr)
		return;
	for (i = 0; i < set.nr; i++)
		set_fill_one(share_kind, i);
}

static void creep_drop(struct worker *w)
{
	u32 i;

	if (w->id != (creep_turn + 1) % team.nr)
		return;
	for (i = 0; i < set.nr; i++)
		if (!creep_survives(i))
			set_drop_one(share_kind, i);
}

static int creep(enum kind kind)
{
	s64 time = 0, held, early = 0, late = 0;
	int err;

	err = set_new(0, max(mb / 15, 1U));
	if (err)
		return err;
	share_kind = kind;
	team.nr = min(num_online_cpus(), 2U);
	for (creep_turn = 0; creep_turn < CREEP_ROUNDS && time >= 0;
	     creep_turn++) {
		team.fn = creep_take;
		time = team_run(&team);
		held = bench_slab_pages() - set.base;
		if (creep_turn < CREEP_ROUNDS / 5)
			early = max(early, held);
		else if (creep_turn >= CREEP_ROUNDS * 4 / 5)
			late = max(late, held);
		team.fn = creep_drop;
		if (time >= 0)
			time = team_run(&team);
	}
	bench_value("50 times over, KiB in rounds 1 to 10",
		    bench_kind_name(kind), "%lld", early * 4);
	bench_value("50 times over, KiB in rounds 41 to 50",
		    bench_kind_name(kind), "%lld", late * 4);
	set_drop_all(kind);
	msleep(MSEC_PER_SEC);
	say_kib("50 times over", "KiB a second after all was freed", kind);
	set_delete();
	return time < 0 ? time : 0;
}

int bench_creep(void)
{
	return creep(KMALLOC) ?: creep(PYALLOC);
}
