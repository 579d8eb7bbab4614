#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Nothing stays: whoever owns a block and whoever freed it, and though nobody does anything
# any more, one second later it is free memory.

. "$(dirname "$0")/functions.sh"

HOG_MS=10000

# Fair tasks would get their 50 ms of each second otherwise. Away from the hog's CPU.
setup()
{
	load_all
	runtime=$(cat /proc/sys/kernel/sched_rt_runtime_us)
	echo -1 >/proc/sys/kernel/sched_rt_runtime_us
	taskset -p 1 $$ >/dev/null
}

teardown()
{
	echo "$runtime" >/proc/sys/kernel/sched_rt_runtime_us
	unload_clean
}

within_a_second()
{
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_ten_blocks_freed_elsewhere()
{
	need_cpus 2
	ask alloc 0 64 10
	ask free 1 10
	within_a_second
}

test_without_anybody_looking()
{
	need_cpus 2
	ask alloc 0 64 10
	ask free 1 10
	sleep 1
	all_came_back || fail "$(cat "$PY/stats")"
}

test_empty_arenas_come_back_without_anybody_looking()
{
	need_cpus 2
	ask alloc 0 512 20000
	ask free 1 20000
	sleep 1
	all_came_back || fail "$(cat "$PY/stats")"
}

test_an_owner_that_sleeps()
{
	need_cpus 2
	ask alloc 1 64 10
	sleep 1
	ask free 0 10
	within_a_second
}

test_every_cpu_s_outbox_when_none_frees_again()
{
	need_cpus 2
	for cpu in $(cpus); do
		ask alloc 0 24 63
		ask free "$cpu" 63
	done
	within_a_second
}

test_every_class_from_every_cpu()
{
	need_cpus 2
	for cpu in $(cpus); do
		for size in $(seq 8 8 512); do
			ask alloc "$cpu" "$size" 1
		done
	done
	ask free 1 "$(held blocks)"
	within_a_second
}

test_pools_freed_by_their_owner()
{
	ask alloc 0 200 10000
	ask free 0 10000
	within_a_second
}

test_an_owner_with_a_hog_of_high_priority()
{
	need_cpus 2
	ask alloc 1 64 10
	ask hog 1 $HOG_MS
	ask free 0 10
	within_a_second
}

test_an_outbox_behind_a_hog_of_high_priority()
{
	need_cpus 2
	ask alloc 0 64 10
	ask free 1 10
	ask hog 1 $HOG_MS
	within_a_second
}

test_thousands_of_blocks_of_an_owner_with_a_hog()
{
	need_cpus 2
	ask alloc 1 64 20000
	ask hog 1 $HOG_MS
	ask free 0 20000
	within_a_second
}

# Where a fair task is woken on a hog's CPU, it waits there until the load is balanced.
test_the_reaper_goes_before_fair_tasks()
{
	set -- $(grep -h '^[0-9]* (pyalloc_reaper) ' /proc/[0-9]*/stat 2>/dev/null)
	is "SCHED_FIFO and priority of the reaper" "${41} ${40}" "1 1"
}

run_all
