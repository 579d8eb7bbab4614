// SPDX-License-Identifier: GPL-2.0
/*
 * The floor: the least that allocating from and freeing into a per-CPU list can
 * cost in this kernel, with the arguments of kmalloc() and kfree(). Blocks of
 * one size, all made beforehand; no encoding, no check, no interrupt, no owner.
 */
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/vmalloc.h>

#include "bench.h"

static DEFINE_PER_CPU(void *, floor_list);
static void *floor_area;

/* Gives this CPU @nr blocks; the caller stays on it. */
int floor_fill(size_t size, unsigned int nr)
{
	size_t stride = max_t(size_t, size, sizeof(void *));
	void *next = NULL;
	unsigned int i;

	floor_area = vmalloc(nr * stride);
	if (!floor_area)
		return -ENOMEM;
	for (i = nr; i; i--) {
		void *block = floor_area + (i - 1) * stride;

		*(void **)block = next;
		next = block;
	}
	this_cpu_write(floor_list, next);
	return 0;
}

void floor_empty(void)
{
	vfree(floor_area);
	floor_area = NULL;
}

noinline void *floor_alloc(size_t size, gfp_t gfp)
{
	void **list, *block;

	preempt_disable();
	list = this_cpu_ptr(&floor_list);
	block = *list;
	*list = *(void **)block;
	preempt_enable();
	return block;
}

noinline void floor_free(const void *p)
{
	void *block = (void *)p;
	void **list;

	preempt_disable();
	list = this_cpu_ptr(&floor_list);
	*(void **)block = *list;
	*list = block;
	preempt_enable();
}
