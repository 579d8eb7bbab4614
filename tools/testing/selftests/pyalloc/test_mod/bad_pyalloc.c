// SPDX-License-Identifier: GPL-2.0
/*
 * bad_pyalloc: does to pyalloc's blocks what must not be done, and what looks
 * like it but is legal, for kernels with KASAN and kmemleak. The name of what
 * to do goes to /sys/kernel/debug/bad_pyalloc/do; see actions[].
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/kmemleak.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
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
	ACTION(lose),
	ACTION(lose_constant),
	ACTION(lose_large),
	ACTION(keep),
	ACTION(keep_resized),
	ACTION(drop),
	ACTION(use_all_sizes),
	ACTION(use_resized),
	ACTION(use_size),
	ACTION(use_again),
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
			err = actions[i].fn();
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
