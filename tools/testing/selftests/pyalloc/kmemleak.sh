#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What kmemleak finds: every block that nobody knows of any more, and no other. For a
# kernel with kmemleak. The lost blocks stay lost, so unloading pyalloc taints the
# kernel. Not run unless asked for by name.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
EXPECTED='cut here|WARNING: .*pyalloc\.c:'
# shellcheck disable=SC2034 # for functions.sh
MODULES=$BAD_PYALLOC
KMEMLEAK=$DEBUGFS/kmemleak

setup()
{
	[ -w "$KMEMLEAK" ] || skip "needs kmemleak"
	load_all
	echo clear >"$KMEMLEAK"
}

# Whether blocks were lost is the test's to say.
teardown()
{
	unload_all
}

# In a process of its own: its stack may hold a copy of the pointer.
act()
{
	(echo "$1" >"$DEBUGFS/bad_pyalloc/do") || fail "'$1' failed"
}

# What kmemleak finds, which lets blocks of the last five seconds alone, and those that
# were written since the scan before. One more, as it may break a scan off.
scan()
{
	sleep 6
	for _ in 1 2 3; do
		echo scan >"$KMEMLEAK"
	done
	cat "$KMEMLEAK"
}

# marked TEXT REPORT: how many of the blocks shown begin with TEXT
marked()
{
	echo "$2" | grep -c "  $1" || :
}

# found TEXT SIZE: most of ten, as stale copies of a pointer hide a block
found()
{
	holds "$1 found" "$(marked "$1" "$report")" -ge 7
	matches "size of $1" "$(echo "$report" | grep -B 5 "  $1")" \
		"unreferenced object 0x[0-9a-f]+ \\(size $2\\)"
}

# All kinds at once: a scan takes its time.
test_lost_blocks_are_found()
{
	act lose
	act lose_constant
	act lose_large
	report=$(scan)
	found 'lost pooled' 24
	found 'lost constant' 24
	found 'lost large' '[0-9]+'
}

# Known from another block alone, and that from another, and so on.
test_blocks_that_blocks_point_to_are_not()
{
	act keep
	act keep_resized
	# The scan works.
	act lose
	report=$(scan)
	holds "lost blocks found" "$(marked 'lost pooled' "$report")" -ge 7
	is "kept blocks found" "$(marked kept "$report")" 0
}

test_freed_blocks_are_not()
{
	act keep
	act drop
	act use_resized
	report=$(scan)
	is "reports" "$(echo "$report" | grep -B 1 -A 20 'bad_pyalloc')" ''
	unload_clean
	load_all
}

run_all
