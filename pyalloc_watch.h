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
	return PY_ANNOTATE ||
	       static_branch_maybe(CONFIG_INIT_ON_ALLOC_DEFAULT_ON,
				   &py_alloc_extra) ||
	       (gfp & __GFP_ZERO);
}

static __always_inline bool extra_on_free(void)
{
	return PY_ANNOTATE ||
	       static_branch_maybe(CONFIG_INIT_ON_FREE_DEFAULT_ON,
				   &py_free_extra);
}

/* Is a block looked at, and maybe wiped, before it is freed? */
static __always_inline bool exit_on_free(void)
{
	return PY_ANNOTATE || want_init_on_free();
}

/* The keys begin as the kernel is configured, and shall be as it was booted. */
static void __init extra_init(void)
{
	bool alloc = want_init_on_alloc(0), free = want_init_on_free();

	if (alloc && !static_key_enabled(&py_alloc_extra))
		static_branch_inc(&py_alloc_extra);
	else if (!alloc && static_key_enabled(&py_alloc_extra))
		static_branch_dec(&py_alloc_extra);
	if (free && !static_key_enabled(&py_free_extra))
		static_branch_inc(&py_free_extra);
	else if (!free && static_key_enabled(&py_free_extra))
		static_branch_dec(&py_free_extra);
}

/* Somebody begins to look at the tracepoints of each call, and ends. */
int pyalloc_trace_alloc_on(void)
{
	static_branch_inc(&py_alloc_extra);
	return 0;
}

void pyalloc_trace_alloc_off(void)
{
	static_branch_dec(&py_alloc_extra);
}

int pyalloc_trace_free_on(void)
{
	static_branch_inc(&py_free_extra);
	return 0;
}

void pyalloc_trace_free_off(void)
{
	static_branch_dec(&py_free_extra);
}

/* ---- The profiler ------------------------------------------------------------ */

static DEFINE_STATIC_KEY_FALSE(py_prof_on);
static const struct py_prof *py_prof;	/* looked at with preemption off */

DEFINE_PER_CPU(int, py_prof_left);
EXPORT_SYMBOL_INTERNAL(py_prof_left);

static noinline void prof_alloc_now(unsigned long ip, const void *p,
				    size_t size, size_t given)
{
	const struct py_prof *prof;

	preempt_disable();
	prof = READ_ONCE(py_prof);
	if (prof)
		prof->alloc(ip, p, size, given);
	preempt_enable();
}

/* At @ip somebody who asked for @size bytes got @given, at @p; or NULL. */
static __always_inline void prof_alloc(unsigned long ip, const void *p,
				       size_t size, size_t given)
{
	if (static_branch_unlikely(&py_prof_on) && !ZERO_OR_NULL_PTR(p) &&
	    raw_cpu_dec_return(py_prof_left) <= 0)	/* a lost one does no harm */
		prof_alloc_now(ip, p, size, given);
}

/* @p is about to be freed. */
static __always_inline void prof_free(const void *p)
{
	const struct py_prof *prof;

	if (!static_branch_unlikely(&py_prof_on))
		return;
	preempt_disable();
	prof = READ_ONCE(py_prof);
	if (prof && atomic_read(prof->maybe + py_prof_hash(p, prof->bits)))
		prof->free(p);
	preempt_enable();
}

static bool prof_is_on(void)
{
	return static_branch_unlikely(&py_prof_on);
}

/* What kmalloc() had served. */
static void kfree_told(const void *p)
{
	prof_free(p);
	kfree(p);
}

/* krealloc(). As soon as @p is free, it might be another's. */
static void *krealloc_told(unsigned long ip, const void *p, size_t size,
			   gfp_t gfp)
{
	void *new;

	prof_free(p);
	new = krealloc(p, size, gfp);
	if (new)
		prof_alloc(ip, new, size, ksize(new));
	else
		prof_alloc(ip, p, ksize(p), ksize(p));
	return new;
}

/* That of pyfree(), which must not get an instruction longer by it. */
DEFINE_STATIC_CALL(py_kfree, kfree);

/**
 * pyalloc_prof_start() - begin to tell a profiler of allocations and frees
 * @prof: what to call; the caller's until pyalloc_prof_stop() returned
 *
 * Context: May sleep.
 * Return: 0; -EBUSY if there is one already.
 */
int pyalloc_prof_start(const struct py_prof *prof)
{
	if (cmpxchg(&py_prof, NULL, prof))
		return -EBUSY;
	static_branch_enable(&py_prof_on);
	static_call_update(py_kfree, kfree_told);
	static_branch_inc(&py_free_extra);
	static_branch_inc(&py_alloc_extra);
	return 0;
}
EXPORT_SYMBOL_INTERNAL(pyalloc_prof_start);

/**
 * pyalloc_prof_stop() - end what pyalloc_prof_start() began
 *
 * Context: May sleep; waits for those who are being told.
 */
void pyalloc_prof_stop(void)
{
	static_branch_dec(&py_alloc_extra);
	static_branch_dec(&py_free_extra);
	static_call_update(py_kfree, kfree);
	static_branch_disable(&py_prof_on);
	WRITE_ONCE(py_prof, NULL);
	synchronize_rcu();
}
EXPORT_SYMBOL_INTERNAL(pyalloc_prof_stop);

/* ---- Both ---------------------------------------------------------------------- */

/* A block was handed out. */
static __always_inline void tell_alloc(unsigned long ip, const void *p,
				       size_t size, size_t given, gfp_t gfp)
{
	prof_alloc(ip, p, size, given);
	trace_pyalloc_alloc(ip, p, size, given, gfp);
}

/* kmalloc() was asked instead. */
static __always_inline void tell_fall(unsigned long ip, const void *p,
				      size_t size, gfp_t gfp,
				      enum py_reason why)
{
	prof_alloc(ip, p, size, kmalloc_size_roundup(size));
	trace_pyalloc_fall(ip, p, size, gfp, why);
}
