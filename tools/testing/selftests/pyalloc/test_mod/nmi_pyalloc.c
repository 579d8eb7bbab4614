// SPDX-License-Identifier: GPL-2.0
/*
 * nmi_pyalloc: allocates and frees in NMIs, for nmi.sh.
 *
 *   insmod nmi_pyalloc.ko [nmis=1000] [met=0]
 *
 * sends NMIs to all CPUs, as those of perf, but by software, and returns after so many of
 * which so many met "busy", or after a minute; with EIO if memory did not keep what was
 * written into it. Each exchanges some blocks of a shelf that all share. The parameters
 * then tell how many there were, and "allocs" and "frees" what they did.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <asm/apic.h>
#include <asm/nmi.h>

#include <pyalloc.h>
#include <pyalloc_internal.h>

#define SHELF		64U	/* blocks */
#define STEPS		8	/* exchanges an NMI */
#define SIZE_MAX_ASKED	256U
#define SECONDS_MAX	60

enum { NMIS, MET, ALLOCS, FREES, NR_SUMS };

static unsigned long sums[NR_SUMS] = { [NMIS] = 1000 };
module_param_named(nmis, sums[NMIS], ulong, 0444);
MODULE_PARM_DESC(nmis, "How many at least, and then how many there were (1000)");
module_param_named(met, sums[MET], ulong, 0444);
MODULE_PARM_DESC(met, "How many of them shall meet \"busy\", and then how many did (0)");
module_param_named(allocs, sums[ALLOCS], ulong, 0444);
MODULE_PARM_DESC(allocs, "How many allocations they made");
module_param_named(frees, sums[FREES], ulong, 0444);
MODULE_PARM_DESC(frees, "How many blocks they freed");

/* Of each CPU: an NMI does not interrupt another. */
struct counts {
	unsigned long sum[NR_SUMS];
	u32 random;
};

static DEFINE_PER_CPU(struct counts, counts);
static atomic_t wrong;

/* A block says its size; all behind that is its fill. */
struct block {
	u16 size;
	u8 fill;
	u8 data[];
};

static struct block *shelf[SHELF];

static size_t block_size(u32 random)
{
	return sizeof(struct block) + random % (SIZE_MAX_ASKED - sizeof(struct block));
}

static void block_set(struct block *b, u32 random)
{
	b->size = block_size(random);
	b->fill = random >> 24;
	memset(b->data, b->fill, b->size - sizeof(*b));
}

static bool block_kept(const struct block *b)
{
	return b->size < SIZE_MAX_ASKED &&
	       !memchr_inv(b->data, b->fill, b->size - sizeof(*b));
}

/* For sum_of(), which looks meanwhile. */
static void count(struct counts *c, int what, unsigned int more)
{
	WRITE_ONCE(c->sum[what], c->sum[what] + more);
}

/* get_random_u32() is not for NMIs. */
static u32 next_random(struct counts *c)
{
	c->random = c->random * 1664525 + 1013904223;
	return c->random;
}

static void exchange(struct counts *c)
{
	u32 random = next_random(c);
	struct block *new, *old;

	new = pyalloc_nolock(block_size(random), 0);
	if (new) {
		block_set(new, random);
		count(c, ALLOCS, 1);
	}
	old = xchg(&shelf[next_random(c) / 65536 % SHELF], new);
	if (!old)
		return;
	if (!block_kept(old))
		atomic_inc(&wrong);
	pyfree_nolock(old);
	count(c, FREES, 1);
}

/* Not all that is freed in NMIs has to come from there: what is missing on the shelf. */
static void shelf_fill(void)
{
	struct block *new;
	unsigned int i;
	u32 random;

	for (i = 0; i < SHELF; i++) {
		if (READ_ONCE(shelf[i]))
			continue;
		random = get_random_u32();
		new = pyalloc(block_size(random), GFP_KERNEL);
		if (!new)
			return;
		block_set(new, random);
		if (cmpxchg(&shelf[i], NULL, new))
			pyfree(new);
	}
}

static void nothing(void *arg)
{
}

static int nmi(unsigned int cmd, struct pt_regs *regs)
{
	struct counts *c = this_cpu_ptr(&counts);
	int i;

	count(c, NMIS, 1);
	count(c, MET, !pyalloc_test_busy(nothing, NULL));
	for (i = 0; i < STEPS; i++)
		exchange(c);
	return NMI_HANDLED;
}

static unsigned long sum_of(int what)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(counts, cpu).sum[what]);
	return sum;
}

/* To each CPU, but not faster than they can be handled; whatever else goes on. */
static void storm(void)
{
	unsigned long end = jiffies + SECONDS_MAX * HZ;
	int cpu;

	sched_set_fifo(current);
	while ((sum_of(NMIS) < sums[NMIS] || sum_of(MET) < sums[MET]) &&
	       time_before(jiffies, end)) {
		cpus_read_lock();
		for_each_online_cpu(cpu)
			apic->send_IPI(cpu, NMI_VECTOR);
		cpus_read_unlock();
		shelf_fill();
		usleep_range(50, 150);
	}
	sched_set_normal(current, 0);
}

static int __init nmi_pyalloc_init(void)
{
	int cpu, err, i;

	for_each_possible_cpu(cpu)
		per_cpu(counts, cpu).random = get_random_u32();
	err = register_nmi_handler(NMI_LOCAL, nmi, 0, "nmi_pyalloc");
	if (err)
		return err;
	storm();
	msleep(20);		/* the last of them */
	unregister_nmi_handler(NMI_LOCAL, "nmi_pyalloc");

	for (i = 0; i < SHELF; i++) {
		if (shelf[i] && !block_kept(shelf[i]))
			atomic_inc(&wrong);
		pyfree(shelf[i]);
	}
	for (i = 0; i < NR_SUMS; i++)
		sums[i] = sum_of(i);
	pr_info("%lu NMIs, %lu met busy, %lu allocations, %lu frees, %d wrong\n",
		sums[NMIS], sums[MET], sums[ALLOCS], sums[FREES],
		atomic_read(&wrong));
	return atomic_read(&wrong) ? -EIO : 0;
}
module_init(nmi_pyalloc_init);

static void __exit nmi_pyalloc_exit(void)
{
}
module_exit(nmi_pyalloc_exit);

MODULE_DESCRIPTION("Allocates and frees in NMIs");
MODULE_LICENSE("GPL");
PY_IMPORT_NS(PYALLOC_INTERNAL);
