/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: for a source file that is to use pyalloc and says kmalloc. Included last, it
 * makes the file's kmalloc family pyalloc's, function pointers and __free() included.
 *
 * What cannot be moved by a change of name alone does not compile, and says what to
 * write instead. What it cannot see is memory that leaves the file: see
 * Documentation/porting.rst.
 */
#ifndef PYALLOC_KMALLOC_H
#define PYALLOC_KMALLOC_H

#include <linux/device.h>
#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pyalloc.h"

/*
 * Names, not calls: "kfree" alone may be a callback. On kernels that profile
 * allocations most of these are macros.
 */
#undef kmalloc
#undef kzalloc
#undef kmalloc_array
#undef kmalloc_array_node
#undef kmalloc_track_caller
#undef kmalloc_node_track_caller
#undef kcalloc
#undef kmalloc_node
#undef kzalloc_node
#undef kcalloc_node
#undef krealloc
#undef krealloc_array
#undef krealloc_node
#undef krealloc_node_align
#undef kvrealloc
#undef kvrealloc_node
#undef kvrealloc_node_align
#undef kmemdup
#undef kmemdup_nul
#undef kmemdup_array
#undef kstrdup
#undef kstrndup
#undef kasprintf
#undef kvasprintf
#undef devm_kmalloc
#undef devm_kzalloc
#undef devm_krealloc
#undef devm_krealloc_array
#undef kmalloc_obj
#undef kmalloc_objs
#undef kmalloc_flex
#undef kzalloc_obj
#undef kzalloc_objs
#undef kzalloc_flex
#undef kmalloc_nolock
#undef kfree_rcu
#undef kfree_rcu_mightsleep
#undef kvfree_rcu
#undef kfree_rcu_nolock
#undef kvfree_rcu_mightsleep
#undef mempool_create_kmalloc_pool
#undef mempool_init_kmalloc_pool
#undef kmem_cache_free

#define kmalloc				pyalloc
#define kzalloc				pyzalloc
#define kmalloc_array			pyalloc_array
#define kcalloc				pycalloc
#define kmalloc_node			pyalloc_node
#define kzalloc_node			pyzalloc_node
#define kcalloc_node			pycalloc_node
#define kmalloc_array_node		pyalloc_array_node
#define kmalloc_track_caller		pyalloc
#define kmalloc_node_track_caller	pyalloc_node
#define krealloc			pyrealloc
#define krealloc_array			pyrealloc_array
#define kfree				pyfree
#define kfree_sensitive			pyfree_sensitive
#define kvfree				pykvfree
#define kvfree_atomic			pykvfree_atomic
#define kvfree_sensitive		pykvfree_sensitive
#define kfree_bulk			pyfree_bulk
#define ksize				pysize
#define kmalloc_size_roundup		pyalloc_size_roundup
#define kmalloc_nolock(size, gfp, node)	((void)(node), pyalloc_nolock(size, gfp))
#define kfree_nolock			pyfree_nolock

#define kmalloc_obj			pyalloc_obj
#define kmalloc_objs			pyalloc_objs
#define kmalloc_flex			pyalloc_flex
#define kzalloc_obj			pyzalloc_obj
#define kzalloc_objs			pyzalloc_objs
#define kzalloc_flex			pyzalloc_flex

#define kmemdup				pymemdup
#define kmemdup_nul			pymemdup_nul
#define kmemdup_array			pymemdup_array
#define kstrdup				pystrdup
#define kstrndup			pystrndup
#define kasprintf			pyasprintf
#define kvasprintf			pyvasprintf

#define devm_kmalloc			devm_pyalloc
#define devm_kzalloc			devm_pyzalloc
#define devm_kmalloc_array		devm_pyalloc_array
#define devm_kcalloc			devm_pycalloc
#define devm_krealloc			devm_pyrealloc
#define devm_krealloc_array		devm_pyrealloc_array
#define devm_kfree			devm_pyfree

#define mempool_kmalloc			mempool_pyalloc
#define mempool_kfree			mempool_pyfree
#define mempool_create_kmalloc_pool	mempool_create_pyalloc_pool
#define mempool_init_kmalloc_pool	mempool_init_pyalloc_pool

/* The kernel's does not expand the name. */
#ifdef __free
#undef __free
#define __free(name)			__pyalloc_free(name)
#define __pyalloc_free(name)		__cleanup(__free_##name)
#endif

/* A call of what has such a stand-in does not compile, and says why. */
__compiletime_error("kfree_rcu() frees with kfree(): write pyfree_rcu()")
void pyalloc_refuses_kfree_rcu(void);
__compiletime_error("kfree_rcu_mightsleep() frees with kfree(): write pyfree_rcu_mightsleep()")
void pyalloc_refuses_kfree_rcu_mightsleep(void);
__compiletime_error("an object of a kmem_cache is not pyalloc's: keep it in a file of its own")
void pyalloc_refuses_kmem_cache_free(void);
__compiletime_error("kfree_const() frees with kfree(): write pystrdup() and pyfree()")
void pyalloc_refuses_kfree_const(void);
__compiletime_error("kfree_rcu_nolock() frees with kfree(): there is no such free of a block")
void pyalloc_refuses_kfree_rcu_nolock(void);
__compiletime_error("krealloc_node() does not know blocks: write pyrealloc()")
void *pyalloc_refuses_krealloc_node(void);
__compiletime_error("kvrealloc() does not know blocks: keep it in a file of its own")
void *pyalloc_refuses_kvrealloc(void);

#define kfree_rcu(...)			pyalloc_refuses_kfree_rcu()
#define kfree_rcu_mightsleep(...)	pyalloc_refuses_kfree_rcu_mightsleep()
#define kvfree_rcu(...)			pyalloc_refuses_kfree_rcu()
#define kvfree_rcu_mightsleep(...)	pyalloc_refuses_kfree_rcu_mightsleep()
#define kmem_cache_free(...)		pyalloc_refuses_kmem_cache_free()
#define kmem_cache_free_bulk(...)	pyalloc_refuses_kmem_cache_free()
#define kfree_const(...)		pyalloc_refuses_kfree_const()
#define kfree_rcu_nolock(...)		pyalloc_refuses_kfree_rcu_nolock()
#define krealloc_node(...)		pyalloc_refuses_krealloc_node()
#define krealloc_node_align(...)	pyalloc_refuses_krealloc_node()
#define kvrealloc(...)			pyalloc_refuses_kvrealloc()
#define kvrealloc_node(...)		pyalloc_refuses_kvrealloc()
#define kvrealloc_node_align(...)	pyalloc_refuses_kvrealloc()

#endif /* PYALLOC_KMALLOC_H */
