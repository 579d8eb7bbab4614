// SPDX-License-Identifier: GPL-2.0
/*
 * The rest of the kmalloc family: nodes, arrays, types, many at once, copies,
 * after a grace period, by device and by mempool.
 */
#include "common.h"

#include <linux/delay.h>
#include <linux/device.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/vmalloc.h>

struct py_item {
	struct rcu_head rcu;
	u64 value;
};

struct py_row {
	u32 n;
	u16 cell[];
};

static bool py_is_zero(const void *p, size_t size)
{
	return !memchr_inv(p, 0, size);
}

static void no_node_is_the_own_one(struct kunit *test)
{
	u8 *p = pyalloc_node(40, GFP_KERNEL, NUMA_NO_NODE);
	u8 *q = pyzalloc_node(40, GFP_KERNEL, numa_mem_id());

	KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
	KUNIT_EXPECT_TRUE(test, py_is_pooled(q));
	KUNIT_EXPECT_TRUE(test, q && py_is_zero(q, 40));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NODE), 0);
	pyfree(p);
	pyfree(q);
}

static void this_node_alone_is_kmallocs(struct kunit *test)
{
	void *p = pyalloc_node(40, GFP_KERNEL | __GFP_THISNODE, numa_mem_id());
	void *q = pyalloc(40, GFP_KERNEL | __GFP_THISNODE);

	KUNIT_EXPECT_NOT_NULL(test, p);
	KUNIT_EXPECT_NOT_NULL(test, q);
	KUNIT_EXPECT_FALSE(test, py_is_pooled(p));
	KUNIT_EXPECT_FALSE(test, py_is_pooled(q));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_NODE), 1);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_GFP), 1);
	pyfree(p);
	pyfree(q);
}

static void this_node_alone_of_any_size(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_THISNODE;
	size_t zero = 0, large = 2000;
	void *p;

	OPTIMIZER_HIDE_VAR(zero);
	OPTIMIZER_HIDE_VAR(large);
	KUNIT_EXPECT_PTR_EQ(test, pyalloc_node(zero, gfp, numa_mem_id()), ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 0);
	p = pyalloc_node(large, gfp, numa_mem_id());
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_GE(test, pysize(p), 2000);
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_SIZE), 1);
	KUNIT_EXPECT_EQ(test, py_falls_all(test), 1);
	pyfree(p);
}

static void array_on_a_node_is_zeroed(struct kunit *test)
{
	size_t huge = SIZE_MAX / 2;
	u8 *p = pycalloc_node(7, 9, GFP_KERNEL, NUMA_NO_NODE);

	OPTIMIZER_HIDE_VAR(huge);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, py_is_zero(p, 63));
	KUNIT_EXPECT_NULL(test, pycalloc_node(huge, 3, GFP_KERNEL, NUMA_NO_NODE));
	pyfree(p);
}

static void array_grows_unless_it_overflows(struct kunit *test)
{
	size_t huge = SIZE_MAX / 2;
	u32 *p = pyalloc_array(4, sizeof(*p), GFP_KERNEL), *q;

	OPTIMIZER_HIDE_VAR(huge);
	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 16, 5);
	q = pyrealloc_array(p, 100, sizeof(*p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_TRUE(test, py_holds(q, 16, 5));
	KUNIT_EXPECT_EQ(test, pysize(q), 400);
	KUNIT_EXPECT_NULL(test, pyrealloc_array(q, huge, 3, GFP_KERNEL));
	KUNIT_EXPECT_TRUE(test, py_holds(q, 16, 5));
	pyfree(q);
}

static void objects_have_their_type(struct kunit *test)
{
	struct py_item *one = pyalloc_obj(*one);
	struct py_item *zero = pyzalloc_obj(struct py_item, GFP_ATOMIC);
	struct py_item *some = pyzalloc_objs(*some, 5);
	struct py_item *more = pyalloc_objs(*more, 5, GFP_NOWAIT);

	KUNIT_EXPECT_EQ(test, pysize(one), sizeof(*one));
	KUNIT_EXPECT_TRUE(test, zero && py_is_zero(zero, sizeof(*zero)));
	KUNIT_EXPECT_TRUE(test, some && py_is_zero(some, 5 * sizeof(*some)));
	KUNIT_EXPECT_EQ(test, pysize(more), 5 * sizeof(*more));
	pyfree(one);
	pyfree(zero);
	pyfree(some);
	pyfree(more);
}

static void flexible_object_has_room(struct kunit *test)
{
	size_t huge = SIZE_MAX / 2;
	struct py_row *row = pyalloc_flex(*row, cell, 11);
	struct py_row *zero = pyzalloc_flex(*zero, cell, 11, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(huge);
	KUNIT_EXPECT_EQ(test, pysize(row), round_up(struct_size(row, cell, 11), 8));
	KUNIT_EXPECT_TRUE(test, zero && py_is_zero(zero, struct_size(zero, cell, 11)));
	KUNIT_EXPECT_NULL(test, pyalloc_flex(*row, cell, huge, GFP_KERNEL | __GFP_NOWARN));
	pyfree(row);
	pyfree(zero);
}

/* More than a "busy" section handles, of sizes with few and many blocks a pool. */
static void bulk_is_as_one_by_one(struct kunit *test)
{
	static const size_t sizes[] = { 8, 24, 64, 512, 513, 3000 };
	void **p = kunit_kcalloc(test, 300, sizeof(*p), GFP_KERNEL);
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_ASSERT_EQ(test, pyalloc_bulk(sizes[i], GFP_KERNEL, 300, p), 300);
		for (j = 0; j < 300; j++)
			py_fill(p[j], sizes[i], j);
		for (j = 0; j < 300; j++)
			KUNIT_EXPECT_TRUE(test, py_holds(p[j], sizes[i], j));
		if (sizes[i] <= PYALLOC_MAX)
			KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 300);
		pyfree_bulk(300, p);
		KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	}
}

static void bulk_of_nothing(struct kunit *test)
{
	void *p[2];

	KUNIT_EXPECT_EQ(test, pyalloc_bulk(64, GFP_KERNEL, 0, p), 0);
	KUNIT_EXPECT_EQ(test, pyalloc_bulk(0, GFP_KERNEL, 2, p), 2);
	KUNIT_EXPECT_PTR_EQ(test, p[0], ZERO_SIZE_PTR);
	KUNIT_EXPECT_PTR_EQ(test, p[1], ZERO_SIZE_PTR);
	pyfree_bulk(2, p);
	pyfree_bulk(0, NULL);
}

static void bulk_zeroes_what_is_asked(struct kunit *test)
{
	static const unsigned int some[] = { 40, 2 * PY_BATCH + 10 };
	void *p[2 * PY_BATCH + 10];
	unsigned int i, j, n;

	for (j = 0; j < ARRAY_SIZE(some); j++) {
		n = some[j];
		KUNIT_ASSERT_EQ(test, pyalloc_bulk(40, GFP_KERNEL, n, p), n);
		for (i = 0; i < n; i++)
			py_fill(p[i], 40, i);
		pyfree_bulk(n, p);
		KUNIT_ASSERT_EQ(test, pyalloc_bulk(40, GFP_KERNEL | __GFP_ZERO, n, p), n);
		for (i = 0; i < n; i++)
			KUNIT_EXPECT_TRUE(test, py_is_zero(p[i], 40));
		pyfree_bulk(n, p);
	}
}

/* As many of the largest as there is no memory for. */
static void bulk_is_all_or_nothing(struct kunit *test)
{
	unsigned int n = totalram_pages() / (KMALLOC_MAX_SIZE / PAGE_SIZE) + 1;
	gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	unsigned long before, after;
	void **p;

	if (totalram_pages() > SZ_1G / PAGE_SIZE)
		kunit_skip(test, "too much memory to use all of it");
	p = kunit_kcalloc(test, n, sizeof(*p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	before = si_mem_available();
	KUNIT_EXPECT_EQ(test, pyalloc_bulk(KMALLOC_MAX_SIZE, gfp, n, p), 0);
	KUNIT_EXPECT_GE(test, py_falls(test, PY_FALL_SIZE), 2);
	after = si_mem_available();
	KUNIT_EXPECT_GT(test, after + KMALLOC_MAX_SIZE / PAGE_SIZE, before);
}

static void bulk_with_flags_of_kmallocs(struct kunit *test)
{
	void *p[10];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pyalloc_bulk(40, GFP_KERNEL_ACCOUNT, 10, p), 10);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_FALSE(test, py_is_pooled(p[i]));
	KUNIT_EXPECT_EQ(test, py_falls(test, PY_FALL_GFP), 10);
	pyfree_bulk(10, p);
}

static void bulk_free_takes_every_kind(struct kunit *test)
{
	void *p[6] = {
		py_get(8, GFP_KERNEL), NULL, kmalloc(8, GFP_KERNEL),
		ZERO_SIZE_PTR, py_get(1000, GFP_KERNEL), py_get(512, GFP_KERNEL),
	};

	pyfree_bulk(ARRAY_SIZE(p), p);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

struct py_bulk_free {
	unsigned int n;
	void **p;
};

static void py_bulk_free(void *arg)
{
	struct py_bulk_free *f = arg;

	pyfree_bulk(f->n, f->p);
}

static void bulk_freed_elsewhere_comes_back(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	struct py_bulk_free f = { .n = 200 };
	struct py_worker worker;

	f.p = kunit_kcalloc(test, f.n, sizeof(*f.p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f.p);
	KUNIT_ASSERT_EQ(test, pyalloc_bulk(64, GFP_KERNEL, f.n, f.p), f.n);
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_bulk_free, &f));
	py_worker_finish(&worker);
	msleep(PY_ONE_SECOND);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
	KUNIT_EXPECT_EQ(test, py_transit_all(py_walk(test)), 0);
}

static void copies_are_copies(struct kunit *test)
{
	static const char text[] = "brian";
	char *dup = pystrdup(text, GFP_KERNEL), *two = pystrndup(text, 2, GFP_KERNEL);
	char *all = pystrndup(text, 100, GFP_KERNEL), *mem = pymemdup(text, 3, GFP_KERNEL);
	char *nul = pymemdup_nul(text, 3, GFP_KERNEL);
	u16 *array = pymemdup_array("abcd", 2, 2, GFP_KERNEL);
	size_t huge = SIZE_MAX / 2;

	KUNIT_EXPECT_STREQ(test, dup, "brian");
	KUNIT_EXPECT_STREQ(test, two, "br");
	KUNIT_EXPECT_STREQ(test, all, "brian");
	KUNIT_EXPECT_TRUE(test, mem && !memcmp(mem, "bri", 3));
	KUNIT_EXPECT_STREQ(test, nul, "bri");
	KUNIT_EXPECT_TRUE(test, array && !memcmp(array, "abcd", 4));
	OPTIMIZER_HIDE_VAR(huge);
	KUNIT_EXPECT_NULL(test, pymemdup_array(text, huge, 3,
					       GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_NULL(test, pymemdup_nul(NULL, 3, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, pysize(dup), 8);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(dup));
	KUNIT_EXPECT_NULL(test, pystrdup(NULL, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, pystrndup(NULL, 3, GFP_KERNEL));
	pyfree(dup);
	pyfree(two);
	pyfree(all);
	pyfree(mem);
	pyfree(nul);
	pyfree(array);
}

static __printf(1, 2) char *py_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = pyvasprintf(GFP_KERNEL, fmt, ap);
	va_end(ap);
	return s;
}

static void text_is_formatted(struct kunit *test)
{
	char *s = pyasprintf(GFP_KERNEL, "%s-%04d", "pool", 63);
	char *empty = pyasprintf(GFP_KERNEL, "%s", "");
	char *v = py_format("%s-%04d", "arena", 255);

	KUNIT_EXPECT_STREQ(test, s, "pool-0063");
	KUNIT_EXPECT_STREQ(test, empty, "");
	KUNIT_EXPECT_STREQ(test, v, "arena-0255");
	KUNIT_EXPECT_EQ(test, pysize(s), 16);
	KUNIT_EXPECT_EQ(test, pysize(v), 16);
	pyfree(s);
	pyfree(empty);
	pyfree(v);
}

/* More than kmalloc() can give. */
static void copies_that_there_is_no_memory_for(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	size_t huge = KMALLOC_MAX_SIZE + 1;
	char *src = vzalloc(huge);

	KUNIT_ASSERT_NOT_NULL(test, src);
	OPTIMIZER_HIDE_VAR(huge);
	memset(src, 'x', huge - 1);
	KUNIT_EXPECT_NULL(test, pymemdup(src, huge, gfp));
	KUNIT_EXPECT_NULL(test, pymemdup_nul(src, huge, gfp));
	KUNIT_EXPECT_NULL(test, pystrdup(src, gfp));
	KUNIT_EXPECT_NULL(test, pystrndup(src, huge, gfp));
	KUNIT_EXPECT_NULL(test, pyasprintf(gfp, "%s.", src));
	vfree(src);
}

static bool py_all_freed(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 100; i++) {
		if (!py_in_use_all(py_walk(test)))
			return true;
		msleep(20);
	}
	return false;
}

struct py_rcu_reader {
	bool begun, end;
};

static void py_rcu_reader_run(void *arg)
{
	struct py_rcu_reader *reader = arg;

	rcu_read_lock();
	WRITE_ONCE(reader->begun, true);
	while (!READ_ONCE(reader->end))
		cpu_relax();
	rcu_read_unlock();
}

/* It is in use while a reader may look: who frees it can run meanwhile. */
static void rcu_free_waits_for_readers(struct kunit *test)
{
	unsigned int other = py_other_cpu(test);
	struct py_item *p = pyalloc_obj(*p);
	struct py_rcu_reader reader = {};
	struct py_worker worker;

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_TRUE(test, py_worker_start(&worker, other, py_rcu_reader_run,
						&reader));
	while (!READ_ONCE(reader.begun))
		cpu_relax();
	pyfree_rcu(p, rcu);
	msleep(500);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	WRITE_ONCE(reader.end, true);
	py_worker_finish(&worker);
	KUNIT_EXPECT_TRUE(test, py_all_freed(test));
}

static void rcu_frees_many(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 10000; i++) {
		struct py_item *p = pyalloc_obj(*p);

		KUNIT_ASSERT_NOT_NULL(test, p);
		pyfree_rcu(p, rcu);
	}
	KUNIT_EXPECT_TRUE(test, py_all_freed(test));
}

static void rcu_frees_without_a_head(struct kunit *test)
{
	void *small = py_get(8, GFP_KERNEL), *large = py_get(5000, GFP_KERNEL);
	struct py_item *item = vmalloc(SZ_64K);

	KUNIT_ASSERT_NOT_NULL(test, item);
	pyfree_rcu(item, rcu);
	pyfree_rcu_mightsleep(vmalloc(SZ_64K));
	pyfree_rcu_mightsleep(small);
	pyfree_rcu_mightsleep(large);
	pyfree_rcu_mightsleep(NULL);
	pyfree_rcu((struct py_item *)NULL, rcu);
	KUNIT_EXPECT_TRUE(test, py_all_freed(test));
}

/* A device, and what it gets from now on. */
static struct device *py_device_new(struct kunit *test, void **group)
{
	struct platform_device *pdev;

	pdev = platform_device_alloc("pyalloc_kunit", PLATFORM_DEVID_NONE);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	*group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, *group);
	return &pdev->dev;
}

/* The driver is detached. */
static void py_device_go(struct device *dev, void *group)
{
	devres_release_group(dev, group);
	platform_device_put(to_platform_device(dev));
}

static void device_frees_when_it_goes(struct kunit *test)
{
	void *group, *one, *two;
	struct device *dev = py_device_new(test, &group);

	one = devm_pyalloc(dev, 40, GFP_KERNEL);
	two = devm_pyzalloc(dev, 48, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, one);
	KUNIT_EXPECT_TRUE(test, two && py_is_zero(two, 48));
	KUNIT_EXPECT_PTR_EQ(test, devm_pyalloc(dev, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 2);
	devm_pyfree(dev, one);
	devm_pyfree(dev, NULL);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	py_device_go(dev, group);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void device_has_arrays(struct kunit *test)
{
	size_t huge = SIZE_MAX / 2;
	void *group;
	struct device *dev = py_device_new(test, &group);
	u8 *p = devm_pycalloc(dev, 5, 9, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(huge);
	KUNIT_EXPECT_TRUE(test, p && py_is_zero(p, 45));
	KUNIT_EXPECT_NOT_NULL(test, devm_pyalloc_array(dev, 5, 9, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, devm_pyalloc_array(dev, huge, 3,
						   GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_NULL(test, devm_pyrealloc_array(dev, p, huge, 3, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, py_in_use(py_walk(test), PYALLOC_CLASS(45)), 2);
	py_device_go(dev, group);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void device_resizes_its_memory(struct kunit *test)
{
	void *group;
	struct device *dev = py_device_new(test, &group);
	char *p = devm_pyrealloc(dev, NULL, 40, GFP_KERNEL);
	char *keep = devm_pyalloc(dev, 40, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, keep);
	strscpy(p, "as it was", 40);
	p = devm_pyrealloc(dev, p, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_STREQ(test, p, "as it was");
	KUNIT_EXPECT_EQ(test, pysize(p), 104);
	p = devm_pyrealloc(dev, p, 1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_STREQ(test, p, "as it was");
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	p = devm_pyrealloc(dev, p, 0, GFP_KERNEL);
	KUNIT_EXPECT_PTR_EQ(test, (void *)p, ZERO_SIZE_PTR);
	py_device_go(dev, group);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

/* More than kmalloc() can give: what there is stays, and goes with the device. */
static void device_keeps_what_cannot_grow(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	size_t huge = KMALLOC_MAX_SIZE + 1;
	void *group;
	struct device *dev = py_device_new(test, &group);
	void *p = devm_pyalloc(dev, 40, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(huge);
	KUNIT_ASSERT_NOT_NULL(test, p);
	py_fill(p, 40, 3);
	KUNIT_EXPECT_NULL(test, devm_pyalloc(dev, huge, gfp));
	KUNIT_EXPECT_NULL(test, devm_pyrealloc(dev, p, huge, gfp));
	KUNIT_EXPECT_TRUE(test, py_holds(p, 40, 3));
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 1);
	py_device_go(dev, group);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

struct py_witness {
	struct kunit *test;
	u64 in_use;		/* blocks, when the witness was released */
};

static void py_witness_look(void *arg)
{
	struct py_witness *witness = arg;

	witness->in_use = py_in_use_all(py_walk(witness->test));
}

/* What came after it may use it until it is released itself. */
static void device_releases_resized_memory_in_its_turn(struct kunit *test)
{
	struct py_witness witness = { .test = test };
	void *group;
	struct device *dev = py_device_new(test, &group);
	void *p = devm_pyalloc(dev, 40, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, devm_add_action(dev, py_witness_look, &witness), 0);
	p = devm_pyrealloc(dev, p, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	p = devm_pyrealloc(dev, p, 300, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	py_device_go(dev, group);
	KUNIT_EXPECT_EQ(test, witness.in_use, 1);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

/* What kmalloc() gave it may be among them. */
static void device_takes_what_is_kmallocs(struct kunit *test)
{
	void *group;
	struct device *dev = py_device_new(test, &group);
	char *one = devm_kstrdup(dev, "kmalloc's", GFP_KERNEL);
	char *two = devm_kstrdup(dev, "kmalloc's", GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, one);
	KUNIT_ASSERT_NOT_NULL(test, two);
	devm_pyfree(dev, one);
	two = devm_pyrealloc(dev, two, 100, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, two);
	KUNIT_EXPECT_STREQ(test, two, "kmalloc's");
	KUNIT_EXPECT_FALSE(test, py_is_pooled(two));
	py_device_go(dev, group);
}

static void mempool_is_served(struct kunit *test)
{
	mempool_t *pool = mempool_create_pyalloc_pool(4, 72);
	void *p;

	KUNIT_ASSERT_NOT_NULL(test, pool);
	KUNIT_EXPECT_EQ(test, py_in_use(py_walk(test), PYALLOC_CLASS(72)), 4);
	p = mempool_alloc(pool, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, py_is_pooled(p));
	mempool_free(p, pool);
	mempool_destroy(pool);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void mempool_in_place_is_served(struct kunit *test)
{
	mempool_t pool = {};

	KUNIT_ASSERT_EQ(test, mempool_init_pyalloc_pool(&pool, 4, 72), 0);
	KUNIT_EXPECT_EQ(test, py_in_use(py_walk(test), PYALLOC_CLASS(72)), 4);
	mempool_exit(&pool);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void large_or_small_is_freed_under_a_spinlock(struct kunit *test)
{
	static DEFINE_SPINLOCK(lock);
	void *p = py_get(40, GFP_KERNEL), *q = py_get(4000, GFP_KERNEL);

	spin_lock(&lock);
	pykvfree_atomic(p);
	pykvfree_atomic(q);
	pykvfree_atomic(NULL);
	spin_unlock(&lock);
	pykvfree_atomic(vmalloc(SZ_64K));
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

static void large_or_small_is_wiped_and_freed(struct kunit *test)
{
	pykvfree_sensitive(py_get(40, GFP_KERNEL), 40);
	pykvfree_sensitive(py_get(4000, GFP_KERNEL), 4000);
	pykvfree_sensitive(kvmalloc(SZ_64K, GFP_KERNEL), SZ_64K);
	pykvfree_sensitive(NULL, 40);
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}

#ifdef DEFINE_FREE
static void scope_frees(struct kunit *test)
{
	{
		char *p __free(pyfree) = pystrdup("scope", GFP_KERNEL);

		KUNIT_EXPECT_STREQ(test, p, "scope");
	}
	KUNIT_EXPECT_EQ(test, py_in_use_all(py_walk(test)), 0);
}
#endif

static struct kunit_case py_family_cases[] = {
	KUNIT_CASE(no_node_is_the_own_one),
	KUNIT_CASE(this_node_alone_is_kmallocs),
	KUNIT_CASE(this_node_alone_of_any_size),
	KUNIT_CASE(array_on_a_node_is_zeroed),
	KUNIT_CASE(array_grows_unless_it_overflows),
	KUNIT_CASE(objects_have_their_type),
	KUNIT_CASE(flexible_object_has_room),
	KUNIT_CASE(bulk_is_as_one_by_one),
	KUNIT_CASE(bulk_of_nothing),
	KUNIT_CASE(bulk_zeroes_what_is_asked),
	KUNIT_CASE(bulk_is_all_or_nothing),
	KUNIT_CASE(bulk_with_flags_of_kmallocs),
	KUNIT_CASE(bulk_free_takes_every_kind),
	KUNIT_CASE(bulk_freed_elsewhere_comes_back),
	KUNIT_CASE(copies_are_copies),
	KUNIT_CASE(text_is_formatted),
	KUNIT_CASE(copies_that_there_is_no_memory_for),
	KUNIT_CASE(rcu_free_waits_for_readers),
	KUNIT_CASE(rcu_frees_many),
	KUNIT_CASE(rcu_frees_without_a_head),
	KUNIT_CASE(device_frees_when_it_goes),
	KUNIT_CASE(device_has_arrays),
	KUNIT_CASE(device_resizes_its_memory),
	KUNIT_CASE(device_keeps_what_cannot_grow),
	KUNIT_CASE(device_releases_resized_memory_in_its_turn),
	KUNIT_CASE(device_takes_what_is_kmallocs),
	KUNIT_CASE(mempool_is_served),
	KUNIT_CASE(mempool_in_place_is_served),
	KUNIT_CASE(large_or_small_is_freed_under_a_spinlock),
	KUNIT_CASE(large_or_small_is_wiped_and_freed),
#ifdef DEFINE_FREE
	KUNIT_CASE(scope_frees),
#endif
	{}
};

static struct kunit_suite py_family_suite = {
	.name = "pyalloc_family",
	.init = py_test_init,
	.exit = py_test_exit,
	.test_cases = py_family_cases,
};

kunit_test_suite(py_family_suite);
