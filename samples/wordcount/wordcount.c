// SPDX-License-Identifier: GPL-2.0
/*
 * wordcount: counts the words of a text file. A sample of a module that uses
 * pyalloc, to be copied from.
 *
 *   insmod wordcount.ko path=/usr/share/common-licenses/GPL-3 top=20
 *   cat /sys/kernel/debug/wordcount/top
 *
 * A word is a run of ASCII letters, taken as lower case. Each distinct word
 * costs two objects: a node in a hash table and the word itself, a string of
 * exactly its length and the NUL. Both come from pyalloc() and go back to
 * pyfree(), used as kmalloc() and kfree() would be; such many small and odd
 * sizes are what pyalloc is for. wordcount_kmalloc.c builds the same source
 * over kmalloc(), to compare.
 *
 * Everything is read when the module loads. After that the table does not
 * change, so that no lock is needed to show it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/sort.h>
#include <linux/vmstat.h>

#include <pyalloc.h>

#define TOP_MAX		1000
#define WORD_MAX	(SZ_64K - 1)	/* letters; the string is one longer */

static char *path;
module_param(path, charp, 0444);
MODULE_PARM_DESC(path, "the text file to count the words of");

static unsigned int top = 20;
module_param(top, uint, 0444);
MODULE_PARM_DESC(top, "how many of the most frequent words to show, 1 to 1000 (default 20)");

struct word {
	struct hlist_node link;		/* in words[] */
	char *text;
	u64 count;
	u32 hash;			/* spares most comparisons of strings */
	u32 len;
};

/* What the table's objects cost; bytes but for @objects. */
struct memory {
	u64 objects;
	u64 requested;			/* what was asked for */
	u64 usable;			/* what the allocator's blocks hold */
	s64 pages;			/* what the kernel gave for them */
};

/* One chunk of the file, and the word that may go on in the next one. */
struct reader {
	char chunk[SZ_64K];
	char word[WORD_MAX];
	u32 len;
};

static DEFINE_HASHTABLE(words, 14);
static struct word **sorted;		/* most frequent first */
static unsigned long nr_words;		/* distinct ones */
static unsigned long nr_top;		/* of them are shown in "top" */
static struct memory memory;
static struct dentry *debugfs;

static void *count_alloc(size_t size)
{
	void *p = pyalloc(size, GFP_KERNEL);

	if (p) {
		memory.objects++;
		memory.requested += size;
		memory.usable += pysize(p);
	}
	return p;
}

static int count_word(const char *text, u32 len)
{
	u32 hash = jhash(text, len, 0);
	struct word *word;

	hash_for_each_possible(words, word, link, hash) {
		if (word->hash == hash && word->len == len &&
		    !memcmp(word->text, text, len)) {
			word->count++;
			return 0;
		}
	}

	word = count_alloc(sizeof(*word));
	if (!word)
		return -ENOMEM;
	word->text = count_alloc(len + 1);
	if (!word->text) {
		pyfree(word);
		return -ENOMEM;
	}
	memcpy(word->text, text, len);
	word->text[len] = '\0';
	word->len = len;
	word->hash = hash;
	word->count = 1;
	hash_add(words, &word->link, hash);
	nr_words++;
	return 0;
}

static void free_words(void)
{
	struct hlist_node *next;
	struct word *word;
	int i;

	kvfree(sorted);
	hash_for_each_safe(words, i, next, word, link) {
		hash_del(&word->link);
		pyfree(word->text);
		pyfree(word);
		cond_resched();
	}
}

static int end_word(struct reader *reader)
{
	u32 len = reader->len;

	reader->len = 0;
	return len ? count_word(reader->word, len) : 0;
}

static int count_chunk(struct reader *reader, size_t bytes)
{
	size_t i;
	int err;

	for (i = 0; i < bytes; i++) {
		/* Not isalpha(): that takes Latin-1 letters too. */
		char c = reader->chunk[i] | 0x20;

		if (c < 'a' || c > 'z') {
			err = end_word(reader);
			if (err)
				return err;
		} else if (reader->len < WORD_MAX) {
			reader->word[reader->len++] = c;
		} else {
			pr_err("path: %s has a word of more than %u letters\n",
			       path, (unsigned int)WORD_MAX);
			return -E2BIG;
		}
	}
	return 0;
}

static int count_file(struct file *file, struct reader *reader)
{
	loff_t pos = 0;
	ssize_t bytes;
	int err;

	for (;;) {
		bytes = kernel_read(file, reader->chunk, sizeof(reader->chunk),
				    &pos);
		if (bytes < 0)
			pr_err("path: cannot read %s: %pe\n", path,
			       ERR_PTR(bytes));
		if (bytes <= 0)
			return bytes ?: end_word(reader);

		err = count_chunk(reader, bytes);
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/*
 * The pages of all slabs and of pyalloc's arenas, which are booked as slab.
 * The kernel-wide counter lags by what each CPU has not yet added to it: read
 * those parts too, they amount to more than a short text needs.
 */
static s64 slab_bytes(void)
{
	s64 pages = global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
	int nid, cpu;

	for_each_online_node(nid) {
		struct per_cpu_nodestat __percpu *stat =
			NODE_DATA(nid)->per_cpu_nodestats;

		for_each_online_cpu(cpu)
			pages += per_cpu_ptr(stat, cpu)->vm_node_stat_diff
				 [NR_SLAB_UNRECLAIMABLE_B];
	}
	return pages * (s64)PAGE_SIZE;
}

/*
 * memory.pages is the difference of a counter of the whole system, so that
 * whatever else allocates meanwhile is in it. It does not show room that the
 * allocator had to spare before: partly free slabs, or an arena already there.
 */
static int count_path(void)
{
	struct reader *reader;
	struct file *file;
	int err;

	/* Not to be kept waiting by a FIFO. */
	file = filp_open(path, O_RDONLY | O_LARGEFILE | O_NONBLOCK, 0);
	if (IS_ERR(file)) {
		pr_err("path: cannot open %s: %pe\n", path, file);
		return PTR_ERR(file);
	}
	err = -EINVAL;
	if (!S_ISREG(file_inode(file)->i_mode)) {
		pr_err("path: %s is not a regular file\n", path);
		goto out_file;
	}
	err = -ENOMEM;
	reader = kvmalloc(sizeof(*reader), GFP_KERNEL);
	if (!reader)
		goto out_file;
	reader->len = 0;

	memory.pages = -slab_bytes();
	err = count_file(file, reader);
	memory.pages += slab_bytes();

	kvfree(reader);
out_file:
	fput(file);
	return err;
}

static int compare_words(const void *a, const void *b)
{
	const struct word *x = *(const struct word **)a;
	const struct word *y = *(const struct word **)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->text, y->text);
}

static int sort_words(void)
{
	struct word *word;
	unsigned long n = 0;
	int i;

	sorted = kvmalloc_array(nr_words, sizeof(*sorted), GFP_KERNEL);
	if (!sorted)
		return -ENOMEM;
	hash_for_each(words, i, word, link)
		sorted[n++] = word;
	sort(sorted, nr_words, sizeof(*sorted), compare_words, NULL);
	nr_top = min_t(unsigned long, top, nr_words);
	return 0;
}

/* "top" and "counts" differ only in how many words they show. */
static void *words_start(struct seq_file *seq, loff_t *pos)
{
	const unsigned long *limit = seq->private;

	return *pos < *limit ? &sorted[*pos] : NULL;
}

static void *words_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;
	return words_start(seq, pos);
}

static void words_stop(struct seq_file *seq, void *v)
{
}

static int words_show(struct seq_file *seq, void *v)
{
	const struct word *word = *(struct word **)v;

	seq_printf(seq, "%llu %s\n", word->count, word->text);
	return 0;
}

static const struct seq_operations words_sops = {
	.start = words_start,
	.next = words_next,
	.stop = words_stop,
	.show = words_show,
};
DEFINE_SEQ_ATTRIBUTE(words);

static int memory_show(struct seq_file *seq, void *v)
{
	seq_printf(seq, "objects %llu\n", memory.objects);
	seq_printf(seq, "requested %llu\n", memory.requested);
	seq_printf(seq, "usable %llu\n", memory.usable);
	seq_printf(seq, "pages %lld\n", memory.pages);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(memory);

static int __init wordcount_init(void)
{
	int err;

	if (!path || !*path) {
		pr_err("path: no text file given\n");
		return -EINVAL;
	}
	if (!top || top > TOP_MAX) {
		pr_err("top: %u is not 1 to %u\n", top, TOP_MAX);
		return -EINVAL;
	}

	err = count_path();
	if (!err)
		err = sort_words();
	if (err) {
		free_words();
		return err;
	}

	debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("top", 0444, debugfs, &nr_top, &words_fops);
	debugfs_create_file("counts", 0444, debugfs, &nr_words, &words_fops);
	debugfs_create_file("memory", 0444, debugfs, NULL, &memory_fops);
	pr_info("%s: %lu different words\n", path, nr_words);
	return 0;
}
module_init(wordcount_init);

static void __exit wordcount_exit(void)
{
	/* Waits for whoever reads one of the files. */
	debugfs_remove(debugfs);
	free_words();
}
module_exit(wordcount_exit);

MODULE_DESCRIPTION("Counts the words of a text file: a sample for pyalloc");
MODULE_LICENSE("GPL");
