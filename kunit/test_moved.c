// SPDX-License-Identifier: GPL-2.0
/*
 * pyalloc_kmalloc.h: this file says kmalloc, and gets pyalloc.
 */
#include "common.h"

#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "../pyalloc_kmalloc.h"

struct py_moved {
	struct rcu_head rcu;
	u32 n;
	u16 cell[];
};

/* Frees @p if it is a block of pyalloc's. */
static void py_is_moved(struct kunit *test, void *p)
{
	KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
	kfree(p);
}

static void allocations_are_moved(struct kunit *test)
{
	py_is_moved(test, kmalloc(40, GFP_KERNEL));
	py_is_moved(test, kzalloc(40, GFP_KERNEL));
	py_is_moved(test, kmalloc_array(4, 10, GFP_KERNEL));
	py_is_moved(test, kcalloc(4, 10, GFP_KERNEL));
	py_is_moved(test, kmalloc_node(40, GFP_KERNEL, NUMA_NO_NODE));
	py_is_moved(test, kzalloc_node(40, GFP_KERNEL, NUMA_NO_NODE));
	py_is_moved(test, kcalloc_node(4, 10, GFP_KERNEL, NUMA_NO_NODE));
	py_is_moved(test, kmalloc_array_node(4, 10, GFP_KERNEL, NUMA_NO_NODE));
	py_is_moved(test, kmalloc_track_caller(40, GFP_KERNEL));
	py_is_moved(test, krealloc(NULL, 40, GFP_KERNEL));
	py_is_moved(test, krealloc_array(NULL, 4, 10, GFP_KERNEL));
	py_is_moved(test, kmemdup("abc", 4, GFP_KERNEL));
	py_is_moved(test, kmemdup_nul("abc", 2, GFP_KERNEL));
	py_is_moved(test, kmemdup_array("abc", 2, 2, GFP_KERNEL));
	py_is_moved(test, kstrdup("abc", GFP_KERNEL));
	py_is_moved(test, kstrndup("abcdef", 3, GFP_KERNEL));
	py_is_moved(test, kasprintf(GFP_KERNEL, "%d", 42));
	py_is_moved(test, kmalloc_obj(struct py_moved));
	py_is_moved(test, kzalloc_objs(struct py_moved, 3, GFP_KERNEL));
	py_is_moved(test, kmalloc_flex(struct py_moved, cell, 7));
}

static void frees_are_moved(struct kunit *test)
{
	void (*callback)(const void *p) = kfree;
	void *p[4];

	callback(kmalloc(40, GFP_KERNEL));
	kfree_sensitive(kmalloc(40, GFP_KERNEL));
	kvfree(kmalloc(40, GFP_KERNEL));
	kvfree(kvmalloc(40, GFP_KERNEL));
	kvfree(vmalloc(40));
	kvfree_sensitive(kmalloc(40, GFP_KERNEL), 40);
	p[0] = kmalloc(40, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, ksize(p[0]), 40);
	p[1] = kmalloc(400, GFP_KERNEL);
	p[2] = kmalloc(4000, GFP_KERNEL);
	p[3] = kmalloc(4, GFP_KERNEL);
	kfree_bulk(4, p);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void mempools_are_moved(struct kunit *test)
{
	mempool_t *pool = mempool_create_kmalloc_pool(4, 40);

	KUNIT_ASSERT_NOT_NULL(test, pool);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 4);
	mempool_destroy(pool);
}

/* A kmem_cache stays what it is; its free is asked for by a name in parentheses. */
static void caches_are_not_moved(struct kunit *test)
{
	struct kmem_cache *cache = kmem_cache_create("pyalloc_kunit", 40, 0, 0, NULL);
	void *p, *q;

	KUNIT_ASSERT_NOT_NULL(test, cache);
	p = kmem_cache_alloc(cache, GFP_KERNEL);
	q = kmem_cache_zalloc(cache, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, p && !py_is_pooled(p));
	KUNIT_EXPECT_TRUE(test, q && !memchr_inv(q, 0, 40));
	if (p)
		(kmem_cache_free)(cache, p);
	if (q)
		(kmem_cache_free)(cache, q);
	kmem_cache_destroy(cache);
}

#ifdef DEFINE_FREE
static void scopes_are_moved(struct kunit *test)
{
	{
		void *p __free(kfree) = kmalloc(40, GFP_KERNEL);
		void *q __free(kvfree) = kmalloc(40, GFP_KERNEL);
		void *r __free(kvfree) = kvmalloc(SZ_64K, GFP_KERNEL);
		void *s __free(kfree_sensitive) = kmalloc(40, GFP_KERNEL);

		KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
		KUNIT_EXPECT_TRUE(test, py_is_pooled(q) && r && s);
	}
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}
#endif

static struct kunit_case py_moved_cases[] = {
	KUNIT_CASE(allocations_are_moved),
	KUNIT_CASE(frees_are_moved),
	KUNIT_CASE(mempools_are_moved),
	KUNIT_CASE(caches_are_not_moved),
#ifdef DEFINE_FREE
	KUNIT_CASE(scopes_are_moved),
#endif
	{}
};

static struct kunit_suite py_moved_suite = {
	.name = "pyalloc_moved",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_moved_cases,
};

kunit_test_suite(py_moved_suite);
