// SPDX-License-Identifier: GPL-2.0
/*
 * pyalloc_bench: speed and memory of pyalloc beside kmalloc and kmem_cache, in
 * one boot. Runs what "parts" names when it is loaded; then the results stand
 * in /sys/kernel/debug/pyalloc_bench/results, a line each:
 *
 *	row <TAB> kind <TAB> value
 *
 * Times are nanoseconds of ktime_get_ns(), which are instructions in a virtual
 * machine that counts its time in these. Each time is the least of "rounds"
 * interleaved ones, with the least of the same loop over empty functions taken
 * off. For a person there is "make bench".
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/vmalloc.h>

#include "../pyalloc_internal.h"
#include "bench.h"

static char *parts = "pair,many";
module_param(parts, charp, 0444);
MODULE_PARM_DESC(parts, "what to run, with commas between");

unsigned int rounds = 15;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "rounds of each loop (15)");

unsigned int count = 20000;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "operations of a loop, blocks of \"many\" (20000)");

unsigned int mb = 300;
module_param(mb, uint, 0444);
MODULE_PARM_DESC(mb, "MB of objects in the parts that measure memory (300)");

unsigned int live_big = 4000000;
module_param(live_big, uint, 0444);
MODULE_PARM_DESC(live_big, "blocks in the big live set (4000000)");

char *trace = "/traces";
module_param(trace, charp, 0444);
MODULE_PARM_DESC(trace, "folder of the recorded traces (/traces)");

char bench_scratch[PYALLOC_MAX];

#define RESULTS_MAX	SZ_256K
static char *results;
static size_t results_len;
static struct dentry *debugfs;

/* What each loop calls when its own cost is measured. */
/*
 * As a program does: all of a block is written after it was allocated. Not
 * inline, or the compiler would make something else of it in each loop.
 */
noinline void block_write(void *p, size_t size)
{
	memset(p, 0x5a, size);
}

noinline void *bench_empty_alloc(size_t size, gfp_t gfp)
{
	asm volatile("" : : "r" (size), "r" (gfp));
	return bench_scratch;
}

noinline void *bench_empty_realloc(const void *p, size_t size, gfp_t gfp)
{
	asm volatile("" : : "r" (p), "r" (size), "r" (gfp));
	return bench_scratch;
}

noinline void bench_empty_free(const void *p)
{
	asm volatile("" : : "r" (p));
}

const char *bench_kind_name(enum kind kind)
{
	static const char * const name[NR_KINDS] = {
		[EMPTY] = "loop",
		[KMALLOC] = "kmalloc",
		[CACHE] = "kmem_cache",
		[PYALLOC] = "pyalloc",
		[FLOOR] = "floor",
	};

	return name[kind];
}

bool bench_stopped(void)
{
	cond_resched();
	return fatal_signal_pending(current);
}

void bench_value(const char *row, const char *kind, const char *fmt, ...)
{
	va_list args;

	results_len += scnprintf(results + results_len,
				 RESULTS_MAX - results_len, "%s\t%s\t", row,
				 kind);
	va_start(args, fmt);
	results_len += vscnprintf(results + results_len,
				  RESULTS_MAX - results_len, fmt, args);
	va_end(args);
	results_len += scnprintf(results + results_len,
				 RESULTS_MAX - results_len, "\n");
}

/* The times of @ops operations, as hundredths of one of them. */
void bench_report(const char *row, const u64 time[NR_KINDS], u64 ops)
{
	enum kind kind;

	for (kind = 0; kind < NR_KINDS; kind++) {
		u64 net = time[kind], whole;
		u32 rest;

		if (net == U64_MAX)
			continue;
		if (kind != EMPTY)
			net -= min(net, time[EMPTY]);
		whole = div_u64_rem(div64_u64(net * 100, ops), 100, &rest);
		bench_value(row, bench_kind_name(kind), "%llu.%02u", whole,
			    rest);
	}
}

/* Runs a loop over each allocator in turn; the least time of each counts. */
void bench_compare(const char *row, const loop_fn fns[NR_KINDS],
		   struct run *run, u64 ops)
{
	u64 best[NR_KINDS];

	memset(best, 0xff, sizeof(best));
	for (run->round = 0; run->round < rounds && !bench_stopped(); run->round++) {
		for (run->kind = 0; run->kind < NR_KINDS; run->kind++) {
			u64 start;

			if (!fns[run->kind])
				continue;
			/*
			 * Elsewhere between two ticks each time: where time is
			 * instructions, a tick may hit the same loop in all rounds.
			 */
			udelay(run->round * 370 % 1000);
			start = ktime_get_ns();
			fns[run->kind](run);
			best[run->kind] = min(best[run->kind],
					      ktime_get_ns() - start);
		}
	}
	bench_report(row, best, ops);
}

/*
 * A live set without an allocator: each block stands still, all are packed into
 * chunks.
 */
#define STILL_ORDER	1	/* the most that __GFP_NOFAIL may be asked for */

static LLIST_HEAD(still_chunks);

void bench_still_fill(struct slot *live, u32 nr, u32 seed)
{
	size_t room = 0;
	void *next = NULL;
	u32 i;

	for (i = 0; i < nr; i++) {
		size_t size = rnd_size(&seed);
		size_t whole = round_up(size, PYALLOC_ALIGN);

		if (room < whole) {
			next = (void *)__get_free_pages(BENCH_GFP, STILL_ORDER);
			llist_add(next, &still_chunks);
			next += SMP_CACHE_BYTES;
			room = (PAGE_SIZE << STILL_ORDER) - SMP_CACHE_BYTES;
		}
		live[i].p = next;
		live[i].size = size;
		block_write(next, size);
		next += whole;
		room -= whole;
	}
}

void bench_still_free(void)
{
	struct llist_node *node = llist_del_all(&still_chunks), *next;

	for (; node; node = next) {
		next = node->next;
		free_pages((unsigned long)node, STILL_ORDER);
	}
}

struct slot *bench_live_new(u32 nr)
{
	return vzalloc(array_size(nr, sizeof(struct slot)));
}

static const struct {
	const char *name;
	int (*run)(void);
} bench_parts[] = {
	{ "pair", bench_pair },
	{ "many", bench_many },
	{ "replace", bench_replace },
	{ "big", bench_big },
	{ "realloc", bench_realloc },
	{ "boundary", bench_boundary },
	{ "two", bench_two },
	{ "phases", bench_phases },
	{ "remote", bench_remote },
	{ "latency", bench_latency },
	{ "trace", bench_trace },
	{ "memory", bench_memory },
	{ "lifetimes", bench_lifetimes },
	{ "creep", bench_creep },
	{ "cpus", bench_cpus },
	{ "scale", bench_scale },
	{ "heap", bench_heap },
};

static int run_part(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bench_parts); i++)
		if (!strcmp(bench_parts[i].name, name))
			return bench_parts[i].run();
	pr_err("parts: there is no \"%s\"\n", name);
	return -EINVAL;
}

static int results_show(struct seq_file *m, void *unused)
{
	seq_write(m, results, results_len);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(results);

static int __init bench_init(void)
{
	char *copy, *rest, *name;
	int err = 0;

	results = vmalloc(RESULTS_MAX);
	copy = kstrdup(parts, GFP_KERNEL);
	rest = copy;
	if (!results || !copy)
		err = -ENOMEM;
	while (!err && !bench_stopped() && (name = strsep(&rest, ",")))
		err = run_part(name);
	if (!err && bench_stopped())
		err = -EINTR;
	kfree(copy);
	if (err) {
		vfree(results);
		return err;
	}
	bench_value("state per CPU", "pyalloc", "%zu", sizeof(struct py_cpu));
	debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("results", 0400, debugfs, NULL, &results_fops);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(debugfs);
	vfree(results);
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("Speed and memory of pyalloc beside kmalloc");
MODULE_LICENSE("GPL");
PY_IMPORT_NS(PYALLOC_INTERNAL);
