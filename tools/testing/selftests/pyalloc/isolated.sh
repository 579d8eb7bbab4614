#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Nothing stays on a CPU that is isolated, either, and nobody is sent to work there. Needs a
# kernel booted with isolcpus=N nohz_full=N (the latter where it is built in).

. "$(dirname "$0")/functions.sh"

cpu=$(sed 's/[-,].*//' /sys/devices/system/cpu/isolated 2>/dev/null)
[ -n "$cpu" ] || skip_all "no CPU is isolated: boot with isolcpus=2 nohz_full=2"

# A loop of a user has the isolated CPU: in what goes by without the kernel's tick.
busy_user()
{
	taskset $((1 << cpu)) sh -c 'while :; do :; done' &
	user=$!
	sleep 1
}

# Otherwise the tests below say less than they seem to.
test_the_isolated_cpu_has_no_tick()
{
	nohz=/sys/devices/system/cpu/nohz_full
	[ -e "$nohz" ] || skip "needs CONFIG_NO_HZ_FULL"
	is "nohz_full" "$(cat "$nohz")" "$cpu"
}

within_a_second()
{
	result=0
	eventually 1 all_came_back || result=$?
	stats=$(cat "$PY/stats")
	[ -z "${user-}" ] || kill "$user"
	[ "$result" = 0 ] || fail "$stats"
	nothing_went_wrong
}

test_an_isolated_owner()
{
	ask alloc "$cpu" 64 10
	ask free 0 10
	within_a_second
}

test_the_outbox_of_an_isolated_cpu()
{
	ask alloc 0 64 10
	ask free "$cpu" 10
	within_a_second
}

test_an_isolated_owner_that_is_busy()
{
	ask alloc "$cpu" 64 1000
	busy_user
	ask free 0 1000
	within_a_second
}

test_the_outbox_of_an_isolated_cpu_that_is_busy()
{
	ask alloc 0 64 10
	busy_user
	ask free "$cpu" 10
	within_a_second
}

# As the kernel's own tracepoint tells. Where CPUs are emulated, it has to be on before there
# is a second one, as with trace_event=sched:sched_switch on the kernel's command line.
test_the_reaper_does_not_work_there()
{
	event=$TRACING/events/sched/sched_switch
	[ -w "$event/enable" ] || skip "needs tracepoints"
	was_on=$(cat "$event/enable")
	[ "$was_on" = 1 ] || ! emulated || skip "needs trace_event=sched:sched_switch"
	echo 'next_comm == "pyalloc_reaper"' >"$event/filter"
	echo >"$TRACING/trace"
	[ "$was_on" = 1 ] || echo 1 >"$event/enable"
	busy_user
	ask alloc 0 64 10
	ask alloc "$cpu" 64 10
	ask free "$cpu" 10
	ask free 0 10
	# Nothing may be left to do at once: its next round comes all the same.
	sleep 1
	within_a_second
	[ "$was_on" = 1 ] || echo 0 >"$event/enable"
	ran=$(sed -n 's/^.* \[\([0-9]*\)\] .*sched_switch: .*next_comm=pyalloc_reaper .*$/\1/p' \
		"$TRACING/trace")
	matches "CPUs of the reaper" "$ran" '^[0-9]+$'
	for there in $ran; do
		holds "the CPU of the reaper" "$there" -ne "$cpu"
	done
}

run_all
