// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: one allocation, and what must be true of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/printk.h>

#include "stress.h"

#define COMPLAINTS	10	/* more say nothing new */

atomic_t wrong;

void complain(const struct actor *a, const struct item *item, const char *what)
{
	if (atomic_inc_return(&wrong) > COMPLAINTS)
		return;
	pr_err("%s: thread %u %s step %llu: size %u, %s class %u, %s%s\n", what,
	       a->thread, context_name[a->context], a->steps, item->size,
	       item->pooled ? "pooled" : "kmalloc", item->class,
	       item->zeroed ? "zeroed" : "not zeroed",
	       item->heap ? ", of a private heap" : "");
}

void stats_wrong(const char *what, u64 is, u64 should)
{
	if (atomic_inc_return(&wrong) <= COMPLAINTS)
		pr_err("%s: %llu, not %llu\n", what, is, should);
}

u64 pattern(u64 fill, size_t i)
{
	return (fill + i) * 0x9e3779b97f4a7c15;
}

void put_pattern(void *p, size_t size, u64 fill)
{
	u64 last = pattern(fill, size / 8);
	size_t i;

	for (i = 0; i < size / 8; i++)
		((u64 *)p)[i] = pattern(fill, i);
	for (i = 0; i < size % 8; i++)
		((u8 *)p)[size - size % 8 + i] = last >> 8 * i;
}

bool has_pattern(const void *p, size_t size, u64 fill)
{
	u64 last = pattern(fill, size / 8);
	size_t i;

	for (i = 0; i < size / 8; i++)
		if (((const u64 *)p)[i] != pattern(fill, i))
			return false;
	for (i = 0; i < size % 8; i++)
		if (((const u8 *)p)[size - size % 8 + i] != (u8)(last >> 8 * i))
			return false;
	return true;
}

/* The pages of an arena belong to no slab. */
bool in_arena(const void *p)
{
	return is_vmalloc_addr(p) || !PageSlab(virt_to_head_page(p));
}

/* All of a pool's block, where KASAN does not watch what lies behind @size. */
static size_t item_usable(const struct item *item)
{
	return item->pooled && !IS_ENABLED(CONFIG_KASAN) ?
		py_class_size(item->class) : item->size;
}

bool item_is_zero(const struct item *item)
{
	return !memchr_inv(item->p, 0, item_usable(item));
}

void item_fill(struct actor *a, struct item *item)
{
	item->fill = (u64)prandom_u32_state(&a->rnd) << 32 | a->thread;
	put_pattern(item->p, item->zeroed ? item->size : item_usable(item),
		    item->fill);
}

void item_check(struct actor *a, const struct item *item)
{
	size_t usable = item_usable(item);

	if (ZERO_OR_NULL_PTR(item->p)) {
		if (item->size || pysize(item->p))
			complain(a, item, "not the memory of size 0");
		return;
	}
	if (item->pooled ? pysize(item->p) != py_class_size(item->class) :
			   pysize(item->p) < item->size)
		complain(a, item, "pysize() is wrong");
	if (!has_pattern(item->p, item->zeroed ? item->size : usable,
			 item->fill))
		complain(a, item, "the contents are damaged");
	if (item->zeroed && item->pooled &&
	    memchr_inv(item->p + item->size, 0, usable - item->size))
		complain(a, item, "something was written behind the contents");
}

/* What @item is now that it has memory that was never its before. */
void item_new(struct actor *a, struct item *item, u32 size)
{
	item->size = size;
	item->pooled = false;
	if (ZERO_OR_NULL_PTR(item->p) != !size)
		complain(a, item, "not what size 0 gives");
	if (ZERO_OR_NULL_PTR(item->p))
		return;
	/* With debug hooks, what is behind @size is not the caller's, as with kmalloc(). */
	item->pooled = in_arena(item->p) &&
		       !(py_arena_of(item->p)->heap->flags & PYHEAP_DEBUG);
	item->class = PYALLOC_CLASS(size);
	if ((unsigned long)item->p & (PYALLOC_ALIGN - 1) ||
	    (item->pooled && (unsigned long)item->p & ((size & -size) - 1)))
		complain(a, item, "not aligned");
	if (item->pooled && size > PYALLOC_MAX)
		complain(a, item, "too large for a pool");
}

/* The memory is gone. */
void item_clear(struct item *item)
{
	item->p = NULL;
	smp_store_release(&item->heap, NULL);	/* pairs with heap_enter_of() */
}

void item_free(struct item *item)
{
	if (item->heap)
		pyheap_free(heap_of(item->heap), item->p);
	else
		pyfree(item->p);
	item_clear(item);
}
