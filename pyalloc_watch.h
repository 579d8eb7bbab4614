/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: who is told of each allocation and free. Tracepoints and the profiler share one
 * question with the wiping of memory, so that the fast paths ask nothing else.
 *
 * A part of pyalloc.c, and included there alone; see pyalloc_debugfs.h.
 */

/*
 * Is there more to do with a block than the fast paths do: wipe it, or tell of it? One
 * look at one key for all of that.
 */
static DEFINE_STATIC_KEY_MAYBE(CONFIG_INIT_ON_ALLOC_DEFAULT_ON, py_alloc_extra);
static DEFINE_STATIC_KEY_MAYBE(CONFIG_INIT_ON_FREE_DEFAULT_ON, py_free_extra);

static __always_inline bool extra_on_alloc(gfp_t gfp)
{
	return PY_ANNOTATE || py_tags_on() ||
	       static_branch_maybe(CONFIG_INIT_ON_ALLOC_DEFAULT_ON,
				   &py_alloc_extra) ||
	       (gfp & __GFP_ZERO);
}

static __always_inline bool extra_on_free(void)
{
	return PY_ANNOTATE || py_tags_on() ||
	       static_branch_maybe(CONFIG_INIT_ON_FREE_DEFAULT_ON,
				   &py_free_extra);
}

/* Is a block looked at, and maybe wiped, before it is freed? */
static __always_inline bool exit_on_free(void)
{
	return PY_ANNOTATE || py_tags_on() || want_init_on_free();
}

/* @more is 1, 0 or -1. */
static void key_count(struct static_key *key, int more)
{
	if (more > 0)
		static_key_slow_inc(key);
	else if (more < 0)
		static_key_slow_dec(key);
}

/*
 * The keys begin as the kernel is configured, and shall be as it was booted. Somebody may
 * be looking at tracepoints already, and be counted.
 */
static void __init extra_init(void)
{
	key_count(&py_alloc_extra.key, want_init_on_alloc(0) -
		  IS_ENABLED(CONFIG_INIT_ON_ALLOC_DEFAULT_ON));
	key_count(&py_free_extra.key, want_init_on_free() -
		  IS_ENABLED(CONFIG_INIT_ON_FREE_DEFAULT_ON));
}

/*
 * Is the profiler the only one for whom there is more to do? Then most calls need no more
 * than a look at whether they are to be recorded.
 */
static DEFINE_STATIC_KEY_FALSE(py_prof_on);
static DEFINE_STATIC_KEY_FALSE(py_prof_alone_alloc);
static DEFINE_STATIC_KEY_FALSE(py_prof_alone_free);
static DEFINE_MUTEX(watch_mutex);	/* of the keys */

/* @alone, if nobody but the profiler counts in @extra. */
static void alone_set(struct static_key *alone, struct static_key *extra)
{
	if (static_key_enabled(&py_prof_on) && static_key_count(extra) == 1 &&
	    !PY_ANNOTATE && !IS_ENABLED(CONFIG_MEM_ALLOC_PROFILING))
		static_key_enable(alone);
	else
		static_key_disable(alone);
}

static void alone_update(void)
{
	lockdep_assert_held(&watch_mutex);
	alone_set(&py_prof_alone_alloc.key, &py_alloc_extra.key);
	alone_set(&py_prof_alone_free.key, &py_free_extra.key);
}

static void trace_count(struct static_key *extra, int more)
{
	mutex_lock(&watch_mutex);
	key_count(extra, more);
	alone_update();
	mutex_unlock(&watch_mutex);
}

/* Somebody begins to look at the tracepoints of each call, and ends. */
int pyalloc_trace_alloc_on(void)
{
	trace_count(&py_alloc_extra.key, 1);
	return 0;
}

void pyalloc_trace_alloc_off(void)
{
	trace_count(&py_alloc_extra.key, -1);
}

int pyalloc_trace_free_on(void)
{
	trace_count(&py_free_extra.key, 1);
	return 0;
}

void pyalloc_trace_free_off(void)
{
	trace_count(&py_free_extra.key, -1);
}

/* ---- The profiler ------------------------------------------------------------ */

static void no_alloc(unsigned long ip, const void *p, size_t size, size_t given)
{
}

static void no_free(const void *p)
{
}

DEFINE_STATIC_CALL(py_prof_alloc, no_alloc);
DEFINE_STATIC_CALL(py_prof_free, no_free);

DEFINE_PER_CPU(int, py_prof_left);
EXPORT_PER_CPU_SYMBOL_GPL(py_prof_left);

atomic_t *py_prof_maybes;
EXPORT_SYMBOL_INTERNAL(py_prof_maybes);

/* A lost count, to an interrupt, does no harm. */
static __always_inline bool prof_comes_later(void)
{
	raw_cpu_dec(py_prof_left);
	return raw_cpu_read(py_prof_left) > 0;
}

/* Is there anything to do with a block that was taken out of its pool? */
static __always_inline bool wants_init(gfp_t gfp)
{
	return extra_on_alloc(gfp) &&
	       !(static_branch_unlikely(&py_prof_alone_alloc) &&
		 !(gfp & __GFP_ZERO) && prof_comes_later());
}

/* And before it is freed? */
static __always_inline bool wants_exit(const void *p)
{
	return extra_on_free() &&
	       !(static_branch_unlikely(&py_prof_alone_free) &&
		 !atomic_read(py_prof_maybe(p)));
}

static __always_inline void prof_alloc_now(unsigned long ip, const void *p,
					   size_t size, size_t given)
{
	preempt_disable();
	static_call(py_prof_alloc)(ip, p, size, given);
	preempt_enable();
}

/* At @ip somebody who asked for @size bytes got @given, at @p; or NULL. */
static __always_inline void prof_alloc(unsigned long ip, const void *p,
				       size_t size, size_t given)
{
	if (static_branch_unlikely(&py_prof_on) && !ZERO_OR_NULL_PTR(p) &&
	    !prof_comes_later())
		prof_alloc_now(ip, p, size, given);
}

/* The same, for whom wants_init() may have asked already. */
static __always_inline void prof_init(unsigned long ip, const void *p,
				      size_t size, size_t given, gfp_t gfp)
{
	if (static_branch_unlikely(&py_prof_on) &&
	    ((static_branch_unlikely(&py_prof_alone_alloc) &&
	      !(gfp & __GFP_ZERO)) || !prof_comes_later()))
		prof_alloc_now(ip, p, size, given);
}

/* @p is about to be freed; or NULL. */
static __always_inline void prof_free(const void *p)
{
	if (!static_branch_unlikely(&py_prof_on) || ZERO_OR_NULL_PTR(p))
		return;
	preempt_disable();
	if (atomic_read(py_prof_maybe(p)))
		static_call(py_prof_free)(p);
	preempt_enable();
}

/* The same, for whom wants_exit() may have asked already; preemption is off. */
static __always_inline void prof_exit(const void *p)
{
	if (static_branch_unlikely(&py_prof_on) &&
	    (static_branch_unlikely(&py_prof_alone_free) ||
	     atomic_read(py_prof_maybe(p))))
		static_call(py_prof_free)(p);
}

static bool prof_is_on(void)
{
	return static_branch_unlikely(&py_prof_on);
}

/* What kmalloc() had served. */
static void kfree_told(const void *p)
{
	if (debug_on() && debug_kfree(p, _RET_IP_))
		return;
	prof_free(p);
	kfree(p);
}

/* krealloc(). As soon as @p is free, it might be another's. */
static void *krealloc_told(unsigned long ip, const void *p, size_t size,
			   gfp_t gfp)
{
	void *new;

	if (!prof_is_on())
		return py_caller_s(krealloc)(p, size, gfp);
	prof_free(p);
	new = py_caller_s(krealloc)(p, size, gfp);
	if (new)
		prof_alloc(ip, new, size, ksize(new));
	else
		prof_alloc(ip, p, ksize(p), ksize(p));
	return new;
}

/* That of pyfree(), which must not get an instruction longer by it. */
DEFINE_STATIC_CALL(py_kfree, kfree);

static void py_kfree_update(void)
{
	if (static_key_enabled(&py_prof_on) || static_key_enabled(&py_debug_on))
		static_call_update(py_kfree, kfree_told);
	else
		static_call_update(py_kfree, kfree);
}

/* Heaps with debug hooks come and go, @more of them. */
static void debug_count(int more)
{
	mutex_lock(&watch_mutex);
	key_count(&py_debug_on.key, more);
	key_count(&py_free_extra.key, more);
	py_kfree_update();
	alone_update();
	mutex_unlock(&watch_mutex);
}

/**
 * pyalloc_prof_start() - begin to tell a profiler of allocations and frees
 * @prof: what to call
 * @sampled: whether few blocks are recorded, and py_prof_maybe() tells which may be
 *
 * Context: May sleep.
 * Return: 0; -EBUSY if there is one already; -ENOMEM.
 */
int pyalloc_prof_start(const struct py_prof *prof, bool sampled)
{
	int i, err = 0;

	mutex_lock(&watch_mutex);
	if (static_key_enabled(&py_prof_on))
		err = -EBUSY;
	/* Stays: a call may be looking at it whenever. */
	if (!py_prof_maybes)
		py_prof_maybes = kvcalloc(PY_PROF_MAYBE, sizeof(atomic_t),
					  GFP_KERNEL);
	if (!err && !py_prof_maybes)
		err = -ENOMEM;
	if (err)
		goto out;
	for (i = 0; i < PY_PROF_MAYBE; i++)
		atomic_set(&py_prof_maybes[i], !sampled);
	/* Last, whoever tells of allocations: each free of what it knows is told. */
	static_call_update(py_prof_free, prof->free);
	static_call_update(py_kfree, kfree_told);
	static_branch_enable(&py_prof_on);
	static_branch_inc(&py_free_extra);
	static_branch_inc(&py_alloc_extra);
	alone_update();
	static_call_update(py_prof_alloc, prof->alloc);
out:
	mutex_unlock(&watch_mutex);
	return err;
}
EXPORT_SYMBOL_INTERNAL(pyalloc_prof_start);

/**
 * pyalloc_prof_stop() - end what pyalloc_prof_start() began
 *
 * Context: May sleep; waits for those who are being told.
 */
void pyalloc_prof_stop(void)
{
	mutex_lock(&watch_mutex);
	static_call_update(py_prof_alloc, no_alloc);
	static_branch_disable(&py_prof_on);
	alone_update();
	static_branch_dec(&py_alloc_extra);
	static_branch_dec(&py_free_extra);
	py_kfree_update();
	static_call_update(py_prof_free, no_free);
	mutex_unlock(&watch_mutex);
	synchronize_rcu();
}
EXPORT_SYMBOL_INTERNAL(pyalloc_prof_stop);

/* ---- /proc/allocinfo ----------------------------------------------------------- */

#ifdef CONFIG_MEM_ALLOC_PROFILING
/* From the end of a pool downwards: for each block, who allocated it. */
static union codetag_ref *tag_of(const void *p, unsigned int class)
{
	const void *end = PTR_ALIGN_DOWN(p, PY_POOL_SIZE) + PY_POOL_SIZE;

	return (union codetag_ref *)end - 1 -
	       offset_in_page(p) / py_class_stride(class);
}

static void tag_free(const void *p, unsigned int class)
{
	union codetag_ref *tag = tag_of(p, class);

	if (tag->ct)
		alloc_tag_sub(tag, py_class_size(class));
}

/* alloc_hooks(), see pyalloc.h, has said who asks. */
static void tag_alloc(const void *p, unsigned int class)
{
	tag_free(p, class);	/* freed while nobody counted */
	if (current->alloc_tag)
		alloc_tag_add(tag_of(p, class), current->alloc_tag,
			      py_class_size(class));
}

/* Of a pool that has just been given a class. KASAN would not have it by memset(). */
static void tags_clear(const struct py_pool *pool)
{
	union codetag_ref *tag = py_pool_base(pool) + PY_POOL_SIZE;
	unsigned int i;

	for (i = py_class_blocks(pool->class); i; i--)
		WRITE_ONCE((--tag)->ct, NULL);
}
#else
static inline void tag_free(const void *p, unsigned int class)
{
}

static inline void tag_alloc(const void *p, unsigned int class)
{
}

static inline void tags_clear(const struct py_pool *pool)
{
}
#endif

/* ---- All of them --------------------------------------------------------------- */

/* A block was handed out by block_init(). */
static __always_inline void tell_init(unsigned long ip, const void *p,
				      size_t size, size_t given, gfp_t gfp)
{
	prof_init(ip, p, size, given, gfp);
	trace_pyalloc_alloc(ip, p, size, given, gfp);
}

/* By kmalloc(), which was asked instead. */
static __always_inline void tell_fall(unsigned long ip, const void *p,
				      size_t size, gfp_t gfp,
				      enum py_reason why)
{
	if (prof_is_on()) {
		prof_free(p);		/* somebody may have called kfree() */
		prof_alloc(ip, p, size, kmalloc_size_roundup(size));
	}
	trace_pyalloc_fall(ip, p, size, gfp, why);
}
