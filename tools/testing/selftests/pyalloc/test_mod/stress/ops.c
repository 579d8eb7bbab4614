// SPDX-License-Identifier: GPL-2.0
/*
 * stress_pyalloc: what an actor may do with an item, and how likely that is.
 */
#include <linux/build_bug.h>
#include <linux/sched/mm.h>

#include "stress.h"

/*
 * Sizes and manners
 */

/* Small ones mostly, as objects are. */
u32 pick_size(struct actor *a)
{
	switch (chance(a, 16)) {
	case 0:
		return chance(a, SIZE_MAX_ASKED + 1);
	case 1:
		return 8 * chance(a, PYALLOC_NR_CLASSES + 1);
	case 2 ... 5:
		return 1 + chance(a, PYALLOC_MAX);
	case 6 ... 8:
		/* The tide's own: its pools become full, and empty. */
		return 1 + (pattern(seed, a->steps / TIDE_STEPS) >> 32) %
			   PYALLOC_MAX;
	default:
		return 1 + chance(a, 64);
	}
}

/* Near to what it has; on the other side of PYALLOC_MAX; or any. */
static u32 pick_new_size(struct actor *a, const struct item *item)
{
	switch (chance(a, 8)) {
	case 0:
		return item->size + 1;
	case 1:
		return max(item->size, 1U) - 1;
	case 2:
		return round_up(item->size, PYALLOC_ALIGN) +
		       chance(a, 2 * PYALLOC_ALIGN);
	case 3:
		return item->size > PYALLOC_MAX ? 1 + chance(a, PYALLOC_MAX) :
						  PYALLOC_MAX + 1 + chance(a, 500);
	default:
		return pick_size(a);
	}
}

/* How an operation is done: as a driver, a handler, or reclaim would. */
struct manner {
	gfp_t gfp;
	bool irqs_off;
	bool reserve;
	bool must;		/* too small to fail */
	unsigned long flags;
	unsigned int memalloc;
};

static void manner_begin(struct actor *a, struct manner *m)
{
	u32 r = chance(a, 32);

	*m = (struct manner){ .gfp = GFP_ATOMIC | __GFP_NOWARN };
	if (a->context == IN_TASK) {
		m->irqs_off = r == 0 && !IS_ENABLED(CONFIG_PREEMPT_RT);
		m->reserve = r == 1;
		if (r == 2)
			m->gfp = GFP_NOWAIT | __GFP_NOWARN;
		else if (r == 3)
			m->gfp = GFP_KERNEL_ACCOUNT;
		else if (r > 4)
			m->gfp = GFP_KERNEL;
		m->must = r > 4;
	}
	if (m->irqs_off)
		local_irq_save(m->flags);
	if (m->reserve)
		m->memalloc = memalloc_noreclaim_save();
}

static void manner_end(struct manner *m)
{
	if (m->reserve)
		memalloc_noreclaim_restore(m->memalloc);
	if (m->irqs_off)
		local_irq_restore(m->flags);
}

/*
 * Ways to allocate
 */

/* @size may be changed by who serves it. */
struct request {
	struct private_heap *heap;
	u32 size;
	u32 n;			/* by chance */
	gfp_t gfp;
};

static void *by_alloc(struct request *r)
{
	return pyalloc(r->size, r->gfp);
}

static void *by_zalloc(struct request *r)
{
	return pyzalloc(r->size, r->gfp);
}

static void *by_calloc(struct request *r)
{
	u32 n = 1 + r->n % 4;

	r->size -= r->size % n;
	return pycalloc(n, r->size / n, r->gfp);
}

/* Sizes that are known when this is compiled. */
static void *by_constant(struct request *r)
{
	switch (r->n % 6) {
	case 0:
		r->size = 8;
		return pyalloc(8, r->gfp);
	case 1:
		r->size = 40;
		return pyalloc(40, r->gfp);
	case 2:
		r->size = 64;
		return pyalloc(64, r->gfp);
	case 3:
		r->size = 192;
		return pyalloc(192, r->gfp);
	case 4:
		r->size = 512;
		return pyzalloc(512, r->gfp);
	default:
		r->size = 513;
		return pyalloc(513, r->gfp);
	}
}

static void *by_kmalloc(struct request *r)
{
	return kmalloc(r->size, r->gfp);
}

static void *by_realloc(struct request *r)
{
	return pyrealloc(NULL, r->size, r->gfp);
}

/* It takes no other flags. */
static void *by_nolock(struct request *r)
{
	return pyalloc_nolock(r->size, r->gfp & (__GFP_ZERO | __GFP_ACCOUNT));
}

static void *by_heap(struct request *r)
{
	return pyheap_alloc(heap_of(r->heap), r->size, r->gfp);
}

static void *by_heap_calloc(struct request *r)
{
	u32 n = 1 + r->n % 4;

	r->size -= r->size % n;
	return pyheap_calloc(heap_of(r->heap), n, r->size / n, r->gfp);
}

static void *by_heap_realloc(struct request *r)
{
	return pyheap_realloc(heap_of(r->heap), NULL, r->size, r->gfp);
}

/*
 * The operations
 */

/* Items: without memory, with some, with that of a private heap. */
enum kind { EMPTY, FULL, OF_HEAP };

struct op {
	const char *name;
	enum kind of;		/* item */
	u16 come, go;		/* how likely, while the tide comes in, and goes out */
	bool task;		/* in a task alone */
	bool hardirq;		/* even where PREEMPT_RT has spinlocks that sleep */

	/* Either that allocates, ... */
	void *(*alloc)(struct request *r);
	bool zeroed;
	bool may_fail;
	bool of_heap;
	/* ... or anything else. */
	void (*step)(struct actor *a, struct item *item);
};

static void refused(struct actor *a, struct item *item, bool must)
{
	a->outcome[REFUSED]++;
	if (must)
		complain(a, item, "no memory");
}

static void alloc_of(struct actor *a, struct item *item, const struct op *op,
		     struct private_heap *heap)
{
	struct request r = { .heap = heap, .size = pick_size(a), .n = chance(a, 24) };
	struct manner m;

	manner_begin(a, &m);
	r.gfp = m.gfp | (op->zeroed ? __GFP_ZERO : 0);
	item->p = op->alloc(&r);
	manner_end(&m);
	/* The compiler knows the size asked for; all of a block is used here. */
	OPTIMIZER_HIDE_VAR(item->p);

	item->zeroed = op->zeroed;
	if (!item->p) {
		item->size = r.size;
		refused(a, item, m.must && !op->may_fail && !heap_may_refuse(heap));
		return;
	}
	item_new(a, item, r.size);
	/* Pairs with heap_enter_of(). */
	smp_store_release(&item->heap, heap);
	if (!r.size)
		return;
	if (item->pooled && op->alloc == by_kmalloc)
		complain(a, item, "kmalloc() has memory of an arena");
	if (item->zeroed && !item_is_zero(item))
		complain(a, item, "not zeroed");
	item_fill(a, item);
}

static void step_alloc(struct actor *a, struct item *item, const struct op *op)
{
	struct private_heap *heap = NULL;

	if (op->of_heap) {
		heap = heap_enter_any(a);
		if (!heap)
			return;
	}
	alloc_of(a, item, op, heap);
	if (heap)
		heap_exit(heap);
}

static void step_realloc(struct actor *a, struct item *item)
{
	struct item old = *item;
	u32 size = pick_new_size(a, item);
	bool fits, stays, ours = old.pooled || ZERO_OR_NULL_PTR(old.p);
	struct manner m;
	gfp_t gfp;
	void *p;

	manner_begin(a, &m);
	gfp = m.gfp | (old.zeroed ? __GFP_ZERO : 0);
	p = old.heap ? pyheap_realloc(heap_of(old.heap), old.p, size, gfp) :
		       pyrealloc(old.p, size, gfp);
	manner_end(&m);
	if (!p) {
		refused(a, item, m.must && !heap_may_refuse(old.heap));
		item_check(a, item);
		return;
	}

	fits = old.pooled && size && size <= py_class_size(old.class);
	stays = p == old.p;
	if (stays)
		a->outcome[IN_PLACE]++;
	if (old.pooled && fits != stays)
		complain(a, item, fits ? "moved though it fits" :
					 "not moved though it does not fit");
	item->p = p;
	if (fits)
		item->size = size;
	else
		item_new(a, item, size);
	if (!size)
		return;
	if (!has_pattern(p, min(size, old.size), old.fill))
		complain(a, item, "not the contents it had");
	if (old.zeroed && ours && size > old.size &&
	    memchr_inv(p + old.size, 0, size - old.size))
		complain(a, item, "what was added is not zero");
	if (!ours)
		item->zeroed = false;
	item_fill(a, item);
}

/* One of a private heap, too. */
static void step_free(struct actor *a, struct item *item)
{
	struct manner m;

	manner_begin(a, &m);
	item_free(item);
	manner_end(&m);
}

static void free_by(struct actor *a, struct item *item, void (*fn)(const void *p))
{
	struct manner m;

	manner_begin(a, &m);
	fn(item->p);
	manner_end(&m);
	item_clear(item);
}

static void step_wipe(struct actor *a, struct item *item)
{
	free_by(a, item, pyfree_sensitive);
}

static void step_free_nolock(struct actor *a, struct item *item)
{
	free_by(a, item, pyfree_nolock);
}

static void step_keep(struct actor *a, struct item *item)
{
}

/*
 * Many at once
 */

/* Interrupts are not to be kept that long. */
static u32 pick_number(struct actor *a)
{
	return 1 + chance(a, a->context == IN_TASK ? BUNCH : BUNCH / 8);
}

/* What the item in hand has goes to @pointers; a private heap's does not. */
static bool vacate_hand(struct actor *a, unsigned int *nr)
{
	struct item *item = a->hand;

	if (smp_load_acquire(&item->heap))	/* as heap_enter_of() */
		return false;
	if (item->p) {
		item_check(a, item);
		a->pointers[(*nr)++] = item->p;
		item->p = NULL;
	}
	return true;
}

static void free_pointers(struct actor *a, unsigned int nr)
{
	struct manner m;

	manner_begin(a, &m);
	pyfree_bulk(nr, a->pointers);
	manner_end(&m);
}

static void step_bulk_alloc(struct actor *a, struct item *item)
{
	unsigned int i, tries, n = pick_number(a), placed = 0, nr = 0;
	u32 size = pick_size(a);
	bool zeroed = !chance(a, 4);
	struct manner m;

	manner_begin(a, &m);
	i = pyalloc_bulk(size, m.gfp | (zeroed ? __GFP_ZERO : 0), n, a->pointers);
	manner_end(&m);
	if (i != n) {
		item->size = size;
		refused(a, item, i || m.must);
		return;
	}
	for (i = 0; i < n; i++) {
		item = &a->bunch[i];
		*item = (struct item){ .p = a->pointers[i], .zeroed = zeroed };
		item_new(a, item, size);
		if (!size)
			continue;
		if (zeroed && !item_is_zero(item))
			complain(a, item, "not zeroed");
		item_fill(a, item);
	}
	/* Some go into the table; the others are freed, with what was in their way. */
	for (tries = chance(a, n + 1); tries; tries--) {
		if (vacate_hand(a, &nr))	/* is of no heap, and nor are these */
			memcpy(a->hand, &a->bunch[placed++],
			       offsetof(struct item, heap));
		exchange(a, chance(a, slots));
	}
	for (i = placed; i < n; i++) {
		item_check(a, &a->bunch[i]);
		a->pointers[nr++] = a->bunch[i].p;
	}
	free_pointers(a, nr);
}

static void step_bulk_free(struct actor *a, struct item *item)
{
	unsigned int tries, nr = 0;

	for (tries = pick_number(a); tries; tries--) {
		vacate_hand(a, &nr);
		exchange(a, chance(a, slots));
	}
	free_pointers(a, nr);
}

/*
 * The table
 */

static const struct op ops[] = {
	{ "alloc", EMPTY, 68, 17, .alloc = by_alloc },
	{ "zalloc", EMPTY, 14, 4, .alloc = by_zalloc, .zeroed = true },
	{ "calloc", EMPTY, 7, 2, .alloc = by_calloc, .zeroed = true },
	{ "constant", EMPTY, 10, 3, .alloc = by_constant },
	{ "kmalloc", EMPTY, 4, 1, .alloc = by_kmalloc },
	{ "alloc by realloc", EMPTY, 7, 2, .alloc = by_realloc },
	{ "nolock alloc", EMPTY, 8, 2, .hardirq = true, .may_fail = true, .alloc = by_nolock },
	{ "nolock zalloc", EMPTY, 4, 1, .hardirq = true, .may_fail = true, .alloc = by_nolock,
	  .zeroed = true },
	{ "heap alloc", EMPTY, 20, 4, .of_heap = true, .alloc = by_heap },
	{ "heap calloc", EMPTY, 5, 1, .of_heap = true, .alloc = by_heap_calloc, .zeroed = true },
	{ "heap alloc by realloc", EMPTY, 3, 1, .of_heap = true, .alloc = by_heap_realloc },
	{ "bulk alloc", EMPTY, 1, 0, .step = step_bulk_alloc },
	{ "publish", EMPTY, 6, 6, .step = step_publish },
	{ "publish slowly", EMPTY, 2, 2, .task = true, .step = step_publish_slowly },
	{ "look", EMPTY, 6, 6, .hardirq = true, .step = step_look },
	{ "empty", EMPTY, 0, 120, .hardirq = true, .step = step_keep },

	{ "free", FULL, 40, 120, .step = step_free },
	{ "sensitive", FULL, 4, 10, .step = step_wipe },
	{ "nolock free", FULL, 6, 20, .hardirq = true, .step = step_free_nolock },
	{ "bulk free", FULL, 0, 2, .step = step_bulk_free },
	{ "realloc", FULL, 110, 30, .step = step_realloc },
	{ "kept", FULL, 20, 20, .hardirq = true, .step = step_keep },

	{ "heap free", OF_HEAP, 4, 12, .step = step_free },
	{ "heap realloc", OF_HEAP, 10, 3, .step = step_realloc },
	{ "heap kept", OF_HEAP, 2, 2, .hardirq = true, .step = step_keep },
};

static_assert(ARRAY_SIZE(ops) <= NR_OPS_MAX);

const char *op_name(unsigned int op)
{
	return op < ARRAY_SIZE(ops) ? ops[op].name : NULL;
}

static u32 weight(const struct actor *a, const struct op *op, enum kind of,
		  bool ebb)
{
	if (op->of != of || (op->task && a->context != IN_TASK) ||
	    (a->context == IN_HARDIRQ && !op->hardirq))
		return 0;
	return ebb ? op->go : op->come;
}

static const struct op *pick_op(struct actor *a, enum kind kind)
{
	bool ebb = a->steps / TIDE_STEPS & 1;
	const struct op *op;
	u32 sum = 0, left;

	for (op = ops; op < ops + ARRAY_SIZE(ops); op++)
		sum += weight(a, op, kind, ebb);
	left = chance(a, sum);
	for (op = ops; left >= weight(a, op, kind, ebb); op++)
		left -= weight(a, op, kind, ebb);
	return op;
}

static void act(struct actor *a)
{
	struct item *item = exchange(a, chance(a, slots));
	struct private_heap *heap = heap_enter_of(item);
	const struct op *op;

	a->steps++;
	if (IS_ERR(heap))
		return;
	if (item->p)
		item_check(a, item);
	op = pick_op(a, heap ? OF_HEAP : item->p ? FULL : EMPTY);
	a->op[op - ops]++;
	if (op->alloc)
		step_alloc(a, item, op);
	else
		op->step(a, item);
	if (heap)
		heap_exit(heap);
}

void step(struct actor *a)
{
	/* It has one hand: what is wrong then is this test. */
	if (xchg(&a->acting, 1)) {
		complain(a, &(const struct item){}, "an actor acts twice at once");
		return;
	}
	act(a);
	xchg(&a->acting, 0);
}
