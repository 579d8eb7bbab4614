/* SPDX-License-Identifier: GPL-2.0 */
/* Lines of text, and numbers in few characters. */
#ifndef TEXT_H
#define TEXT_H

#include "stats.h"

struct line {
	char *text;
	size_t pools;		/* where those of an arena begin; 0: not a line of the map */
};

struct text {
	struct line *lines;
	size_t n;
	size_t heading;		/* lines that stay on top */
};

void *array_of(size_t n, size_t size);

void __printf(2, 3) text_add(struct text *t, const char *format, ...);
void text_free(struct text *t);

/* Room for any of these numbers. */
#define NUMBER_SIZE	32

const char *show_count(char *to, u64 n);
const char *show_bytes(char *to, u64 n);
const char *show_rate(char *to, double n);
const char *show_age(char *to, u64 seconds);

#endif
