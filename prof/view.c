// SPDX-License-Identifier: GPL-2.0
/*
 * What is known, as tables: the top call sites, snapshots, and the difference of two.
 */
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "prof.h"

/* A call site, as it is shown. */
struct line {
	u32 site;
	struct prof_sum sum;
};

/*
 * All call sites that are shown; *@nr of them, for kvfree(); and *@total, of all.
 * NULL: no memory.
 */
static struct line *lines_read(unsigned int *nr, struct prof_sum *total)
{
	unsigned int i, n = 0;
	struct prof_sum *sum;
	struct line *line;

	lockdep_assert_held(&prof_mutex);
	sum = prof_sums(total);
	if (!sum)
		return NULL;
	for (i = 0; i < prof_nr_sites(); i++)
		n += prof_site_shown(i) && sum[i].total_blocks;
	line = kvcalloc(n + 1, sizeof(*line), GFP_KERNEL);
	*nr = 0;
	for (i = 0; line && *nr < n; i++) {
		/* One that just came, or was hidden, is not waited for. */
		if (i == prof_nr_sites())
			break;
		if (!prof_site_shown(i) || !sum[i].total_blocks)
			continue;
		line[*nr].site = i;
		line[(*nr)++].sum = sum[i];
	}
	kvfree(sum);
	return line;
}

#define COMPARE(a, b)	(((a) > (b)) - ((a) < (b)))

static int by_size(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return COMPARE(y->sum.bytes, x->sum.bytes) ?: COMPARE(x->site, y->site);
}

static int by_count(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return COMPARE(y->sum.blocks, x->sum.blocks) ?: by_size(a, b);
}

static int by_age(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return COMPARE(y->sum.age, x->sum.age) ?: by_size(a, b);
}

/* ---- top ---- */

static const struct {
	const char *name;
	cmp_func_t compare;
} orders[] = {
	{ "size", by_size },
	{ "count", by_count },
	{ "age", by_age },
};

static unsigned int order;

static int top_show(struct seq_file *m, void *unused)
{
	struct prof_sum total;
	unsigned int nr, i;
	struct line *line;

	mutex_lock(&prof_mutex);
	line = lines_read(&nr, &total);
	if (!line) {
		mutex_unlock(&prof_mutex);
		return -ENOMEM;
	}
	if (!prof_nr_sites())
		seq_puts(m, "not begun: write 1 to the file enable\n");
	sort(line, nr, sizeof(*line), orders[order].compare, NULL);
	seq_puts(m, "        bytes     blocks        given         peak    total blocks     oldest  call site\n");
	for (i = 0; i < nr; i++) {
		const struct prof_sum *s = &line[i].sum;

		seq_printf(m, "%13lld %10lld %12lld %12lld %15llu %8llu.%llu  ",
			   s->bytes, s->blocks, s->given, s->peak,
			   s->total_blocks, prof_age_ms(s->age) / 1000,
			   prof_age_ms(s->age) % 1000 / 100);
		prof_site_name(m, line[i].site);
		seq_putc(m, '\n');
	}
	if (prof_setup.every > 1)
		seq_printf(m, "estimated: one of %u allocations is recorded\n",
			   prof_setup.every);
	if (prof_dropped())
		seq_printf(m, "%llu allocations not recorded: no room; see the parameter \"records\"\n",
			   prof_dropped());
	mutex_unlock(&prof_mutex);
	kvfree(line);
	return 0;
}

static ssize_t top_write(struct file *file, const char __user *buf,
			 size_t count, loff_t *pos)
{
	char text[16], *word = prof_text(text, sizeof(text), buf, count);
	unsigned int i;

	if (IS_ERR(word))
		return PTR_ERR(word);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		if (!strcmp(word, orders[i].name)) {
			order = i;
			return count;
		}
	}
	return -EINVAL;
}
DEFINE_SHOW_STORE_ATTRIBUTE(top);

/* ---- Snapshots ---- */

#define SNAPSHOT_NAME	32
#define SNAPSHOTS_MAX	64

struct snapshot {
	struct list_head list;
	char name[SNAPSHOT_NAME];
	ktime_t when;
	unsigned int nr;
	struct line *line;
};

static LIST_HEAD(snapshots);		/* the oldest first */
static unsigned int nr_snapshots;

/* What "diff" compares; empty: the last two, or the last with now. */
static char diff_old[SNAPSHOT_NAME], diff_new[SNAPSHOT_NAME];

static struct snapshot *snapshot_find(const char *name)
{
	struct snapshot *s;

	list_for_each_entry(s, &snapshots, list)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

static void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	kvfree(s->line);
	kfree(s);
}

static void snapshot_drop(struct snapshot *s)
{
	list_del(&s->list);
	nr_snapshots--;
	snapshot_free(s);
}

void prof_snapshots_free(void)
{
	struct snapshot *s, *next;

	list_for_each_entry_safe(s, next, &snapshots, list)
		snapshot_drop(s);
	*diff_old = '\0';
	*diff_new = '\0';
}

size_t prof_snapshots_bytes(void)
{
	struct snapshot *s;
	size_t bytes = 0;

	list_for_each_entry(s, &snapshots, list)
		bytes += sizeof(*s) + s->nr * sizeof(*s->line);
	return bytes;
}

static struct snapshot *snapshot_take(const char *name)
{
	struct snapshot *s = kzalloc(sizeof(*s), GFP_KERNEL);
	struct prof_sum total;

	if (!s)
		return NULL;
	strscpy(s->name, name, sizeof(s->name));
	s->when = ktime_get_boottime();
	s->line = lines_read(&s->nr, &total);
	if (!s->line) {
		kfree(s);
		return NULL;
	}
	return s;
}

static int snapshot_show(struct seq_file *m, void *unused)
{
	struct snapshot *s;
	unsigned int i;

	mutex_lock(&prof_mutex);
	list_for_each_entry(s, &snapshots, list) {
		s64 bytes = 0, blocks = 0;

		for (i = 0; i < s->nr; i++) {
			bytes += s->line[i].sum.bytes;
			blocks += s->line[i].sum.blocks;
		}
		seq_printf(m, "%s: size=%lld, count=%lld, %lld s ago\n",
			   s->name, bytes, blocks,
			   ktime_to_ms(ktime_sub(ktime_get_boottime(), s->when)) /
			   MSEC_PER_SEC);
	}
	mutex_unlock(&prof_mutex);
	return 0;
}

/* NAME takes one, and replaces that of the same name; -NAME drops it. */
static int snapshot_do(char *name)
{
	bool drop = *name == '-';
	struct snapshot *old, *new;

	name += drop;
	if (!*name || strlen(name) >= SNAPSHOT_NAME || strpbrk(name, " \t\n"))
		return -EINVAL;
	old = snapshot_find(name);
	if (drop) {
		if (!old)
			return -ENOENT;
		snapshot_drop(old);
		return 0;
	}
	if (!old && nr_snapshots == SNAPSHOTS_MAX)
		return -ENOSPC;
	new = snapshot_take(name);
	if (!new)
		return -ENOMEM;
	if (old)
		snapshot_drop(old);
	list_add_tail(&new->list, &snapshots);
	nr_snapshots++;
	return 0;
}

static ssize_t snapshot_write(struct file *file, const char __user *buf,
			      size_t count, loff_t *pos)
{
	char text[SNAPSHOT_NAME + 2];	/* with "-" and a newline */
	char *name = prof_text(text, sizeof(text), buf, count);
	int err;

	if (IS_ERR(name))
		return PTR_ERR(name);
	mutex_lock(&prof_mutex);
	err = snapshot_do(name);
	mutex_unlock(&prof_mutex);
	return err ?: count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(snapshot);

/* ---- The difference of two ---- */

struct change {
	u32 site;
	s64 bytes, blocks;		/* now */
	s64 more_bytes, more_blocks;	/* than before */
};

/* As tracemalloc's compare_to() sorts. */
static int by_change(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return COMPARE(abs(y->more_bytes), abs(x->more_bytes)) ?:
	       COMPARE(y->bytes, x->bytes) ?:
	       COMPARE(abs(y->more_blocks), abs(x->more_blocks)) ?:
	       COMPARE(x->site, y->site);
}

static void diff_print(struct seq_file *m, const struct snapshot *old,
		       const struct snapshot *new, struct change *change)
{
	unsigned int i;

	/* Both are without gaps in the order of sites, and no site goes away. */
	for (i = 0; i < old->nr; i++) {
		struct change *c = &change[old->line[i].site];

		c->more_bytes -= old->line[i].sum.bytes;
		c->more_blocks -= old->line[i].sum.blocks;
	}
	for (i = 0; i < new->nr; i++) {
		struct change *c = &change[new->line[i].site];

		c->bytes = new->line[i].sum.bytes;
		c->blocks = new->line[i].sum.blocks;
		c->more_bytes += c->bytes;
		c->more_blocks += c->blocks;
	}
	for (i = 0; i < prof_nr_sites(); i++)
		change[i].site = i;
	sort(change, prof_nr_sites(), sizeof(*change), by_change, NULL);
	for (i = 0; i < prof_nr_sites(); i++) {
		const struct change *c = &change[i];

		if ((!c->blocks && !c->more_blocks && !c->more_bytes) ||
		    !prof_site_shown(c->site))
			continue;
		prof_site_name(m, c->site);
		seq_printf(m, ": size=%lld (%+lld), count=%lld (%+lld), average=%lld\n",
			   c->bytes, c->more_bytes, c->blocks, c->more_blocks,
			   c->blocks ? div64_s64(c->bytes, c->blocks) : 0);
	}
}

static int diff_now(struct seq_file *m)
{
	struct snapshot *old, *new = NULL, *now = NULL;
	struct change *change;

	if (list_empty(&snapshots)) {
		seq_puts(m, "no snapshot: write a name to the file snapshot\n");
		return 0;
	}
	if (*diff_old)
		old = snapshot_find(diff_old);
	else
		old = list_last_entry(&snapshots, struct snapshot, list);
	if (*diff_new) {
		new = snapshot_find(diff_new);
		if (!new)
			return -ENOENT;
	} else if (!*diff_old && nr_snapshots > 1) {
		new = old;
		old = list_prev_entry(old, list);
	}
	if (!old)
		return -ENOENT;
	if (!new) {
		now = snapshot_take("");
		new = now;
	}
	change = kvcalloc(prof_nr_sites(), sizeof(*change), GFP_KERNEL);
	if (new && change)
		diff_print(m, old, new, change);
	kvfree(change);
	snapshot_free(now);
	return new && change ? 0 : -ENOMEM;
}

static int diff_show(struct seq_file *m, void *unused)
{
	int err;

	mutex_lock(&prof_mutex);
	err = diff_now(m);
	mutex_unlock(&prof_mutex);
	return err;
}

/* "OLD NEW"; "OLD": with now; nothing: the last two, or the last with now. */
static ssize_t diff_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *pos)
{
	char text[2 * SNAPSHOT_NAME + 1];
	char *rest = prof_text(text, sizeof(text), buf, count);
	const char *old, *new;
	int err = 0;

	if (IS_ERR(rest))
		return PTR_ERR(rest);
	old = strsep(&rest, " \t") ?: "";
	new = rest ? strim(rest) : "";
	mutex_lock(&prof_mutex);
	if ((*old && !snapshot_find(old)) || (*new && !snapshot_find(new))) {
		err = -ENOENT;
	} else {
		strscpy(diff_old, old, sizeof(diff_old));
		strscpy(diff_new, new, sizeof(diff_new));
	}
	mutex_unlock(&prof_mutex);
	return err ?: count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(diff);

/* ---- stats.json ---- */

static void json_site(struct seq_file *m, const struct line *line)
{
	const struct prof_sum *s = &line->sum;
	const char *name;
	unsigned int i;

	seq_puts(m, "{\"frames\": [");
	for (i = 0; (name = prof_site_frame(line->site, i)); i++)
		seq_printf(m, i ? ", \"%s\"" : "\"%s\"", name);
	seq_printf(m, "], \"blocks\": %lld, \"bytes\": %lld, \"given\": %lld, ",
		   s->blocks, s->bytes, s->given);
	seq_printf(m, "\"peak_bytes\": %lld, \"total_blocks\": %llu, \"total_bytes\": %llu, ",
		   s->peak, s->total_blocks, s->total_bytes);
	if (s->blocks)
		seq_printf(m, "\"oldest_ms\": %llu}", prof_age_ms(s->age));
	else
		seq_puts(m, "\"oldest_ms\": null}");
}

/* The member "profile": null if it never began. */
void prof_json(struct seq_file *m)
{
	struct prof_sum total;
	struct line *line;
	unsigned int nr, i;

	mutex_lock(&prof_mutex);
	line = prof_nr_sites() ? lines_read(&nr, &total) : NULL;
	if (!line) {
		seq_puts(m, "null");
		goto out;
	}
	sort(line, nr, sizeof(*line), by_size, NULL);
	seq_printf(m, "{\n\"enabled\": %s, \"every\": %u, \"depth\": %u,\n",
		   prof_setup.on ? "true" : "false", prof_setup.every,
		   prof_setup.depth);
	seq_printf(m, "\"blocks\": %lld, \"bytes\": %lld, \"peak_bytes\": %lld, ",
		   total.blocks, total.bytes, total.peak);
	seq_printf(m, "\"dropped\": %llu, \"overhead\": %zu,\n\"sites\": [\n",
		   prof_dropped(), prof_overhead());
	for (i = 0; i < nr; i++) {
		if (i)
			seq_puts(m, ",\n");
		json_site(m, &line[i]);
	}
	seq_puts(m, "\n]\n}");
	kvfree(line);
out:
	mutex_unlock(&prof_mutex);
}

void prof_view_files(struct dentry *dir)
{
	debugfs_create_file("top", 0600, dir, NULL, &top_fops);
	debugfs_create_file("snapshot", 0600, dir, NULL, &snapshot_fops);
	debugfs_create_file("diff", 0600, dir, NULL, &diff_fops);
}
