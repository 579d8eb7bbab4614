// SPDX-License-Identifier: GPL-2.0
/*
 * Who pins an arena: of those that are nearly empty, yet cannot be released, the call
 * sites of the blocks that hold them, and what would come back if these went.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "prof.h"

/* Nearly empty: at most one in so many of its bytes is in use. */
#define PINNED_SHARE	8

/* The blocks of one site in one arena. */
struct pin {
	const struct py_arena *arena;
	u32 site;
	u32 blocks;
	size_t bytes;
};

/* An arena that is nearly empty. */
struct pinned {
	const struct py_arena *arena;
	char heap[32];
	int node;
	unsigned int blocks;
	size_t bytes;
	u64 gone;		/* pages, which are others' now */
};

/* What a site pins; @alone counts arenas that no other site holds, too. */
struct holder {
	u32 site;
	u32 arenas;
	u32 alone;
	u64 blocks;
	u64 bytes;
	u64 back;		/* bytes that come back if these blocks go */
};

struct pins {
	struct pinned *arena;
	unsigned long nr_arenas, room_arenas;
	struct pin *pin;
	unsigned long nr_pins, room_pins;
};

/* Makes room for one more in an array of @nr; NULL and the array freed: no memory. */
static void *room_for(void *array, unsigned long nr, unsigned long *room,
		      size_t size)
{
	void *new;

	if (nr < *room)
		return array;
	new = kvcalloc(*room ? *room * 2 : 256, size, GFP_KERNEL);
	if (new && array)
		memcpy(new, array, nr * size);
	*room = new ? (*room ? *room * 2 : 256) : 0;
	kvfree(array);
	return new;
}

static int arena_add(const struct py_arena_info *info, void *arg)
{
	struct pins *pins = arg;
	struct pinned *p;

	if (!info->blocks || info->bytes > PY_ARENA_SIZE / PINNED_SHARE)
		return 0;
	pins->arena = room_for(pins->arena, pins->nr_arenas, &pins->room_arenas,
			       sizeof(*p));
	if (!pins->arena)
		return -ENOMEM;
	p = &pins->arena[pins->nr_arenas++];
	p->arena = info->arena;
	strscpy(p->heap, info->heap, sizeof(p->heap));
	p->node = info->node;
	p->blocks = info->blocks;
	p->bytes = info->bytes;
	p->gone = info->gone;
	return 0;
}

/* If nothing were left in it. */
static size_t bytes_back(const struct pinned *arena)
{
	return (PY_ARENA_PAGES - hweight64(arena->gone)) * PY_POOL_SIZE;
}

#define COMPARE(a, b)	(((a) > (b)) - ((a) < (b)))

static int by_arena(const void *a, const void *b)
{
	const struct pinned *x = a, *y = b;

	return COMPARE(x->arena, y->arena);
}

static struct pinned *arena_find(const struct pins *pins,
				 const struct py_arena *arena)
{
	unsigned long low = 0, high = pins->nr_arenas;

	while (low < high) {
		unsigned long mid = (low + high) / 2;

		if (pins->arena[mid].arena == arena)
			return &pins->arena[mid];
		if (pins->arena[mid].arena < arena)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static void pin_add(const void *p, const struct prof_record *record, void *arg)
{
	struct pins *pins = arg;
	const struct pinned *pinned = arena_find(pins, py_arena_of(p));
	struct pin *pin;

	if (!pinned || (pinned->gone & BIT_ULL(py_index_of(p))))
		return;
	if (pins->room_pins)		/* 0 after there was no memory */
		pins->pin = room_for(pins->pin, pins->nr_pins, &pins->room_pins,
				     sizeof(*pin));
	if (!pins->pin)
		return;
	pin = &pins->pin[pins->nr_pins++];
	pin->arena = py_arena_of(p);
	pin->site = record->site;
	pin->blocks = 1;
	pin->bytes = record->given;
}

static int by_arena_and_site(const void *a, const void *b)
{
	const struct pin *x = a, *y = b;

	return COMPARE(x->arena, y->arena) ?: COMPARE(x->site, y->site);
}

/* One pin for each site in an arena. */
static void pins_sum(struct pins *pins)
{
	unsigned long i, n = 0;

	sort(pins->pin, pins->nr_pins, sizeof(*pins->pin), by_arena_and_site,
	     NULL);
	for (i = 0; i < pins->nr_pins; i++) {
		if (n && !by_arena_and_site(&pins->pin[n - 1], &pins->pin[i])) {
			pins->pin[n - 1].blocks++;
			pins->pin[n - 1].bytes += pins->pin[i].bytes;
		} else {
			pins->pin[n++] = pins->pin[i];
		}
	}
	pins->nr_pins = n;
}

static int by_back(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	return COMPARE(y->back, x->back) ?: COMPARE(y->arenas, x->arenas) ?:
	       COMPARE(x->site, y->site);
}

/* What each site pins. All of them, by site, for kvfree(). NULL: no memory. */
static struct holder *holders_of(const struct pins *pins)
{
	struct holder *holder = kvcalloc(prof_nr_sites() + 1, sizeof(*holder),
					 GFP_KERNEL);
	unsigned long i, n;

	for (i = 0; holder && i < prof_nr_sites(); i++)
		holder[i].site = i;
	for (i = 0; holder && i < pins->nr_pins; i += n) {
		const struct pinned *arena = arena_find(pins, pins->pin[i].arena);
		unsigned int known = 0;

		for (n = 0; i + n < pins->nr_pins &&
		     pins->pin[i + n].arena == arena->arena; n++) {
			const struct pin *pin = &pins->pin[i + n];

			holder[pin->site].arenas++;
			holder[pin->site].blocks += pin->blocks;
			holder[pin->site].bytes += pin->bytes;
			known += pin->blocks;
		}
		if (n == 1 && known >= arena->blocks) {
			holder[pins->pin[i].site].alone++;
			holder[pins->pin[i].site].back += bytes_back(arena);
		}
	}
	return holder;
}

/* The worst first. */
static void holders_print(struct seq_file *m, struct holder *holder)
{
	unsigned long i;

	sort(holder, prof_nr_sites(), sizeof(*holder), by_back, NULL);
	for (i = 0; i < prof_nr_sites() && holder[i].arenas; i++) {
		if (!prof_site_shown(holder[i].site))
			continue;
		prof_site_name(m, holder[i].site);
		seq_printf(m, ": %llu bytes come back with %llu blocks of %llu bytes; alone in %u of %u arenas\n",
			   holder[i].back, holder[i].blocks, holder[i].bytes,
			   holder[i].alone, holder[i].arenas);
	}
}

/* And who is in which. */
static void arenas_print(struct seq_file *m, const struct pins *pins)
{
	u64 back = 0, unknown = 0;
	unsigned long i, n = 0;

	for (i = 0; i < pins->nr_arenas; i++) {
		const struct pinned *arena = &pins->arena[i];
		unsigned int known = 0;

		seq_printf(m, "arena %lu, heap %s, node %d: %zu bytes for %u blocks of %zu bytes:",
			   i, arena->heap, arena->node, bytes_back(arena),
			   arena->blocks, arena->bytes);
		for (; n < pins->nr_pins && pins->pin[n].arena == arena->arena; n++) {
			seq_putc(m, ' ');
			prof_site_name(m, pins->pin[n].site);
			seq_printf(m, " %u;", pins->pin[n].blocks);
			known += pins->pin[n].blocks;
		}
		if (known < arena->blocks) {
			seq_printf(m, " not recorded %u;", arena->blocks - known);
			unknown += arena->blocks - known;
		}
		seq_putc(m, '\n');
		back += bytes_back(arena);
	}
	seq_printf(m, "%lu arenas are nearly empty: %llu bytes would come back; %llu of their blocks are not recorded\n",
		   pins->nr_arenas, back, unknown);
}

static int pins_print(struct seq_file *m, const struct pins *pins)
{
	struct holder *holder = holders_of(pins);

	if (!holder)
		return -ENOMEM;
	holders_print(m, holder);
	kvfree(holder);
	arenas_print(m, pins);
	return 0;
}

static int pins_show(struct seq_file *m, void *unused)
{
	struct pins pins = {};
	int err;

	mutex_lock(&prof_mutex);
	err = pyheap_arenas(arena_add, &pins);
	if (err)
		goto out;
	sort(pins.arena, pins.nr_arenas, sizeof(*pins.arena), by_arena, NULL);
	pins.pin = room_for(NULL, 0, &pins.room_pins, sizeof(*pins.pin));
	prof_records_walk(pin_add, &pins);
	if (!pins.pin) {
		err = -ENOMEM;
		goto out;
	}
	pins_sum(&pins);
	err = pins_print(m, &pins);
out:
	mutex_unlock(&prof_mutex);
	kvfree(pins.arena);
	kvfree(pins.pin);
	return err;
}
DEFINE_SHOW_ATTRIBUTE(pins);

void prof_pins_file(struct dentry *dir)
{
	debugfs_create_file("pins", 0400, dir, NULL, &pins_fops);
}
