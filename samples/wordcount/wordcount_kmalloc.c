// SPDX-License-Identifier: GPL-2.0
/*
 * wordcount over kmalloc(), to compare. The module does not use pyalloc.ko:
 * the header comes first, so that the names below change only the sample.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <pyalloc.h>

#undef pyalloc
#define pyalloc(size, gfp)	kmalloc(size, gfp)
#define pyfree(p)		kfree(p)
#define pysize(p)		ksize(p)

#include "wordcount.c"
