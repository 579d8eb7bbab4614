// SPDX-License-Identifier: GPL-2.0
/*
 * pyalloc_prof: what Python's tracemalloc tells of a program, told of the kernel modules
 * that use pyalloc. Who holds the memory, since when, and what became more between two
 * moments. See Documentation/profiler.rst.
 *
 * While it does not record, its presence costs nothing: pyalloc_prof_start() and _stop()
 * switch static keys.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "prof.h"

/* All take effect when the profile begins. */
static struct py_param records = { .value = 1 << 18, .min = 1 << 10, .max = 1 << 26 };
module_param_cb(records, &py_param_ops, &records, 0644);
MODULE_PARM_DESC(records, "Live blocks that can be recorded, 1024 to 2^26 (262144), at 24 bytes each");

static struct py_param sites = { .value = 1 << 10, .min = 1 << 6, .max = 1 << 20 };
module_param_cb(sites, &py_param_ops, &sites, 0644);
MODULE_PARM_DESC(sites, "Call sites that can be told apart, 64 to 2^20 (1024)");

static struct py_param depth = { .value = 1, .min = 1, .max = PROF_DEPTH_MAX };
module_param_cb(depth, &py_param_ops, &depth, 0644);
MODULE_PARM_DESC(depth, "Frames that make a call site, 1 to 16 (1)");

static struct py_param every = { .value = 1, .min = 1, .max = 1000000 };
module_param_cb(every, &py_param_ops, &every, 0644);
MODULE_PARM_DESC(every, "One of so many allocations is recorded, 1 to 1000000 (1: all)");

struct prof_setup prof_setup = { .every = 1 };
DEFINE_MUTEX(prof_mutex);		/* see prof.h */

static struct dentry *debugfs;
static DEFINE_PER_CPU(struct rnd_state, rnd);

/* Those that were to be recorded, and for which there was no room. */
static DEFINE_PER_CPU(u64, dropped);

static bool prof_plain;		/* a site is one frame, and no filter is set */

/* ---- What pyalloc tells ---- */

/* Is not all recorded? */
static inline bool prof_sampled(void)
{
	return prof_setup.every > 1;
}

/*
 * Allocations until the next that is recorded: any number from 1 to 2 * every - 1 is as
 * likely, so that whatever recurs with a period of its own is met as often as it should.
 */
static noinline int gap(void)
{
	u64 range = 2ULL * prof_setup.every - 1;

	return 1 + (prandom_u32_state(this_cpu_ptr(&rnd)) * range >> 32);
}

/* In @b; says if there was room. */
static __always_inline bool record_in(struct prof_bucket *b, const void *p,
				      u32 site, u32 size, u32 given,
				      bool sampled)
{
	unsigned long unready = (unsigned long)p | PROF_UNREADY, i;

	for (i = 0; i < PROF_SLOTS; i++) {
		if (READ_ONCE(b->key[i]) || cmpxchg(&b->key[i], 0, unready))
			continue;
		b->record[i].site = site;
		b->record[i].size = size;
		b->record[i].given = given;
		b->record[i].born = prof_now();
		/* Who sees the key, sees its record; see prof_records_walk(). */
		smp_store_release(&b->key[i], (unsigned long)p);
		if (sampled)
			atomic_inc(py_prof_maybe(p));
		prof_count_alloc(site, size);
		return true;
	}
	return false;
}

static noinline void record_elsewhere(const void *p, u32 site, u32 size,
				      u32 given)
{
	unsigned long hash = prof_hash(p);
	unsigned int i;

	for (i = 1; i < PROF_CHOICES; i++)
		if (record_in(prof_bucket(hash, i), p, site, size, given,
			      prof_sampled()))
			return;
	this_cpu_inc(dropped);
}

static __always_inline void record(const void *p, u32 site, u32 size, u32 given,
				   bool sampled)
{
	if (unlikely(!record_in(prof_bucket(prof_hash(p), 0), p, site, size,
				given, sampled)))
		record_elsewhere(p, site, size, given);
}

static noinline void prof_alloc_slow(unsigned long ip, const void *p,
				     size_t size, size_t given)
{
	u32 site;

	if (prof_sampled())
		__this_cpu_write(py_prof_left, gap());
	if (size < READ_ONCE(prof_size_min) || size > READ_ONCE(prof_size_max))
		return;
	site = prof_site_find(ip);
	if (!READ_ONCE(prof_site[site].hidden))
		record(p, site, size, given, prof_sampled());
}

/* An interrupt may come between any two lines, and do the same. */
static void prof_alloc(unsigned long ip, const void *p, size_t size,
		       size_t given)
{
	u32 site = prof_site_hash(ip);

	__this_cpu_write(py_prof_left, 1);
	if (likely(READ_ONCE(prof_plain) &&
		   READ_ONCE(prof_site[site].key) == ip))
		record(p, site, size, given, false);
	else
		prof_alloc_slow(ip, p, size, given);
}

/* From @b; says if it was known. */
static __always_inline bool forget_in(struct prof_bucket *b, const void *p,
				      bool sampled)
{
	unsigned long i;
	u32 site, size;

	for (i = 0; i < PROF_SLOTS; i++) {
		if (READ_ONCE(b->key[i]) != (unsigned long)p)
			continue;
		site = b->record[i].site;
		size = b->record[i].size;
		/* Only then may it be another's. */
		smp_store_release(&b->key[i], 0);
		if (sampled)
			atomic_dec(py_prof_maybe(p));
		prof_count_free(site, size);
		return true;
	}
	return false;
}

static noinline void forget_elsewhere(const void *p)
{
	unsigned long hash = prof_hash(p);
	unsigned int i;

	for (i = 1; i < PROF_CHOICES; i++)
		if (forget_in(prof_bucket(hash, i), p, prof_sampled()))
			return;
}

static void prof_free(const void *p)
{
	if (unlikely(!forget_in(prof_bucket(prof_hash(p), 0), p, false)))
		forget_elsewhere(p);
}

static void prof_free_sampled(const void *p)
{
	if (!forget_in(prof_bucket(prof_hash(p), 0), p, true))
		forget_elsewhere(p);
}

static const struct py_prof hooks_all = {
	.alloc = prof_alloc,
	.free = prof_free,
};

static const struct py_prof hooks_sampled = {
	.alloc = prof_alloc_slow,
	.free = prof_free_sampled,
};

/* ---- Begin and end ---- */

static void prof_stop(void)
{
	lockdep_assert_held(&prof_mutex);
	if (prof_setup.on)
		pyalloc_prof_stop();
	prof_setup.on = false;
}

/* What there was is forgotten. */
static void prof_forget(void)
{
	prof_snapshots_free();
	prof_records_free();
	prof_sites_free();
}

static void plain_update(void)
{
	WRITE_ONCE(prof_plain, prof_setup.depth == 1 && !prof_filter_is_set());
}

static int prof_start(void)
{
	unsigned int cpu;
	int err;

	lockdep_assert_held(&prof_mutex);
	prof_stop();
	prof_forget();
	prof_setup.every = every.value;
	prof_setup.depth = depth.value;
	err = prof_sites_new(sites.value) ?: prof_records_new(records.value);
	if (err)
		goto out;
	for_each_possible_cpu(cpu) {
		per_cpu(dropped, cpu) = 0;
		prandom_seed_state(per_cpu_ptr(&rnd, cpu), get_random_u64());
		/* As if it had been going on for long. */
		per_cpu(py_prof_left, cpu) =
			1 + prandom_u32_state(per_cpu_ptr(&rnd, cpu)) %
			    prof_setup.every;
	}
	plain_update();
	err = pyalloc_prof_start(prof_sampled() ? &hooks_sampled : &hooks_all,
				 prof_sampled());
	if (err)
		goto out;
	prof_setup.on = true;
	return 0;

out:
	prof_forget();
	return err;
}

u64 prof_dropped(void)
{
	unsigned int cpu;
	u64 n = 0;

	for_each_possible_cpu(cpu)
		n += READ_ONCE(per_cpu(dropped, cpu));
	return n * prof_setup.every;
}

/* ---- debugfs ---- */

/* What was written, without the blanks and newlines around it; or an error. */
char *prof_text(char *text, size_t room, const char __user *buf, size_t count)
{
	if (count >= room)
		return ERR_PTR(-EINVAL);
	if (copy_from_user(text, buf, count))
		return ERR_PTR(-EFAULT);
	text[count] = '\0';
	return strim(text);
}

static int enable_show(struct seq_file *m, void *unused)
{
	seq_puts(m, prof_setup.on ? "1\n" : "0\n");
	return 0;
}

/* "1" begins, with nothing known; "0" ends, and what is known stays to be looked at. */
static ssize_t enable_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	bool on;
	int err = kstrtobool_from_user(buf, count, &on);

	if (err)
		return err;
	mutex_lock(&prof_mutex);
	if (on)
		err = prof_start();
	else
		prof_stop();
	mutex_unlock(&prof_mutex);
	return err ?: count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(enable);

static int traced_show(struct seq_file *m, void *unused)
{
	struct prof_sum total, *sum;

	mutex_lock(&prof_mutex);
	sum = prof_sums(&total);
	if (sum)
		seq_printf(m, "blocks %lld\nbytes %lld\npeak %lld\ntotal_blocks %llu\ntotal_bytes %llu\nnot_recorded %llu\n",
			   total.blocks, total.bytes, total.peak,
			   total.total_blocks, total.total_bytes,
			   prof_dropped());
	mutex_unlock(&prof_mutex);
	kvfree(sum);
	return sum ? 0 : -ENOMEM;
}

/* "reset": all peaks are what there is. */
static ssize_t traced_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	char text[8], *word = prof_text(text, sizeof(text), buf, count);
	int err;

	if (IS_ERR(word))
		return PTR_ERR(word);
	if (strcmp(word, "reset"))
		return -EINVAL;
	mutex_lock(&prof_mutex);
	err = prof_peak_reset();
	mutex_unlock(&prof_mutex);
	return err ?: count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(traced);

size_t prof_overhead(void)
{
	return prof_records_bytes() + prof_sites_bytes() +
	       prof_snapshots_bytes();
}

static int overhead_show(struct seq_file *m, void *unused)
{
	mutex_lock(&prof_mutex);
	seq_printf(m, "records %zu\nsites %zu\nsnapshots %zu\ntotal %zu\n",
		   prof_records_bytes(), prof_sites_bytes(),
		   prof_snapshots_bytes(), prof_overhead());
	mutex_unlock(&prof_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(overhead);

static int filter_show(struct seq_file *m, void *unused)
{
	mutex_lock(&prof_mutex);
	prof_filter_show(m);
	mutex_unlock(&prof_mutex);
	return 0;
}

static ssize_t filter_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	char text[256], *filter = prof_text(text, sizeof(text), buf, count);
	int err;

	if (IS_ERR(filter))
		return PTR_ERR(filter);
	mutex_lock(&prof_mutex);
	err = prof_filter_set(filter);
	plain_update();
	mutex_unlock(&prof_mutex);
	return err ?: count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(filter);

/* ---- Load and unload ---- */

static int __init pyalloc_prof_init(void)
{
	debugfs = debugfs_create_dir("prof", pyheap_default()->debugfs);
	debugfs_create_file("enable", 0600, debugfs, NULL, &enable_fops);
	debugfs_create_file("traced", 0600, debugfs, NULL, &traced_fops);
	debugfs_create_file("filter", 0600, debugfs, NULL, &filter_fops);
	debugfs_create_file("overhead", 0400, debugfs, NULL, &overhead_fops);
	prof_view_files(debugfs);
	prof_pins_file(debugfs);
	pyalloc_prof_json(prof_json);
	return 0;
}

static void __exit pyalloc_prof_exit(void)
{
	pyalloc_prof_json(NULL);
	debugfs_remove(debugfs);
	mutex_lock(&prof_mutex);
	prof_stop();
	prof_forget();
	mutex_unlock(&prof_mutex);
}

module_init(pyalloc_prof_init);
module_exit(pyalloc_prof_exit);
MODULE_DESCRIPTION("Who holds the memory of pyalloc");
MODULE_AUTHOR("The pyalloc developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
PY_IMPORT_NS(PYALLOC_INTERNAL);
