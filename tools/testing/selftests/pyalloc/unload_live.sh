#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unloading pyalloc while blocks live, on purpose: the kernel warns and is tainted, and
# some memory is lost until the next boot. Not run unless asked for by name.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
EXPECTED='cut here|WARNING: .*pyalloc_exit'

# Each test ends with pyalloc unloaded.
teardown()
{
	! loaded pyalloc || fail "pyalloc is still loaded"
}

leave()
{
	ask leave
	unload_all
}

test_a_warning_names_what_lives()
{
	ask alloc 0 40 100
	ask alloc 0 512 9
	leave
	said 'pyalloc: unloaded with live blocks; 1 arenas are leaked'
	said 'live: 100 blocks of 40 bytes in 1 pools'
	said 'live: 9 blocks of 512 bytes in 2 pools'
	is "lines" "$(log | grep -c 'live: ')" 2
}

test_with_debug_hooks_it_says_whose_they_are()
{
	reload debug
	ask alloc 0 40 12
	leave
	said 'pyalloc: unloaded with live blocks; 1 arenas are leaked'
	said 'live: block [0-9]+ of 40 bytes'
	said 'pyalloc: Allocated in .* age=[0-9]+ cpu=0 pid=[0-9]+'
	is "told of" "$(log | grep -c 'live: block')" 10
	said 'live: and 2 more'
}

test_only_arenas_with_live_blocks_are_leaked()
{
	before=$(slab)
	ask alloc 0 512 $((8 * 63 * 100))
	# The first block alone, in one arena of a hundred.
	ask thin 0 $((8 * 63 * 100))
	leave
	said 'pyalloc: unloaded with live blocks; 1 arenas are leaked'
	said 'live: 1 blocks of 512 bytes in 1 pools'
	sleep 1
	holds "slab bytes more than before" $(($(slab) - before)) -le $((4 * 1024 * 1024))
}

test_loads_and_works_afterwards()
{
	ask alloc 0 40 1000
	is "bytes" "$(ledger 'bytes in allocated blocks')" 40000
	ask free 0 1000
	unload_clean
}

run_all
