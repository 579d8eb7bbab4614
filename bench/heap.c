// SPDX-License-Identifier: GPL-2.0
/*
 * Getting rid of everything: a private heap goes in one piece, kmalloc()'s blocks one
 * by one.
 */
#include <linux/err.h>
#include <linux/vmalloc.h>

#include "bench.h"

#define HEAP_BLOCK	64	/* bytes */

static u64 destroy_ns(u32 nr)
{
	struct pyheap *heap = pyheap_create("pyalloc_bench", 0);
	u64 start;
	u32 i;

	if (IS_ERR(heap))
		return U64_MAX;
	for (i = 0; i < nr; i++)
		pyheap_alloc(heap, HEAP_BLOCK, BENCH_GFP);
	start = ktime_get_ns();
	pyheap_destroy(heap);
	return ktime_get_ns() - start;
}

static u64 kfree_ns(u32 nr, void **block)
{
	u64 start;
	u32 i;

	for (i = 0; i < nr; i++)
		block[i] = kmalloc(HEAP_BLOCK, BENCH_GFP);
	start = ktime_get_ns();
	for (i = 0; i < nr; i++)
		kfree(block[i]);
	return ktime_get_ns() - start;
}

static void compare_destroy(u32 nr, void **block)
{
	u64 best[NR_KINDS];
	unsigned int round;
	char row[40];

	memset(best, 0xff, sizeof(best));
	best[EMPTY] = 0;
	for (round = 0; round < rounds && !bench_stopped(); round++) {
		best[KMALLOC] = min(best[KMALLOC], kfree_ns(nr, block));
		best[PYALLOC] = min(best[PYALLOC], destroy_ns(nr));
	}
	snprintf(row, sizeof(row), "heap of %u blocks destroyed, us", nr);
	bench_report(row, best, NSEC_PER_USEC);
}

int bench_heap(void)
{
	static const u32 nr[] = { 10000, 100000, 1000000 };
	void **block = vmalloc(array_size(nr[ARRAY_SIZE(nr) - 1], sizeof(*block)));
	unsigned int i;

	if (!block)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(nr); i++)
		compare_destroy(nr[i], block);
	vfree(block);
	return 0;
}
