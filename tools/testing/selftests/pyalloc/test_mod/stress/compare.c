// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: the heaps, walked, and compared with the items.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/rbtree.h>
#include <linux/workqueue.h>

#include "stress.h"

#define SETTLE_MS	3000U	/* a second, and what a busy machine adds */

struct pyheap_stats *stats;

/* What differs, and how. */
struct difference {
	const char *what;	/* NULL: nothing */
	u64 is, should;
	int class;
};

static void walk_checked(struct pyheap *heap)
{
	pyheap_walk(heap, stats);
	if (pyheap_stats_total(stats) != stats->arenas * PY_ARENA_SIZE)
		stats_wrong("bytes of the arenas", pyheap_stats_total(stats),
			    stats->arenas * PY_ARENA_SIZE);
	if (stats->event[PY_EV_BUSY_IN_TASK])
		stats_wrong("busy found in a task",
			    stats->event[PY_EV_BUSY_IN_TASK], 0);
	if (stats->event[PY_EV_BAD_FREE])
		stats_wrong("frees refused", stats->event[PY_EV_BAD_FREE], 0);
	if (stats->corrupt)
		stats_wrong("free lists found corrupt", stats->corrupt, 0);
}

static void walk_private(struct private_heap *h)
{
	walk_checked(heap_of(h));
	if (pyheap_held(heap_of(h)) > heap_most(h))
		stats_wrong("bytes held", pyheap_held(heap_of(h)), heap_most(h));
}

/* While actors act. The default heap last: its figures are reported. */
void watch(void)
{
	struct private_heap *h = NULL;

	while ((h = heap_next(h))) {
		walk_private(h);
		heap_exit(h);
	}
	walk_checked(pyheap_default());
}

/* Items of @h, pooled by class; returns how many are not. */
static u32 count_items(const struct private_heap *h, u32 *count)
{
	u32 large = 0;
	unsigned int i;

	for (i = 0; i < nr_items; i++) {
		const struct item *item = &items[i];

		if (ZERO_OR_NULL_PTR(item->p) || item->heap != h)
			continue;
		if (item->pooled)
			count[item->class]++;
		else
			large++;
	}
	return large;
}

/* What a private heap has by kmalloc(), it remembers in blocks of the default heap. */
static void count_large(struct private_heap *h, u32 *count)
{
	struct py_large *large, *next;

	rbtree_postorder_for_each_entry_safe(large, next, &heap_of(h)->large, rb)
		if (in_arena(large))
			count[PYALLOC_CLASS(sizeof(*large))]++;
}

/* The first class of which there are not as many blocks as items. */
static struct difference classes_differ(const u32 *count)
{
	struct difference d = { "blocks of some class" };

	for (d.class = 0; d.class < PYALLOC_NR_CLASSES; d.class++) {
		d.is = stats->class[d.class].handed_out;
		d.should = count[d.class];
		if (d.is != d.should)
			return d;
	}
	return (struct difference){};
}

/* Bytes that a heap's limit is about. */
static u64 held(void)
{
	u64 pools = stats->spare;
	unsigned int i;

	for (i = 0; i < PYALLOC_NR_CLASSES; i++)
		pools += stats->class[i].pools;
	return pools * PY_POOL_SIZE + stats->large_bytes;
}

/* @count: the default heap's blocks, to which this adds. */
static struct difference private_differs(struct private_heap *h, u32 *count)
{
	u32 own[PYALLOC_NR_CLASSES] = {}, large = count_items(h, own);
	struct difference d;

	walk_private(h);
	count_large(h, count);
	d = classes_differ(own);
	if (!d.what && stats->large != large)
		d = (struct difference){ "blocks of a heap by kmalloc()",
					 stats->large, large };
	if (!d.what && stats->held != held())
		d = (struct difference){ "bytes held by a heap", stats->held,
					 held() };
	return d;
}

static struct difference anything_differs(void)
{
	u32 count[PYALLOC_NR_CLASSES] = {};
	struct private_heap *h = NULL;
	struct difference d;

	while ((h = heap_next(h))) {
		d = private_differs(h, count);
		heap_exit(h);
		if (d.what)
			return d;
	}
	count_items(NULL, count);
	shared_count(count);
	walk_checked(pyheap_default());
	/* Debug hooks put blocks into those of other classes. */
	if (pyheap_default()->flags & PYHEAP_DEBUG)
		return (struct difference){};
	return classes_differ(count);
}

static void nothing(void *arg)
{
}

static long is_busy(void *arg)
{
	return !pyalloc_test_busy(nothing, NULL);
}

static void no_cpu_busy(void)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu)
		if (work_on_cpu(cpu, is_busy, NULL))
			stats_wrong("busy at rest on a CPU", cpu, 0);
	cpus_read_unlock();
}

/*
 * Nobody allocates or frees now: what is on its way must arrive by itself, or
 * with @trim.
 */
void settle(bool trim)
{
	unsigned long end = jiffies + msecs_to_jiffies(SETTLE_MS), begun;
	struct difference d;

	if (trim)
		pyalloc_trim();
	for (;;) {
		/* A walk may take seconds itself, and sees what moves in two places or none. */
		begun = jiffies;
		d = anything_differs();
		if (!d.what)
			break;
		if (time_after(begun, end)) {
			stats_wrong(d.what, d.is, d.should);
			pr_err("that is the class of %u bytes, %llu of them in transit\n",
			       py_class_size(d.class),
			       stats->class[d.class].transit);
			break;
		}
		msleep(20);
	}
	no_cpu_busy();
}
