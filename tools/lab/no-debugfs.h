/* SPDX-License-Identifier: GPL-2.0 */
/* Included by the check's build for a kernel without debugfs, before anything else. */
#undef CONFIG_DEBUG_FS
