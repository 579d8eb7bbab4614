#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# CPUs that come and go while pyalloc has something there. The last tests take
# $HOTPLUG_SECONDS (default 60).

. "$(dirname "$0")/functions.sh"

# gone CPU COMMAND...: take it away, do something, bring it back; as the command fared
gone()
{
	away=$1
	shift
	online "$away" 0
	result=0
	("$@") || result=$?
	online "$away" 1
	[ "$result" = 0 ] || exit "$result"
}

# The blocks' contents are checked when they are freed.
free_all()
{
	ask free "$1" "$(held blocks)"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

last_cpu()
{
	can_hotplug
	cpu=$(cpus | tail -n 1)
}

test_blocks_outlive_their_owner()
{
	last_cpu
	for size in $(seq 8 24 512); do
		ask alloc "$cpu" "$size" 500
	done
	used=$(ledger 'bytes in allocated blocks')
	online "$cpu" 0
	is "bytes in use" "$(ledger 'bytes in allocated blocks')" "$used"
	total_is_all_arenas || fail "$(cat "$PY/stats")"
	gone "$cpu" free_all 0
}

test_pools_of_every_state_are_adopted()
{
	last_cpu
	# Full ones, used ones, current ones, and spare ones.
	ask alloc "$cpu" 512 20
	ask alloc "$cpu" 64 200
	ask free "$cpu" 70
	ask alloc "$cpu" 8 3
	ask alloc "$cpu" 16 600
	ask free "$cpu" 600
	gone "$cpu" free_all 0
	ask alloc "$cpu" 64 1000
	free_all "$cpu"
}

test_an_adopted_pool_is_allocated_from()
{
	last_cpu
	taskset -p 1 $$ >/dev/null
	ask alloc "$cpu" 40 1000
	arenas=$(arenas)
	for other in $(cpus | sed 1d); do
		online "$other" 0
	done
	# In the last: of 102 blocks a pool 20, with KASAN fewer.
	unused=$(awk '$2 == 40 { print $5 }' "$PY/stats")
	holds "unused blocks" "$unused" -gt 0
	pools=$(awk '$2 == 40 { print $3 }' "$PY/stats")
	ask alloc 0 40 "$unused"
	then=$(awk '$2 == 40 { print $3 }' "$PY/stats")
	result=$(arenas)
	all_online
	is "pools of 40 bytes" "$then" "$pools"
	is "arenas" "$result" "$arenas"
	free_all 0
}

# What a CPU freed last is in its outbox still, if the reaper is not faster.
test_an_outbox_comes_back_from_a_dead_cpu()
{
	last_cpu
	reload reap_ms=400
	for round in $(seq 5); do
		ask alloc 0 64 $((round * 10))
		ask free "$cpu" $((round * 10))
		gone "$cpu" free_all 0
	done
}

test_an_inbox_comes_back_from_a_dead_cpu()
{
	last_cpu
	reload reap_ms=400
	for size in 8 64 200 512; do
		ask alloc "$cpu" $size 1000
		ask free 0 1000
		gone "$cpu" free_all 0
	done
}

test_a_dead_cpu_s_blocks_are_freed_by_a_third()
{
	need_cpus 4
	last_cpu
	ask alloc "$cpu" 100 10000
	ask alloc 1 100 10000
	ask free "$cpu" 5000
	gone "$cpu" free_all 2
}

test_a_cpu_goes_while_others_free_its_blocks()
{
	last_cpu
	for round in $(seq 10); do
		ask alloc "$cpu" $((round * 50)) 20000
		ask free 0 20000 &
		online "$cpu" 0
		wait $! || fail "round $round: contents"
		gone "$cpu" free_all 0
	done
	# What was under way to it when it went.
	holds "batches forwarded" "$(ledger 'remote batches forwarded')" -gt 0
}

test_a_cpu_goes_while_it_frees()
{
	last_cpu
	for round in $(seq 10); do
		ask alloc 0 $((round * 50)) 10000
		ask alloc "$cpu" $((round * 50)) 10000
		ask free "$cpu" 20000 &
		online "$cpu" 0
		wait $! || fail "round $round: contents"
		gone "$cpu" free_all 0
	done
}

test_all_cpus_but_one_go_and_come_back()
{
	last_cpu
	for cpu in $(cpus); do
		ask alloc "$cpu" 72 5000
	done
	for cpu in $(cpus | sed 1d); do
		online "$cpu" 0
	done
	is "CPUs" "$(cpus | wc -l)" 1
	result=0
	(free_all 0) || result=$?
	all_online
	[ "$result" = 0 ] || exit "$result"
	for cpu in $(cpus); do
		ask alloc "$cpu" 72 5000
	done
	free_all 0
}

test_stress_while_cpus_come_and_go()
{
	can_hotplug
	unload test_pyalloc
	stress "${HOTPLUG_SECONDS:-60}" switches
	all_online
	load "$TEST_PYALLOC"
}

test_stress_with_everything_at_once()
{
	can_hotplug
	unload test_pyalloc
	stress "${HOTPLUG_SECONDS:-60}" switches refusals trims shortages
	all_online
	fail_arenas probability=0
	holds "refusals" "$(ledger 'page allocator: refusals')" -gt 0
	load "$TEST_PYALLOC"
}

run_all
