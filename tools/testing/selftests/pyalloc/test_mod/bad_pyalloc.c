// SPDX-License-Identifier: GPL-2.0
/*
 * bad_pyalloc: does to pyalloc's blocks what must not be done, and what looks
 * like it but is legal, for KASAN, kmemleak and pyalloc's own debug hooks. The name of what
 * to do goes to /sys/kernel/debug/bad_pyalloc/do; see actions[].
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/kfence.h>
#include <linux/kmemleak.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <pyalloc.h>

static struct dentry *debugfs;

/* Each block between two others: those on its sides must not hide anything. */
#define NR_BLOCKS	3

static u8 *blocks[NR_BLOCKS];

static u8 *middle(size_t size)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++) {
		blocks[i] = pyalloc(size, GFP_KERNEL);
		if (!blocks[i])
			return NULL;
		memset(blocks[i], i, size);
	}
	return blocks[1];
}

static void free_blocks(void)
{
	unsigned int i;

	for (i = 0; i < NR_BLOCKS; i++)
		pyfree(blocks[i]);
}

/* All but the middle one. */
static void free_sides(void)
{
	pyfree(blocks[0]);
	pyfree(blocks[2]);
}

/* A size that the compiler does not know, nor a pointer's size by it. */
static size_t hidden(size_t size)
{
	OPTIMIZER_HIDE_VAR(size);
	return size;
}

/* Not inlined: the report names them. */
static noinline void poke(u8 *p, long at)
{
	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[at], 0x5a);
}

static noinline u8 peek(const u8 *p, long at)
{
	OPTIMIZER_HIDE_VAR(p);
	return READ_ONCE(p[at]);
}

/*
 * Bugs
 */

static int read_after_free(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	peek(p, 20);
	free_sides();
	return 0;
}

/* Not of the link, and before the next block is freed. */
static int write_after_free(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	poke(p, 63);
	free_sides();
	return 0;
}

/* When the block's pool has become unused. */
static int read_after_free_of_all(void)
{
	u8 *p = middle(hidden(200));

	if (!p)
		return -ENOMEM;
	free_blocks();
	pyalloc_trim();
	p = pyalloc(hidden(16), GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	pyfree(p);
	peek(p, 0);
	return 0;
}

static int overrun_of(u8 *p, long at)
{
	if (!p)
		return -ENOMEM;
	poke(p, at);
	pyfree(p);
	return 0;
}

static int overrun_constant(void)
{
	return overrun_of(pyalloc(64, GFP_KERNEL), 64);
}

static int overrun_dynamic(void)
{
	return overrun_of(pyalloc(hidden(64), GFP_KERNEL), 64);
}

static int overrun_by_one_constant(void)
{
	return overrun_of(pyalloc(13, GFP_KERNEL), 13);
}

static int overrun_by_one_dynamic(void)
{
	return overrun_of(pyalloc(hidden(13), GFP_KERNEL), 13);
}

/* Where the block is of one granule, and the red zone behind it, too. */
static int overrun_smallest(void)
{
	return overrun_of(pyalloc(hidden(1), GFP_KERNEL), 1);
}

static int overrun_largest(void)
{
	return overrun_of(pyalloc(hidden(PYALLOC_MAX), GFP_KERNEL), PYALLOC_MAX);
}

static int overrun_shrunk(void)
{
	u8 *p = pyalloc(hidden(40), GFP_KERNEL), *q;

	if (!p)
		return -ENOMEM;
	q = pyrealloc(p, hidden(34), GFP_KERNEL);
	return q ? overrun_of(q, 34) : -ENOMEM;
}

/* No user has this address, but what is copied is looked at before. */
static int overrun_to_user(void)
{
	u8 *p = middle(hidden(64));
	unsigned long left;

	if (!p)
		return -ENOMEM;
	left = copy_to_user(NULL, p, hidden(65));
	free_blocks();
	return left ? 0 : -EIO;
}

static int overrun_from_user(void)
{
	u8 *p = pyalloc(hidden(100), GFP_KERNEL);
	unsigned long left;

	if (!p)
		return -ENOMEM;
	left = copy_from_user(p, NULL, hidden(101));
	pyfree(p);
	return left ? 0 : -EIO;
}

static int underrun(void)
{
	u8 *p = middle(hidden(48));

	if (!p)
		return -ENOMEM;
	poke(p, -1);
	free_blocks();
	return 0;
}

/* What is before the first block of an arena is its header. */
static int underrun_first(void)
{
	u8 *p;

	pyalloc_trim();
	p = pyalloc(hidden(48), GFP_KERNEL);
	if (!p)
		return -ENOMEM;
	poke(p, -1);
	pyfree(p);
	return 0;
}

/* Not found by comparing it with the block that was freed last. */
static int double_free(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	free_sides();
	pyfree(p);
	return 0;
}

static int double_free_sensitive(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	free_sides();
	pyfree_sensitive(p);
	return 0;
}

static int realloc_after_free(void)
{
	u8 *p = middle(hidden(64)), *q;

	if (!p)
		return -ENOMEM;
	pyfree(p);
	free_sides();
	q = pyrealloc(p, hidden(100), GFP_KERNEL);
	if (q)
		pyfree(q);
	return q ? -EIO : 0;
}

static int size_after_free(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	free_sides();
	return pysize(p) ? -EIO : 0;
}

static long free_it(void *p)
{
	pyfree(p);
	return 0;
}

static unsigned int another_cpu(void)
{
	return cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
}

/* It waits in the outbox of the CPU that freed it. */
static int read_after_free_elsewhere(void)
{
	u8 *p = middle(hidden(64));
	long err;

	if (!p)
		return -ENOMEM;
	err = work_on_cpu(another_cpu(), free_it, p);
	peek(p, 40);
	free_sides();
	return err;
}

/*
 * Bugs that only the debug hooks survive
 */

/* And allocate until it is handed out again. */
static int write_at_and_reuse(long at)
{
	u8 *p = middle(hidden(64)), *q = NULL;
	unsigned int i;

	if (!p)
		return -ENOMEM;
	pyfree(p);
	poke(p, at);
	for (i = 0; i < 1000 && q != p; i++) {
		q = pyalloc(hidden(64), GFP_KERNEL);
		pyfree(q);
	}
	free_sides();
	return q == p ? 0 : -EIO;
}

static int write_and_reuse(void)
{
	return write_at_and_reuse(3);
}

/* Only what says who allocated it. */
static int write_before_and_reuse(void)
{
	return write_at_and_reuse(-90);
}

/* It may be handed out again, but waits in the quarantine. */
static int write_and_wait(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	poke(p, 3);
	free_sides();
	pyalloc_trim();
	return 0;
}

/* It leaves the quarantine, and then is handed out again. */
static int write_wait_and_reuse(void)
{
	u8 *p = middle(hidden(64)), *q = NULL;
	unsigned int i;

	if (!p)
		return -ENOMEM;
	pyfree(p);
	poke(p, 3);
	pyalloc_trim();
	for (i = 0; i < 1000 && q != p; i++) {
		q = pyalloc(hidden(64), GFP_KERNEL);
		pyfree(q);
		pyalloc_trim();
	}
	free_sides();
	return q == p ? 0 : -EIO;
}

static int underrun_largest(void)
{
	return overrun_of(pyalloc(hidden(PYALLOC_MAX), GFP_KERNEL), -1);
}

static int overrun_resized(void)
{
	u8 *p = pyalloc(hidden(40), GFP_KERNEL), *q;

	if (!p)
		return -ENOMEM;
	q = pyrealloc(p, hidden(500), GFP_KERNEL);
	return q ? overrun_of(q, 500) : -ENOMEM;
}

static int double_free_elsewhere(void)
{
	u8 *p = middle(hidden(64));
	long err;

	if (!p)
		return -ENOMEM;
	err = work_on_cpu(another_cpu(), free_it, p) ?:
	      work_on_cpu(another_cpu(), free_it, p);
	free_sides();
	return err;
}

static int double_free_nolock(void)
{
	u8 *p = middle(hidden(5));

	if (!p)
		return -ENOMEM;
	preempt_disable();	/* the irq_work comes later */
	local_irq_disable();
	pyfree_nolock(p);
	pyfree_nolock(p);
	local_irq_enable();
	preempt_enable();
	free_sides();
	return 0;
}

/* One that is on the list of what is freed later is not free yet, but no longer in use. */
static int nolock_and_free(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	preempt_disable();
	local_irq_disable();
	pyfree_nolock(p);
	pyfree(p);
	local_irq_enable();
	preempt_enable();
	free_sides();
	return 0;
}

/* Nothing must be written into it: it is looked at when it leaves the quarantine. */
static int free_and_nolock(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	pyfree_nolock(p);
	free_sides();
	pyalloc_trim();
	return 0;
}

static int free_inside(void)
{
	u8 *p = middle(hidden(100));

	if (!p)
		return -ENOMEM;
	pyfree(p + 8);
	free_blocks();
	return 0;
}

static int free_inside_sensitive(void)
{
	u8 *p = middle(hidden(100));

	if (!p)
		return -ENOMEM;
	pyfree_sensitive(p + 8);
	free_blocks();
	return 0;
}

static int sensitive_after_free(void)
{
	u8 *p = middle(hidden(64));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	pykvfree_sensitive(p, 64);
	free_sides();
	pyalloc_trim();
	return 0;
}

/* It would fit where it is. */
static int realloc_after_free_fits(void)
{
	u8 *p = middle(hidden(64)), *q;

	if (!p)
		return -ENOMEM;
	pyfree(p);
	free_sides();
	q = pyrealloc(p, hidden(60), GFP_KERNEL);
	return q ? -EIO : 0;
}

/*
 * Large enough that kmalloc() serves them, as the hooks need more
 */
#define LARGE	500

static int double_free_large(void)
{
	u8 *p = middle(hidden(LARGE));

	if (!p)
		return -ENOMEM;
	pyfree(p);
	free_sides();
	pyfree(p);
	return 0;
}

static int double_free_large_nolock(void)
{
	u8 *p = middle(hidden(LARGE));

	if (!p)
		return -ENOMEM;
	preempt_disable();
	local_irq_disable();
	pyfree_nolock(p);
	pyfree_nolock(p);
	local_irq_enable();
	preempt_enable();
	free_sides();
	return 0;
}

static int free_inside_large(void)
{
	u8 *p = middle(hidden(LARGE));

	if (!p)
		return -ENOMEM;
	pyfree(p + 8);
	free_blocks();
	return 0;
}

static int realloc_after_free_large(void)
{
	u8 *p = middle(hidden(LARGE)), *q;

	if (!p)
		return -ENOMEM;
	pyfree(p);
	q = pyrealloc(p, hidden(LARGE + 100), GFP_KERNEL);
	free_sides();
	return q ? -EIO : 0;
}

/* Its pool has no class any more. */
static int free_stale(void)
{
	u8 *p = middle(hidden(300));

	if (!p)
		return -ENOMEM;
	free_blocks();
	pyfree(p);
	return 0;
}

/* No size of raw block divides a page but powers of two. */
static int free_tail(void)
{
	u8 *p = pyalloc(hidden(100), GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	pyfree(PTR_ALIGN_DOWN(p, PAGE_SIZE) + PAGE_SIZE - 8);
	pyfree(p);
	return 0;
}

static int free_static(void)
{
	static long variable;

	pyfree(&variable);
	return 0;
}

static int free_vmalloc(void)
{
	void *p = vmalloc(100);

	if (!p)
		return -ENOMEM;
	pyfree(p);
	vfree(p);
	return 0;
}

/* Some of what is asked of private heaps with hooks, @flags more. */
static int with_heap(int (*fn)(struct pyheap *heap), unsigned int flags)
{
	struct pyheap *heap = pyheap_create("bad", PYHEAP_DEBUG | flags);
	int err;

	if (IS_ERR(heap))
		return PTR_ERR(heap);
	err = fn(heap);
	pyheap_destroy(heap);
	return err;
}

static int free_as_default(struct pyheap *heap, size_t size)
{
	u8 *p = pyheap_alloc(heap, size, GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	pyfree(p);
	pyheap_free(heap, p);
	return 0;
}

static int free_as_default_in(struct pyheap *heap)
{
	return free_as_default(heap, hidden(40));
}

static int free_of_heap(void)
{
	return with_heap(free_as_default_in, PYHEAP_MUST_BE_EMPTY);
}

static int free_large_as_default_in(struct pyheap *heap)
{
	return free_as_default(heap, hidden(LARGE));
}

static int free_large_of_heap(void)
{
	return with_heap(free_large_as_default_in, PYHEAP_MUST_BE_EMPTY);
}

static int realloc_as_default_in(struct pyheap *heap)
{
	u8 *p = pyheap_alloc(heap, hidden(40), GFP_KERNEL), *q;

	if (!p)
		return -ENOMEM;
	q = pyrealloc(p, hidden(100), GFP_KERNEL);
	pyheap_free(heap, p);
	return q ? -EIO : 0;
}

static int realloc_of_heap(void)
{
	return with_heap(realloc_as_default_in, PYHEAP_MUST_BE_EMPTY);
}

static int overrun_in(struct pyheap *heap)
{
	u8 *p = pyheap_alloc(heap, hidden(13), GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	poke(p, 13);
	pyheap_free(heap, p);
	return 0;
}

static int overrun_of_heap(void)
{
	return with_heap(overrun_in, PYHEAP_MUST_BE_EMPTY);
}

static int overrun_large_in(struct pyheap *heap)
{
	u8 *p = pyheap_alloc(heap, hidden(512), GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	poke(p, 512);
	pyheap_free(heap, p);
	return 0;
}

static int overrun_largest_of_heap(void)
{
	return with_heap(overrun_large_in, PYHEAP_MUST_BE_EMPTY);
}

static int free_to(struct pyheap *heap)
{
	struct pyheap *other = pyheap_create("other", PYHEAP_DEBUG);
	void *p;

	if (IS_ERR(other))
		return PTR_ERR(other);
	p = pyheap_alloc(other, hidden(40), GFP_KERNEL);
	pyheap_free(heap, p);
	pyheap_free(other, p);
	pyheap_destroy(other);
	return 0;
}

static int wrong_heap(void)
{
	return with_heap(free_to, 0);
}

static int resize_to(struct pyheap *heap)
{
	struct pyheap *other = pyheap_create("other", PYHEAP_DEBUG);
	void *p, *q;

	if (IS_ERR(other))
		return PTR_ERR(other);
	p = pyheap_alloc(other, hidden(40), GFP_KERNEL);
	q = pyheap_realloc(heap, p, hidden(60), GFP_KERNEL);
	pyheap_free(other, p);
	pyheap_destroy(other);
	return q ? -EIO : 0;
}

static int resize_in_wrong_heap(void)
{
	return with_heap(resize_to, 0);
}

/* @n bytes below a block of @size; so far that it is not the padding. */
static int header_in(struct pyheap *heap, size_t size, long n)
{
	u8 *p = pyheap_alloc(heap, hidden(size), GFP_KERNEL);
	long i;

	if (!p)
		return -ENOMEM;
	for (i = 8; i < n; i++)
		poke(p, -i);
	pyheap_free(heap, p);
	return 0;
}

static int header_of_small_in(struct pyheap *heap)
{
	return header_in(heap, 64, 128);
}

static int header_overwritten(void)
{
	return with_heap(header_of_small_in, 0);
}

/* One that kmalloc() has served. */
static int header_of_large_in(struct pyheap *heap)
{
	return header_in(heap, LARGE, 80);
}

static int header_overwritten_large(void)
{
	return with_heap(header_of_large_in, 0);
}

/* Only what says who allocated it, not the padding. */
static int owner_in(struct pyheap *heap)
{
	u8 *p = pyheap_alloc(heap, hidden(64), GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	poke(p, -90);
	pyheap_free(heap, p);
	return 0;
}

static int owner_overwritten(void)
{
	return with_heap(owner_in, 0);
}

static int write_and_destroy_in(struct pyheap *heap)
{
	u8 *p = pyheap_alloc(heap, hidden(64), GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	pyheap_free(heap, p);
	poke(p, 3);
	return 0;
}

static int write_and_destroy(void)
{
	return with_heap(write_and_destroy_in, PYHEAP_MUST_BE_EMPTY);
}

/* @at of the first that waits in the quarantine, and of those behind it. */
static int write_at_and_destroy(struct pyheap *heap, long at)
{
	u8 *p[10];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = pyheap_alloc(heap, hidden(i % 2 ? 64 : LARGE), GFP_KERNEL);
		if (!p[i])
			return -ENOMEM;
	}
	for (i = 0; i < ARRAY_SIZE(p); i++)
		pyheap_free(heap, p[ARRAY_SIZE(p) - 1 - i]);
	poke(p[ARRAY_SIZE(p) - 1], at);
	return 0;
}

static int write_before_and_destroy_in(struct pyheap *heap)
{
	return write_at_and_destroy(heap, -90);
}

static int write_before_and_destroy(void)
{
	return with_heap(write_before_and_destroy_in, 0);
}

/* The link, to the one behind it. */
static int write_link_and_destroy_in(struct pyheap *heap)
{
	return write_at_and_destroy(heap, -128);
}

static int write_link_and_destroy(void)
{
	return with_heap(write_link_and_destroy_in, PYHEAP_MUST_BE_EMPTY);
}

static int leave(struct pyheap *heap, size_t size)
{
	void *p = pyheap_alloc(heap, size, GFP_KERNEL);
	int err = pyheap_destroy(heap);

	pyheap_free(heap, p);
	return err == -EBUSY ? 0 : -EIO;
}

static int leave_in(struct pyheap *heap)
{
	return leave(heap, hidden(33));
}

static int live_in_heap(void)
{
	return with_heap(leave_in, PYHEAP_MUST_BE_EMPTY);
}

static int leave_many_in(struct pyheap *heap)
{
	void *p[15];
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = pyheap_alloc(heap, hidden(33), GFP_KERNEL);
	err = pyheap_destroy(heap);
	while (i--)
		pyheap_free(heap, p[i]);
	return err == -EBUSY ? 0 : -EIO;
}

static int live_in_heap_many(void)
{
	return with_heap(leave_many_in, PYHEAP_MUST_BE_EMPTY);
}

static int leave_large_in(struct pyheap *heap)
{
	return leave(heap, hidden(LARGE));
}

static int live_large_in_heap(void)
{
	return with_heap(leave_large_in, PYHEAP_MUST_BE_EMPTY);
}

/*
 * Blocks that are lost, and blocks that are not. kmemleak shows the first
 * bytes of what it finds: each is marked with who it is.
 */
struct item {
	char who[16];
	struct item *next;
};

static struct item *kept;

static struct item *item_init(struct item *item, const char *who,
			      struct item *next)
{
	if (item) {
		strscpy(item->who, who, sizeof(item->who));
		item->next = next;
	}
	return item;
}

/* Some, as a stale copy of a pointer may hide one. */
static int lose(void)
{
	unsigned int i;

	for (i = 0; i < 10; i++)
		if (!item_init(pyalloc(hidden(sizeof(struct item)), GFP_KERNEL),
			       "lost pooled", NULL))
			return -ENOMEM;
	return 0;
}

static int lose_constant(void)
{
	unsigned int i;

	for (i = 0; i < 10; i++)
		if (!item_init(pyalloc(sizeof(struct item), GFP_KERNEL),
			       "lost constant", NULL))
			return -ENOMEM;
	return 0;
}

/*
 * Many: the arrays from which kmalloc() hands out objects go on pointing to them.
 * Zeroed: those that are known to kmemleak by that are searched, and what they held
 * before points to anything.
 */
static int lose_large(void)
{
	unsigned int i;

	for (i = 0; i < 500; i++)
		if (!item_init(pyzalloc(hidden(PYALLOC_MAX + 1), GFP_KERNEL),
			       "lost large", NULL))
			return -ENOMEM;
	return 0;
}

/*
 * A chain of which only the first is known to anybody: from block to block of
 * different classes, through kmalloc()'s blocks and back.
 */
static int keep(void)
{
	static const size_t size[] = { sizeof(struct item), 100, PYALLOC_MAX, 600, 64 };
	struct item *item;
	unsigned int i;

	for (i = 0; i < 10 * ARRAY_SIZE(size); i++) {
		item = i % 2 ? pyalloc(size[i % ARRAY_SIZE(size)], GFP_KERNEL) :
			       kmalloc(size[i % ARRAY_SIZE(size)], GFP_KERNEL);
		if (!item_init(item, "kept", kept))
			return -ENOMEM;
		kept = item;
	}
	return 0;
}

static int keep_resized(void)
{
	struct item *item = pyalloc(hidden(sizeof(*item)), GFP_KERNEL);

	if (!item_init(item, "kept resized", kept))
		return -ENOMEM;
	kept = item;
	/* Larger, elsewhere; and smaller, where it is. */
	item = pyrealloc(kept, hidden(300), GFP_KERNEL);
	if (!item)
		return -ENOMEM;
	kept = item;
	item = pyrealloc(kept, hidden(297), GFP_KERNEL);
	if (!item)
		return -ENOMEM;
	kept = item;
	return 0;
}

static int drop(void)
{
	while (kept) {
		struct item *next = kept->next;

		pyfree(kept);
		kept = next;
	}
	return 0;
}

/*
 * What is legal
 */

static int use(u8 *p, size_t size)
{
	size_t i;

	if (!p)
		return -ENOMEM;
	for (i = 0; i < size; i++) {
		poke(p, i);
		if (peek(p, i) != 0x5a)
			return -EIO;
	}
	return 0;
}

/* Every size: all of it may be used. */
static int use_all_sizes(void)
{
	size_t size;
	int err;
	u8 *p;

	for (size = 1; size <= PYALLOC_MAX + 100; size++) {
		p = pyalloc(size, GFP_KERNEL);
		err = use(p, size);
		pyfree(p);
		p = pyzalloc(size, GFP_KERNEL);
		err = err ?: p && memchr_inv(p, 0, size) ? -EIO : use(p, size);
		pyfree(p);
		if (err)
			return err;
	}
	return 0;
}

/* Up and down within each block, and to other blocks. */
static int use_resized(void)
{
	size_t size;
	u8 *p = NULL, *q;
	int err;

	for (size = 1; size <= PYALLOC_MAX + 100; size++) {
		q = pyrealloc(p, size, GFP_KERNEL);
		err = use(q, size);
		if (err)
			return err;
		p = q;
	}
	while (--size) {
		q = pyrealloc(p, size, GFP_KERNEL | __GFP_ZERO);
		err = use(q, size);
		if (err)
			return err;
		p = q;
	}
	pyfree(p);
	return 0;
}

/* pysize() tells what could be used after a pyrealloc() to it. */
static int use_size(void)
{
	u8 *p = pyalloc(hidden(33), GFP_KERNEL), *q;
	int err;

	if (!p)
		return -ENOMEM;
	if (pysize(p) != 40)
		return -EIO;
	q = pyrealloc(p, pysize(p), GFP_KERNEL);
	if (q != p)
		return -EIO;
	err = use(q, 40);
	pyfree_sensitive(q);
	return err;
}

/* Smaller than a pointer, and such as kmalloc() serves. */
static int use_nolock(void)
{
	size_t size;
	int err;
	u8 *p;

	for (size = 1; size <= PYALLOC_MAX; size += size < 20 ? 1 : 41) {
		p = pyalloc(size, GFP_KERNEL);
		err = use(p, size);
		pyfree_nolock(p);
		if (err)
			return err;
	}
	return 0;
}

/* By whoever else frees; and again, now that they are free. The first takes no vmalloc(). */
static int use_kvfree(void)
{
	static void (* const frees[])(const void *p) = {
		pyfree_sensitive, pykvfree, pykvfree_atomic, pyfree_rcu_mightsleep,
	};
	static const size_t sizes[] = { 40, 256, 500 };
	static u8 *some[ARRAY_SIZE(sizes)][64];
	unsigned int i, j, n;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(frees); i++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			for (n = 0; n < 64; n++) {
				some[j][n] = pyalloc(sizes[j], GFP_KERNEL);
				err = err ?: use(some[j][n], sizes[j]);
			}
		}
		for (j = 0; j < ARRAY_SIZE(sizes); j++)
			for (n = 0; n < 64; n++)
				frees[i](some[j][n]);
		if (i)
			frees[i](vmalloc(100));
	}
	return err;
}

/* What cannot be resized stays as it is. */
static int use_huge(void)
{
	u8 *p = pyalloc(hidden(40), GFP_KERNEL);
	int err = use(p, 40);

	if (pyrealloc(p, hidden(KMALLOC_MAX_SIZE + 1), GFP_KERNEL | __GFP_NOWARN))
		err = -EIO;
	err = err ?: peek(p, 39) == 0x5a ? 0 : -EIO;
	pyfree(p);
	return err;
}

/* Until one of them is KFENCE's. */
static int use_kfence(void)
{
	unsigned long end = jiffies + 5 * HZ;
	bool seen = false;
	void *p;

	while (!seen && time_before(jiffies, end)) {
		p = pyalloc(hidden(600), GFP_KERNEL);
		if (!p)
			return -ENOMEM;
		seen = is_kfence_address(p);
		pyfree(p);
		cond_resched();
	}
	return seen ? 0 : -ETIME;
}

/* A block that was freed on another CPU and is allocated again. */
static int use_again(void)
{
	unsigned int i;
	int err = 0;
	u8 *p;

	for (i = 0; i < 1000 && !err; i++) {
		p = pyalloc(hidden(1 + i % PYALLOC_MAX), GFP_KERNEL);
		err = use(p, 1 + i % PYALLOC_MAX);
		if (err || work_on_cpu(another_cpu(), free_it, p))
			return err ?: -EIO;
	}
	return err;
}

/* Every way to free, small and large. */
struct use_item {
	struct rcu_head rcu;
	u8 rest[];
};

static int use_frees(void)
{
	static const size_t sizes[] = { 24, 100, 256, LARGE, PYALLOC_MAX };
	unsigned int i, way;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && !err; i++) {
		for (way = 0; way < 8 && !err; way++) {
			void *p = pyalloc(hidden(sizes[i]), GFP_KERNEL);
			struct use_item *item = p;

			err = use(p, sizes[i]);
			switch (way) {
			case 0:
				pykvfree(p);
				break;
			case 1:
				pykvfree_atomic(p);
				break;
			case 2:
				pykvfree_sensitive(p, sizes[i]);
				break;
			case 3:
				pyfree_sensitive(p);
				break;
			case 4:
				pyfree_rcu(item, rcu);
				break;
			case 5:
				pyfree_rcu_mightsleep(p);
				break;
			case 6:
				pyfree_nolock(p);
				break;
			case 7:
				pyfree_bulk(1, &p);
				break;
			}
		}
	}
	return err;
}

/* What pysize() says, of any heap. */
static int use_sizes_in(struct pyheap *heap)
{
	size_t size;
	u8 *p;
	int err = 0;

	for (size = 1; size <= PYALLOC_MAX && !err; size++) {
		p = pyheap_alloc(heap, hidden(size), GFP_KERNEL);
		err = use(p, size);
		if (!err && pysize(p) != size)
			err = -EIO;
		pyheap_free(heap, p);
	}
	return err;
}

static int use_sizes(void)
{
	return with_heap(use_sizes_in, PYHEAP_MUST_BE_EMPTY);
}

/* A heap comes, is used, and goes; others', and what waits of them, must not matter. */
static int use_heap_once(const char *name)
{
	static const size_t sizes[] = { 40, 100, LARGE };
	struct pyheap *heap = pyheap_create(name, PYHEAP_DEBUG | PYHEAP_MUST_BE_EMPTY);
	unsigned int i;

	if (IS_ERR(heap))
		return PTR_ERR(heap);
	for (i = 0; i < 60; i++)
		pyheap_free(heap, pyheap_alloc(heap, sizes[i % ARRAY_SIZE(sizes)],
					       GFP_KERNEL));
	return pyheap_destroy(heap);
}

static int use_heaps(void *unused)
{
	int err = 0;

	while (!kthread_should_stop()) {
		if (!err)
			err = use_heap_once("other");
		cond_resched();
	}
	return err;
}

static int use_heaps_together(void)
{
	struct task_struct *other = kthread_run(use_heaps, NULL, "bad_pyalloc");
	unsigned int i;
	int err = 0;

	if (IS_ERR(other))
		return PTR_ERR(other);
	for (i = 0; i < 200 && !err; i++)
		err = use_heap_once("bad");
	return kthread_stop(other) ?: err;
}

/* How many blocks of @size bytes has the heap room for? Frees them. Negative: an error. */
static int use_heap_up(struct pyheap *heap, size_t size)
{
	static u8 *some[10000];
	int n, err = 0;

	for (n = 0; n < ARRAY_SIZE(some); n++) {
		some[n] = pyheap_alloc(heap, hidden(size), GFP_KERNEL);
		if (!some[n])
			break;
		err = err ?: use(some[n], size);
	}
	err = err ?: n;
	while (n--)
		pyheap_free(heap, some[n]);
	return err;
}

/* What was freed, and waits, must not be what a heap is full of. */
static int use_up_to_limit(void)
{
	static const size_t sizes[] = { 40, LARGE, 300, 600, 300, LARGE };
	struct pyheap *heap = pyheap_create("bad", PYHEAP_DEBUG | PYHEAP_MUST_BE_EMPTY);
	unsigned int i;
	int n, again;

	if (IS_ERR(heap))
		return PTR_ERR(heap);
	pyheap_set_limit(heap, 16 * PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = use_heap_up(heap, sizes[i]);
		again = use_heap_up(heap, sizes[i]);
		if (n < 16 * PAGE_SIZE / 2048 || again != n) {
			pr_info("%zu bytes: %d blocks, then %d\n", sizes[i], n, again);
			pyheap_destroy(heap);
			return -ENOSPC;
		}
	}
	return pyheap_destroy(heap);
}

/* Blocks that are in use at the same time. */
struct many {
	u8 *p[1000];
	unsigned int n;
};

/* @n more of @size bytes; all of each is written. */
static int use_more(struct many *many, unsigned int n, size_t size)
{
	int err = 0;

	for (; n && many->n < ARRAY_SIZE(many->p); n--) {
		many->p[many->n] = pyalloc(hidden(size), GFP_KERNEL);
		err = err ?: use(many->p[many->n++], size);
	}
	return err;
}

static void free_many(struct many *many)
{
	while (many->n)
		pyfree(many->p[--many->n]);
}

/*
 * Pools are of one class, of others, and of the first again. The others write a half of
 * each: of what the first left there, some looks like a block that was freed and was
 * written since.
 */
static int use_other_class(void)
{
	static struct many many;
	size_t size;
	int err;

	err = use_more(&many, UINT_MAX, 24);
	free_many(&many);
	for (size = 72; size <= 320; size += 8)
		err = err ?: use_more(&many, PAGE_SIZE / (size + 88) / 2, size);
	free_many(&many);
	err = err ?: use_more(&many, UINT_MAX, 24);
	free_many(&many);
	return err;
}

#define ACTION(name)	{ #name, name }

static const struct {
	const char *name;
	int (*fn)(void);
} actions[] = {
	ACTION(read_after_free),
	ACTION(write_after_free),
	ACTION(read_after_free_of_all),
	ACTION(read_after_free_elsewhere),
	ACTION(overrun_constant),
	ACTION(overrun_dynamic),
	ACTION(overrun_by_one_constant),
	ACTION(overrun_by_one_dynamic),
	ACTION(overrun_smallest),
	ACTION(overrun_largest),
	ACTION(overrun_shrunk),
	ACTION(overrun_to_user),
	ACTION(overrun_from_user),
	ACTION(underrun),
	ACTION(underrun_first),
	ACTION(double_free),
	ACTION(double_free_sensitive),
	ACTION(realloc_after_free),
	ACTION(size_after_free),
	ACTION(write_and_reuse),
	ACTION(write_before_and_reuse),
	ACTION(write_and_wait),
	ACTION(write_wait_and_reuse),
	ACTION(write_before_and_destroy),
	ACTION(write_link_and_destroy),
	ACTION(underrun_largest),
	ACTION(overrun_resized),
	ACTION(double_free_elsewhere),
	ACTION(double_free_nolock),
	ACTION(free_inside),
	ACTION(free_stale),
	ACTION(free_static),
	ACTION(free_vmalloc),
	ACTION(overrun_of_heap),
	ACTION(overrun_largest_of_heap),
	ACTION(wrong_heap),
	ACTION(resize_in_wrong_heap),
	ACTION(free_tail),
	ACTION(header_overwritten),
	ACTION(header_overwritten_large),
	ACTION(live_in_heap),
	ACTION(live_in_heap_many),
	ACTION(live_large_in_heap),
	ACTION(nolock_and_free),
	ACTION(free_and_nolock),
	ACTION(free_inside_sensitive),
	ACTION(sensitive_after_free),
	ACTION(realloc_after_free_fits),
	ACTION(double_free_large),
	ACTION(double_free_large_nolock),
	ACTION(free_inside_large),
	ACTION(realloc_after_free_large),
	ACTION(free_of_heap),
	ACTION(free_large_of_heap),
	ACTION(realloc_of_heap),
	ACTION(owner_overwritten),
	ACTION(write_and_destroy),
	ACTION(use_frees),
	ACTION(use_sizes),
	ACTION(use_heaps_together),
	ACTION(lose),
	ACTION(lose_constant),
	ACTION(lose_large),
	ACTION(keep),
	ACTION(keep_resized),
	ACTION(drop),
	ACTION(use_all_sizes),
	ACTION(use_resized),
	ACTION(use_size),
	ACTION(use_nolock),
	ACTION(use_kvfree),
	ACTION(use_kfence),
	ACTION(use_huge),
	ACTION(use_again),
	ACTION(use_other_class),
	ACTION(use_up_to_limit),
};

static ssize_t do_write(struct file *file, const char __user *buf, size_t count,
			loff_t *pos)
{
	char name[32];
	unsigned int i;
	int err;

	if (count >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buf, count))
		return -EFAULT;
	name[count] = '\0';
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (sysfs_streq(name, actions[i].name)) {
			/* What was freed comes back to this CPU. */
			migrate_disable();
			err = actions[i].fn();
			migrate_enable();
			return err ?: count;
		}
	}
	return -EINVAL;
}

static const struct file_operations do_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.write = do_write,
};

static int __init bad_pyalloc_init(void)
{
	debugfs = debugfs_create_dir("bad_pyalloc", NULL);
	debugfs_create_file("do", 0200, debugfs, NULL, &do_fops);
	return 0;
}
module_init(bad_pyalloc_init);

static void __exit bad_pyalloc_exit(void)
{
	debugfs_remove(debugfs);
	drop();
}
module_exit(bad_pyalloc_exit);

MODULE_DESCRIPTION("Misuses pyalloc on command, for the selftests");
MODULE_LICENSE("GPL");
