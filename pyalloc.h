/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: CPython's small-object allocator for kernel modules.
 *
 * The public interface. pyalloc()/pyfree() keep the contract of
 * kmalloc()/kfree(); requests of up to PYALLOC_MAX bytes are served from
 * size classes that are 8 bytes apart, larger ones by kmalloc() itself.
 */
#ifndef PYALLOC_H
#define PYALLOC_H

#include <linux/build_bug.h>
#include <linux/gfp.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/types.h>

/* Distance between two size classes and alignment of every block, bytes. */
#define PYALLOC_ALIGN		8

/* The largest request that is served from a pool, bytes. */
#define PYALLOC_MAX		512

/* Number of size classes: 8, 16, ... PYALLOC_MAX. */
#define PYALLOC_NR_CLASSES	(PYALLOC_MAX / PYALLOC_ALIGN)

/* The size class of a request of 1 to PYALLOC_MAX bytes, from 0. */
#define PYALLOC_CLASS(size)	(((unsigned int)(size) - 1) / PYALLOC_ALIGN)

void *__pyalloc(size_t size, gfp_t gfp) __alloc_size(1) __malloc;
void *__pyalloc_class(unsigned long class, size_t size, gfp_t gfp)
	__alloc_size(2) __malloc;

/**
 * pyalloc() - allocate memory
 * @size: bytes wanted
 * @gfp: allocation flags, as for kmalloc()
 *
 * The peer of kmalloc(). The memory is aligned to at least PYALLOC_ALIGN and
 * to the largest power of two that divides @size. It belongs to the caller
 * until it goes to pyfree(). It must not go to kfree() or kfree_rcu() and is
 * not for DMA.
 *
 * A size that is constant at compile time resolves its class there, and is a
 * plain kmalloc() above PYALLOC_MAX (not counted in the statistics).
 *
 * The design follows CPython's Objects/obmalloc.c.
 *
 * Context: Any in which kmalloc() with @gfp is legal. Not NMI.
 * Return: The memory; ZERO_SIZE_PTR if @size is 0; NULL where kmalloc() would
 * have failed too.
 */
static __always_inline __alloc_size(1) __malloc
void *pyalloc(size_t size, gfp_t gfp)
{
	if (__builtin_constant_p(size) && size > PYALLOC_MAX)
		return kmalloc(size, gfp);
	if (__builtin_constant_p(size) && size)
		return __pyalloc_class(PYALLOC_CLASS(size), size, gfp);
	return __pyalloc(size, gfp);
}

/**
 * pyzalloc() - allocate zeroed memory
 * @size: bytes wanted
 * @gfp: allocation flags
 *
 * The peer of kzalloc(). The whole usable size of the block is zeroed.
 *
 * Context: As pyalloc().
 * Return: As pyalloc().
 */
static __always_inline __alloc_size(1) __malloc
void *pyzalloc(size_t size, gfp_t gfp)
{
	return pyalloc(size, gfp | __GFP_ZERO);
}

/**
 * pyalloc_array() - allocate memory for an array
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of kmalloc_array().
 *
 * Context: As pyalloc().
 * Return: As pyalloc(); NULL if @n * @size overflows.
 */
static __always_inline __alloc_size(1, 2) __malloc
void *pyalloc_array(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return pyalloc(bytes, gfp);
}

/**
 * pycalloc() - allocate zeroed memory for an array
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of kcalloc().
 *
 * Context: As pyalloc().
 * Return: As pyalloc_array().
 */
static __always_inline __alloc_size(1, 2) __malloc
void *pycalloc(size_t n, size_t size, gfp_t gfp)
{
	return pyalloc_array(n, size, gfp | __GFP_ZERO);
}

void *pyrealloc(const void *p, size_t new_size, gfp_t gfp)
	__realloc_size(2) __must_check;
void pyfree(const void *p);
void pyfree_sensitive(const void *p);
size_t pysize(const void *p);
size_t pyalloc_size_roundup(size_t size);
unsigned long pyalloc_trim(void);

#endif /* PYALLOC_H */
