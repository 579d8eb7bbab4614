/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: what is built upon pyalloc() and pyfree() and needs nothing of the
 * allocator: copies, frees after a grace period, devices' memory, mempools.
 *
 * A part of pyalloc.c, as pyalloc_debugfs.h is.
 */

/* ---- Copies -------------------------------------------------------------------- */

/* Call sites, here and below, are those of the functions that copy for others. */
static void *copy_at(const void *src, size_t len, gfp_t gfp, unsigned long ip)
{
	void *p = alloc_at(len, gfp, ip);

	return p ? memcpy(p, src, len) : NULL;
}

static char *copy_nul_at(const char *src, size_t len, gfp_t gfp, unsigned long ip)
{
	char *p = alloc_at(len + 1, gfp, ip);

	if (p) {
		memcpy(p, src, len);
		p[len] = 0;
	}
	return p;
}

/**
 * pymemdup() - copy memory into new memory
 * @src: what is copied
 * @len: bytes
 * @gfp: allocation flags
 *
 * The peer of kmemdup().
 *
 * Context: As pyalloc().
 * Return: As pyalloc().
 */
void *pymemdup(const void *src, size_t len, gfp_t gfp)
{
	return copy_at(src, len, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(pymemdup);

/**
 * pystrdup() - copy a string into new memory
 * @s: the string, or NULL
 * @gfp: allocation flags
 *
 * The peer of kstrdup().
 *
 * Context: As pyalloc().
 * Return: The copy; NULL if @s is, or where kmalloc() would have failed too.
 */
char *pystrdup(const char *s, gfp_t gfp)
{
	return s ? copy_nul_at(s, strlen(s), gfp, _RET_IP_) : NULL;
}
EXPORT_SYMBOL_GPL(pystrdup);

/**
 * pymemdup_nul() - copy characters into new memory, and end them with a NUL
 * @src: the characters, or NULL
 * @len: how many
 * @gfp: allocation flags
 *
 * The peer of kmemdup_nul().
 *
 * Context: As pyalloc().
 * Return: The copy, terminated; NULL if @src is, or where kmalloc() would have
 * failed too.
 */
char *pymemdup_nul(const char *src, size_t len, gfp_t gfp)
{
	return src ? copy_nul_at(src, len, gfp, _RET_IP_) : NULL;
}
EXPORT_SYMBOL_GPL(pymemdup_nul);

/**
 * pystrndup() - copy a string, or the beginning of it, into new memory
 * @s: the string, or NULL
 * @max: at most so many characters of it
 * @gfp: allocation flags
 *
 * The peer of kstrndup().
 *
 * Context: As pyalloc().
 * Return: The copy, terminated; NULL if @s is, or where kmalloc() would have
 * failed too.
 */
char *pystrndup(const char *s, size_t max, gfp_t gfp)
{
	return s ? copy_nul_at(s, strnlen(s, max), gfp, _RET_IP_) : NULL;
}
EXPORT_SYMBOL_GPL(pystrndup);

static __printf(2, 0) char *vasprintf_at(gfp_t gfp, const char *fmt, va_list ap,
					 unsigned long ip)
{
	va_list again;
	char *p;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	p = alloc_at(len + 1, gfp, ip);
	if (p)
		WARN_ONCE(vsnprintf(p, len + 1, fmt, ap) != len,
			  "pyalloc: what \"%s\" shows has changed\n", fmt);
	return p;
}

/**
 * pyvasprintf() - format a string into new memory
 * @gfp: allocation flags
 * @fmt: the format
 * @ap: its arguments
 *
 * The peer of kvasprintf().
 *
 * Context: As pyalloc().
 * Return: The string; NULL where kmalloc() would have failed too.
 */
char *pyvasprintf(gfp_t gfp, const char *fmt, va_list ap)
{
	return vasprintf_at(gfp, fmt, ap, _RET_IP_);
}
EXPORT_SYMBOL_GPL(pyvasprintf);

/**
 * pyasprintf() - format a string into new memory
 * @gfp: allocation flags
 * @fmt: the format
 * @...: its arguments
 *
 * The peer of kasprintf().
 *
 * Context: As pyalloc().
 * Return: As pyvasprintf().
 */
char *pyasprintf(gfp_t gfp, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = vasprintf_at(gfp, fmt, ap, _RET_IP_);
	va_end(ap);
	return p;
}
EXPORT_SYMBOL_GPL(pyasprintf);

/**
 * pykvfree() - free memory that may be of vmalloc()
 * @p: what pyalloc() or one of its kin, kmalloc(), vmalloc() or kvmalloc() returned,
 * or NULL
 *
 * The peer of kvfree().
 *
 * Context: As kvfree(): if it is vmalloc()'s, not under a spinlock.
 */
void pykvfree(const void *p)
{
	if (py_is_ours(p)) {
		free_for_caller(p);
		return;
	}
	if (debug_on() && debug_free(&py_default, p, _RET_IP_))
		return;
	prof_free(p);
	kvfree(p);
}
EXPORT_SYMBOL_GPL(pykvfree);

/**
 * pykvfree_atomic() - free memory that may be of vmalloc(), without sleeping
 * @p: as for pykvfree()
 *
 * The peer of kvfree_atomic(), on kernels too that have none.
 *
 * Context: As pyfree(); before 7.3 as kvfree() if it is vmalloc()'s.
 */
void pykvfree_atomic(const void *p)
{
	if (py_is_ours(p)) {
		free_for_caller(p);
		return;
	}
	if (debug_on() && debug_free(&py_default, p, _RET_IP_))
		return;
	prof_free(p);
	py_kvfree_atomic(p);
}
EXPORT_SYMBOL_GPL(pykvfree_atomic);

/**
 * pykvfree_sensitive() - wipe and free memory that may be of vmalloc()
 * @p: as for pykvfree()
 * @len: bytes to wipe
 *
 * The peer of kvfree_sensitive().
 *
 * Context: As pykvfree().
 */
void pykvfree_sensitive(const void *p, size_t len)
{
	if (ZERO_OR_NULL_PTR(p))
		return;
	if (debug_on() && debug_wipe(p, len)) {
		pykvfree(p);
		return;
	}
	if (!py_is_ours(p))
		memzero_explicit((void *)p, len);
	else if (!block_wipe(p))
		return;
	pykvfree(p);
}
EXPORT_SYMBOL_GPL(pykvfree_sensitive);

/* ---- After a grace period --------------------------------------------------------- */

/*
 * What is to be freed hangs on a list of the CPU by its rcu_head, whose function
 * is the block itself, or with PY_RCU_HOLDER one that holds the pointer. A worker
 * takes all lists, waits for a grace period, frees; what comes meanwhile waits
 * for the next, so the more there is, the more share one.
 */
#define PY_RCU_HOLDER	1UL

struct py_rcu_holder {
	struct rcu_head rcu;
	const void *p;
};

static struct {
	int armed;
	struct irq_work kick;
	struct work_struct work;
} py_rcu;

static_assert(offsetof(struct rcu_head, next) == 0 &&
	      sizeof(struct llist_node) <= sizeof_field(struct rcu_head, next));

/* Module exit: nobody adds anything any more. */
static void rcu_stop(void)
{
	irq_work_sync(&py_rcu.kick);
	flush_work(&py_rcu.work);
}

static void rcu_free(struct rcu_head *head)
{
	unsigned long p = (unsigned long)head->func;

	if (p & PY_RCU_HOLDER) {
		struct py_rcu_holder *holder = (void *)(p - PY_RCU_HOLDER);

		pykvfree(holder->p);
		pyfree(holder);
	} else {
		pykvfree((void *)p);
	}
}

static void rcu_work(struct work_struct *work)
{
	struct llist_node *list = NULL, *next, *some, *last;
	unsigned int cpu;

	WRITE_ONCE(py_rcu.armed, 0);
	smp_mb();	/* pairs with rcu_arm(): the lists are looked at after that */
	for_each_possible_cpu(cpu) {
		some = llist_del_all(&per_cpu(py_cpu, cpu).rcu);
		if (!some)
			continue;
		for (last = some; last->next; last = last->next)
			;
		last->next = list;
		list = some;
	}
	if (!list)
		return;
	synchronize_rcu();
	for (; list; list = next) {
		next = list->next;
		rcu_free((struct rcu_head *)list);
		cond_resched();
	}
}

/* From irq_work: who frees may hold any lock. */
static void rcu_kick(struct irq_work *work)
{
	queue_work(py_reaper.wq, &py_rcu.work);
}

/* For pyfree_rcu(). */
void __pyfree_rcu(struct rcu_head *head, void *p)
{
	head->func = (rcu_callback_t)p;
	preempt_disable();
	llist_add((struct llist_node *)head, &this_cpu_ptr(&py_cpu)->rcu);
	preempt_enable();
	smp_mb();	/* pairs with rcu_work() */
	if (!READ_ONCE(py_rcu.armed) && !xchg(&py_rcu.armed, 1))
		irq_work_queue(&py_rcu.kick);
}
EXPORT_SYMBOL_GPL(__pyfree_rcu);

/**
 * pyfree_rcu_mightsleep() - free memory without an rcu_head after a grace period
 * @p: as for pykvfree()
 *
 * The peer of kvfree_rcu_mightsleep(). Waits for the grace period itself only if
 * there is no memory to remember @p.
 *
 * Context: May sleep.
 */
void pyfree_rcu_mightsleep(const void *p)
{
	struct py_rcu_holder *holder;

	might_sleep();
	if (ZERO_OR_NULL_PTR(p))
		return;
	holder = pyalloc(sizeof(*holder), GFP_KERNEL | __GFP_NORETRY |
					  __GFP_NOWARN);
	if (!holder) {
		synchronize_rcu();
		pykvfree(p);
		return;
	}
	holder->p = p;
	__pyfree_rcu(&holder->rcu, (void *)holder + PY_RCU_HOLDER);
}
EXPORT_SYMBOL_GPL(pyfree_rcu_mightsleep);

/* ---- Owners that free by themselves ------------------------------------------------- */

/* What a device remembers. */
struct devm_block {
	void *p;
};

static void devm_block_release(struct device *dev, void *res)
{
	pyfree(((struct devm_block *)res)->p);
}

static int devm_block_match(struct device *dev, void *res, void *p)
{
	return READ_ONCE(((struct devm_block *)res)->p) == p;
}

static void *devm_alloc_at(struct device *dev, size_t size, gfp_t gfp,
			   unsigned long ip)
{
	struct devm_block *block;
	void *p;

	if (!size)
		return ZERO_SIZE_PTR;
	block = devres_alloc(devm_block_release, sizeof(*block), gfp);
	if (!block)
		return NULL;
	p = alloc_at(size, gfp, ip);
	if (!p) {
		devres_free(block);
		return NULL;
	}
	block->p = p;
	devres_add(dev, block);
	return p;
}

/**
 * devm_pyalloc() - allocate memory that goes with a device
 * @dev: the device
 * @size: bytes wanted
 * @gfp: allocation flags
 *
 * The peer of devm_kmalloc(): freed when the driver is detached from @dev.
 *
 * Context: As pyalloc().
 * Return: As pyalloc(); NULL if there is no memory to remember it, too.
 */
void *devm_pyalloc(struct device *dev, size_t size, gfp_t gfp)
{
	return devm_alloc_at(dev, size, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(devm_pyalloc);

/**
 * devm_pyrealloc() - change the size of memory that goes with a device
 * @dev: the device
 * @p: what devm_pyalloc() or one of its kin, or devm_kmalloc() or one of its kin,
 * returned for it, or NULL
 * @new_size: bytes wanted
 * @gfp: allocation flags
 *
 * The peer of devm_krealloc(). What is devm_kmalloc()'s stays its.
 *
 * Context: As pyalloc().
 * Return: As pyrealloc(); NULL, and @p as it was, if there is no memory.
 */
void *devm_pyrealloc(struct device *dev, void *p, size_t new_size, gfp_t gfp)
{
	struct devm_block *block;
	void *new;

	if (ZERO_OR_NULL_PTR(p))
		return devm_alloc_at(dev, new_size, gfp, _RET_IP_);
	if (!new_size) {
		devm_pyfree(dev, p);
		return ZERO_SIZE_PTR;
	}
	/* Where it stands among what @dev has decides what is released before it. */
	block = devres_find(dev, devm_block_release, devm_block_match, p);
	if (!block)
		return devm_krealloc(dev, p, new_size, gfp);
	/* If it moves, somebody else may have @p, and look for it, before we know. */
	WRITE_ONCE(block->p, NULL);
	new = realloc_at(p, new_size, gfp, _RET_IP_);
	WRITE_ONCE(block->p, new ?: p);
	return new;
}
EXPORT_SYMBOL_GPL(devm_pyrealloc);

/**
 * devm_pyfree() - free memory that goes with a device before it goes
 * @dev: the device
 * @p: as for devm_pyrealloc()
 *
 * The peer of devm_kfree(), to which it leaves what is devm_kmalloc()'s.
 *
 * Context: As pyfree().
 */
void devm_pyfree(struct device *dev, const void *p)
{
	if (ZERO_OR_NULL_PTR(p))
		return;
	if (devres_release(dev, devm_block_release, devm_block_match, (void *)p))
		devm_kfree(dev, p);
}
EXPORT_SYMBOL_GPL(devm_pyfree);

/**
 * mempool_pyalloc() - alloc function of a mempool over pyalloc
 * @gfp: allocation flags
 * @size: bytes of an element, as the mempool's pool_data
 *
 * The peer of mempool_kmalloc().
 *
 * Context: As pyalloc().
 * Return: As pyalloc().
 */
void *mempool_pyalloc(gfp_t gfp, void *size)
{
	return alloc_at((size_t)size, gfp, _RET_IP_);
}
EXPORT_SYMBOL_GPL(mempool_pyalloc);

/**
 * mempool_pyfree() - free function of a mempool over pyalloc
 * @element: what mempool_pyalloc() returned
 * @size: not used
 *
 * The peer of mempool_kfree().
 *
 * Context: As pyfree().
 */
void mempool_pyfree(void *element, void *size)
{
	free_for_caller(element);
}
EXPORT_SYMBOL_GPL(mempool_pyfree);
