// SPDX-License-Identifier: GPL-2.0
///
/// Writes pyalloc's names where a module says kmalloc's, as calls and as callbacks, and
/// adds the include. What cannot be moved by name gets a name that nothing has, and does not
/// compile. Documentation/porting.rst says what to look at afterwards.
///
//	spatch --sp-file tools/pyalloc.cocci --in-place DIRECTORY
//
// Options: --no-includes --include-headers

// Of 6.1: with one argument it may sleep.
@moved_headless@
expression p;
@@

(
- kfree_rcu(p)
+ pyfree_rcu_mightsleep(p)
|
- kvfree_rcu(p)
+ pyfree_rcu_mightsleep(p)
)

@moved@
@@

(
- kmalloc
+ pyalloc
|
- kzalloc
+ pyzalloc
|
- kmalloc_array
+ pyalloc_array
|
- kcalloc
+ pycalloc
|
- kmalloc_node
+ pyalloc_node
|
- kzalloc_node
+ pyzalloc_node
|
- kcalloc_node
+ pycalloc_node
|
- kmalloc_array_node
+ pyalloc_array_node
|
- kmalloc_track_caller
+ pyalloc
|
- kmalloc_node_track_caller
+ pyalloc_node
|
- krealloc
+ pyrealloc
|
- krealloc_array
+ pyrealloc_array
|
- kfree
+ pyfree
|
- kfree_sensitive
+ pyfree_sensitive
|
- kfree_bulk
+ pyfree_bulk
|
- kfree_rcu
+ pyfree_rcu
|
- kfree_rcu_mightsleep
+ pyfree_rcu_mightsleep
|
- kvfree_rcu
+ pyfree_rcu
|
- kvfree_rcu_mightsleep
+ pyfree_rcu_mightsleep
|
- kfree_const
+ pyalloc_refuses_kfree_const
|
- kfree_rcu_nolock
+ pyalloc_refuses_kfree_rcu_nolock
|
- krealloc_node
+ pyalloc_refuses_krealloc_node
|
- krealloc_node_align
+ pyalloc_refuses_krealloc_node
|
- kvrealloc
+ pyalloc_refuses_kvrealloc
|
- kfree_nolock
+ pyfree_nolock
|
- kvfree
+ pykvfree
|
- kvfree_atomic
+ pykvfree_atomic
|
- kvfree_sensitive
+ pykvfree_sensitive
|
- ksize
+ pysize
|
- kmalloc_size_roundup
+ pyalloc_size_roundup
|
- kmalloc_obj
+ pyalloc_obj
|
- kmalloc_objs
+ pyalloc_objs
|
- kmalloc_flex
+ pyalloc_flex
|
- kzalloc_obj
+ pyzalloc_obj
|
- kzalloc_objs
+ pyzalloc_objs
|
- kzalloc_flex
+ pyzalloc_flex
|
- kmemdup
+ pymemdup
|
- kmemdup_nul
+ pymemdup_nul
|
- kmemdup_array
+ pymemdup_array
|
- kstrdup
+ pystrdup
|
- kstrndup
+ pystrndup
|
- kasprintf
+ pyasprintf
|
- kvasprintf
+ pyvasprintf
|
- devm_kmalloc
+ devm_pyalloc
|
- devm_kzalloc
+ devm_pyzalloc
|
- devm_kmalloc_array
+ devm_pyalloc_array
|
- devm_kcalloc
+ devm_pycalloc
|
- devm_krealloc
+ devm_pyrealloc
|
- devm_krealloc_array
+ devm_pyrealloc_array
|
- devm_kfree
+ devm_pyfree
|
- mempool_kmalloc
+ mempool_pyalloc
|
- mempool_kfree
+ mempool_pyfree
|
- mempool_init_kmalloc_pool
+ mempool_init_pyalloc_pool
|
- mempool_create_kmalloc_pool
+ mempool_create_pyalloc_pool
)

// A node there is none of.
@moved_nolock@
expression size, gfp, node;
@@

- kmalloc_nolock(size, gfp, node)
+ pyalloc_nolock(size, gfp)

@depends on moved || moved_nolock || moved_headless@
@@

  #include <linux/slab.h>
+ #include <pyalloc.h>
