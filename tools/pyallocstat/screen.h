/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCREEN_H
#define SCREEN_H

#include "stats.h"

/*
 * Shows @now, and from then on what @file has every @delay milliseconds, until the
 * reader has enough. Takes @now over. Returns what is wrong with the terminal, or NULL.
 */
const char *screen_run(struct stats *now, const char *file, int delay);

#endif
