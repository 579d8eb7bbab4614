// SPDX-License-Identifier: GPL-2.0
/*
 * Who allocated: call sites, their names and their counts. A site is found or made in any
 * context. Its name is taken down at once: it outlives the module that it is in. Each CPU
 * counts for itself; who looks adds them up.
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

struct prof_site *prof_site;
unsigned int prof_site_mask;
DEFINE_PER_CPU(struct prof_count *, prof_counts);

static char (*names)[NAME_LEN];		/* prof_setup.depth of them a site */
static unsigned int nr_sites;		/* a power of two */

/* Of all sites: as prof_site's. */
static atomic64_t total_live, total_most;

size_t prof_size_min, prof_size_max = SIZE_MAX;

static struct {
	char function[64];
	char module[64];
} filter;

/* ---- Begin and end ---- */

int prof_sites_new(unsigned int nr)
{
	unsigned int cpu;

	nr_sites = roundup_pow_of_two(nr);
	prof_site_mask = nr_sites - 1;
	prof_site = kvcalloc(nr_sites, sizeof(*prof_site), GFP_KERNEL);
	names = kvcalloc(array_size(nr_sites, prof_setup.depth), NAME_LEN,
			 GFP_KERNEL);
	if (!prof_site || !names)
		goto out;
	for_each_possible_cpu(cpu) {
		struct prof_count *c = kvzalloc_node(array_size(nr_sites, sizeof(*c)),
						     GFP_KERNEL, cpu_to_node(cpu));

		if (!c)
			goto out;
		per_cpu(prof_counts, cpu) = c;
	}
	atomic64_set(&total_live, 0);
	atomic64_set(&total_most, 0);
	strscpy(names[SITE_REST], "(further call sites)", NAME_LEN);
	prof_site[SITE_REST].key = 1;
	prof_site[SITE_REST].ready = true;
	return 0;

out:
	prof_sites_free();
	return -ENOMEM;
}

void prof_sites_free(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		kvfree(per_cpu(prof_counts, cpu));
		per_cpu(prof_counts, cpu) = NULL;
	}
	kvfree(names);
	kvfree(prof_site);
	names = NULL;
	prof_site = NULL;
	nr_sites = 0;
}

size_t prof_sites_bytes(void)
{
	return nr_sites * (sizeof(*prof_site) + prof_setup.depth * NAME_LEN +
			   num_possible_cpus() * sizeof(struct prof_count));
}

/* Those there may be; most are not in use. */
unsigned int prof_nr_sites(void)
{
	return nr_sites;
}

/* ---- Names and the filter ---- */

const char *prof_site_frame(u32 site, unsigned int frame)
{
	const char *name = frame < prof_setup.depth ?
			   names[site * prof_setup.depth + frame] : "";

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
	WRITE_ONCE(prof_site[site].hidden, name_hidden(names[site * prof_setup.depth]));
}

/* Is the site in use, and let through by the filter? */
bool prof_site_shown(u32 site)
{
	/* Pairs with that of site_make(). */
	return smp_load_acquire(&prof_site[site].ready) &&
	       !READ_ONCE(prof_site[site].hidden);
}

bool prof_filter_is_set(void)
{
	return *filter.function || *filter.module ||
	       prof_size_min || prof_size_max != SIZE_MAX;
}

/* "function=GLOB", "module=GLOB", "size=FROM-TO", each at most once; or nothing. */
int prof_filter_set(char *text)
{
	unsigned long min = 0, max = ULONG_MAX;
	typeof(filter) new = {};
	bool sized = false;
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

			if (sized)
				return -EINVAL;
			sized = true;
			if (!to)
				to = value;
			else
				*to++ = '\0';
			if (kstrtoul(value, 0, &min) ||
			    kstrtoul(to, 0, &max) || min > max)
				return -EINVAL;
		}
		if (room && (*room || !*value ||
			     strscpy(room, value, sizeof(new.function)) < 0))
			return -EINVAL;
		if (!room && strcmp(word, "size"))
			return -EINVAL;
	}
	filter = new;
	WRITE_ONCE(prof_size_min, min);
	WRITE_ONCE(prof_size_max, max);
	/* Sites that are being made by what the filter was; preemption is off there. */
	synchronize_rcu();
	for (site = 1; site < nr_sites; site++)
		/* Pairs with that of site_make(). */
		if (smp_load_acquire(&prof_site[site].ready))
			site_filter(site);
	return 0;
}

void prof_filter_show(struct seq_file *m)
{
	if (*filter.function)
		seq_printf(m, "function=%s\n", filter.function);
	if (*filter.module)
		seq_printf(m, "module=%s\n", filter.module);
	if (prof_size_min || prof_size_max != SIZE_MAX)
		seq_printf(m, "size=%zu-%zu\n", prof_size_min, prof_size_max);
}

/* ---- A site is found, or made ---- */

/* The frames from @ip on, outwards. Returns how many. */
static unsigned int frames_of(unsigned long ip, unsigned long *frame)
{
	unsigned long all[PROF_DEPTH_MAX + 16];
	unsigned int nr, i, n = 1;

	frame[0] = ip;
	if (prof_setup.depth == 1)
		return 1;
	nr = stack_trace_save(all, ARRAY_SIZE(all), 1);
	for (i = 0; i < nr && all[i] != ip; i++)
		;
	for (i++; i < nr && n < prof_setup.depth; i++)
		frame[n++] = all[i];
	return n;
}

static u32 site_make(u32 site, const unsigned long *frame, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		snprintf(names[site * prof_setup.depth + i], NAME_LEN, "%pS",
			 (void *)frame[i]);
	site_filter(site);
	/* Who sees that, sees the names. */
	smp_store_release(&prof_site[site].ready, true);
	return site;
}

/* The site of an allocation at @ip. */
u32 prof_site_find(unsigned long ip)
{
	unsigned long frame[PROF_DEPTH_MAX], key, had;
	unsigned int nr = frames_of(ip, frame), i;
	u32 at;

	key = ip;
	if (nr > 1)
		key = (unsigned long)jhash2((u32 *)frame, nr * 2, 0) << 32 |
		      jhash2((u32 *)frame, nr * 2, 1);
	at = hash_long(key, 32);
	for (i = 0; i < SITE_PROBES; i++, at++) {
		at &= nr_sites - 1;
		had = READ_ONCE(prof_site[at].key);
		if (!had) {
			had = cmpxchg(&prof_site[at].key, 0, key);
			if (!had)
				return site_make(at, frame, nr);
		}
		if (had == key && at != SITE_REST)
			return at;
	}
	return SITE_REST;
}

/* ---- Counts ---- */

static void most_raise(atomic64_t *most, s64 live)
{
	s64 was = atomic64_read(most);

	while (live > was && !atomic64_try_cmpxchg(most, &was, live))
		;
}

/* Preemption is off. */
noinline void prof_fold(u32 site, struct prof_count *c)
{
	s64 more = local_xchg(&c->unfolded, 0);

	most_raise(&prof_site[site].most,
		   atomic64_add_return(more, &prof_site[site].live));
	most_raise(&total_most, atomic64_add_return(more, &total_live));
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

static void sum_finish(struct prof_sum *sum, atomic64_t *most)
{
	u64 every = prof_setup.every;

	most_raise(most, sum->bytes);
	sum->peak = atomic64_read(most) * every;
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
	unsigned int cpu, i;

	if (!sum)
		return NULL;
	prof_records_walk(sum_record, sum);
	memset(total, 0, sizeof(*total));
	for (i = 0; i < nr_sites; i++) {
		for_each_possible_cpu(cpu) {
			struct prof_count *c = per_cpu(prof_counts, cpu) + i;

			sum[i].total_blocks += local_read(&c->blocks);
			sum[i].total_bytes += local_read(&c->bytes);
		}
		total->blocks += sum[i].blocks;
		total->bytes += sum[i].bytes;
		total->given += sum[i].given;
		total->total_blocks += sum[i].total_blocks;
		total->total_bytes += sum[i].total_bytes;
		if (sum[i].total_blocks)
			sum_finish(&sum[i], &prof_site[i].most);
	}
	sum_finish(total, &total_most);
	return sum;
}

/* From now on, the most of each site and of all is what there is now. */
int prof_peak_reset(void)
{
	struct prof_sum total, *sum = prof_sums(&total);
	unsigned int i;

	if (!sum)
		return -ENOMEM;
	for (i = 0; i < nr_sites; i++)
		atomic64_set(&prof_site[i].most,
			     div_u64(sum[i].bytes, prof_setup.every));
	atomic64_set(&total_most, div_u64(total.bytes, prof_setup.every));
	kvfree(sum);
	return 0;
}
