/* SPDX-License-Identifier: GPL-2.0 */
/* What pyalloc says of itself in stats.json, checked, as structs. */
#ifndef STATS_H
#define STATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef unsigned long long u64;

/* The newest version whose fields this program knows. */
#define STATS_VERSION	1

#define STATS_FILE	"/sys/kernel/debug/pyalloc/stats.json"

struct class {
	u64 size;
	u64 pools;
	u64 in_use;
	u64 in_transit;
	u64 free;		/* with those that were never handed out */
};

struct arena {
	u64 node;
	const char *pools;	/* a character each, as in the file "arenas" */
};

struct heap {
	const char *name;
	bool private;
	u64 limit;
	u64 charged;		/* what counts towards the limit */

	/* arenas */
	u64 had;
	u64 given_back;
	u64 highwater;
	u64 current;

	/* bytes */
	u64 in_use;
	u64 in_transit;
	u64 available;		/* with those that were never handed out */
	u64 unused;
	u64 lost;		/* headers and what is left over behind the last block */
	u64 held;		/* the arenas without the pages that were given back */
	u64 kmalloc;

	/* events since it was made */
	u64 slow_allocs;
	u64 remote_frees;
	u64 falls;

	struct class *classes;
	size_t nr_classes;
	struct arena *map;
	size_t nr_map;
};

struct site {
	const char *frames;	/* innermost first */
	u64 bytes;
	u64 blocks;
	u64 peak;
	u64 total;
	u64 oldest;		/* in seconds; NO_VALUE without a live block */
};

#define NO_VALUE	(~0ULL)

struct profile {
	bool enabled;
	u64 every;
	u64 bytes;
	u64 blocks;
	u64 peak;
	u64 dropped;
	u64 overhead;
	struct site *sites;
	size_t nr_sites;
};

struct stats {
	u64 version;
	const char *release;
	const char *kernel;
	u64 uptime_ns;
	u64 arena_size;
	u64 pool_size;
	struct heap *heaps;
	size_t nr_heaps;
	bool has_profile;
	struct profile profile;

	char *text;		/* as it was read */
	size_t length;
	json_t *root;		/* owns all strings */
};

/* All strings of it are printable ASCII, whatever the file has. */
int stats_read(struct stats *s, const char *file, char *error, size_t size);
void stats_free(struct stats *s);

#endif
