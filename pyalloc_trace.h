/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: tracepoints. Off, they cost what was there before: whether a call is traced is
 * asked where it is asked anyway whether memory is to be wiped. See Documentation/tracing.rst.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pyalloc

#if !defined(PYALLOC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PYALLOC_TRACE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

#include "compat.h"
#include "pyalloc_internal.h"

#ifndef PYALLOC_TRACE_ONCE
#define PYALLOC_TRACE_ONCE
int pyalloc_trace_alloc_on(void);
void pyalloc_trace_alloc_off(void);
int pyalloc_trace_free_on(void);
void pyalloc_trace_free_off(void);

/* What people call a heap. */
static inline const char *py_heap_name(const struct pyheap *heap)
{
	return heap->name;
}
#endif

/* A block was handed out. */
TRACE_EVENT_FN(pyalloc_alloc,
	TP_PROTO(unsigned long call_site, const void *ptr, size_t bytes_req,
		 size_t bytes_alloc, gfp_t gfp_flags),
	TP_ARGS(call_site, ptr, bytes_req, bytes_alloc, gfp_flags),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_req)
		__field(size_t, bytes_alloc)
		__field(unsigned long, gfp_flags)
		__string(heap, py_heap_name(py_arena_of(ptr)->heap))
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->bytes_alloc = bytes_alloc;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
		py_assign_str(heap, py_heap_name(py_arena_of(ptr)->heap));
	),
	TP_printk("call_site=%pS ptr=%p bytes_req=%zu bytes_alloc=%zu gfp_flags=%s heap=%s",
		  (void *)__entry->call_site, __entry->ptr, __entry->bytes_req,
		  __entry->bytes_alloc, show_gfp_flags(__entry->gfp_flags),
		  __get_str(heap)),

	pyalloc_trace_alloc_on, pyalloc_trace_alloc_off
);

/* A block is about to be freed. What kmalloc() had served is kmem:kfree's. */
TRACE_EVENT_FN(pyalloc_free,
	TP_PROTO(unsigned long call_site, const void *ptr),
	TP_ARGS(call_site, ptr),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__string(heap, py_heap_name(py_arena_of(ptr)->heap))
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		py_assign_str(heap, py_heap_name(py_arena_of(ptr)->heap));
	),
	TP_printk("call_site=%pS ptr=%p heap=%s", (void *)__entry->call_site,
		  __entry->ptr, __get_str(heap)),

	pyalloc_trace_free_on, pyalloc_trace_free_off
);

/* Memory was resized: where it is, or after a pyalloc_alloc, before a pyalloc_free. */
TRACE_EVENT(pyalloc_realloc,
	TP_PROTO(unsigned long call_site, const void *ptr, const void *new_ptr,
		 size_t bytes_req, gfp_t gfp_flags),
	TP_ARGS(call_site, ptr, new_ptr, bytes_req, gfp_flags),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(const void *, new_ptr)
		__field(size_t, bytes_req)
		__field(unsigned long, gfp_flags)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->new_ptr = new_ptr;
		__entry->bytes_req = bytes_req;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
	),
	TP_printk("call_site=%pS ptr=%p new_ptr=%p bytes_req=%zu gfp_flags=%s",
		  (void *)__entry->call_site, __entry->ptr, __entry->new_ptr,
		  __entry->bytes_req, show_gfp_flags(__entry->gfp_flags))
);

/* As numbers in the event's format: trace-cmd, which prints by it, knows no enum. */
TRACE_DEFINE_ENUM(PY_FALL_SIZE);
TRACE_DEFINE_ENUM(PY_FALL_NESTED);
TRACE_DEFINE_ENUM(PY_FALL_ARENA);
TRACE_DEFINE_ENUM(PY_FALL_RESERVE);
TRACE_DEFINE_ENUM(PY_FALL_GFP);
TRACE_DEFINE_ENUM(PY_FALL_NODE);
TRACE_DEFINE_ENUM(PY_FALL_NOLOCK);

#define show_fall_reason(reason)			\
	__print_symbolic(reason,			\
		{ PY_FALL_SIZE,		"size" },	\
		{ PY_FALL_NESTED,	"nested" },	\
		{ PY_FALL_ARENA,	"no arena" },	\
		{ PY_FALL_RESERVE,	"memory reserves" }, \
		{ PY_FALL_GFP,		"flags" },	\
		{ PY_FALL_NODE,		"another node" },	\
		{ PY_FALL_NOLOCK,	"nolock" })

/* kmalloc() was asked instead; @ptr is NULL if it had nothing either. */
TRACE_EVENT(pyalloc_fall,
	TP_PROTO(unsigned long call_site, const void *ptr, size_t bytes_req,
		 gfp_t gfp_flags, unsigned int reason),
	TP_ARGS(call_site, ptr, bytes_req, gfp_flags, reason),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_req)
		__field(unsigned long, gfp_flags)
		__field(unsigned int, reason)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
		__entry->reason = reason;
	),
	TP_printk("call_site=%pS ptr=%p bytes_req=%zu gfp_flags=%s reason=%s",
		  (void *)__entry->call_site, __entry->ptr, __entry->bytes_req,
		  show_gfp_flags(__entry->gfp_flags),
		  show_fall_reason(__entry->reason))
);

DECLARE_EVENT_CLASS(pyalloc_arena,
	TP_PROTO(const struct py_arena *arena),
	TP_ARGS(arena),

	TP_STRUCT__entry(
		__field(const void *, arena)
		__field(int, node)
		__string(heap, py_heap_name(arena->heap))
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->node = arena->node->nid;
		py_assign_str(heap, py_heap_name(arena->heap));
	),
	TP_printk("arena=%p node=%d heap=%s", __entry->arena, __entry->node,
		  __get_str(heap))
);

DEFINE_EVENT(pyalloc_arena, pyalloc_arena_new,
	TP_PROTO(const struct py_arena *arena),
	TP_ARGS(arena)
);

DEFINE_EVENT(pyalloc_arena, pyalloc_arena_gone,
	TP_PROTO(const struct py_arena *arena),
	TP_ARGS(arena)
);

/* A CPU takes pools of an arena, or they are back with their node. */
DECLARE_EVENT_CLASS(pyalloc_pools,
	TP_PROTO(const struct pyheap_node *node, unsigned int pools),
	TP_ARGS(node, pools),

	TP_STRUCT__entry(
		__field(unsigned int, pools)
		__field(int, node)
		__string(heap, py_heap_name(node->heap))
	),
	TP_fast_assign(
		__entry->pools = pools;
		__entry->node = node->nid;
		py_assign_str(heap, py_heap_name(node->heap));
	),
	TP_printk("pools=%u node=%d heap=%s", __entry->pools, __entry->node,
		  __get_str(heap))
);

DEFINE_EVENT(pyalloc_pools, pyalloc_pool_new,
	TP_PROTO(const struct pyheap_node *node, unsigned int pools),
	TP_ARGS(node, pools)
);

DEFINE_EVENT(pyalloc_pools, pyalloc_pool_gone,
	TP_PROTO(const struct pyheap_node *node, unsigned int pools),
	TP_ARGS(node, pools)
);

/* pyalloc_trim() is over. */
TRACE_EVENT(pyalloc_trim,
	TP_PROTO(unsigned long call_site, unsigned long pages),
	TP_ARGS(call_site, pages),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->pages = pages;
	),
	TP_printk("call_site=%pS pages=%lu", (void *)__entry->call_site,
		  __entry->pages)
);

#endif /* PYALLOC_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE pyalloc_trace
#include <trace/define_trace.h>
