#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Everything at once, by chance: see test_mod/stress/main.c. Five phases of a fifth of
# $STRESS_SECONDS each (default 120). $STRESS_SEED repeats a run as far as chance goes; the
# log says the seed. hotplug.sh has more of it.

. "$(dirname "$0")/functions.sh"

PHASE=$(((${STRESS_SECONDS:-120} + 4) / 5))

# stress_pyalloc does not come to stay: insmod returns when it is over.
# shellcheck disable=SC2034 # for functions.sh
MODULES=
# shellcheck disable=SC2034 # the same
LEFTOVERS=pyalloc_prof

test_undisturbed()
{
	stress "$PHASE"
}

test_with_trim()
{
	stress "$PHASE" trims
}

test_with_the_shrinker()
{
	[ -w /proc/sys/vm/drop_caches ] || skip "needs /proc/sys/vm/drop_caches"
	stress "$PHASE" shortages
}

test_with_arenas_that_are_not_to_be_had()
{
	stress "$PHASE" refusals trims
	fail_arenas probability=0
	holds "refusals" "$(ledger 'page allocator: refusals')" -gt 0
	holds "served by kmalloc" "$(fall 'no arena' 1)" -gt 0
}

# All that was recorded is freed, when it began first and when it began meanwhile.
test_with_the_profiler()
{
	[ -e "$PROF" ] || skip "prof/pyalloc_prof.ko is not built"
	load "$PROF"
	begin every=1
	stress $(((PHASE + 1) / 2)) read_all
	holds "recorded" "$(traced total_blocks)" -gt 0
	is "bytes, blocks" "$(live)" "0 0"
	begin every=10
	meanwhile=profiles
	! emulated || meanwhile=read_all
	stress $(((PHASE + 1) / 2)) "$meanwhile"
	is "bytes, blocks" "$(live)" "0 0"
	unload pyalloc_prof
}

run_all
