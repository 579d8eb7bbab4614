// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: private heaps, which come and go while actors use them, and the keeper,
 * an actor whom they obey.
 *
 * Nobody may use a heap that is destroyed: an actor enters it before it touches a block of
 * it, and exits; the keeper closes it to them and waits until all have left. Then the heap's
 * items are the keeper's, whoever has them in hand.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/printk.h>
#include <linux/sizes.h>

#include "stress.h"

#define NR_HEAPS	4U
#define CLOSED		INT_MIN
#define EMPTY_TRIES	20U
#define PAUSE_MS	10U	/* between two steps, at most */

struct private_heap {
	atomic_t users;		/* and CLOSED */
	struct pyheap *heap;
	unsigned int flags;
	size_t most;		/* its limit was never higher; 0: it may have none */
	bool filling;		/* not being emptied */
};

static struct private_heap heaps[NR_HEAPS];
static struct task_struct *keeper;
static struct actor keeper_actor;

/* What the keeper did. */
static struct {
	u64 created, limited, destroyed, destroyed_empty, busy, blocks;
} did;

/*
 * Enter and exit
 */

static bool heap_enter(struct private_heap *h)
{
	return atomic_inc_unless_negative(&h->users);
}

void heap_exit(struct private_heap *h)
{
	atomic_fetch_dec_release(&h->users);	/* pairs with heap_close() */
}

static void heap_close(struct private_heap *h)
{
	atomic_add(CLOSED, &h->users);
	while (atomic_read_acquire(&h->users) != CLOSED)
		usleep_range(100, 200);
}

static void heap_open(struct private_heap *h)
{
	atomic_set_release(&h->users, 0);	/* pairs with heap_enter() */
}

/* To allocate from; or NULL. */
struct private_heap *heap_enter_any(struct actor *a)
{
	struct private_heap *h = &heaps[chance(a, NR_HEAPS)];

	if (!heap_enter(h))
		return NULL;
	if (READ_ONCE(h->filling))
		return h;
	heap_exit(h);
	return NULL;
}

/* The heap of @item, or NULL if it is of none; an error if that is closed now. */
struct private_heap *heap_enter_of(const struct item *item)
{
	/* Pairs with item_clear(), and with who gave it the heap. */
	struct private_heap *h = smp_load_acquire(&item->heap);

	if (!h)
		return NULL;
	if (!heap_enter(h))
		return ERR_PTR(-EBUSY);
	/* It may have been closed, and be a new one. */
	if (READ_ONCE(item->heap))
		return h;
	heap_exit(h);
	return NULL;
}

/* Enters the next after @h; the first after NULL. Returns NULL after the last. */
struct private_heap *heap_next(struct private_heap *h)
{
	for (h = h ? h + 1 : heaps; h < heaps + NR_HEAPS; h++)
		if (heap_enter(h))
			return h;
	return NULL;
}

struct pyheap *heap_of(const struct private_heap *h)
{
	return h->heap;
}

/* NULL: the default heap does not. */
bool heap_may_refuse(const struct private_heap *h)
{
	return h && h->most;
}

u64 heap_most(const struct private_heap *h)
{
	return h->most ?: U64_MAX;
}

/*
 * The keeper
 */

static void keeper_create(struct actor *a, struct private_heap *h)
{
	char name[] = "stress-0";

	name[sizeof(name) - 2] += h - heaps;
	h->flags = (chance(a, 2) ? PYHEAP_MUST_BE_EMPTY : 0) |
		   (chance(a, 4) ? 0 : PYHEAP_VMALLOC);
	h->most = chance(a, 2) ? SZ_64K + chance(a, SZ_512K) : 0;
	h->heap = pyheap_create(name, h->flags);
	if (IS_ERR(h->heap)) {
		stats_wrong("error of pyheap_create()", -PTR_ERR(h->heap), 0);
		h->heap = NULL;
		return;
	}
	pyheap_set_limit(h->heap, h->most);
	WRITE_ONCE(h->filling, true);
	heap_open(h);
	did.created++;
}

static void keeper_limit(struct actor *a, struct private_heap *h)
{
	if (!h->most)
		return;
	pyheap_set_limit(h->heap, 1 + chance(a, h->most));
	did.limited++;
}

/* Frees what is of @h in the table. */
static void keeper_sweep(struct actor *a, struct private_heap *h)
{
	struct item *item;
	unsigned int i;

	for (i = 0; i < slots; i++) {
		item = exchange(a, i);
		if (smp_load_acquire(&item->heap) == h) {	/* as heap_enter_of() */
			item_check(a, item);
			item_free(item);
		}
		if (i % 64 == 0)
			cond_resched();
	}
}

static u64 blocks_of(const struct private_heap *h)
{
	unsigned int i;
	u64 n = 0;

	for (i = 0; i < nr_items; i++)
		n += READ_ONCE(items[i].heap) == h;
	return n;
}

/* What others have in hand they put back soon. */
static void keeper_empty(struct actor *a, struct private_heap *h)
{
	unsigned int i;

	WRITE_ONCE(h->filling, false);
	for (i = 0; i < EMPTY_TRIES && blocks_of(h); i++) {
		keeper_sweep(a, h);
		usleep_range(500, 1000);
	}
}

/* @h is closed. Returns how many blocks live in it. */
static u64 keeper_check(struct actor *a, const struct private_heap *h)
{
	unsigned int i;
	u64 n = 0;

	for (i = 0; i < nr_items; i++) {
		if (READ_ONCE(items[i].heap) != h)
			continue;
		item_check(a, &items[i]);
		n += !ZERO_OR_NULL_PTR(items[i].p);
	}
	return n;
}

/* Its memory went with @h. */
static void keeper_forget(const struct private_heap *h)
{
	unsigned int i;

	for (i = 0; i < nr_items; i++)
		if (READ_ONCE(items[i].heap) == h)
			item_clear(&items[i]);
}

static void keeper_destroy(struct actor *a, struct private_heap *h)
{
	u64 live;
	int err, should;

	heap_close(h);
	live = keeper_check(a, h);
	should = live && (h->flags & PYHEAP_MUST_BE_EMPTY) ? -EBUSY : 0;
	err = pyheap_destroy(h->heap);
	if (err != should)
		stats_wrong("error of pyheap_destroy()", -err, -should);
	if (err) {
		did.busy++;
		keeper_check(a, h);
		heap_open(h);
		return;
	}
	h->heap = NULL;
	keeper_forget(h);
	did.destroyed++;
	did.destroyed_empty += !live;
	did.blocks += live;
}

static void keeper_step(struct actor *a)
{
	struct private_heap *h = &heaps[chance(a, NR_HEAPS)];

	a->steps++;
	if (!h->heap) {
		keeper_create(a, h);
		return;
	}
	switch (chance(a, 8)) {
	case 0 ... 2:
		keeper_limit(a, h);
		break;
	case 3 ... 6:
		/* The log has a line of each that is found not to be empty. */
		if (h->flags & PYHEAP_MUST_BE_EMPTY && chance(a, 4))
			return;
		keeper_destroy(a, h);
		break;
	default:
		keeper_empty(a, h);
		keeper_destroy(a, h);
	}
}

static int keeper_run(void *arg)
{
	while (!kthread_should_stop()) {
		keeper_step(&keeper_actor);
		msleep(1 + chance(&keeper_actor, PAUSE_MS));
	}
	return 0;
}

int keeper_start(void)
{
	keeper = kthread_run(keeper_run, NULL, "stress/keeper");
	if (!IS_ERR(keeper))
		return 0;
	keeper = NULL;
	return -ENOMEM;
}

void keeper_stop(void)
{
	if (keeper)
		kthread_stop(keeper);
	keeper = NULL;
}

void keeper_report(void)
{
	pr_info("heaps created: %llu, limited: %llu, destroyed: %llu, of these empty: %llu, with %llu blocks in the others; not destroyed as blocks lived: %llu\n",
		did.created, did.limited, did.destroyed, did.destroyed_empty,
		did.blocks, did.busy);
}

/* Closed, until the keeper creates them. */
void heaps_prepare(struct item *hand)
{
	unsigned int i;

	for (i = 0; i < NR_HEAPS; i++)
		atomic_set(&heaps[i].users, CLOSED);
	actor_init(&keeper_actor, threads, IN_TASK, hand);
}

/* All blocks were freed. */
void heaps_destroy(void)
{
	unsigned int i;

	for (i = 0; i < NR_HEAPS; i++)
		if (heaps[i].heap)
			keeper_destroy(&keeper_actor, &heaps[i]);
}
