/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SVG_H
#define SVG_H

#include "stats.h"

#include <stdio.h>

/* The arenas as a picture. */
void svg_write(FILE *f, const struct stats *s);

#endif
