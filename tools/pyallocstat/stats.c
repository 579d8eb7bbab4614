// SPDX-License-Identifier: GPL-2.0
/*
 * Reads stats.json: finds what keeps the file from being read, checks that all fields
 * are there and of their kind, and makes all text harmless.
 */

#include "stats.h"
#include "sites.h"
#include "text.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A machine full of arenas has less: what is larger is something else. */
#define MOST_BYTES	(256UL << 20)

#define MOST_NUMBER	0x1p64

/* The first thing that was wrong; nothing is read after it. */
struct reader {
	const char *file;
	char *error;
	size_t size;
	bool failed;
};

static void fail(struct reader *r, const char *format, ...)
{
	va_list args;
	int n;

	if (r->failed)
		return;
	r->failed = true;
	n = snprintf(r->error, r->size, "%s: ", r->file);
	if (n < 0 || (size_t)n >= r->size)
		return;
	va_start(args, format);
	vsnprintf(r->error + n, r->size - n, format, args);
	va_end(args);
}

/* ---- Fields ---------------------------------------------------------------------- */

/* Numbers are read as double: json_int_t has not all that a u64 holds. */
static u64 number_of(struct reader *r, const json_t *value, const char *name)
{
	double n = json_real_value(value);

	if (!json_is_real(value) || n < 0 || n > MOST_NUMBER ||
	    (n < MOST_NUMBER && n != (u64)n)) {
		fail(r, "\"%s\" is missing or not a count", name);
		return 0;
	}
	return n < MOST_NUMBER ? (u64)n : NO_VALUE - 1;
}

static u64 get_number(struct reader *r, const json_t *object, const char *name)
{
	return number_of(r, json_object_get(object, name), name);
}

static bool get_truth(struct reader *r, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_boolean(value))
		fail(r, "\"%s\" is missing or neither true nor false", name);
	return json_is_true(value);
}

static const json_t *get_object(struct reader *r, const json_t *parent, const char *name)
{
	const json_t *value = json_object_get(parent, name);

	if (!json_is_object(value))
		fail(r, "\"%s\" is missing or not an object", name);
	return value;
}

static const json_t *get_array(struct reader *r, const json_t *parent, const char *name)
{
	const json_t *value = json_object_get(parent, name);

	if (!json_is_array(value))
		fail(r, "\"%s\" is missing or not an array", name);
	return value;
}

/* The next character of UTF-8, which jansson has checked. */
static unsigned long next_character(const unsigned char **p)
{
	unsigned long c = *(*p)++;
	unsigned int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	if (more)
		c &= 0x3f >> more;
	while (more--)
		c = c << 6 | (*(*p)++ & 0x3f);
	return c;
}

/*
 * Names come from other modules, or from whoever wrote the file: what a terminal would
 * obey, or show as something else, is shown as its number.
 */
static const char *harmless(json_t *value)
{
	const unsigned char *p = (const unsigned char *)json_string_value(value);
	char *text = array_of(strlen((const char *)p) + 1, sizeof("\\u{10ffff}"));
	char *to = text;

	while (*p) {
		unsigned long c = next_character(&p);

		if (c == '\\')
			to += sprintf(to, "\\\\");
		else if (c >= ' ' && c <= '~')
			*to++ = c;
		else if (c <= 0xff)
			to += sprintf(to, "\\x%02lx", c);
		else
			to += sprintf(to, "\\u{%lx}", c);
	}
	json_string_set(value, text);
	free(text);
	return json_string_value(value);
}

static const char *get_string(struct reader *r, const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_string(value)) {
		fail(r, "\"%s\" is missing or not a string", name);
		return "";
	}
	return harmless(value);
}

/* ---- Objects --------------------------------------------------------------------- */

static void read_class(struct reader *r, const json_t *o, struct class *c)
{
	c->size = get_number(r, o, "size");
	c->pools = get_number(r, o, "pools");
	c->in_use = get_number(r, o, "in_use");
	c->in_transit = get_number(r, o, "in_transit");
	c->free = get_number(r, o, "free") + get_number(r, o, "virgin");
}

static void read_map(struct reader *r, const json_t *o, struct arena *arena)
{
	arena->node = get_number(r, o, "node");
	arena->pools = get_string(r, o, "pools");
}

static void read_bytes(struct reader *r, const json_t *o, struct heap *h)
{
	h->in_use = get_number(r, o, "allocated");
	h->in_transit = get_number(r, o, "in_transit");
	h->available = get_number(r, o, "available") + get_number(r, o, "virgin");
	h->unused = get_number(r, o, "unused_pools");
	h->lost = get_number(r, o, "headers") + get_number(r, o, "quantization");
	h->held = get_number(r, o, "total") - get_number(r, o, "pools_given_back");
}

/* Requests that kmalloc() served, for whatever reason: a newer pyalloc may have more. */
static u64 read_falls(struct reader *r, const json_t *o)
{
	const char *reason;
	json_t *sizes, *n;
	u64 sum = 0;
	size_t i;

	json_object_foreach((json_t *)o, reason, sizes)
		json_array_foreach(sizes, i, n)
			sum += number_of(r, n, "falls");
	return sum;
}

static void read_heap(struct reader *r, const json_t *o, struct heap *h)
{
	const json_t *arenas = get_object(r, o, "arenas");
	const json_t *events = get_object(r, o, "events");
	const json_t *classes = get_array(r, o, "classes");
	const json_t *map = get_array(r, o, "map");
	size_t i;

	h->name = get_string(r, o, "name");
	h->private = get_truth(r, o, "private");
	h->limit = get_number(r, o, "limit");
	h->charged = get_number(r, o, "held");
	h->had = get_number(r, arenas, "total");
	h->given_back = get_number(r, arenas, "reclaimed");
	h->highwater = get_number(r, arenas, "highwater");
	h->current = get_number(r, arenas, "current");
	read_bytes(r, get_object(r, o, "bytes"), h);
	h->kmalloc = get_number(r, get_object(r, o, "kmalloc"), "bytes");
	h->falls = read_falls(r, get_object(r, o, "falls"));
	h->slow_allocs = get_number(r, events, "slow_allocs");
	h->remote_frees = get_number(r, events, "remote_blocks");

	h->nr_classes = json_array_size(classes);
	h->classes = array_of(h->nr_classes, sizeof(*h->classes));
	for (i = 0; i < h->nr_classes; i++)
		read_class(r, json_array_get(classes, i), &h->classes[i]);
	h->nr_map = json_array_size(map);
	h->map = array_of(h->nr_map, sizeof(*h->map));
	for (i = 0; i < h->nr_map; i++)
		read_map(r, json_array_get(map, i), &h->map[i]);
}

/* The frames in one line, each as the line of source it is if that is known. */
static const char *read_frames(struct reader *r, const json_t *o)
{
	const json_t *frames = get_array(r, o, "frames");
	json_t *line = json_string("");
	json_t *frame;
	size_t i;

	json_array_foreach(frames, i, frame) {
		json_t *next;

		if (!json_is_string(frame)) {
			fail(r, "\"frames\" has something that is not a string");
			break;
		}
		next = json_sprintf("%s%s%s", json_string_value(line),
				    i ? " < " : "", site_name(json_string_value(frame)));
		json_decref(line);
		line = next;
	}
	json_object_set_new((json_t *)o, "frames", line);
	return harmless(line);
}

static void read_site(struct reader *r, const json_t *o, struct site *site)
{
	site->frames = read_frames(r, o);
	site->bytes = get_number(r, o, "bytes");
	site->blocks = get_number(r, o, "blocks");
	site->peak = get_number(r, o, "peak_bytes");
	site->total = get_number(r, o, "total_bytes");
	site->oldest = NO_VALUE;
	if (!json_is_null(json_object_get(o, "oldest_ms")))
		site->oldest = get_number(r, o, "oldest_ms") / 1000;
}

static void read_profile(struct reader *r, const json_t *o, struct profile *p)
{
	const json_t *sites = get_array(r, o, "sites");
	size_t i;

	p->enabled = get_truth(r, o, "enabled");
	p->every = get_number(r, o, "every");
	p->bytes = get_number(r, o, "bytes");
	p->blocks = get_number(r, o, "blocks");
	p->peak = get_number(r, o, "peak_bytes");
	p->dropped = get_number(r, o, "dropped");
	p->overhead = get_number(r, o, "overhead");
	p->nr_sites = json_array_size(sites);
	p->sites = array_of(p->nr_sites, sizeof(*p->sites));
	for (i = 0; i < p->nr_sites && !r->failed; i++)
		read_site(r, json_array_get(sites, i), &p->sites[i]);
}

static void read_stats(struct reader *r, struct stats *s)
{
	const json_t *o = s->root;
	json_t *schema = json_object_get(o, "schema");
	const json_t *heaps;
	size_t i;

	if (!json_is_string(schema)) {
		fail(r, "JSON, but not pyalloc's: it has no \"schema\"");
		return;
	}
	if (strcmp(json_string_value(schema), "pyalloc-stats")) {
		fail(r, "JSON, but not pyalloc's: its schema is \"%s\"", harmless(schema));
		return;
	}
	s->version = get_number(r, o, "version");
	s->release = get_string(r, o, "release");
	s->kernel = get_string(r, o, "kernel");
	s->uptime_ns = get_number(r, o, "uptime_ns");
	s->arena_size = get_number(r, o, "arena_size");
	s->pool_size = get_number(r, o, "pool_size");
	heaps = get_array(r, o, "heaps");
	s->nr_heaps = json_array_size(heaps);
	s->heaps = array_of(s->nr_heaps, sizeof(*s->heaps));
	for (i = 0; i < s->nr_heaps && !r->failed; i++)
		read_heap(r, json_array_get(heaps, i), &s->heaps[i]);
	s->has_profile = !json_is_null(json_object_get(o, "profile"));
	if (s->has_profile)
		read_profile(r, get_object(r, o, "profile"), &s->profile);
}

/* ---- Files ----------------------------------------------------------------------- */

/* Why pyalloc's own file cannot be opened: what "no such file" would not tell. */
static void explain(struct reader *r, int err)
{
	struct statfs fs;

	if (strcmp(r->file, STATS_FILE) || (err != ENOENT && err != EACCES))
		fail(r, "%s", strerror(err));
	else if (err == EACCES)
		fail(r, "%s: only root may read it", strerror(err));
	else if (statfs("/sys/kernel/debug", &fs) || fs.f_type != DEBUGFS_MAGIC)
		fail(r, "debugfs is not mounted: mount -t debugfs none /sys/kernel/debug");
	else if (access("/sys/module/pyalloc", F_OK))
		fail(r, "pyalloc is not loaded: modprobe pyalloc");
	else
		fail(r, "the pyalloc that is loaded does not have it: too old, or debugfs is off");
}

/* The file as it is at one moment: debugfs does not know its length. */
static void read_text(struct reader *r, struct stats *s)
{
	FILE *f = fopen(r->file, "r");
	size_t room = 0, n;

	if (!f) {
		explain(r, errno);
		return;
	}
	do {
		char *more;

		if (s->length == room) {
			room = room ? room * 2 : 1 << 16;
			more = room <= MOST_BYTES ? realloc(s->text, room) : NULL;
			if (!more) {
				fail(r, "too large");
				break;
			}
			s->text = more;
		}
		n = fread(s->text + s->length, 1, room - s->length, f);
		s->length += n;
	} while (n);
	if (ferror(f))
		fail(r, "%s", strerror(errno));
	fclose(f);
}

static void parse_text(struct reader *r, struct stats *s)
{
	json_error_t e;

	s->root = json_loadb(s->text, s->length,
			     JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &e);
	if (!s->root)
		fail(r, s->length ? "not JSON, line %d, column %d" : "empty", e.line, e.column);
}

/**
 * stats_read() - read and check stats.json
 * @s: filled in; stats_free() is wanted if this succeeds
 * @file: its name
 * @error: why it failed, in words
 * @size: of @error
 *
 * Return: 0 or -1.
 */
int stats_read(struct stats *s, const char *file, char *error, size_t size)
{
	struct reader r = { .file = file, .error = error, .size = size };

	memset(s, 0, sizeof(*s));
	read_text(&r, s);
	if (!r.failed)
		parse_text(&r, s);
	if (!r.failed)
		read_stats(&r, s);
	if (!r.failed)
		return 0;
	stats_free(s);
	return -1;
}

void stats_free(struct stats *s)
{
	size_t i;

	for (i = 0; i < s->nr_heaps && s->heaps; i++) {
		free(s->heaps[i].classes);
		free(s->heaps[i].map);
	}
	free(s->heaps);
	free(s->profile.sites);
	free(s->text);
	json_decref(s->root);
	memset(s, 0, sizeof(*s));
}
