#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Memory that comes back: from other CPUs, from arenas, to the kernel.

. "$(dirname "$0")/functions.sh"

! in_regions || leave_out meminfo_shows_the_pages_given_back
[ -e /sys/devices/system/cpu/cpu1/online ] || leave_out blocks_of_an_offline_cpu_come_back

test_100000_blocks_freed_on_other_cpus()
{
	need_cpus 2
	ask alloc 0 64 100000
	holds "arenas" "$(arenas)" -ge 24
	others=$(cpus | sed 1d)
	share=$((100000 / $(echo "$others" | wc -l)))
	for cpu in $others; do
		ask free "$cpu" $share
	done
	ask free 1 "$(held blocks)"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	holds "blocks that came in batches" "$(ledger 'blocks in remote batches')" \
		-ge 99000
}

test_ten_blocks_freed_elsewhere_and_then_silence()
{
	need_cpus 2
	ask alloc 0 64 10
	ask free 1 10
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_one_block_freed_elsewhere_and_then_silence()
{
	need_cpus 2
	ask alloc 1 8 1
	ask free 0 1
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_every_class_comes_back()
{
	need_cpus 2
	for size in $(seq 8 8 512); do
		ask alloc 0 "$size" 50
	done
	ask free 1 $((64 * 50))
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_blocks_of_all_cpus_freed_on_one()
{
	need_cpus 2
	for cpu in $(cpus); do
		ask alloc "$cpu" 200 5000
	done
	ask free 0 "$(held blocks)"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_with_the_smallest_batch()
{
	need_cpus 2
	reload batch=1
	ask alloc 0 64 10000
	ask free 1 10000
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_with_the_slowest_reaper()
{
	need_cpus 2
	reload reap_ms=400
	ask alloc 0 64 10
	ask free 1 10
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_keep_0_keeps_no_arena()
{
	reload keep=0
	ask alloc 0 64 20000
	ask free 0 20000
	eventually 2 arenas_at_most 0 || fail "$(arenas) arenas are left"
}

test_keep_3_keeps_three_arenas()
{
	reload keep=3
	ask alloc 0 64 40000
	ask free 0 40000
	sleep 1
	is "arenas" "$(arenas)" 3
}

test_blocks_of_an_offline_cpu_come_back()
{
	need_cpus 2
	cpu=$(cpus | tail -n 1)
	switch=/sys/devices/system/cpu/cpu$cpu/online
	[ -w "$switch" ] || skip "CPU $cpu cannot be taken offline"
	ask alloc "$cpu" 64 10000
	ask alloc 0 64 10000
	ask free "$cpu" 5000
	echo 0 >"$switch"
	ask free 0 15000
	result=0
	eventually 1 all_came_back || result=$?
	stats=$(cat "$PY/stats")
	echo 1 >"$switch"
	[ "$result" = 0 ] || fail "$stats"
	ask alloc "$cpu" 64 1000
	ask free "$cpu" 1000
	eventually 2 all_came_back || fail "online again: $(cat "$PY/stats")"
}

# With room for what the rest of the system does meanwhile.
NOISE=$((4 * 1024 * 1024))

test_meminfo_shows_the_arenas()
{
	before=$(slab)
	ask alloc 0 512 100000
	taken=$(($(arenas) * ARENA))
	holds "arenas for 51 MB, bytes" "$taken" -ge 51200000
	risen=$(($(slab) - before))
	holds "SUnreclaim rose by" "$risen" -ge $((taken - NOISE))
	holds "SUnreclaim rose by" "$risen" -le $((taken + NOISE))
	ask free 0 100000
	eventually 2 arenas_at_most 1 || fail "$(arenas) arenas are left"
	sleep 1
	holds "SUnreclaim after all, above before," $(($(slab) - before)) -le "$NOISE"
}

test_meminfo_shows_the_pages_given_back()
{
	ask alloc 0 512 100000
	before=$(slab)
	# One block in each fourth arena or so.
	ask thin 0 2048
	echo 1 >"$PY/trim"
	fallen=$((before - $(slab)))
	holds "SUnreclaim fell by" "$fallen" -ge $((50 * 1000 * 1000 - NOISE))
}

run_all
