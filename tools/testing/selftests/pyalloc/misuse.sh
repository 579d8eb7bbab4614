#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Frees that are bugs of the caller: refused, and the kernel warns and is tainted. Not
# run unless asked for by name.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
EXPECTED='cut here|WARNING: .* (bad_free|free_double|free_elsewhere)\+'

# refused_free REGEX: said and counted, and all is well otherwise
refused_free()
{
	said "pyalloc: $1"
	is "frees refused" "$(ledger 'frees refused')" 1
	is "bytes in use" "$(ledger 'bytes in allocated blocks')" "$(held usable)"
	# Was any block handed out twice? Then EIO, when its contents are checked.
	ask alloc 0 64 5000
	ask alloc 1 64 5000
	ask free 0 "$(held blocks)"
	is "free lists found corrupt" "$(ledger 'free lists found corrupt')" 0
	eventually 1 total_is_all_arenas || fail "$(cat "$PY/stats")"
}

test_a_double_free_on_the_owner()
{
	ask alloc 0 64 100
	ask twice 0
	refused_free 'double free'
}

test_a_double_free_of_the_last_block()
{
	ask alloc 0 64 1
	ask twice 0
	refused_free '(double free|free of a block that is not in use)'
}

test_a_double_free_on_another_cpu()
{
	need_cpus 2
	ask alloc 0 64 100
	ask twice 1
	refused_free 'double free'
}

test_freeing_an_arena_s_header()
{
	ask alloc 0 64 100
	ask header 0
	refused_free '.*header'
}

run_all
