// SPDX-License-Identifier: GPL-2.0
/*
 * Who allocated: call sites, their names and their counts. A site is found or made in any
 * context. Its name is taken down at once: it outlives the module that it is in. Counts are
 * those of a CPU and of a context there, so that none is interrupted by who writes the
 * same; who looks adds them up.
 */
#include <linux/glob.h>
#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#include "prof.h"

/* The first site stands for all for which there was no room. */
#define SITE_REST	0
#define SITE_PROBES	64	/* slots looked at before that */

#define NAME_LEN	96

/* A CPU folds what it added to a site's peak, and to the total's, when it is that much. */
#define SITE_FOLD	SZ_2K
#define TOTAL_FOLD	SZ_64K

/* Live bytes, about, and the most there were. */
struct peak {
	atomic64_t live;
	atomic64_t most;
};

struct site {
	unsigned long key;	/* of its frames; 0 if there is none */
	bool ready;		/* its name is there */
	bool hidden;		/* by the filter */
	struct peak peak;
};

struct count {
	u64 blocks;		/* ever */
	u64 bytes;
	s64 unfolded;		/* live bytes that the peak does not know of */
};

/* Task, softirq, hardirq, NMI: interrupt_context_level(). */
#define CONTEXTS	4

struct counts {
	struct count site[CONTEXTS];
};

static struct site *sites;
static char (*names)[NAME_LEN];		/* depth of them a site */
static unsigned int nr_sites;		/* a power of two */
static unsigned int depth;
static struct peak total_peak;

static DEFINE_PER_CPU(struct counts *, counts);		/* by site */
static DEFINE_PER_CPU(struct counts, total);		/* only what is unfolded */
static DEFINE_PER_CPU(u64 [CONTEXTS], dropped);

static struct {
	char function[64];
	char module[64];
	size_t min, max;
} filter = { .max = SIZE_MAX };

/* ---- Begin and end ---- */

int prof_sites_new(unsigned int nr, unsigned int frames)
{
	unsigned int cpu;

	nr_sites = roundup_pow_of_two(nr);
	depth = frames;
	sites = kvcalloc(nr_sites, sizeof(*sites), GFP_KERNEL);
	names = kvcalloc(array_size(nr_sites, depth), NAME_LEN, GFP_KERNEL);
	if (!sites || !names)
		goto out;
	for_each_possible_cpu(cpu) {
		per_cpu(counts, cpu) = kvzalloc_node(array_size(nr_sites, sizeof(struct counts)),
						     GFP_KERNEL, cpu_to_node(cpu));
		if (!per_cpu(counts, cpu))
			goto out;
		memset(per_cpu_ptr(&total, cpu), 0, sizeof(total));
		memset(per_cpu_ptr(&dropped, cpu), 0, sizeof(dropped));
	}
	memset(&total_peak, 0, sizeof(total_peak));
	strscpy(names[0], "(further call sites)", NAME_LEN);
	sites[SITE_REST].key = 1;
	sites[SITE_REST].ready = true;
	return 0;

out:
	prof_sites_free();
	return -ENOMEM;
}

void prof_sites_free(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		kvfree(per_cpu(counts, cpu));
		per_cpu(counts, cpu) = NULL;
	}
	kvfree(names);
	kvfree(sites);
	names = NULL;
	sites = NULL;
	nr_sites = 0;
}

size_t prof_sites_bytes(void)
{
	return nr_sites * (sizeof(*sites) + depth * NAME_LEN +
			   num_possible_cpus() * sizeof(struct counts));
}

/* Those there may be; most are not in use. */
unsigned int prof_nr_sites(void)
{
	return nr_sites;
}

/* ---- Names and the filter ---- */

const char *prof_site_frame(u32 site, unsigned int frame)
{
	const char *name = frame < depth ? names[site * depth + frame] : "";

	return *name ? name : NULL;
}

/* All frames, the caller of pyalloc first. */
void prof_site_name(struct seq_file *m, u32 site)
{
	const char *name;
	unsigned int i;

	for (i = 0; (name = prof_site_frame(site, i)); i++) {
		if (i)
			seq_puts(m, " < ");
		seq_puts(m, name);
	}
}

/* Does "name+0x1/0x2 [module]" match what is to be seen? */
static bool name_hidden(const char *name)
{
	char function[NAME_LEN], *module;

	strscpy(function, name, sizeof(function));
	module = strchr(function, '[');
	if (module) {
		*module++ = '\0';
		module[strcspn(module, "]")] = '\0';
	}
	function[strcspn(function, "+ ")] = '\0';
	return (*filter.function && !glob_match(filter.function, function)) ||
	       (*filter.module && !glob_match(filter.module, module ?: "vmlinux"));
}

static void site_filter(u32 site)
{
	WRITE_ONCE(sites[site].hidden, name_hidden(names[site * depth]));
}

bool prof_site_hidden(u32 site)
{
	return READ_ONCE(sites[site].hidden);
}

/* Is the site in use, and let through by the filter? */
bool prof_site_shown(u32 site)
{
	return smp_load_acquire(&sites[site].ready) && !prof_site_hidden(site);
}

/* "function=GLOB", "module=GLOB", "size=FROM-TO", each at most once; or nothing. */
int prof_filter_set(char *text)
{
	typeof(filter) new = { .max = SIZE_MAX };
	char *word;
	u32 site;

	while ((word = strsep(&text, " \t\n"))) {
		char *value = strchr(word, '=');
		char *room = NULL;

		if (!*word)
			continue;
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		if (!strcmp(word, "function")) {
			room = new.function;
		} else if (!strcmp(word, "module")) {
			room = new.module;
		} else if (!strcmp(word, "size")) {
			char *to = strchr(value, '-');

			if (!to)
				to = value;
			else
				*to++ = '\0';
			if (kstrtoul(value, 0, &new.min) ||
			    kstrtoul(to, 0, &new.max) || new.min > new.max)
				return -EINVAL;
		}
		if (room && (*room || !*value ||
			     strscpy(room, value, sizeof(new.function)) < 0))
			return -EINVAL;
		if (!room && strcmp(word, "size"))
			return -EINVAL;
	}
	filter = new;
	for (site = 1; site < nr_sites; site++)
		if (smp_load_acquire(&sites[site].ready))
			site_filter(site);
	return 0;
}

void prof_filter_show(struct seq_file *m)
{
	if (*filter.function)
		seq_printf(m, "function=%s\n", filter.function);
	if (*filter.module)
		seq_printf(m, "module=%s\n", filter.module);
	if (filter.min || filter.max != SIZE_MAX)
		seq_printf(m, "size=%zu-%zu\n", filter.min, filter.max);
}

bool prof_filter_size(size_t size)
{
	return size >= READ_ONCE(filter.min) && size <= READ_ONCE(filter.max);
}

/* ---- A site is found, or made ---- */

/* The frames from @ip on, outwards. Returns how many. */
static unsigned int frames_of(unsigned long ip, unsigned long *frame)
{
	unsigned long all[PROF_DEPTH_MAX + 16];
	unsigned int nr, i, n = 1;

	frame[0] = ip;
	if (depth == 1)
		return 1;
	nr = stack_trace_save(all, ARRAY_SIZE(all), 1);
	for (i = 0; i < nr && all[i] != ip; i++)
		;
	for (i++; i < nr && n < depth; i++)
		frame[n++] = all[i];
	return n;
}

static u32 site_make(u32 site, const unsigned long *frame,
			      unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		snprintf(names[site * depth + i], NAME_LEN, "%pS",
			 (void *)frame[i]);
	site_filter(site);
	smp_store_release(&sites[site].ready, true);
	return site;
}

static noinline u32 site_find_slow(unsigned long ip)
{
	unsigned long frame[PROF_DEPTH_MAX], key, had;
	unsigned int nr = frames_of(ip, frame), i;
	u32 at;

	key = nr == 1 ? ip : (unsigned long)jhash2((u32 *)frame, nr * 2, 0) << 32 |
			     jhash2((u32 *)frame, nr * 2, 1);
	at = hash_long(key, 32);
	for (i = 0; i < SITE_PROBES; i++, at++) {
		at &= nr_sites - 1;
		had = READ_ONCE(sites[at].key);
		if (!had) {
			had = cmpxchg(&sites[at].key, 0, key);
			if (!had)
				return site_make(at, frame, nr);
		}
		if (had == key && at != SITE_REST)
			return at;
	}
	return SITE_REST;
}

/* The site of an allocation at @ip. */
u32 prof_site_find(unsigned long ip)
{
	u32 at = hash_long(ip, 32) & (nr_sites - 1);

	if (likely(depth == 1 && READ_ONCE(sites[at].key) == ip))
		return at;
	return site_find_slow(ip);
}

/* ---- Counting: preemption is off ---- */

static struct count *count_here(u32 site)
{
	return &this_cpu_read(counts)[site].site[interrupt_context_level()];
}

static void peak_raise(struct peak *peak, s64 live)
{
	s64 most = atomic64_read(&peak->most);

	while (live > most && !atomic64_try_cmpxchg(&peak->most, &most, live))
		;
}

static noinline void peak_fold(struct peak *peak, struct count *c)
{
	peak_raise(peak, atomic64_add_return(c->unfolded, &peak->live));
	c->unfolded = 0;
}

static __always_inline void peak_add(struct peak *peak, struct count *c,
				     s64 bytes, s64 fold)
{
	c->unfolded += bytes;
	if (unlikely(abs(c->unfolded) >= fold))
		peak_fold(peak, c);
}

static __always_inline void peaks_add(u32 site, struct count *c, s64 bytes)
{
	peak_add(&sites[site].peak, c, bytes, SITE_FOLD);
	peak_add(&total_peak, &this_cpu_ptr(&total)->site[interrupt_context_level()],
		 bytes, TOTAL_FOLD);
}

void prof_count_alloc(const struct prof_record *record)
{
	struct count *c = count_here(record->site);

	c->blocks++;
	c->bytes += record->size;
	peaks_add(record->site, c, record->size);
}

void prof_count_free(const struct prof_record *record)
{
	peaks_add(record->site, count_here(record->site), -(s64)record->size);
}

void prof_count_drop(void)
{
	this_cpu_ptr(dropped)[interrupt_context_level()]++;
}

/* ---- Adding up ---- */

static void sum_record(const void *p, const struct prof_record *record,
		       void *arg)
{
	struct prof_sum *sum = (struct prof_sum *)arg + record->site;

	sum->blocks++;
	sum->bytes += record->size;
	sum->given += record->given;
	sum->age = max(sum->age, prof_now() - record->born);
}

static void sum_finish(struct prof_sum *sum, struct peak *peak)
{
	u64 every = prof_setup.every;

	peak_raise(peak, sum->bytes);
	sum->peak = atomic64_read(&peak->most) * every;
	sum->blocks *= every;
	sum->bytes *= every;
	sum->given *= every;
	sum->total_blocks *= every;
	sum->total_bytes *= every;
}

/*
 * What is known of each site, prof_nr_sites() of them for kvfree(), and of all in
 * *@total. What is live is found by looking at each record. NULL: no memory.
 */
struct prof_sum *prof_sums(struct prof_sum *total)
{
	struct prof_sum *sum = kvcalloc(nr_sites + 1, sizeof(*sum), GFP_KERNEL);
	unsigned int cpu, i, context;

	if (!sum)
		return NULL;
	prof_for_each_record(sum_record, sum);
	memset(total, 0, sizeof(*total));
	for (i = 0; i < nr_sites; i++) {
		for_each_possible_cpu(cpu) {
			for (context = 0; context < CONTEXTS; context++) {
				struct count *c = &per_cpu(counts, cpu)[i].site[context];

				sum[i].total_blocks += READ_ONCE(c->blocks);
				sum[i].total_bytes += READ_ONCE(c->bytes);
			}
		}
		total->blocks += sum[i].blocks;
		total->bytes += sum[i].bytes;
		total->given += sum[i].given;
		total->total_blocks += sum[i].total_blocks;
		total->total_bytes += sum[i].total_bytes;
		if (sum[i].total_blocks)
			sum_finish(&sum[i], &sites[i].peak);
	}
	sum_finish(total, &total_peak);
	return sum;
}

/* From now on, the most is what there is now. */
int prof_peak_reset(void)
{
	struct prof_sum total, *sum = prof_sums(&total);

	if (!sum)
		return -ENOMEM;
	atomic64_set(&total_peak.most, div_u64(total.bytes, prof_setup.every));
	kvfree(sum);
	return 0;
}

/* Allocations that were to be recorded, and for which there was no room. */
u64 prof_dropped(void)
{
	unsigned int cpu, context;
	u64 n = 0;

	for_each_possible_cpu(cpu)
		for (context = 0; context < CONTEXTS; context++)
			n += READ_ONCE(per_cpu(dropped, cpu)[context]);
	return n * prof_setup.every;
}
