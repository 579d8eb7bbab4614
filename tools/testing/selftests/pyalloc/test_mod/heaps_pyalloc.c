// SPDX-License-Identifier: GPL-2.0
/*
 * heaps_pyalloc: private heaps on command, for heaps.sh.
 *
 * One command a write to /sys/kernel/debug/heaps_pyalloc:
 *
 *   create NAME [vmalloc] [empty] [debug]
 *                                  "empty": only an empty one may be destroyed
 *   limit NAME BYTES
 *   alloc NAME SIZE COUNT          SIZE is at least 16
 *   free NAME COUNT                the youngest COUNT of them
 *   destroy NAME
 *
 * The write fails as the call does, and with EIO if memory did not keep what was
 * written into it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <pyalloc.h>

#include "command.h"

#define NAME_MAX_HERE	63	/* as pyheap_create() takes */

/* A block of a heap remembers the one before it. */
struct block {
	struct block *before;
	u32 size;		/* of data, bytes */
	u8 fill;
	u8 data[];
};

struct own {
	struct list_head list;
	struct pyheap *heap;
	struct block *youngest;
	char name[NAME_MAX_HERE + 1];
};

static DEFINE_MUTEX(lock);	/* one command at a time */
static LIST_HEAD(owns);
static struct dentry *debugfs;

static struct own *own_find(const char *name)
{
	struct own *own;

	list_for_each_entry(own, &owns, list)
		if (!strcmp(own->name, name))
			return own;
	return NULL;
}

static long own_create(const char *name, unsigned int flags)
{
	struct own *own = kzalloc(sizeof(*own), GFP_KERNEL);
	long err;

	if (!own)
		return -ENOMEM;
	own->heap = pyheap_create(name, flags);
	if (IS_ERR(own->heap)) {
		err = PTR_ERR(own->heap);
		kfree(own);
		return err;
	}
	strscpy(own->name, name, sizeof(own->name));
	list_add_tail(&own->list, &owns);
	return 0;
}

static long own_destroy(struct own *own)
{
	long err = pyheap_destroy(own->heap);

	if (err)
		return err;
	list_del(&own->list);
	kfree(own);
	return 0;
}

static long own_alloc(struct own *own, u32 size, u32 count)
{
	struct block *b;

	if (size < sizeof(*b))
		return -ERANGE;
	for (; count; count--) {
		b = pyheap_alloc(own->heap, size, GFP_KERNEL);
		if (!b)
			return -ENOMEM;
		b->before = own->youngest;
		b->size = size - sizeof(*b);
		b->fill = get_random_u32();
		memset(b->data, b->fill, b->size);
		own->youngest = b;
		cond_resched();
	}
	return 0;
}

static long own_free(struct own *own, u32 count)
{
	struct block *b;
	long err = 0;

	for (; count && own->youngest; count--) {
		b = own->youngest;
		own->youngest = b->before;
		if (memchr_inv(b->data, b->fill, b->size))
			err = -EIO;
		pyheap_free(own->heap, b);
		cond_resched();
	}
	return count ? -ERANGE : err;
}

static long command(const char *line)
{
	char word[16], name[80] = "";
	u32 size, count;
	unsigned long bytes;
	struct own *own;

	if (sscanf(line, "%15s %79s", word, name) != 2)
		return -EINVAL;
	if (!strcmp(word, "create"))
		return own_create(name, (strstr(line, " vmalloc") ? PYHEAP_VMALLOC : 0) |
					(strstr(line, " empty") ? PYHEAP_MUST_BE_EMPTY : 0) |
					(strstr(line, " debug") ? PYHEAP_DEBUG : 0));
	own = own_find(name);
	if (!own)
		return -ENOENT;
	if (!strcmp(word, "destroy"))
		return own_destroy(own);
	if (sscanf(line, "limit %*s %lu", &bytes) == 1) {
		pyheap_set_limit(own->heap, bytes);
		return 0;
	}
	if (sscanf(line, "alloc %*s %u %u", &size, &count) == 2)
		return own_alloc(own, size, count);
	if (sscanf(line, "free %*s %u", &count) == 1)
		return own_free(own, count);
	return -EINVAL;
}

static ssize_t do_write(struct file *file, const char __user *buf, size_t count,
			loff_t *pos)
{
	return command_write(buf, count, &lock, command);
}

static const struct file_operations do_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.write = do_write,
};

static int __init heaps_pyalloc_init(void)
{
	debugfs = debugfs_create_file("heaps_pyalloc", 0200, NULL, NULL, &do_fops);
	return 0;
}
module_init(heaps_pyalloc_init);

/* Heaps that were not destroyed stay: pyalloc has to cope. */
static void __exit heaps_pyalloc_exit(void)
{
	struct own *own, *next;

	debugfs_remove(debugfs);
	list_for_each_entry_safe(own, next, &owns, list)
		kfree(own);
}
module_exit(heaps_pyalloc_exit);

MODULE_DESCRIPTION("Private heaps on command");
MODULE_LICENSE("GPL");
