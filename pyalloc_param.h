/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pyalloc: the module's parameters: what each may be, and its default. A bad value
 * is refused with a message that names both.
 *
 * A part of pyalloc.c, and included there alone; see pyalloc_debugfs.h.
 */

/* ---- Tunable settings ------------------------------------------------- */

static int py_param_set(const char *val, const struct kernel_param *kp)
{
	struct py_param *param = kp->arg;
	unsigned int value;

	if (kstrtouint(val, 0, &value) || value < param->min ||
	    value > param->max) {
		pr_err("parameter %s: \"%s\" is not a number from %u to %u\n",
		       kp->name, val, param->min, param->max);
		return -EINVAL;
	}
	param->value = value;
	return 0;
}

static int py_param_get(char *buf, const struct kernel_param *kp)
{
	const struct py_param *param = kp->arg;

	return sysfs_emit(buf, "%u\n", param->value);
}

const struct kernel_param_ops py_param_ops = {
	.set = py_param_set,
	.get = py_param_get,
};
EXPORT_SYMBOL_INTERNAL(py_param_ops);

/* At most 400: a block freed anywhere must be free memory within a second. */
static struct py_param reap_ms = { .value = 250, .min = 10, .max = 400 };
module_param_cb(reap_ms, &py_param_ops, &reap_ms, 0444);
MODULE_PARM_DESC(reap_ms, "Milliseconds between two rounds of the reaper, 10 to 400 (250)");

/* One is what CPython keeps: bpo-37257. */
static struct py_param keep = { .value = 1, .min = 0, .max = 64 };
module_param_cb(keep, &py_param_ops, &keep, 0444);
MODULE_PARM_DESC(keep, "Empty arenas kept per NUMA node, 0 to 64 (1)");

static struct py_param batch = { .value = PY_BATCH, .min = 1, .max = PY_BATCH };
module_param_cb(batch, &py_param_ops, &batch, 0444);
MODULE_PARM_DESC(batch, "Blocks freed for other CPUs before they are sent, 1 to 64 (64)");

/* Read when blocks are carved: the tests change it. */
struct py_param py_shuffle = {
	.value = IS_ENABLED(CONFIG_SLAB_FREELIST_RANDOM), .min = 0, .max = 1,
};
EXPORT_SYMBOL_INTERNAL(py_shuffle);
module_param_cb(shuffle, &py_param_ops, &py_shuffle, 0444);
MODULE_PARM_DESC(shuffle, "1: fresh blocks come in random order, 0: by address (as CONFIG_SLAB_FREELIST_RANDOM)");

static const char * const py_source_names[] = { "page", "vmalloc", NULL };

static int source_set(const char *val, const struct kernel_param *kp)
{
	int i = match_string(py_source_names, -1, val);

	if (i < 0) {
		pr_err("parameter %s: \"%s\" is not \"page\" or \"vmalloc\"\n",
		       kp->name, val);
		return -EINVAL;
	}
	*(unsigned int *)kp->arg = i;
	return 0;
}

static int source_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n",
			  py_source_names[*(unsigned int *)kp->arg]);
}

static const struct kernel_param_ops source_ops = {
	.set = source_set,
	.get = source_get,
};

static unsigned int source;		/* index of py_source_names[] */
module_param_cb(arenas, &source_ops, &source, 0444);
MODULE_PARM_DESC(arenas, "Where the default heap's arenas come from, page or vmalloc (page)");

/* What the debug hooks do, in slab_debug's letters; see pyalloc_debug.h. */
#define DEBUG_CHECK	BIT(0)		/* F: is always done */
#define DEBUG_PADS	BIT(1)		/* Z */
#define DEBUG_FILL	BIT(2)		/* P */
#define DEBUG_USER	BIT(3)		/* U */
#define DEBUG_TRACE	BIT(4)		/* T */

static const char debug_letters[] = "FZPUT";
static unsigned int debug_flags = DEBUG_CHECK | DEBUG_PADS | DEBUG_FILL | DEBUG_USER;
static bool debug_default;		/* the default heap has them */

static int debug_set(const char *val, const struct kernel_param *kp)
{
	unsigned int flags = 0;
	const char *letter, *at;

	if (!val || !*val) {
		debug_default = true;
		return 0;
	}
	if (!strcmp(val, "-")) {
		debug_default = false;
		return 0;
	}
	for (letter = val; *letter && *letter != '\n'; letter++) {
		at = strchr(debug_letters, toupper(*letter));
		if (!at) {
			pr_err("parameter %s: \"%s\" is not letters of \"%s\", or \"-\"\n",
			       kp->name, val, debug_letters);
			return -EINVAL;
		}
		flags |= BIT(at - debug_letters);
	}
	debug_flags = flags;
	debug_default = true;
	return 0;
}

static int debug_get(char *buf, const struct kernel_param *kp)
{
	unsigned int i, n = 0;

	for (i = 0; debug_default && debug_letters[i]; i++)
		if (debug_flags & BIT(i))
			buf[n++] = debug_letters[i];
	return n + sysfs_emit_at(buf, n, n ? "\n" : "-\n");
}

static const struct kernel_param_ops debug_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = debug_set,
	.get = debug_get,
};

module_param_cb(debug, &debug_ops, NULL, 0444);
MODULE_PARM_DESC(debug, "Check the default heap's blocks: letters as slab_debug's, FZPUT (-)");

static struct py_param debug_quarantine = { .value = 0, .min = 0, .max = SZ_1M };
module_param_cb(debug_quarantine, &py_param_ops, &debug_quarantine, 0444);
MODULE_PARM_DESC(debug_quarantine, "KiB of checked blocks that wait before they are used again, 0 to 1048576 (0)");

static bool debug_panic;
module_param(debug_panic, bool, 0644);
MODULE_PARM_DESC(debug_panic, "Panic if a debug hook finds something wrong (N)");
