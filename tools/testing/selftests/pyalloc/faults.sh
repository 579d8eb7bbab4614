#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# No arena to be had, for one reason or another: then kmalloc() serves, and nothing else
# changes.

. "$(dirname "$0")/functions.sh"

# Regions give no pages back, and who may not sleep makes none.
! in_regions || leave_out 'each_of_the_first_200_arenas_fails_in_turn_for_atomic_callers|memory_without_a_piece_of_256_kib|a_full_machine_gets_the_pages_of_pinned_arenas|a_full_machine_gets_empty_arenas|the_oom_killer_comes_when_pyalloc_has_given_back_all|drop_caches_runs_the_shrinker'

refusals_so_far()
{
	ledger 'page allocator: refusals'
}

# Contents are checked as blocks are freed.
free_all()
{
	ask free 0 "$(held blocks)"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_each_of_the_first_200_arenas_fails_in_turn()
{
	ask faults 0 200
	is "refusals" "$(refusals_so_far)" 200
	is "served by kmalloc" "$(fall 'no arena' 1)" 200
	nothing_went_wrong
}

test_each_of_the_first_200_arenas_fails_in_turn_for_atomic_callers()
{
	ask faults 1 200 atomic
	is "refusals" "$(refusals_so_far)" 200
	is "served by kmalloc" "$(fall 'no arena' 1)" 200
	nothing_went_wrong
}

test_no_arena_ever()
{
	fail_arenas interval=1 space=0 times=-1 probability=100
	ask alloc 0 64 10000
	ask alloc 0 512 10000 atomic
	is "arenas" "$(arenas)" 0
	is "served by kmalloc" "$(fall 'no arena' 1)" 20000
	holds "refusals" "$(refusals_so_far)" -ge 1
	holds "refusals, as it does not ask at once again" "$(refusals_so_far)" -lt 200
	fail_arenas probability=0
	free_all
}

test_arenas_are_taken_again_when_they_are_to_be_had()
{
	fail_arenas interval=1 space=0 times=1 probability=100
	ask alloc 0 64 10
	is "arenas" "$(arenas)" 0
	sleep 0.2
	ask alloc 0 64 10
	is "arenas, later" "$(arenas)" 1
	is "bytes in use" "$(ledger 'bytes in allocated blocks')" 640
	free_all
}

test_every_third_arena_fails()
{
	fail_arenas interval=3 space=0 times=-1 probability=100
	for round in $(seq 12); do
		ask alloc 0 512 504
		sleep 0.15
	done
	holds "refusals" "$(refusals_so_far)" -ge 3
	holds "arenas" "$(arenas)" -ge 6
	fail_arenas interval=1 probability=0
	free_all
}

test_reclaim_takes_no_arena()
{
	ask alloc 0 64 1000 reserve
	is "arenas" "$(arenas)" 0
	is "memory reserves" "$(fall 'memory reserves' 1)" 1000
	is "no arena" "$(fall 'no arena' 1)" 0
	free_all
}

test_reclaim_is_served_from_pools_there_are()
{
	ask alloc 0 64 1
	ask alloc 0 64 40 reserve
	is "memory reserves" "$(fall 'memory reserves' 1)" 0
	is "bytes in use" "$(ledger 'bytes in allocated blocks')" $((41 * 64))
	free_all
}

# Pieces of 256 KiB that the page allocator has.
large_pieces()
{
	awk '{ for (i = 11; i <= NF; i++) n += $i } END { print n + 0 }' /proc/buddyinfo
}

# kswapd and kcompactd work against it, so an arena may come.
ask_without_a_piece()
{
	ask fragment
	holds "pieces of 256 KiB" "$(large_pieces)" -le 32
	before=$(fall 'no arena' 1)
	ask alloc 0 64 10000
	ask alloc 0 512 10000 atomic
	served=$(($(fall 'no arena' 1) - before))
}

test_memory_without_a_piece_of_256_kib()
{
	ask_without_a_piece
	for _ in 1 2 3 4 5 6 7 8 9; do
		[ "$(arenas)" != 0 ] || break
		ask free 0 20000
		trims
		sleep 1
		ask_without_a_piece
	done
	is "arenas" "$(arenas)" 0
	is "served by kmalloc" "$served" 20000
	holds "refusals" "$(refusals_so_far)" -ge 1
	ask mend
	sleep 0.2
	ask alloc 0 64 20000
	holds "arenas, mended" "$(arenas)" -gt 0
	free_all
}

# fill_memory MIB [MORE]: and up to so many more, one by one, while there are arenas. What a
# test filled is empty again, however it ended. Sets the MiB asked for and those filled.
fill_memory()
{
	mkdir -p /tmp/full
	mount -t tmpfs -o size=100% tmpfs /tmp/full || fail "no tmpfs"
	dd if=/dev/zero of=/tmp/full/file bs=1M count="$1" 2>/tmp/full.log
	asked=$1
	for _ in $(seq "${2-0}"); do
		[ "$(arenas)" -gt 0 ] || break
		dd if=/dev/zero bs=1M count=1 2>/dev/null >>/tmp/full/file
		asked=$((asked + 1))
	done
	filled=$(($(stat -c %s /tmp/full/file) / 1048576))
	umount /tmp/full
}

free_mib()
{
	echo $(($(sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
}

# One block of 512 bytes in each arena keeps 130 MiB of them. What a test before has left of
# the memory may be in too many pieces, with KASAN.
pin()
{
	compact=/proc/sys/vm/compact_memory
	! [ -w "$compact" ] || echo 1 >"$compact"
	ask alloc 0 512 262080
	ask thin 0 504
	holds "arenas" "$(arenas)" -ge 500
}

test_a_full_machine_gets_the_pages_of_pinned_arenas()
{
	pin
	before=$(ledger 'page allocator: pages given back')
	free=$(free_mib)
	fill_memory $((free + 80))
	is "MiB written, of $free free and 130 in arenas" "$filled" $((free + 80))
	log | grep -qi 'out of memory' && fail "somebody was killed"
	holds "pages given back" \
		$(($(ledger 'page allocator: pages given back') - before)) -ge $((80 * 256))
	free_all
}

test_a_full_machine_gets_empty_arenas()
{
	reload keep=64
	ask alloc 0 512 $((504 * 80))
	ask free 0 $((504 * 80))
	eventually 2 arenas_at_most 64 || fail "$(arenas) arenas"
	is "empty arenas kept" "$(arenas)" 64
	free=$(free_mib)
	# The last 10 MiB or so are the kernel's own reserve. What the CPUs' own lists of pages
	# hold is free and not in MemFree: 25 MiB of four CPUs were seen.
	fill_memory $((free - 12)) 64
	is "MiB written, of $free free" "$filled" "$asked"
	log | grep -qi 'out of memory' && fail "somebody was killed"
	is "arenas" "$(arenas)" 0
}

# To the edge and over it: somebody takes all memory there is, and is killed for it.
test_the_oom_killer_comes_when_pyalloc_has_given_back_all()
{
	pin
	before=$(ledger 'page allocator: pages given back')
	mib=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 - 16))
	(
		echo 1000 >/proc/self/oom_score_adj
		exec dd if=/dev/zero of=/dev/null bs="${mib}M" count=1
	) 2>/dev/null &
	status=0
	wait $! || status=$?
	is "the greedy one's exit status, killed" "$status" 137
	is "killed" "$(log | grep -c 'Out of memory: Killed process')" 1
	# Of an arena, the header and a pool are in use.
	given=$(($(ledger 'page allocator: pages given back') - before))
	holds "pages given back" "$given" -ge $(($(arenas) * 62 * 9 / 10))
	ask alloc 0 64 10000
	free_all
}

test_drop_caches_runs_the_shrinker()
{
	[ -w /proc/sys/vm/drop_caches ] || skip "needs /proc/sys/vm/drop_caches"
	pin
	shortages
	holds "pages given back" "$(ledger 'page allocator: pages given back')" \
		-ge $((500 * 60))
	total_is_all_arenas || fail "$(cat "$PY/stats")"
	free_all
}

run_all
