// SPDX-License-Identifier: GPL-2.0
/*
 * whoholds: a module that takes memory and does not give it back, to be found out with
 * pyalloc_prof. What a number is written to takes that much more:
 *
 *   /sys/module/whoholds/parameters/strings	small strings
 *   /sys/module/whoholds/parameters/leak	objects that are forgotten
 *   /sys/module/whoholds/parameters/pins	arenas that one object each keeps
 *
 * See Documentation/profiler.rst. All is freed when the module is unloaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <pyalloc.h>

#define OBJECT_SIZE	200
#define FILLER_SIZE	128

/* More objects of FILLER_SIZE bytes than an arena has room for. */
#define FILLERS		2100

/* What knows each object, so that the unload can free it: kmalloc()'s, not to be seen. */
struct held {
	struct list_head list;
	void *p;
};

static LIST_HEAD(all);
static DEFINE_MUTEX(lock);	/* of what is written */

static int hold(void *p)
{
	struct held *held = p ? kmalloc(sizeof(*held), GFP_KERNEL) : NULL;

	if (!held) {
		pyfree(p);
		return -ENOMEM;
	}
	held->p = p;
	list_add(&held->list, &all);
	return 0;
}

static noinline int make_strings(unsigned int nr)
{
	unsigned int i;
	char text[24];
	int err = 0;

	for (i = 0; !err && i < nr; i++) {
		snprintf(text, sizeof(text), "string %07u", i);
		err = hold(pystrdup(text, GFP_KERNEL));
	}
	return err;
}

static noinline int forget_objects(unsigned int nr)
{
	int err = 0;

	while (!err && nr--)
		err = hold(pyalloc(OBJECT_SIZE, GFP_KERNEL));
	return err;
}

/*
 * The object that stays, of the same class as what surrounds it. Zeroed here: a function
 * that ended with pyalloc() would jump to it, and its caller be the call site.
 */
static noinline void *keep_one(void)
{
	void *p = pyalloc(FILLER_SIZE, GFP_KERNEL);

	return p ? memset(p, 0, FILLER_SIZE) : NULL;
}

static noinline void fill(void **filler)
{
	unsigned int i;

	for (i = 0; i < FILLERS; i++)
		filler[i] = pyalloc(FILLER_SIZE, GFP_KERNEL);
}

static int pin_arenas(unsigned int nr)
{
	void **filler = vmalloc(array3_size(nr, FILLERS, sizeof(*filler)));
	unsigned int i;
	int err = 0;

	if (!filler)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		fill(filler + i * FILLERS);
		err = err ?: hold(keep_one());
	}
	for (i = 0; i < nr * FILLERS; i++)
		pyfree(filler[i]);
	vfree(filler);
	return err;
}

/* A parameter that does something with the number that is written to it. */
static int do_set(const char *val, const struct kernel_param *kp)
{
	int (*fn)(unsigned int nr) = kp->arg;
	unsigned int nr;
	int err = kstrtouint(val, 0, &nr);

	if (err || nr > 1000000)
		return -EINVAL;
	mutex_lock(&lock);
	err = fn(nr);
	mutex_unlock(&lock);
	return err;
}

static const struct kernel_param_ops do_ops = { .set = do_set };

module_param_cb(strings, &do_ops, make_strings, 0200);
MODULE_PARM_DESC(strings, "strings to make, of 14 letters each");
module_param_cb(leak, &do_ops, forget_objects, 0200);
MODULE_PARM_DESC(leak, "objects of 200 bytes to forget");
module_param_cb(pins, &do_ops, pin_arenas, 0200);
MODULE_PARM_DESC(pins, "arenas to fill, and to free but for one object each");

static int __init whoholds_init(void)
{
	return 0;
}

static void __exit whoholds_exit(void)
{
	struct held *held, *next;

	list_for_each_entry_safe(held, next, &all, list) {
		pyfree(held->p);
		kfree(held);
	}
}

module_init(whoholds_init);
module_exit(whoholds_exit);
MODULE_DESCRIPTION("A sample whose memory use is to be explained by pyalloc_prof");
MODULE_AUTHOR("The pyalloc developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
