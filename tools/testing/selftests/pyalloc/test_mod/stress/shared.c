// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: objects that actors look at under RCU. A new one takes the place of an
 * old one, which goes to pyfree_rcu(): who looks at it still must find it whole.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/rcupdate.h>

#include "stress.h"

#define NR_SHARED	16U	/* few: while one is looked at, it is replaced */
#define LOOKS_LONG	100U
#define LOOK_US		10U

struct shared {
	u64 fill;
	u64 check;		/* of the two others; see shared_is_whole() */
	u32 size;		/* of data, bytes */
	struct rcu_head rcu;
	u8 data[];
};

static struct shared __rcu *shareds[NR_SHARED];

static u64 shared_check(const struct shared *s)
{
	return pattern(s->fill, s->size) ^ s->size;
}

/* If it is not, its size cannot be trusted. */
static bool shared_is_whole(const struct shared *s)
{
	return READ_ONCE(s->check) == shared_check(s) &&
	       s->size <= SIZE_MAX_ASKED + 1 && has_pattern(s->data, s->size, s->fill);
}

/* Returns the one whose place it takes, or NULL. */
static struct shared *publish(struct actor *a, struct shared *s)
{
	u32 at = chance(a, NR_SHARED);

	return unrcu_pointer(xchg(&shareds[at], RCU_INITIALIZER(s)));
}

/* Without memory, an old one goes and none comes. */
static struct shared *shared_replace(struct actor *a)
{
	u32 size = pick_size(a);
	struct shared *s;

	s = pyalloc(struct_size(s, data, size), GFP_ATOMIC | __GFP_NOWARN);
	if (s) {
		s->fill = (u64)prandom_u32_state(&a->rnd) << 32 | a->thread;
		s->size = size;
		s->check = shared_check(s);
		put_pattern(s->data, size, s->fill);
	}
	return publish(a, s);
}

static void shared_wrong(struct actor *a, const struct shared *s, const char *what)
{
	struct item item = { .size = s->size };

	complain(a, &item, what);
}

void step_publish(struct actor *a, struct item *item)
{
	struct shared *old = shared_replace(a);

	if (!old)
		return;
	if (!shared_is_whole(old))
		shared_wrong(a, old, "what was published is damaged");
	pyfree_rcu(old, rcu);
}

/* As one without an rcu_head. */
void step_publish_slowly(struct actor *a, struct item *item)
{
	pyfree_rcu_mightsleep(shared_replace(a));
}

void step_look(struct actor *a, struct item *item)
{
	struct shared __rcu **at = &shareds[chance(a, NR_SHARED)];
	const struct shared *s;
	u32 looks = 1;

	/* Longer than it takes to free, if that would not wait. */
	if (a->context == IN_TASK && !chance(a, 16))
		looks = LOOKS_LONG;
	rcu_read_lock();
	s = rcu_dereference(*at);
	for (; s && looks; looks--) {
		if (!shared_is_whole(s)) {
			shared_wrong(a, s, "freed while one looks at it, or damaged");
			break;
		}
		if (looks > 1)
			udelay(LOOK_US);
	}
	rcu_read_unlock();
}

/* At rest: counts the blocks of each class. */
void shared_count(u32 *count)
{
	const struct shared *s;
	unsigned int i;

	for (i = 0; i < NR_SHARED; i++) {
		s = rcu_dereference_protected(shareds[i], true);
		if (s && in_arena(s))
			count[PYALLOC_CLASS(struct_size(s, data, s->size))]++;
	}
}

/* At rest: all of them. */
void shared_free(struct actor *a)
{
	struct shared *s;
	unsigned int i;

	for (i = 0; i < NR_SHARED; i++) {
		s = rcu_replace_pointer(shareds[i], NULL, true);
		if (!s)
			continue;
		if (!shared_is_whole(s))
			shared_wrong(a, s, "what was published is damaged");
		pyfree_rcu(s, rcu);
	}
}
