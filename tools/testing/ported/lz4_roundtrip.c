// SPDX-License-Identifier: GPL-2.0
/*
 * roundtrip: cuts a file into records of odd sizes, keeps each compressed with LZ4 in
 * memory of exactly its size, then expands them all and compares.
 *
 *	insmod roundtrip.ko file=PATH
 *
 * Says kmalloc() and means pyalloc, as a driver that moved over does.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel_read_file.h>
#include <linux/list.h>
#include <linux/lz4.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <pyalloc_kmalloc.h>

#define RECORD_MAX	1500U	/* bytes */

static char *file;
module_param(file, charp, 0400);
MODULE_PARM_DESC(file, "path of what to compress");

struct record {
	struct list_head list;
	u32 at, len;		/* in the file, bytes */
	u32 packed;		/* bytes */
	u8 data[];
};

static LIST_HEAD(records);

static int pack(const u8 *data, u32 at, u32 len, u8 *scratch, void *work)
{
	struct record *r;
	int packed = LZ4_compress_default(data + at, scratch, len,
					  LZ4_COMPRESSBOUND(RECORD_MAX), work);

	if (packed <= 0)
		return -EIO;
	r = kmalloc(struct_size(r, data, packed), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->at = at;
	r->len = len;
	r->packed = packed;
	memcpy(r->data, scratch, packed);
	list_add_tail(&r->list, &records);
	return 0;
}

static bool expands(const struct record *r, const u8 *data)
{
	u8 *out = kmalloc(r->len, GFP_KERNEL);
	bool ok = out &&
		LZ4_decompress_safe(r->data, out, r->packed, r->len) == (int)r->len &&
		!memcmp(out, data + r->at, r->len);

	kfree(out);
	return ok;
}

static int round_trip(const u8 *data, u32 size, u8 *scratch, void *work)
{
	u32 at, len, n = 0, bytes = 0, wrong = 0;
	struct record *r, *next;
	struct rnd_state rnd;
	int err = 0;

	prandom_seed_state(&rnd, size);
	for (at = 0; at < size && !err; at += len) {
		len = min(prandom_u32_state(&rnd) % RECORD_MAX + 1, size - at);
		err = pack(data, at, len, scratch, work);
	}
	list_for_each_entry_safe(r, next, &records, list) {
		n++;
		bytes += r->packed;
		wrong += !expands(r, data);
		list_del(&r->list);
		kfree(r);
	}
	pr_info("%u bytes in %u records, %u packed, %u wrong\n", size, n, bytes, wrong);
	return err ?: wrong ? -EIO : 0;
}

static int __init roundtrip_init(void)
{
	u8 *scratch = kmalloc(LZ4_COMPRESSBOUND(RECORD_MAX), GFP_KERNEL);
	void *work = vmalloc(LZ4_MEM_COMPRESS);
	void *data = NULL;
	ssize_t size;
	int err = -ENOMEM;

	if (!scratch || !work)
		goto out;
	size = kernel_read_file_from_path(file ?: "", 0, &data, INT_MAX, NULL,
					  READING_FIRMWARE);
	err = size < 0 ? size : round_trip(data, size, scratch, work);
	vfree(data);
out:
	vfree(work);
	kfree(scratch);
	return err;
}

static void __exit roundtrip_exit(void)
{
}

module_init(roundtrip_init);
module_exit(roundtrip_exit);
MODULE_DESCRIPTION("LZ4 there and back over pyalloc");
MODULE_LICENSE("GPL");
