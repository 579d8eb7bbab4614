/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: every difference between the supported kernels (6.1, 6.12, 7.x).
 * No other file tests a kernel version.
 */
#ifndef PYALLOC_COMPAT_H
#define PYALLOC_COMPAT_H

#include <linux/err.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/shrinker.h>
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

#endif /* PYALLOC_COMPAT_H */
