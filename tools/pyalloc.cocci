// SPDX-License-Identifier: GPL-2.0
///
/// Writes pyalloc's names where a module says kmalloc's, as calls and as callbacks, and
/// adds the include. Documentation/porting.rst says what to look at afterwards.
///
//	spatch --sp-file tools/pyalloc.cocci --in-place DIRECTORY
//
// Options: --no-includes --include-headers

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

@depends on moved || moved_nolock@
@@

  #include <linux/slab.h>
+ #include <pyalloc.h>
