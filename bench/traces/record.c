// SPDX-License-Identifier: GPL-2.0
/*
 * Records what a program allocates and frees, for bench/replay.c:
 *
 *	gcc -O2 -shared -fPIC -o record.so record.c -ldl -pthread
 *	TRACE=out.trace LD_PRELOAD=$PWD/record.so program...
 *
 * The file is a sequence of numbers, seven bits a byte, the low ones first. The
 * two low bits of a number say what happened:
 *
 *	0	allocate; the rest is the size
 *	1	free; the rest is the block's age
 *	2	resize; the rest is the size, and the next number the block's age
 *
 * The age of a block is the number of allocations since its own. Blocks above
 * SIZE_LIMIT are left out: there a kernel would not rely on one run of pages.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_LIMIT	8192
#define TABLE_SIZE	(4UL << 20)	/* blocks that live at a time, and more */
#define FILE_MAX	(64UL << 20)

static void *(*real_malloc)(size_t size);
static void *(*real_realloc)(void *p, size_t size);
static void (*real_free)(void *p);

/* Which allocation, counted from 1, a block comes from. Open addressing. */
static struct {
	void *p;
	unsigned int number;
} *table;

static unsigned char *out;
static size_t out_len;
static unsigned int number;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t owner;

/* dlsym() allocates before it has found anything for us. */
static char early[4096];
static size_t early_len;

static int is_early(void *p)
{
	return (char *)p >= early && (char *)p < early + sizeof(early);
}

static void start(void)
{
	if (real_free)
		return;
	table = mmap(NULL, TABLE_SIZE * sizeof(*table), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	out = mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	owner = getpid();
	real_malloc = dlsym(RTLD_NEXT, "malloc");
	real_realloc = dlsym(RTLD_NEXT, "realloc");
	real_free = dlsym(RTLD_NEXT, "free");
}

static void put(uint64_t value)
{
	if (out_len > FILE_MAX - 16)
		return;
	while (value >= 0x80) {
		out[out_len++] = value | 0x80;
		value >>= 7;
	}
	out[out_len++] = value;
}

static size_t hash(void *p)
{
	return ((uintptr_t)p >> 3) * 0x9e3779b97f4a7c15ULL >> 42;
}

/* Where @p is in the table, or the place where it can be put. */
static size_t find(void *p)
{
	size_t i = hash(p);

	while (table[i].p && table[i].p != p)
		i = (i + 1) % TABLE_SIZE;
	return i;
}

/* Takes @i out, and moves up what was put behind it for want of room. */
static void erase(size_t i)
{
	size_t j = i;

	for (;;) {
		size_t home;

		j = (j + 1) % TABLE_SIZE;
		if (!table[j].p)
			break;
		home = hash(table[j].p);
		if ((j - home) % TABLE_SIZE >= (j - i) % TABLE_SIZE) {
			table[i] = table[j];
			i = j;
		}
	}
	table[i].p = NULL;
}

static void note_alloc(void *p, size_t size)
{
	size_t i;

	if (!p || !size || size > SIZE_LIMIT || getpid() != owner)
		return;
	pthread_mutex_lock(&lock);
	i = find(p);
	table[i].p = p;
	table[i].number = ++number;
	put(size << 2);
	pthread_mutex_unlock(&lock);
}

static void note_free(void *p)
{
	size_t i;

	if (!p || getpid() != owner)
		return;
	pthread_mutex_lock(&lock);
	i = find(p);
	if (table[i].p) {
		put((uint64_t)(number - table[i].number) << 2 | 1);
		erase(i);
	}
	pthread_mutex_unlock(&lock);
}

/* @old is only a name here: the block may have moved. */
static void note_realloc(uintptr_t old, void *p, size_t size)
{
	unsigned int which;
	size_t i;

	if (getpid() != owner)
		return;
	pthread_mutex_lock(&lock);
	i = find((void *)old);
	which = table[i].p ? table[i].number : 0;
	if (which) {
		erase(i);
		if (size && size <= SIZE_LIMIT) {
			put(size << 2 | 2);
			put(number - which);
			i = find(p);
			table[i].p = p;
			table[i].number = which;
		} else {
			put((uint64_t)(number - which) << 2 | 1);
		}
	}
	pthread_mutex_unlock(&lock);
	if (!which)
		note_alloc(p, size);
}

void *malloc(size_t size)
{
	void *p;

	start();
	p = real_malloc(size);
	note_alloc(p, size);
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p;

	if (!real_free && table) {
		p = early + early_len;
		early_len += (n * size + 15) & ~15UL;
		return early_len <= sizeof(early) ? p : NULL;
	}
	start();
	if (size && n > SIZE_MAX / size)
		return NULL;
	p = real_malloc(n * size);
	if (p)
		memset(p, 0, n * size);
	note_alloc(p, n * size);
	return p;
}

void *realloc(void *old, size_t size)
{
	uintptr_t name = (uintptr_t)old;
	void *p;

	start();
	p = real_realloc(old, size);
	if (p || !size)
		note_realloc(name, p, size);
	return p;
}

void free(void *p)
{
	if (is_early(p))
		return;
	start();
	note_free(p);
	real_free(p);
}

__attribute__((destructor)) static void finish(void)
{
	const char *path = getenv("TRACE");
	int fd;

	if (!path || getpid() != owner)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, out, out_len) != (ssize_t)out_len)
		_exit(1);
	close(fd);
}
