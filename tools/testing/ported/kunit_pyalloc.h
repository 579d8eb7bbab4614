/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kunit_kmalloc() over pyalloc: for tests whose memory KUnit itself would allocate.
 */
#ifndef KUNIT_PYALLOC_H
#define KUNIT_PYALLOC_H

#include <kunit/resource.h>

#include <pyalloc.h>

static inline int kunit_pyalloc_init(struct kunit_resource *res, void *p)
{
	res->data = p;
	return p ? 0 : -ENOMEM;
}

static inline void kunit_pyalloc_free(struct kunit_resource *res)
{
	pyfree(res->data);
}

/* Freed when the test ends, as kunit_kmalloc()'s is. */
static inline void *kunit_pyalloc(struct kunit *test, size_t size, gfp_t gfp)
{
	return kunit_alloc_resource(test, kunit_pyalloc_init, kunit_pyalloc_free, gfp,
				    pyalloc(size, gfp));
}

static inline void *kunit_pycalloc(struct kunit *test, size_t n, size_t size, gfp_t gfp)
{
	return kunit_alloc_resource(test, kunit_pyalloc_init, kunit_pyalloc_free, gfp,
				    pycalloc(n, size, gfp));
}

#endif /* KUNIT_PYALLOC_H */
