#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# /proc/allocinfo: each caller of pyalloc() by file, line and function. For a kernel with
# memory allocation profiling. Not run unless asked for by name.

. "$(dirname "$0")/functions.sh"

INFO=/proc/allocinfo
SWITCH=/proc/sys/vm/mem_profiling
# shellcheck disable=SC2034 # for functions.sh
MODULES="$TEST_PYALLOC $HEAPS_PYALLOC"

setup()
{
	[ -w "$SWITCH" ] || skip "needs a kernel with CONFIG_MEM_ALLOC_PROFILING"
	was=$(cat "$SWITCH")
	echo 1 2>/dev/null >"$SWITCH" ||
		skip "needs a kernel booted with sysctl.vm.mem_profiling=0 or 1"
	load_all
}

teardown()
{
	unload_clean
	echo "$was" >"$SWITCH"
}

# of FILE FUNCTION: "BYTES CALLS" of all calls there
of()
{
	awk -v line="(^|/)$1:[0-9]+\$" -v name="func:$2" '
		$3 ~ line && $NF == name { bytes += $1; calls += $2 }
		END { print bytes + 0, calls + 0 }' "$INFO"
}

# calls FILE FUNCTION
calls()
{
	of "$@" | cut -d ' ' -f 2
}

held_by_test()
{
	is "test_pyalloc has bytes and blocks" "$(of test_pyalloc.c block_fill)" "$1"
}

test_blocks_are_their_caller_s()
{
	held_by_test '0 0'
	ask alloc 0 64 1000
	ask alloc 0 13 100
	held_by_test '65600 1100'
	matches "line" "$(grep block_fill "$INFO")" \
		'^ +65600 +1100 .*test_pyalloc\.c:[0-9]+ \[test_pyalloc\] func:block_fill *$'
	ask free 0 600
	held_by_test '32000 500'
	ask free 0 500
	held_by_test '0 0'
}

test_those_of_kmalloc_too()
{
	ask alloc 0 1000 10
	is "calls" "$(calls test_pyalloc.c block_fill)" 10
	ask free 0 10
	held_by_test '0 0'
}

test_freed_by_another_cpu()
{
	need_cpus 2
	ask alloc 0 40 500
	ask free 1 400
	held_by_test '4000 100'
	ask alloc 1 40 300
	held_by_test '16000 400'
	ask free 0 400
	held_by_test '0 0'
}

test_of_a_private_heap()
{
	heap create one
	heap alloc one 100 50
	is "calls" "$(calls heaps_pyalloc.c own_alloc)" 50
	# With a node each, by which the heap knows them.
	heap alloc one 1000 5
	is "calls" "$(calls heaps_pyalloc.c own_alloc)" 60
	heap free one 15
	is "calls" "$(calls heaps_pyalloc.c own_alloc)" 40
	heap destroy one
	is "bytes and calls" "$(of heaps_pyalloc.c own_alloc)" '0 0'
}

# As with kmalloc(): what is freed meanwhile goes on to count.
test_off_and_on()
{
	ask alloc 0 64 1000
	echo 0 >"$SWITCH"
	ask free 0 500
	ask alloc 0 64 10
	echo 1 >"$SWITCH"
	before=$(calls test_pyalloc.c block_fill)
	holds "calls" "$before" -ge 500
	holds "calls" "$before" -le 1000
	ask alloc 0 80 1000
	is "calls, 1000 more" "$(calls test_pyalloc.c block_fill)" $((before + 1000))
	ask free 0 1510
	holds "calls" "$(calls test_pyalloc.c block_fill)" -le 500
	ask alloc 0 64 2000
	ask free 0 2000
	holds "calls" "$(calls test_pyalloc.c block_fill)" -le 500
}

test_under_a_storm()
{
	ask storm 1000
	echo 0 >"$SWITCH"
	ask storm 500
	echo 1 >"$SWITCH"
	ask storm 500
	nothing_went_wrong
}

run_all
