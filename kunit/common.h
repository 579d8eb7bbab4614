/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all suites share: a fixture that starts every test with an empty heap
 * on a fixed CPU, and ends it with the checks that must hold always; exact
 * numbers out of the walker; code on another CPU.
 *
 * KUnit itself allocates with kmalloc(), so that the default heap belongs to
 * the running test alone and numbers can be exact.
 */
#ifndef PYALLOC_KUNIT_COMMON_H
#define PYALLOC_KUNIT_COMMON_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/prandom.h>

#include "../compat.h"
#include "../pyalloc.h"
#include "../pyalloc_internal.h"

/* Longer than anything may stay in transit or stranded, ms. */
#define PY_ONE_SECOND		1000

/* py_class_blocks() of the largest class, for the compiler. */
#define PY_POOL_MAX_BLOCKS						\
	(PY_POOL_SIZE / (PY_TAG_BYTES +					\
	 PYALLOC_MAX * (IS_ENABLED(CONFIG_KASAN_GENERIC) ? 2 : 1)))

/* And one arena. */
#define PY_ARENA_MAX_BLOCKS	(PY_ARENA_POOLS * PY_POOL_MAX_BLOCKS)

/**
 * struct py_fixture - what a test starts from; test->priv
 * @before: the heap when the test began: settled
 * @now: the heap at the last py_walk()
 * @busy_in_task: how often the test provoked PY_EV_BUSY_IN_TASK itself
 * @shuffle: py_shuffle, which a test may change until it ends
 */
struct py_fixture {
	struct pyheap_stats *before;
	struct pyheap_stats *now;
	u64 busy_in_task;
	unsigned int shuffle;
};

int py_test_init(struct kunit *test);
void py_test_exit(struct kunit *test);

const struct pyheap_stats *py_walk(struct kunit *test);
u64 py_in_use(const struct pyheap_stats *s, unsigned int class);
u64 py_in_use_all(const struct pyheap_stats *s);
bool py_in_use_is(struct kunit *test, u64 n);
u64 py_transit_all(const struct pyheap_stats *s);
u64 py_pools_all(const struct pyheap_stats *s);
u64 py_events(struct kunit *test, enum py_event event);
u64 py_falls(struct kunit *test, enum py_reason reason);
u64 py_falls_all(struct kunit *test);

void *py_get(size_t size, gfp_t gfp);
void **py_get_many(struct kunit *test, unsigned int n, size_t size);
void py_put_many(void **block, unsigned int n);

/* Are the default heap's arenas out of single pages, that they do not give back? */
static inline bool py_in_regions(void)
{
	return pyheap_default()->flags & PYHEAP_VMALLOC;
}

bool py_is_pooled(const void *p);
struct py_pool *py_pool_of(const void *p);
unsigned int py_class_of(const void *p);

bool py_freed_holds(const void *p, size_t size, unsigned long word);
unsigned long py_freed_link(const void *p);

/* What may be written of @size bytes: KASAN allows no more than requested. */
static inline size_t py_room(size_t size)
{
	return IS_ENABLED(CONFIG_KASAN) ? size : pyalloc_size_roundup(size);
}

void py_fill(void *p, size_t size, u64 seed);
bool py_holds(const void *p, size_t size, u64 seed);

void py_move_to(unsigned int cpu);

/**
 * struct py_worker - a thread on one CPU
 * @task: the thread
 * @fn: what it runs
 * @arg: for @fn
 * @done: @fn returned
 */
struct py_worker {
	struct task_struct *task;
	void (*fn)(void *arg);
	void *arg;
	struct completion done;
};

unsigned int py_other_cpu(struct kunit *test);
bool py_worker_start(struct py_worker *w, unsigned int cpu,
		     void (*fn)(void *arg), void *arg);
void py_worker_finish(struct py_worker *w);
void py_free_many_on(unsigned int cpu, void **block, unsigned int n);

void **py_get_arenas(struct kunit *test, unsigned int n);
void py_put_arena(void **block, unsigned int i);

void py_arenas_fail(bool fail);
void py_take_pages(struct list_head *list, unsigned int n, unsigned int order);
void py_return_pages(struct list_head *list, unsigned int order);
long py_slab_pages(void);

#endif /* PYALLOC_KUNIT_COMMON_H */
