/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A debugfs file that takes one command a write.
 */
#ifndef PYALLOC_TEST_COMMAND_H
#define PYALLOC_TEST_COMMAND_H

#include <linux/debugfs.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define COMMAND_MAX	128	/* bytes */

/* The write fails as the command does. One at a time. */
static inline ssize_t command_write(const char __user *buf, size_t count,
				    struct mutex *lock,
				    long (*command)(const char *line))
{
	char line[COMMAND_MAX];
	long err;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	line[count] = '\0';

	mutex_lock(lock);
	err = command(strim(line));
	mutex_unlock(lock);
	return err ?: count;
}

#endif /* PYALLOC_TEST_COMMAND_H */
