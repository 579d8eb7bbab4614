#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Unloading at a bad moment; $ROUNDS times (default 20) where that takes luck.

. "$(dirname "$0")/functions.sh"

ROUNDS=${ROUNDS:-20}

# rmmod drops the module's last reference a moment before it marks the module as going. Who
# opens a file of its debugfs folder in between gets an error, and this from the kernel.
EXPECTED='cut here|WARNING: .* full_proxy_open'

# Each test ends with pyalloc unloaded, and said how many arenas it returned.
teardown()
{
	! loaded pyalloc || fail "pyalloc is still loaded"
	said 'pyalloc: unloaded: all [0-9]+ arenas returned, no block left'
	! log | grep -E 'unloaded with live blocks' || fail "blocks were left"
	[ ! -e "$PY" ] || fail "its debugfs folder is still there"
}

test_not_while_stats_are_open()
{
	ask alloc 0 64 1000
	unload test_pyalloc
	for file in stats arenas trim; do
		case $file in
		trim)	exec 3>"$PY/$file" ;;
		*)	exec 3<"$PY/$file" ;;
		esac
		! rmmod pyalloc 2>/dev/null || fail "it went, though $file was open"
		exec 3<&-
	done
	unload pyalloc
}

test_while_files_of_the_kernel_s_are_open()
{
	exec 3<"$PY/fail/probability" 4>"$PY/fail/space"
	unload_all
	! read -r _ <&3 2>/dev/null || fail "there is something to read still"
	! echo 1 2>/dev/null >&4 || fail "it can be written to still"
	exec 3<&- 4>&-
}

test_while_the_files_are_read_all_the_time()
{
	ask alloc 0 64 20000
	ask free 0 20000
	while [ -e "$PY" ]; do
		cat "$PY/stats" "$PY/arenas" "$PY/fail/space"
	done >/dev/null 2>&1 &
	unload test_pyalloc
	eventually 10 rmmod pyalloc 2>/dev/null || fail "it never went"
	wait $! || :
}

test_with_the_reaper_armed()
{
	need_cpus 2
	for round in $(seq "$ROUNDS"); do
		ask alloc 0 $((round * 25)) 500
		ask free 1 400
		reload
	done
	unload_all
}

test_with_the_reaper_at_work()
{
	need_cpus 2
	for round in $(seq "$ROUNDS"); do
		reload reap_ms=10
		ask alloc 0 $((round * 25)) 2000
		ask free 1 1500
		ask alloc 1 64 10
	done
	unload_all
}

test_again_and_again_under_load()
{
	need_cpus 2
	for round in $(seq "$ROUNDS"); do
		ask storm 300
		unload_all
		is "clean unloads" "$(log | grep -c 'pyalloc: unloaded: all')" "$round"
		load_all
	done
	unload_all
}

# spin: a task on each CPU
spin()
{
	spinners=
	for cpu in $(cpus); do
		taskset -c "$cpu" timeout 300 sh -c 'while :; do :; done' &
		spinners="$spinners $!"
	done
	sleep 0.3	# until each has its CPU
}

# unbound_workers NICE: all that there are, but those of high priority
unbound_workers()
{
	for task in /proc/[0-9]*; do
		read -r _ name _ 2>/dev/null <"$task/stat" || continue
		case $name in
		\(kworker/u*H*)	;;
		\(kworker/u*)	renice "$1" -p "${task#/proc/}" >/dev/null 2>&1 || : ;;
		esac
	done
}

# The worker that frees them has to wait for this shell and its children: for some that
# spin, and for rmmod. They spin for no longer than unloading takes that waits for nothing:
# beside them a debug kernel's worker would need minutes.
test_while_frees_wait_for_a_grace_period()
{
	pending=0
	expedited=$(cat /sys/kernel/rcu_expedited)
	echo 1 >/sys/kernel/rcu_expedited
	# Not $$, which is who runs all tests.
	renice -n -15 -p "$(exec sh -c 'echo $PPID')" >/dev/null || fail "renice"
	for round in $(seq 100); do
		ask alloc 0 24 100000
		unbound_workers 19
		spin
		ask later
		unload test_pyalloc
		[ "$(ledger 'bytes in allocated blocks')" = 0 ] || pending=$((pending + 1))
		# shellcheck disable=SC2086 # numbers
		(sleep 1; kill $spinners) &
		unload pyalloc
		wait
		unbound_workers 0
		is "clean unloads" "$(log | grep -c 'pyalloc: unloaded: all')" "$round"
		load_all
		[ "$pending" -lt 3 ] || break
	done
	echo "$expedited" >/sys/kernel/rcu_expedited
	echo "frees were pending in $pending of $round rounds"
	holds "rounds with frees pending" "$pending" -ge 1
	unload_all
}

test_right_after_a_trim_and_a_shortage()
{
	ask alloc 0 64 100000
	ask thin 0 1000
	echo 1 >"$PY/trim"
	[ ! -w /proc/sys/vm/drop_caches ] || shortages
	unload_all
}

run_all
