/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: every difference between the supported kernels (6.1, 6.12, 7.x) and
 * between what they may be built with. No other file tests a kernel version.
 */
#ifndef PYALLOC_COMPAT_H
#define PYALLOC_COMPAT_H

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/kasan-checks.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/stringify.h>
#include <linux/version.h>

/* 6.13 made the namespace of a symbol a string. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define EXPORT_SYMBOL_INTERNAL(sym)	EXPORT_SYMBOL_NS_GPL(sym, "PYALLOC_INTERNAL")
#define PY_IMPORT_NS(ns)	MODULE_IMPORT_NS(__stringify(ns))
#else
#define EXPORT_SYMBOL_INTERNAL(sym)	EXPORT_SYMBOL_NS_GPL(sym, PYALLOC_INTERNAL)
#define PY_IMPORT_NS(ns)	MODULE_IMPORT_NS(ns)
#endif

/* kasan_poison() is exported everywhere and declared for mm/ alone. */
#ifdef CONFIG_KASAN_GENERIC
void kasan_poison(const void *addr, size_t size, u8 value, bool init);
#else
static inline void kasan_poison(const void *addr, size_t size, u8 value,
				bool init)
{
}

#endif

/*
 * A field of the py_cpu of this CPU, which @c points to; or an entry of an array
 * in it. x86 can address them without the pointer.
 */
#if defined(CONFIG_X86) && !defined(CONFIG_UML)
#define here_get(c, f)		((void)(c), __this_cpu_read(py_cpu.f))
#define here_get_at(c, f, i)	((void)(c), __this_cpu_read(*(py_cpu.f + (i))))
#define here_set(c, f, value)	((void)(c), __this_cpu_write(py_cpu.f, value))
#else
#define here_get(c, f)		((c)->f)
#define here_get_at(c, f, i)	(*((c)->f + (i)))
#define here_set(c, f, value)	((c)->f = (value))
#endif

/*
 * Fault injection: the kernel's attributes, or as many of them where it was
 * built without. Their files are described in the kernel's
 * Documentation/fault-injection/fault-injection.rst.
 */
#ifdef CONFIG_FAULT_INJECTION
#include <linux/fault-inject.h>

#define py_fault_attr	fault_attr

/* Not verbose: who wants the stack of each fault sets "verbose". */
#define PY_FAULT_INIT							\
	{								\
		.interval = 1,						\
		.times = ATOMIC_INIT(1),				\
		.ratelimit_state = RATELIMIT_STATE_INIT_DISABLED,	\
	}

static inline bool py_should_fail(struct fault_attr *attr)
{
	return should_fail(attr, 1);
}

static inline void py_fault_debugfs(struct fault_attr *attr,
				    struct dentry *parent)
{
	fault_create_debugfs_attr("fail", parent, attr);
}
#else
struct py_fault_attr {
	unsigned long probability;	/* percent */
	unsigned long interval;		/* one in so many */
	unsigned long count;
	atomic_t times;			/* at most so often; -1: always */
	atomic_t space;			/* not the first of so many */
};

#define PY_FAULT_INIT							\
	{								\
		.interval = 1,						\
		.times = ATOMIC_INIT(1),				\
	}

static inline bool py_should_fail(struct py_fault_attr *attr)
{
	if (!READ_ONCE(attr->probability) || !atomic_read(&attr->times))
		return false;
	if (atomic_add_unless(&attr->space, -1, 0) &&
	    atomic_read(&attr->space))
		return false;
	if (attr->interval > 1 && ++attr->count % attr->interval)
		return false;
	if (attr->probability <= get_random_u32() % 100)
		return false;
	atomic_dec_if_positive(&attr->times);
	return true;
}

static inline void py_fault_debugfs(struct py_fault_attr *attr,
				    struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir("fail", parent);

	debugfs_create_ulong("probability", 0600, dir, &attr->probability);
	debugfs_create_ulong("interval", 0600, dir, &attr->interval);
	debugfs_create_atomic_t("times", 0600, dir, &attr->times);
	debugfs_create_atomic_t("space", 0600, dir, &attr->space);
}
#endif

/*
 * /proc/allocinfo, which 6.10 brought, counts by call site: ours is that of our caller.
 * Each block has a word more, behind all blocks of its pool, for whose it is.
 */
#ifdef CONFIG_MEM_ALLOC_PROFILING
#include <linux/alloc_tag.h>
#define PY_TAG_BYTES	sizeof(union codetag_ref)
#define py_tags_on()	mem_alloc_profiling_enabled()
#define py_caller_s(fn)	fn##_noprof
#else
#define PY_TAG_BYTES	0
#define py_tags_on()	false
#define py_caller_s(fn)	fn
#endif

/* 6.18 has a kmalloc() for any context; on others there is nothing to be had. */
static inline void *py_kmalloc_nolock(size_t size, gfp_t gfp)
{
#ifdef kmalloc_nolock
	gfp &= __GFP_ZERO | __GFP_ACCOUNT;
	return py_caller_s(kmalloc_nolock)(size, gfp, NUMA_NO_NODE);
#else
	return NULL;
#endif
}

/* 6.7 made shrinkers objects that are allocated. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *
py_shrinker_add(unsigned long (*count)(struct shrinker *s,
				       struct shrink_control *sc),
		unsigned long (*scan)(struct shrinker *s,
				      struct shrink_control *sc))
{
	struct shrinker *s = shrinker_alloc(0, "pyalloc");

	if (!s)
		return ERR_PTR(-ENOMEM);
	s->count_objects = count;
	s->scan_objects = scan;
	shrinker_register(s);
	return s;
}

static inline void py_shrinker_remove(struct shrinker *s)
{
	shrinker_free(s);
}
#else
static inline struct shrinker *
py_shrinker_add(unsigned long (*count)(struct shrinker *s,
				       struct shrink_control *sc),
		unsigned long (*scan)(struct shrinker *s,
				      struct shrink_control *sc))
{
	static struct shrinker s = { .seeks = DEFAULT_SEEKS };
	int err;

	s.count_objects = count;
	s.scan_objects = scan;
	err = register_shrinker(&s, "pyalloc");
	return err ? ERR_PTR(err) : &s;
}

static inline void py_shrinker_remove(struct shrinker *s)
{
	unregister_shrinker(s);
}
#endif

/* 6.10 knows from TP_STRUCT__entry what the string is. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define py_assign_str(field, src)	do { (void)(src); __assign_str(field); } while (0)
#else
#define py_assign_str(field, src)	__assign_str(field, src)
#endif

/* Before 7.3 nobody can free memory of vmalloc() under a spinlock. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define py_kvfree_atomic	kvfree_atomic
#else
#define py_kvfree_atomic	kvfree
#endif

/*
 * For the tests, which include <kunit/test.h> first. A warning that a test
 * provokes can be kept out of the log since 7.x; before, who reads the log must
 * expect it.
 */
#ifdef kunit_warning_suppress
#define PY_SUPPRESS_WARN(test)	kunit_warning_suppress(test)
#else
#define PY_SUPPRESS_WARN(test)
#endif

/* 6.13 made one call of hrtimer_init() and the assignment of the function. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define py_hrtimer_setup(timer, fn, clock, mode) do {		\
	struct hrtimer *__timer = (timer);			\
								\
	hrtimer_init(__timer, clock, mode);			\
	__timer->function = (fn);				\
} while (0)
#else
#define py_hrtimer_setup	hrtimer_setup
#endif

/* Since 6.14 kthread_create_worker() leaves it to the caller to wake it. */
#ifndef kthread_run_worker
#define kthread_run_worker	kthread_create_worker
#endif

/* 6.7 made it for files that are written, too; what is written goes to NAME_write(). */
#ifndef DEFINE_SHOW_STORE_ATTRIBUTE
#define DEFINE_SHOW_STORE_ATTRIBUTE(name)				\
static int name##_open(struct inode *inode, struct file *file)		\
{									\
	return single_open(file, name##_show, inode->i_private);	\
}									\
									\
static const struct file_operations name##_fops = {			\
	.owner = THIS_MODULE,						\
	.open = name##_open,						\
	.read = seq_read,						\
	.write = name##_write,						\
	.llseek = seq_lseek,						\
	.release = single_release,					\
}
#endif

#endif /* PYALLOC_COMPAT_H */
