#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Interrupts that find "busy" taken: the window of a few instructions, held open; $SHOTS
# times (default 100) for each kind of interrupt and CPU.

. "$(dirname "$0")/functions.sh"

SHOTS=${SHOTS:-100}
VISITS=20

# Nothing but visits can come then.
! realtime || leave_out 'an_hrtimer|a_softirq|an_irq_work|while_a_storm_goes_on_before_and_after'

# shots KIND CPU: each frees a block and allocates one
shots()
{
	frees=$(ledger 'frees in an interrupt, busy')
	allocs=$(fall 'in an interrupt, busy' 1)
	ask busy "$2" "$1" "$SHOTS"
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

# The visits of a trim, and of who reads the statistics, come again until they are let in.
test_visits()
{
	need_cpus 2
	for cpu in $(cpus); do
		ask alloc 0 64 100
		ask free "$cpu" 50
		ask busy "$cpu" visit $VISITS &
		while kill -0 $! 2>/dev/null; do
			cat "$PY/stats" >/dev/null
		done
		wait $! || fail "CPU $cpu"
		eventually 1 ledger_is 'bytes in in-transit blocks' 0 || fail "$(cat "$PY/stats")"
		is "bytes in use" "$(ledger 'bytes in allocated blocks')" "$(held usable)"
		ask free 0 50
	done
	ask rest
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
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
