/* SPDX-License-Identifier: GPL-2.0 */
/* Call sites as lines of source. */
#ifndef SITES_H
#define SITES_H

#include <stdbool.h>

/* Debug information is looked for below @folder, before those named later. */
bool site_folder(const char *folder);

/* "func+0x1a/0x40 [module]" as "func file.c:123 [module]", or as it is. */
const char *site_name(const char *site);

void sites_free(void);

#endif
