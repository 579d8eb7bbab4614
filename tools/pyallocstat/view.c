// SPDX-License-Identifier: GPL-2.0
/* What there is to see, as text: on the screen and for --once. */

#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Header ---------------------------------------------------------------------- */

/* What happened, each heap for itself: one that is gone must not be subtracted. */
struct happened {
	u64 had;
	u64 given_back;
	u64 slow_allocs;
	u64 remote_frees;
	u64 falls;
};

static const struct heap *same_heap(const struct stats *s, const struct heap *h)
{
	size_t i;

	for (i = 0; i < s->nr_heaps; i++)
		if (!strcmp(s->heaps[i].name, h->name) && s->heaps[i].private == h->private)
			return &s->heaps[i];
	return NULL;
}

/* A heap that was made anew under its old name counts from 0. */
static void add_since(u64 *sum, u64 now, u64 before)
{
	*sum += now >= before ? now - before : now;
}

static struct happened happened_since(const struct stats *s, const struct stats *before)
{
	static const struct heap none;
	struct happened sum = {};
	size_t i;

	for (i = 0; i < s->nr_heaps; i++) {
		const struct heap *h = &s->heaps[i];
		const struct heap *b = before ? same_heap(before, h) : NULL;

		if (!b)
			b = &none;
		add_since(&sum.had, h->had, b->had);
		add_since(&sum.given_back, h->given_back, b->given_back);
		add_since(&sum.slow_allocs, h->slow_allocs, b->slow_allocs);
		add_since(&sum.remote_frees, h->remote_frees, b->remote_frees);
		add_since(&sum.falls, h->falls, b->falls);
	}
	return sum;
}

static const char *show_change(char *to, u64 n, double seconds)
{
	return seconds > 0 ? show_rate(to, n / seconds) : show_count(to, n);
}

static void show_happened(struct text *t, const struct stats *s, const struct stats *before)
{
	char had[NUMBER_SIZE], back[NUMBER_SIZE], slow[NUMBER_SIZE], remote[NUMBER_SIZE],
		falls[NUMBER_SIZE];
	struct happened sum;
	double seconds = 0;

	if (before && s->uptime_ns > before->uptime_ns)
		seconds = (s->uptime_ns - before->uptime_ns) / 1e9;
	else
		before = NULL;
	sum = happened_since(s, before);
	text_add(t, "%s  arenas +%s -%s, slow allocs %s, remote frees %s, falls %s",
		 before ? "per second" : "so far    ",
		 show_change(had, sum.had, seconds), show_change(back, sum.given_back, seconds),
		 show_change(slow, sum.slow_allocs, seconds),
		 show_change(remote, sum.remote_frees, seconds),
		 show_change(falls, sum.falls, seconds));
}

void view_header(struct text *t, const struct stats *s, const struct stats *before)
{
	char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE], line[128];
	u64 current = 0, highwater = 0, in_use = 0, in_transit = 0, available = 0, unused = 0,
		lost = 0, held = 0;
	size_t i;
	int at;

	for (i = 0; i < s->nr_heaps; i++) {
		const struct heap *h = &s->heaps[i];

		current += h->current;
		highwater += h->highwater;
		in_use += h->in_use;
		in_transit += h->in_transit;
		available += h->available;
		unused += h->unused;
		lost += h->lost;
		held += h->held;
	}
	text_add(t, "pyalloc %s on Linux %s, up %s, %zu heap%s", s->release, s->kernel,
		 show_age(a, s->uptime_ns / 1000000000), s->nr_heaps,
		 s->nr_heaps == 1 ? "" : "s");
	text_add(t, "arenas      %s now, %s highwater, %s bytes each", show_count(a, current),
		 show_count(b, highwater), show_bytes(c, s->arena_size));
	text_add(t, "bytes       %s allocated, %s in transit, %s available",
		 show_bytes(a, in_use), show_bytes(b, in_transit), show_bytes(c, available));
	at = snprintf(line, sizeof(line), "held        %s", show_bytes(a, held));
	if (in_use)
		at += snprintf(line + at, sizeof(line) - at, ": %.2f for each byte allocated",
			       (double)held / in_use);
	text_add(t, "%s; %s unused, %s lost", line, show_bytes(a, unused), show_bytes(b, lost));
	show_happened(t, s, before);
}

/* ---- Tables ---------------------------------------------------------------------- */

#define MOST_COLUMNS	8

struct row {
	u64 value[MOST_COLUMNS];	/* of a percentage or ratio thousandths */
	const char *label;		/* behind the last column */
	size_t nr;			/* which comes first of those that are equal */
};

static u64 thousandths(u64 part, u64 whole)
{
	double quotient = whole ? (double)part * 1000 / whole : 0;

	/* Figures that are not pyalloc's may be anything. */
	return whole && quotient < 1e18 ? quotient : NO_VALUE;
}

/* Only one table is sorted at a time, and qsort() has no room for more. */
static size_t sort_column;

static int compare_rows(const void *a, const void *b)
{
	const struct row *ra = a, *rb = b;
	/* What has no value is smaller than 0. */
	u64 x = ra->value[sort_column] + 1, y = rb->value[sort_column] + 1;

	if (x != y)
		return x < y ? 1 : -1;
	return ra->nr < rb->nr ? -1 : 1;
}

static const char *show_value(char *to, enum kind kind, u64 value)
{
	if (value == NO_VALUE)
		return strcpy(to, "-");
	switch (kind) {
	case COUNT:
		return show_count(to, value);
	case BYTES:
		return show_bytes(to, value);
	case AGE:
		return show_age(to, value);
	case PERCENT:
		snprintf(to, NUMBER_SIZE, "%llu%%", value / 10);
		break;
	case RATIO:
		snprintf(to, NUMBER_SIZE, "%.2f", value / 1000.);
		break;
	}
	return to;
}

static void show_table(struct text *t, const struct view *v, struct row *rows, size_t n,
		       const char *label)
{
	char number[NUMBER_SIZE], line[256];
	size_t i, j;
	int at = 0;

	for (j = 0; j < v->nr_columns; j++) {
		if (v->columns[j].key == v->sort)
			sort_column = j;
		at += sprintf(line + at, "%*s", v->columns[j].width, v->columns[j].title);
	}
	text_add(t, "%s%s%s", line, *label ? "  " : "", label);
	t->heading = t->n;
	qsort(rows, n, sizeof(*rows), compare_rows);
	for (i = 0; i < n; i++) {
		at = 0;
		for (j = 0; j < v->nr_columns; j++)
			at += sprintf(line + at, "%*s", v->columns[j].width,
				      show_value(number, v->columns[j].kind, rows[i].value[j]));
		text_add(t, "%s%s%s", line, *label ? "  " : "", rows[i].label);
	}
}

/* ---- Classes --------------------------------------------------------------------- */

static const struct column class_columns[] = {
	{ "SIZE", 's', COUNT, 6 },
	{ "POOLS", 'p', COUNT, 9 },
	{ "IN USE", 'n', COUNT, 11 },
	{ "IN TRANSIT", 't', COUNT, 12 },
	{ "FREE", 'f', COUNT, 10 },
	{ "USE%", 'u', PERCENT, 8 },
	{ "BYTES", 'b', BYTES, 10 },
	{ "HELD", 'h', BYTES, 10 },
};

enum { CLASS_SIZE, CLASS_POOLS, CLASS_IN_USE, CLASS_TRANSIT, CLASS_FREE, CLASS_USE,
	CLASS_BYTES, CLASS_HELD };

/* The class of that size in all heaps. */
static struct row *class_row(struct row *rows, size_t *n, u64 size)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (rows[i].value[CLASS_SIZE] == size)
			return &rows[i];
	++*n;
	rows[i].nr = i;
	rows[i].label = "";
	rows[i].value[CLASS_SIZE] = size;
	return &rows[i];
}

static void show_classes(struct text *t, const struct stats *s, const struct view *v)
{
	size_t i, j, n = 0, most = 0;
	struct row *rows;

	for (i = 0; i < s->nr_heaps; i++)
		most += s->heaps[i].nr_classes;
	rows = array_of(most, sizeof(*rows));
	for (i = 0; i < s->nr_heaps; i++)
		for (j = 0; j < s->heaps[i].nr_classes; j++) {
			const struct class *c = &s->heaps[i].classes[j];
			u64 *value = class_row(rows, &n, c->size)->value;

			value[CLASS_POOLS] += c->pools;
			value[CLASS_IN_USE] += c->in_use;
			value[CLASS_TRANSIT] += c->in_transit;
			value[CLASS_FREE] += c->free;
		}
	for (i = 0; i < n; i++) {
		u64 *value = rows[i].value;

		value[CLASS_BYTES] = value[CLASS_IN_USE] * value[CLASS_SIZE];
		value[CLASS_HELD] = value[CLASS_POOLS] * s->pool_size;
		value[CLASS_USE] = thousandths(value[CLASS_BYTES], value[CLASS_HELD]);
	}
	show_table(t, v, rows, n, "");
	if (!n)
		text_add(t, "No class has a pool.");
	free(rows);
}

/* ---- Heaps ----------------------------------------------------------------------- */

static const struct column heap_columns[] = {
	{ "ARENAS", 'a', COUNT, 7 },
	{ "BYTES", 'b', BYTES, 8 },
	{ "HELD", 'h', BYTES, 8 },
	{ "RATIO", 'r', RATIO, 8 },
	{ "KMALLOC", 'k', BYTES, 9 },
	{ "LIMIT", 'l', BYTES, 8 },
	{ "OF IT", 'o', PERCENT, 7 },
	{ "FALLS", 'f', COUNT, 8 },
};

static void show_heaps(struct text *t, const struct stats *s, const struct view *v)
{
	struct row *rows = array_of(s->nr_heaps, sizeof(*rows));
	size_t i;

	for (i = 0; i < s->nr_heaps; i++) {
		const struct heap *h = &s->heaps[i];

		rows[i] = (struct row) {
			.nr = i,
			.label = h->name,
			.value = {
				h->current, h->in_use, h->held,
				thousandths(h->held, h->in_use),
				h->private ? h->kmalloc : NO_VALUE,
				h->limit ? h->limit : NO_VALUE,
				thousandths(h->charged, h->limit),
				h->falls,
			},
		};
	}
	show_table(t, v, rows, s->nr_heaps, "HEAP");
	free(rows);
}

/* ---- Call sites ------------------------------------------------------------------ */

static const struct column site_columns[] = {
	{ "BYTES", 'b', BYTES, 6 },
	{ "BLOCKS", 'n', COUNT, 8 },
	{ "PEAK", 'p', BYTES, 7 },
	{ "TOTAL", 't', BYTES, 7 },
	{ "OLDEST", 'o', AGE, 7 },
};

static void show_sites(struct text *t, const struct stats *s, const struct view *v)
{
	const struct profile *p = &s->profile;
	char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE], d[NUMBER_SIZE], e[NUMBER_SIZE],
		f[NUMBER_SIZE];
	struct row *rows;
	size_t i;

	if (!s->has_profile) {
		text_add(t, "No call sites: pyalloc_prof is not loaded, or off.");
		return;
	}
	text_add(t, "%s 1 of %s: %s in %s blocks, peak %s, %s dropped; takes %s itself",
		 p->enabled ? "recording" : "stopped, had recorded", show_count(a, p->every),
		 show_bytes(b, p->bytes), show_count(c, p->blocks), show_bytes(d, p->peak),
		 show_count(e, p->dropped), show_bytes(f, p->overhead));
	rows = array_of(p->nr_sites, sizeof(*rows));
	for (i = 0; i < p->nr_sites; i++) {
		const struct site *site = &p->sites[i];

		rows[i] = (struct row) {
			.nr = i,
			.label = site->frames,
			.value = { site->bytes, site->blocks, site->peak, site->total,
				   site->oldest },
		};
	}
	show_table(t, v, rows, p->nr_sites, "CALL SITE");
	free(rows);
}

/* ---- Map ------------------------------------------------------------------------- */

static void show_map(struct text *t, const struct stats *s, const struct view *v)
{
	size_t i, j;

	(void)v;
	text_add(t, "H header  0-9 tenths in use  # full  . unused  : kept by a CPU  - given back");
	t->heading = t->n;
	for (i = 0; i < s->nr_heaps; i++) {
		const struct heap *h = &s->heaps[i];

		text_add(t, "%s: %zu arena%s", h->name, h->nr_map, h->nr_map == 1 ? "" : "s");
		for (j = 0; j < h->nr_map; j++) {
			text_add(t, "%6zu node %llu %s", j, h->map[j].node, h->map[j].pools);
			t->lines[t->n - 1].pools = strlen(t->lines[t->n - 1].text) -
						   strlen(h->map[j].pools);
		}
	}
}

#define TABLE(columns)	columns, sizeof(columns) / sizeof(*(columns))

struct view views[NR_VIEWS] = {
	{ "Classes", TABLE(class_columns), 'b', show_classes },
	{ "Heaps", TABLE(heap_columns), 'b', show_heaps },
	{ "Call sites", TABLE(site_columns), 'b', show_sites },
	{ "Map", NULL, 0, 0, show_map },
};
