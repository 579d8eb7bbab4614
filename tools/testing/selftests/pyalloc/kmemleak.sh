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
REPORT=/tmp/kmemleak

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

# marked TEXT: how many of the blocks shown begin with TEXT
marked()
{
	grep -c "  $1" "$REPORT" || :
}

# found TEXT SIZE: most of ten, as stale copies of a pointer hide a block
found()
{
	holds "$1 found" "$(marked "$1")" -ge 7
	matches "size of $1" "$(grep -B 5 "  $1" "$REPORT")" \
		"unreferenced object 0x[0-9a-f]+ \\(size $2\\)"
}

# A scan takes its time, and so does what comes before it with such a kernel: one for all.
setup()
{
	[ -w "$KMEMLEAK" ] || skip "needs kmemleak"
	[ ! -e "$REPORT" ] || return 0
	load_all
	echo clear >"$KMEMLEAK"
	act keep
	act drop
	act keep
	act keep_resized
	act use_resized
	act lose
	act lose_constant
	act lose_large
	scan >"$REPORT"
}

# Whether blocks were lost is the test's to say.
teardown()
{
	unload_all
}

test_lost_blocks_are_found()
{
	found 'lost pooled' 24
	found 'lost constant' 24
	found 'lost large' '[0-9]+'
}

# Known from another block alone, and that from another, and so on.
test_blocks_that_blocks_point_to_are_not()
{
	is "kept blocks found" "$(marked kept)" 0
}

test_freed_blocks_are_not()
{
	is "others" "$(awk 'BEGIN { RS = "unreferenced object" } /bad_pyalloc/ && !/  lost /' "$REPORT")" ''
}

rm -f "$REPORT"
run_all
