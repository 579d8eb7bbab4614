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

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
#include <linux/types.h>

struct device;

/* Distance between two size classes and alignment of every block, bytes. */
#define PYALLOC_ALIGN		8

/* The largest request that is served from a pool, bytes. */
#define PYALLOC_MAX		512

/* Number of size classes: 8, 16, ... PYALLOC_MAX. */
#define PYALLOC_NR_CLASSES	(PYALLOC_MAX / PYALLOC_ALIGN)

/* The size class of a request of 1 to PYALLOC_MAX bytes, from 0. */
#define PYALLOC_CLASS(size)	(((unsigned int)(size) - 1) / PYALLOC_ALIGN)

/* Of whoever calls pyalloc(), see the end. */
#ifdef CONFIG_MEM_ALLOC_PROFILING
#define __pyalloc_kmalloc	kmalloc_noprof
#else
#define __pyalloc_kmalloc	kmalloc
#endif

void *__pyalloc(size_t size, gfp_t gfp) __alloc_size(1) __malloc;
void *__pyalloc_class(size_t size, gfp_t gfp, unsigned long class)
	__alloc_size(1) __malloc;

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
		return __pyalloc_kmalloc(size, gfp);
	if (__builtin_constant_p(size) && size)
		return __pyalloc_class(size, gfp, PYALLOC_CLASS(size));
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

void *__pyalloc_node(size_t size, gfp_t gfp, int node) __alloc_size(1) __malloc;

/**
 * pyalloc_node() - allocate memory on a NUMA node
 * @size: bytes wanted
 * @gfp: allocation flags
 * @node: the node, or NUMA_NO_NODE
 *
 * The peer of kmalloc_node(). Pools are the CPU's own node's: another node is
 * served by kmalloc(), and so is __GFP_THISNODE.
 *
 * Context: As pyalloc().
 * Return: As pyalloc().
 */
static __always_inline __alloc_size(1) __malloc
void *pyalloc_node(size_t size, gfp_t gfp, int node)
{
	if (node == NUMA_NO_NODE)
		return pyalloc(size, gfp);
	return __pyalloc_node(size, gfp, node);
}

/**
 * pyzalloc_node() - allocate zeroed memory on a NUMA node
 * @size: bytes wanted
 * @gfp: allocation flags
 * @node: the node, or NUMA_NO_NODE
 *
 * The peer of kzalloc_node().
 *
 * Context: As pyalloc().
 * Return: As pyalloc().
 */
static __always_inline __alloc_size(1) __malloc
void *pyzalloc_node(size_t size, gfp_t gfp, int node)
{
	return pyalloc_node(size, gfp | __GFP_ZERO, node);
}

/**
 * pyalloc_array_node() - allocate memory for an array on a NUMA node
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 * @node: the node, or NUMA_NO_NODE
 *
 * The peer of kmalloc_array_node().
 *
 * Context: As pyalloc().
 * Return: As pyalloc_array().
 */
static __always_inline __alloc_size(1, 2) __malloc
void *pyalloc_array_node(size_t n, size_t size, gfp_t gfp, int node)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return pyalloc_node(bytes, gfp, node);
}

/**
 * pycalloc_node() - allocate zeroed memory for an array on a NUMA node
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 * @node: the node, or NUMA_NO_NODE
 *
 * The peer of kcalloc_node().
 *
 * Context: As pyalloc().
 * Return: As pyalloc_array().
 */
static __always_inline __alloc_size(1, 2) __malloc
void *pycalloc_node(size_t n, size_t size, gfp_t gfp, int node)
{
	return pyalloc_array_node(n, size, gfp | __GFP_ZERO, node);
}

void *pyrealloc(const void *p, size_t new_size, gfp_t gfp)
	__realloc_size(2) __must_check;

/**
 * pyrealloc_array() - change the size of an array
 * @p: what pyalloc() or one of its kin returned, or NULL
 * @n: number of elements wanted
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of krealloc_array().
 *
 * Context: As pyalloc().
 * Return: As pyrealloc(); NULL, and @p as it was, if @n * @size overflows.
 */
static __always_inline __realloc_size(2, 3) __must_check
void *pyrealloc_array(void *p, size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return pyrealloc(p, bytes, gfp);
}

void pyfree(const void *p);
void pyfree_sensitive(const void *p);
void pykvfree(const void *p);
void pykvfree_atomic(const void *p);
void pykvfree_sensitive(const void *p, size_t len);
size_t pysize(const void *p);
size_t pyalloc_size_roundup(size_t size);
unsigned long pyalloc_trim(void);

unsigned int pyalloc_bulk(size_t size, gfp_t gfp, unsigned int nr, void **p)
	__must_check;
void pyfree_bulk(unsigned int nr, void **p);

/* ---- In any context ------------------------------------------------------- */

void *pyalloc_nolock(size_t size, gfp_t gfp) __alloc_size(1) __malloc;
void pyfree_nolock(const void *p);

/* ---- Private heaps ------------------------------------------------------- */

struct pyheap;

/* Flags of pyheap_create(). */
#define PYHEAP_MUST_BE_EMPTY	BIT(0)		/* when it is destroyed */
#define PYHEAP_VMALLOC		BIT(1)		/* arenas of single pages */
#define PYHEAP_DEBUG		BIT(2)		/* its blocks are checked */
#define PYHEAP_FLAGS		(PYHEAP_MUST_BE_EMPTY | PYHEAP_VMALLOC | PYHEAP_DEBUG)

struct pyheap *pyheap_create(const char *name, unsigned int flags) __must_check;
int pyheap_destroy(struct pyheap *heap);
void pyheap_set_limit(struct pyheap *heap, size_t bytes);
size_t pyheap_held(const struct pyheap *heap);

void *pyheap_alloc(struct pyheap *heap, size_t size, gfp_t gfp)
	__alloc_size(2) __malloc;
void *pyheap_realloc(struct pyheap *heap, const void *p, size_t new_size,
		     gfp_t gfp) __realloc_size(3) __must_check;
void pyheap_free(struct pyheap *heap, const void *p);

/**
 * pyheap_zalloc() - allocate zeroed memory of a heap
 * @heap: what pyheap_create() returned
 * @size: bytes wanted
 * @gfp: allocation flags
 *
 * Context: As pyalloc().
 * Return: As pyheap_alloc().
 */
static __always_inline __alloc_size(2) __malloc
void *pyheap_zalloc(struct pyheap *heap, size_t size, gfp_t gfp)
{
	return pyheap_alloc(heap, size, gfp | __GFP_ZERO);
}

/**
 * pyheap_calloc() - allocate zeroed memory of a heap for an array
 * @heap: what pyheap_create() returned
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * Context: As pyalloc().
 * Return: As pyheap_alloc(); NULL if @n * @size overflows.
 */
static __always_inline __alloc_size(2, 3) __malloc
void *pyheap_calloc(struct pyheap *heap, size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return pyheap_zalloc(heap, bytes, gfp);
}

/* ---- Objects of a type -------------------------------------------------- */

#define __pyalloc_objs(fn, gfp, type, n)				\
	((type *)fn(size_mul(sizeof(type), n), gfp))

#define __pyalloc_flex(fn, gfp, type, member, n)			\
({									\
	const size_t __n = (n);						\
	type *__obj = fn(struct_size((type *)NULL, member, __n), gfp);	\
									\
	if (__obj)							\
		__pyalloc_set_counter(__obj->member, __n);		\
	__obj;								\
})

/* The counter of a flexible array with __counted_by(), if the compiler knows. */
#ifdef __set_flex_counter
#define __pyalloc_set_counter	__set_flex_counter
#else
#define __pyalloc_set_counter(member, n)
#endif

/* The flags, or GFP_KERNEL. */
#define __pyalloc_gfp(...)						\
	__pyalloc_second(0, ##__VA_ARGS__, GFP_KERNEL)
#define __pyalloc_second(a, b, ...)	((void)(a), (b))

/**
 * pyalloc_obj() - allocate an object of a type
 * @var_or_type: the type, or a variable of it
 * @...: allocation flags; GFP_KERNEL if there are none
 *
 * The peer of kmalloc_obj(), on kernels too that have none.
 *
 * Context: As pyalloc().
 * Return: A pointer to that type; NULL where kmalloc() would have failed too.
 */
#define pyalloc_obj(var_or_type, ...)					\
	__pyalloc_objs(pyalloc, __pyalloc_gfp(__VA_ARGS__),		\
		       typeof(var_or_type), 1)

/**
 * pyzalloc_obj() - as pyalloc_obj(), zeroed
 * @var_or_type: the type, or a variable of it
 * @...: allocation flags; GFP_KERNEL if there are none
 */
#define pyzalloc_obj(var_or_type, ...)					\
	__pyalloc_objs(pyzalloc, __pyalloc_gfp(__VA_ARGS__),		\
		       typeof(var_or_type), 1)

/**
 * pyalloc_objs() - allocate an array of objects of a type
 * @var_or_type: the type, or a variable of it
 * @n: number of elements
 * @...: allocation flags; GFP_KERNEL if there are none
 *
 * The peer of kmalloc_objs().
 *
 * Context: As pyalloc().
 * Return: A pointer to the first; NULL if the size overflows, too.
 */
#define pyalloc_objs(var_or_type, n, ...)				\
	__pyalloc_objs(pyalloc, __pyalloc_gfp(__VA_ARGS__),		\
		       typeof(var_or_type), n)

/**
 * pyzalloc_objs() - as pyalloc_objs(), zeroed
 * @var_or_type: the type, or a variable of it
 * @n: number of elements
 * @...: allocation flags; GFP_KERNEL if there are none
 */
#define pyzalloc_objs(var_or_type, n, ...)				\
	__pyalloc_objs(pyzalloc, __pyalloc_gfp(__VA_ARGS__),		\
		       typeof(var_or_type), n)

/**
 * pyalloc_flex() - allocate a structure with a flexible array
 * @var_or_type: the structure's type, or a variable of it
 * @member: the name of the flexible array
 * @n: number of its elements
 * @...: allocation flags; GFP_KERNEL if there are none
 *
 * The peer of kmalloc_flex(): sets the counter of the array if it has one and
 * compiler and kernel know.
 *
 * Context: As pyalloc().
 * Return: A pointer to the structure; NULL if the size overflows, too.
 */
#define pyalloc_flex(var_or_type, member, n, ...)			\
	__pyalloc_flex(pyalloc, __pyalloc_gfp(__VA_ARGS__),		\
		       typeof(var_or_type), member, n)

/**
 * pyzalloc_flex() - as pyalloc_flex(), zeroed
 * @var_or_type: the structure's type, or a variable of it
 * @member: the name of the flexible array
 * @n: number of its elements
 * @...: allocation flags; GFP_KERNEL if there are none
 */
#define pyzalloc_flex(var_or_type, member, n, ...)			\
	__pyalloc_flex(pyzalloc, __pyalloc_gfp(__VA_ARGS__),		\
		       typeof(var_or_type), member, n)

/* ---- Copies --------------------------------------------------------------- */

void *pymemdup(const void *src, size_t len, gfp_t gfp) __realloc_size(2);
char *pymemdup_nul(const char *src, size_t len, gfp_t gfp);

/**
 * pymemdup_array() - copy an array into new memory
 * @src: what is copied
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of kmemdup_array().
 *
 * Context: As pyalloc().
 * Return: As pyalloc(); NULL if @n * @size overflows, too.
 */
static __always_inline __realloc_size(2, 3)
void *pymemdup_array(const void *src, size_t n, size_t size, gfp_t gfp)
{
	return pymemdup(src, size_mul(n, size), gfp);
}

char *pystrdup(const char *s, gfp_t gfp);
char *pystrndup(const char *s, size_t max, gfp_t gfp);
__printf(2, 0) char *pyvasprintf(gfp_t gfp, const char *fmt, va_list ap);
__printf(2, 3) char *pyasprintf(gfp_t gfp, const char *fmt, ...);

/* ---- After a grace period --------------------------------------------------- */

void __pyfree_rcu(struct rcu_head *head, void *p);

/**
 * pyfree_rcu() - free memory after an RCU grace period
 * @ptr: as for pykvfree()
 * @field: the name of the struct rcu_head in it
 *
 * The peer of kfree_rcu() and kvfree_rcu(). Many share one grace period. What is on
 * its way when pyalloc is unloaded is freed first.
 *
 * Context: As kfree_rcu(): any but NMI.
 */
#define pyfree_rcu(ptr, field)						\
do {									\
	typeof(ptr) __p = (ptr);					\
									\
	if (__p)							\
		__pyfree_rcu(&__p->field, (void *)__p);			\
} while (0)

void pyfree_rcu_mightsleep(const void *p);

/* ---- Owners that free by themselves ------------------------------------------ */

void *devm_pyalloc(struct device *dev, size_t size, gfp_t gfp)
	__alloc_size(2) __malloc;

/**
 * devm_pyzalloc() - allocate zeroed memory that goes with a device
 * @dev: the device
 * @size: bytes wanted
 * @gfp: allocation flags
 *
 * The peer of devm_kzalloc().
 *
 * Context: As pyalloc().
 * Return: As devm_pyalloc().
 */
static __always_inline __alloc_size(2) __malloc
void *devm_pyzalloc(struct device *dev, size_t size, gfp_t gfp)
{
	return devm_pyalloc(dev, size, gfp | __GFP_ZERO);
}

/**
 * devm_pyalloc_array() - allocate memory for an array that goes with a device
 * @dev: the device
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of devm_kmalloc_array().
 *
 * Context: As pyalloc().
 * Return: As devm_pyalloc(); NULL if @n * @size overflows, too.
 */
static __always_inline __alloc_size(2, 3) __malloc
void *devm_pyalloc_array(struct device *dev, size_t n, size_t size, gfp_t gfp)
{
	return devm_pyalloc(dev, size_mul(n, size), gfp);
}

/**
 * devm_pycalloc() - allocate zeroed memory for an array that goes with a device
 * @dev: the device
 * @n: number of elements
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of devm_kcalloc().
 *
 * Context: As pyalloc().
 * Return: As devm_pyalloc_array().
 */
static __always_inline __alloc_size(2, 3) __malloc
void *devm_pycalloc(struct device *dev, size_t n, size_t size, gfp_t gfp)
{
	return devm_pyalloc_array(dev, n, size, gfp | __GFP_ZERO);
}

void *devm_pyrealloc(struct device *dev, void *p, size_t new_size, gfp_t gfp)
	__realloc_size(3) __must_check;

/**
 * devm_pyrealloc_array() - change the size of an array that goes with a device
 * @dev: the device
 * @p: as for devm_pyrealloc()
 * @n: number of elements wanted
 * @size: bytes of one element
 * @gfp: allocation flags
 *
 * The peer of devm_krealloc_array().
 *
 * Context: As pyalloc().
 * Return: As devm_pyrealloc(); NULL, and @p as it was, if @n * @size overflows.
 */
static __always_inline __realloc_size(3, 4) __must_check
void *devm_pyrealloc_array(struct device *dev, void *p, size_t n, size_t size,
			   gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return devm_pyrealloc(dev, p, bytes, gfp);
}

void devm_pyfree(struct device *dev, const void *p);

void *mempool_pyalloc(gfp_t gfp, void *size);
void mempool_pyfree(void *element, void *size);

/* The peers of mempool_init_kmalloc_pool() and mempool_create_kmalloc_pool(). */
#define mempool_init_pyalloc_pool(pool, min_nr, size)			\
	mempool_init(pool, min_nr, mempool_pyalloc, mempool_pyfree,	\
		     (void *)(unsigned long)(size))
#define mempool_create_pyalloc_pool(min_nr, size)			\
	mempool_create(min_nr, mempool_pyalloc, mempool_pyfree,		\
		       (void *)(unsigned long)(size))

/* char *p __free(pyfree) = pyalloc(...); */
#ifdef DEFINE_FREE
#define __pyalloc_define_free(fn)					\
	DEFINE_FREE(fn, void *, if (!IS_ERR_OR_NULL(_T)) fn(_T))
__pyalloc_define_free(pyfree)
__pyalloc_define_free(pyfree_sensitive)
__pyalloc_define_free(pykvfree)
__pyalloc_define_free(pykvfree_atomic)
#endif

/* ---- /proc/allocinfo --------------------------------------------------------- */

/* As for kmalloc(), each call has an entry of its own there, by file and line. */
#if defined(CONFIG_MEM_ALLOC_PROFILING) && !defined(PYALLOC_UNTAGGED)
#define pyalloc(...)		alloc_hooks(pyalloc(__VA_ARGS__))
#define pyzalloc(...)		alloc_hooks(pyzalloc(__VA_ARGS__))
#define pyalloc_array(...)	alloc_hooks(pyalloc_array(__VA_ARGS__))
#define pycalloc(...)		alloc_hooks(pycalloc(__VA_ARGS__))
#define pyalloc_node(...)	alloc_hooks(pyalloc_node(__VA_ARGS__))
#define pyzalloc_node(...)	alloc_hooks(pyzalloc_node(__VA_ARGS__))
#define pyalloc_array_node(...)	alloc_hooks(pyalloc_array_node(__VA_ARGS__))
#define pycalloc_node(...)	alloc_hooks(pycalloc_node(__VA_ARGS__))
#define pyrealloc(...)		alloc_hooks(pyrealloc(__VA_ARGS__))
#define pyrealloc_array(...)	alloc_hooks(pyrealloc_array(__VA_ARGS__))
#define pyalloc_bulk(...)	alloc_hooks(pyalloc_bulk(__VA_ARGS__))
#define pyalloc_nolock(...)	alloc_hooks(pyalloc_nolock(__VA_ARGS__))
#define pyheap_alloc(...)	alloc_hooks(pyheap_alloc(__VA_ARGS__))
#define pyheap_zalloc(...)	alloc_hooks(pyheap_zalloc(__VA_ARGS__))
#define pyheap_calloc(...)	alloc_hooks(pyheap_calloc(__VA_ARGS__))
#define pyheap_realloc(...)	alloc_hooks(pyheap_realloc(__VA_ARGS__))
#define pymemdup(...)		alloc_hooks(pymemdup(__VA_ARGS__))
#define pymemdup_nul(...)	alloc_hooks(pymemdup_nul(__VA_ARGS__))
#define pymemdup_array(...)	alloc_hooks(pymemdup_array(__VA_ARGS__))
#define pystrdup(...)		alloc_hooks(pystrdup(__VA_ARGS__))
#define pystrndup(...)		alloc_hooks(pystrndup(__VA_ARGS__))
#define pyvasprintf(...)	alloc_hooks(pyvasprintf(__VA_ARGS__))
#define pyasprintf(...)		alloc_hooks(pyasprintf(__VA_ARGS__))
#define devm_pyalloc(...)	alloc_hooks(devm_pyalloc(__VA_ARGS__))
#define devm_pyzalloc(...)	alloc_hooks(devm_pyzalloc(__VA_ARGS__))
#define devm_pyalloc_array(...)	alloc_hooks(devm_pyalloc_array(__VA_ARGS__))
#define devm_pycalloc(...)	alloc_hooks(devm_pycalloc(__VA_ARGS__))
#define devm_pyrealloc(...)	alloc_hooks(devm_pyrealloc(__VA_ARGS__))
#define devm_pyrealloc_array(...) alloc_hooks(devm_pyrealloc_array(__VA_ARGS__))
#endif

#endif /* PYALLOC_H */
