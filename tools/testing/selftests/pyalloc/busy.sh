#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Interrupts that find "busy" taken: the window of a few instructions, held open.

. "$(dirname "$0")/functions.sh"

SHOTS=100

# shots KIND CPU: each frees a block and allocates one
shots()
{
	[ ! -e /sys/kernel/realtime ] || skip "kmalloc() is not for interrupts on PREEMPT_RT"
	frees=$(ledger 'frees in an interrupt, busy')
	allocs=$(fall 'in an interrupt, busy' 1)
	ask busy "$2" "$1" $SHOTS
	is "frees that met busy" "$(ledger 'frees in an interrupt, busy')" $((frees + SHOTS))
	is "allocations that met busy" "$(fall 'in an interrupt, busy' 1)" $((allocs + SHOTS))
	ask rest
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

on_all_cpus()
{
	for cpu in $(cpus); do
		shots "$1" "$cpu"
	done
}

test_an_hrtimer()
{
	on_all_cpus hrtimer
}

test_a_softirq()
{
	on_all_cpus softirq
}

test_an_irq_work()
{
	on_all_cpus irq_work
}

test_while_a_storm_goes_on_before_and_after()
{
	for kind in hrtimer softirq irq_work; do
		ask storm 500
		shots $kind 0
	done
}

test_busy_is_taken_nowhere_at_rest()
{
	ask storm 2000
	ask rest
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	ask rest
	nothing_went_wrong
}

run_all
