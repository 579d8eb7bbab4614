// SPDX-License-Identifier: GPL-2.0
/* Lines of text, and numbers in few characters. */

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void no_memory(void)
{
	fputs("pyallocstat: out of memory\n", stderr);
	exit(1);
}

/* Zeros; there is nothing to be done without them. */
void *array_of(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		no_memory();
	return p;
}

void text_add(struct text *t, const char *format, ...)
{
	struct line *line;
	va_list args;

	/* A power of two is full. */
	if (!(t->n & (t->n - 1))) {
		line = realloc(t->lines, (t->n ? t->n * 2 : 1) * sizeof(*line));
		if (!line)
			no_memory();
		t->lines = line;
	}
	line = &t->lines[t->n++];
	line->pools = 0;
	va_start(args, format);
	if (vasprintf(&line->text, format, args) < 0)
		no_memory();
	va_end(args);
}

void text_free(struct text *t)
{
	while (t->n)
		free(t->lines[--t->n].text);
	free(t->lines);
	memset(t, 0, sizeof(*t));
}

/* Three digits or four, and the unit. */
static const char *scaled(char *to, double n, double step, const char *units)
{
	while (n >= step && units[1]) {
		n /= step;
		units++;
	}
	snprintf(to, NUMBER_SIZE, n < 99.95 ? "%.1f%c" : "%.0f%c", n, *units);
	return to;
}

const char *show_count(char *to, u64 n)
{
	if (n >= 10000000)
		return scaled(to, n / 1e3, 1e3, "KMGTPE");
	snprintf(to, NUMBER_SIZE, "%llu", n);
	return to;
}

const char *show_bytes(char *to, u64 n)
{
	if (n >= 10000)
		return scaled(to, n / 1024., 1024, "KMGTPE");
	snprintf(to, NUMBER_SIZE, "%llu", n);
	return to;
}

const char *show_rate(char *to, double n)
{
	if (n >= 10000)
		return scaled(to, n / 1e3, 1e3, "KMGTPE");
	snprintf(to, NUMBER_SIZE, n && n < 10 ? "%.1f" : "%.0f", n);
	return to;
}

const char *show_age(char *to, u64 seconds)
{
	if (seconds < 100)
		snprintf(to, NUMBER_SIZE, "%llus", seconds);
	else if (seconds < 100 * 60)
		snprintf(to, NUMBER_SIZE, "%llum", seconds / 60);
	else if (seconds < 100 * 3600)
		snprintf(to, NUMBER_SIZE, "%lluh", seconds / 3600);
	else
		snprintf(to, NUMBER_SIZE, "%llud", seconds / 86400);
	return to;
}
