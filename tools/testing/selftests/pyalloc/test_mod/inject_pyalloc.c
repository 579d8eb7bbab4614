// SPDX-License-Identifier: GPL-2.0
/*
 * inject_pyalloc: one allocation of the init function of another module fails, for
 * inject.sh. With /proc/self/fail-nth, one of insmod's would: most of these are the
 * module loader's own, and the tracepoints' warn when theirs fail.
 *
 * In /sys/module/inject_pyalloc/parameters:
 *
 *   nth	which allocation of the next init function fails; 0: none
 *   error	what that function returned
 *   left	0 if it made so many allocations
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

static unsigned int nth;
module_param(nth, uint, 0644);
MODULE_PARM_DESC(nth, "Which allocation of the next init function fails, 0: none (0)");

static int error;
module_param(error, int, 0444);
MODULE_PARM_DESC(error, "What it returned");

static unsigned int left;
module_param(left, uint, 0444);
MODULE_PARM_DESC(left, "Allocations that it would have had to make more to fail");

static struct tracepoint *start, *finish;

static void init_starts(void *data, initcall_t fn)
{
	current->fail_nth = nth;
}

static void init_finished(void *data, initcall_t fn, int ret)
{
	if (!nth)
		return;
	left = current->fail_nth;
	current->fail_nth = 0;
	error = ret;
	nth = 0;
}

static void find(struct tracepoint *tp, void *unused)
{
	if (!strcmp(tp->name, "initcall_start"))
		start = tp;
	if (!strcmp(tp->name, "initcall_finish"))
		finish = tp;
}

static int __init inject_pyalloc_init(void)
{
	int err;

	for_each_kernel_tracepoint(find, NULL);
	if (!start || !finish)
		return -ENOENT;
	err = tracepoint_probe_register(start, init_starts, NULL);
	if (err)
		return err;
	err = tracepoint_probe_register(finish, init_finished, NULL);
	if (err)
		tracepoint_probe_unregister(start, init_starts, NULL);
	return err;
}
module_init(inject_pyalloc_init);

static void __exit inject_pyalloc_exit(void)
{
	tracepoint_probe_unregister(finish, init_finished, NULL);
	tracepoint_probe_unregister(start, init_starts, NULL);
	tracepoint_synchronize_unregister();
}
module_exit(inject_pyalloc_exit);

MODULE_DESCRIPTION("Lets an allocation of a module's init function fail");
MODULE_LICENSE("GPL");
