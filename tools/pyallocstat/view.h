/* SPDX-License-Identifier: GPL-2.0 */
/* What there is to see, as text: on the screen and for --once. */
#ifndef VIEW_H
#define VIEW_H

#include "text.h"

enum kind {
	COUNT,
	BYTES,
	PERCENT,
	RATIO,
	AGE,
};

/* The largest first, if it is sorted by one. */
struct column {
	const char *title;
	char key;		/* that sorts by it */
	enum kind kind;
	int width;
};

struct view {
	const char *name;
	const struct column *columns;
	size_t nr_columns;
	char sort;
	void (*show)(struct text *t, const struct stats *s, const struct view *v);
};

#define NR_VIEWS	4

/* "sort" is the reader's choice. */
extern struct view views[NR_VIEWS];

/* Rates since @before, or sums if there is nothing to compare with. */
void view_header(struct text *t, const struct stats *s, const struct stats *before);

#endif
