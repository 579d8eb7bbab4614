#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What root may still read, and no longer write, when the kernel is locked down. The
# machine stays so until it is booted again: not run unless asked for by name.

. "$(dirname "$0")/functions.sh"

SECURITY=/sys/kernel/security
MODULES="$TEST_PYALLOC $PROF"

grep -q "^[^ ]* $SECURITY " /proc/mounts || mount -t securityfs securityfs "$SECURITY" 2>/dev/null
[ -e "$SECURITY/lockdown" ] || skip_all "needs a kernel that can be locked down"

# Modules without a signature are refused afterwards, and test_pyalloc takes no commands:
# one load for all tests.
setup()
{
	loaded pyalloc && return
	load_all
	echo 1 >"$PY/prof/enable"
	ask alloc 0 40 1000
}

teardown()
{
	:
}

lock()
{
	echo "$1" >"$SECURITY/lockdown" || fail "lockdown=$1 was refused"
}

# Files that cannot but be read show what they did; all others are shut.
only_files_to_read_open()
{
	matches "files to read" "$(find "$PY" -type f -perm 400 | xargs)" '/stats( |$)'
	for file in $(find "$PY" -type f -perm 400); do
		[ -n "$(cat "$file")" ] || fail "$file cannot be read"
	done
	for file in $(find "$PY" -type f ! -perm 400); do
		! (: >"$file") 2>/dev/null || fail "$file can be opened to be written"
		! (: <"$file") 2>/dev/null || fail "$file can be opened to be read"
	done
}

test_before_files_can_be_written()
{
	for file in trim fail/times prof/enable; do
		(: >"$PY/$file") || fail "$file cannot be opened"
	done
}

test_integrity()
{
	lock integrity
	only_files_to_read_open
}

test_confidentiality()
{
	lock confidentiality
	only_files_to_read_open
}

test_blocks_are_served_all_the_same()
{
	is "bytes in use" "$(ledger 'bytes in allocated blocks')" 40000
	total_is_all_arenas || fail "$(cat "$PY/stats")"
	unload_clean
}

run_all
