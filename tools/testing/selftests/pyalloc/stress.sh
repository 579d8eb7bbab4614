#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Everything at once, by chance: see test_mod/stress/main.c. Four phases of a quarter
# of $STRESS_SECONDS each (default 120). $STRESS_SEED repeats a run as far as chance
# goes; the log says the seed. hotplug.sh has more of it.

. "$(dirname "$0")/functions.sh"

PHASE=$(((${STRESS_SECONDS:-120} + 3) / 4))

# stress_pyalloc does not come to stay: insmod returns when it is over.
# shellcheck disable=SC2034 # for functions.sh
MODULES=

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

run_all
