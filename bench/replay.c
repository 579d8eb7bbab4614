// SPDX-License-Identifier: GPL-2.0
/*
 * Replays what real programs allocated and freed: see traces/record.c for how
 * that was recorded, and for the format.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "bench.h"

/* What one event becomes: size 0 frees; a slot that has a block is resized. */
struct event {
	u32 slot;
	u32 size;
};

static struct {
	struct event *event;
	u32 nr;
	void **slot;
	u32 nr_slots;
} replay_of;

static __always_inline void replay(const enum kind kind, struct run *run)
{
	const struct event *e = replay_of.event;
	const struct event *end = e + replay_of.nr;
	void **slot = replay_of.slot;
	u32 i;

	for (; e < end; e++) {
		void *p = slot[e->slot];

		if (!p) {
			p = take(kind, NULL, e->size, BENCH_GFP);
			WRITE_ONCE(*(u8 *)p, 1);
		} else if (e->size) {
			p = retake(kind, p, e->size);
		} else {
			(void)READ_ONCE(*(u8 *)p);
			drop(kind, NULL, p);
			p = NULL;
		}
		slot[e->slot] = p;
	}
	for (i = 0; i < replay_of.nr_slots; i++) {
		if (slot[i])
			drop(kind, NULL, slot[i]);
		slot[i] = NULL;
	}
}

BENCH_LOOP_SIZES(replay);

static bool next_number(const u8 **at, const u8 *end, u32 *value)
{
	unsigned int shift = 0;

	for (*value = 0; *at < end && shift < 32; shift += 7) {
		u8 byte = *(*at)++;

		*value |= (u32)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Makes events of the file's numbers; with @event NULL counts them. */
static int decode(const u8 *at, const u8 *end, struct event *event)
{
	u32 live = 0, nr = 0, slots = 0, value;

	/*
	 * A block is named by how many were allocated since; its slot is its
	 * number among all that were ever allocated.
	 */
	while (at < end) {
		struct event e = {};
		u32 age;

		if (!next_number(&at, end, &value))
			return -EINVAL;
		switch (value & 3) {
		case 0:				/* allocate */
			e.slot = slots++;
			e.size = value >> 2;
			live++;
			break;
		case 1:				/* free */
			e.slot = slots - 1 - (value >> 2);
			live--;
			break;
		case 2:				/* resize */
			e.size = value >> 2;
			if (!next_number(&at, end, &age))
				return -EINVAL;
			e.slot = slots - 1 - age;
			break;
		default:
			return -EINVAL;
		}
		if (e.slot >= slots)
			return -EINVAL;
		if (event)
			event[nr] = e;
		nr++;
	}
	replay_of.nr = nr;
	replay_of.nr_slots = slots;
	return 0;
}

static int replay_file(const char *name)
{
	struct run run = {};
	struct file *file;
	loff_t pos = 0, size;
	void *data = NULL;
	char path[80], row[40];
	int err;

	snprintf(path, sizeof(path), "%s/%s.trace", trace, name);
	file = filp_open(path, O_RDONLY | O_LARGEFILE, 0);
	if (IS_ERR(file)) {
		pr_err("trace: cannot open %s: %pe\n", path, file);
		return PTR_ERR(file);
	}
	size = i_size_read(file_inode(file));
	data = vmalloc(size);
	err = -ENOMEM;
	if (data && kernel_read(file, data, size, &pos) == size)
		err = decode(data, data + size, NULL);
	fput(file);
	if (!err) {
		err = -ENOMEM;
		replay_of.event = vmalloc(array_size(replay_of.nr,
						     sizeof(struct event)));
		replay_of.slot = vzalloc(array_size(replay_of.nr_slots,
						    sizeof(void *)));
		if (replay_of.event && replay_of.slot)
			err = decode(data, data + size, replay_of.event);
	}
	if (!err) {
		snprintf(row, sizeof(row), "trace of %s, an event", name);
		bench_compare(row, replay_fns, &run, replay_of.nr);
	}
	vfree(replay_of.event);
	vfree(replay_of.slot);
	replay_of.event = NULL;
	replay_of.slot = NULL;
	vfree(data);
	return err;
}

int bench_trace(void)
{
	return replay_file("python") ?: replay_file("perl");
}
