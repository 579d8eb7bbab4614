/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stress_pyalloc: what its parts share. See main.c.
 */
#ifndef PYALLOC_STRESS_H
#define PYALLOC_STRESS_H

#include <linux/atomic.h>
#include <linux/prandom.h>
#include <linux/types.h>

#include <pyalloc.h>
#include <pyalloc_internal.h>

#define SIZE_MAX_ASKED	1100U
#define TIDE_STEPS	8192U	/* the table fills, empties, fills, ... */
#define BUNCH		100U	/* blocks at once, more than PY_BATCH */
#define NR_OPS_MAX	32U

struct private_heap;

/* An allocation, or none: what is known of it is the model. */
struct item {
	void *p;
	u64 fill;		/* what the pattern is made of */
	u32 size;		/* asked for, and changed to */
	u8 class;		/* if pooled */
	bool pooled;		/* pyalloc's, not kmalloc()'s */
	bool zeroed;		/* what is behind size is zero */
	struct private_heap *heap;	/* NULL: none; see heap_enter_of() */
};

enum context { IN_TASK, IN_SOFTIRQ, IN_TIMER, IN_IRQ_WORK, IN_HARDIRQ, NR_CONTEXTS };

/* What comes of an operation, beside that it was done. */
enum outcome { IN_PLACE, REFUSED, NR_OUTCOMES };

struct actor {
	unsigned int thread;
	enum context context;
	struct rnd_state rnd;
	struct item *hand;
	int acting;		/* one actor must not act twice at once */
	u64 steps;
	u64 op[NR_OPS_MAX];	/* how often */
	u64 outcome[NR_OUTCOMES];
	struct item bunch[BUNCH];
	void *pointers[BUNCH];
};

/* main.c */
extern unsigned long long seed;
extern unsigned int threads;
extern unsigned int slots;
extern struct item *items;
extern unsigned int nr_items;
extern struct item **table;
extern const char * const context_name[];

/* Exchanges the item in hand for that of slot @i. */
static inline struct item *exchange(struct actor *a, u32 i)
{
	a->hand = xchg(&table[i], a->hand);
	return a->hand;
}

static inline u32 chance(struct actor *a, u32 below)
{
	return prandom_u32_state(&a->rnd) % below;
}

void actor_init(struct actor *a, unsigned int thread, enum context context,
		struct item *hand);

/* item.c */
extern atomic_t wrong;		/* complaints */

u64 pattern(u64 fill, size_t i);
void put_pattern(void *p, size_t size, u64 fill);
bool has_pattern(const void *p, size_t size, u64 fill);
bool in_arena(const void *p);
void complain(const struct actor *a, const struct item *item, const char *what);
void item_new(struct actor *a, struct item *item, u32 size);
void item_fill(struct actor *a, struct item *item);
void item_check(struct actor *a, const struct item *item);
bool item_is_zero(const struct item *item);
void item_clear(struct item *item);
void item_free(struct item *item);
void stats_wrong(const char *what, u64 is, u64 should);

/* ops.c */
void step(struct actor *a);
u32 pick_size(struct actor *a);
const char *op_name(unsigned int op);

/* heap.c */
struct private_heap *heap_enter_any(struct actor *a);
struct private_heap *heap_enter_of(const struct item *item);
void heap_exit(struct private_heap *h);
struct private_heap *heap_next(struct private_heap *h);
struct pyheap *heap_of(const struct private_heap *h);
bool heap_may_refuse(const struct private_heap *h);
u64 heap_most(const struct private_heap *h);
int keeper_start(void);
void keeper_stop(void);
void keeper_report(void);
void heaps_prepare(struct item *hand);
void heaps_destroy(void);

/* shared.c */
void step_publish(struct actor *a, struct item *item);
void step_publish_slowly(struct actor *a, struct item *item);
void step_look(struct actor *a, struct item *item);
void shared_count(u32 *count);
void shared_free(struct actor *a);

/* compare.c */
extern struct pyheap_stats *stats;

void watch(void);
void settle(bool trim);

#endif /* PYALLOC_STRESS_H */
