#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The debug hooks: each bug is told once, in the order of SLUB's reports, and the machine
# goes on; what is no bug is not told. The reports taint the kernel. Not run unless asked
# for by name.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
EXPECTED='pyalloc: BUG heap'
# shellcheck disable=SC2034 # for functions.sh
MODULES=$BAD_PYALLOC

setup()
{
	load_all debug=FZPU
}

# With CONFIG_KFENCE, and kfence.sample_interval on the command line.
[ "$(cat /sys/module/kfence/parameters/sample_interval 2>/dev/null || echo 0)" -gt 0 ] ||
	leave_out objects_of_kfence

act()
{
	echo "$1" >"$DEBUGFS/bad_pyalloc/do" || fail "'$1' failed"
}

reports()
{
	log | grep -c 'pyalloc: BUG heap'
}

# reported ACTION TEXT [HEAP]: this, and nothing else
reported()
{
	act "$1"
	said "pyalloc: BUG heap ${3-default}: $2"
	said "pyalloc: FIX heap ${3-default}: "
	is "reports" "$(reports)" 1
}

# refused_to_resize ACTION TEXT [HEAP]: and one free, or none, is refused for it
refused_to_resize()
{
	reported "$@"
	said "pyalloc: FIX heap ${3-default}: not resized"
}

# by ACTION [SIZE]: the report names the caller
by()
{
	said "pyalloc: Allocated in .*($1).* age=[0-9]+ cpu=[0-9]+ pid=[0-9]+"
	[ -z "${2-}" ] || said "pyalloc: Block [0-9]+ of $2 bytes"
}

# marked WHERE BYTE: the line of bytes that shows the wrong one
marked()
{
	said "pyalloc: $1 +[-+][0-9]+: .*\\[$2\\]"
}

refused_free()
{
	is "frees refused" "$(ledger 'frees refused')" "${1-1}"
}

silent()
{
	act "$1"
	is "reports" "$(reports)" 0
}

test_an_overrun_by_one()
{
	reported overrun_by_one_dynamic 'Right Redzone overwritten'
	by 'overrun_by_one_dynamic|do_write' 13
	marked Redzone 5a
	said 'pyalloc: FIX heap default: restored'
}

test_an_overrun_of_the_smallest_block()
{
	reported overrun_smallest 'Right Redzone overwritten'
	by 'overrun_smallest|do_write' 1
}

test_an_overrun_of_the_largest_block()
{
	reported overrun_largest 'Right Redzone overwritten'
	by 'overrun_largest|do_write' 512
}

test_an_overrun_of_a_block_that_was_shrunk()
{
	reported overrun_shrunk 'Right Redzone overwritten'
	by 'overrun_shrunk|do_write' 34
}

test_an_overrun_of_a_block_that_has_grown()
{
	reported overrun_resized 'Right Redzone overwritten'
	by 'overrun_resized|do_write' 500
}

test_an_underrun()
{
	reported underrun 'Left Redzone overwritten'
	by 'middle|do_write' 48
	marked Redzone 5a
}

test_an_underrun_of_the_largest_block()
{
	reported underrun_largest 'Left Redzone overwritten'
}

test_a_header_that_is_overwritten()
{
	reported header_overwritten '(Header overwritten|Invalid pointer: .* header is overwritten)' bad
	said 'pyalloc: FIX heap bad: not freed'
}

# It is told again when the heap goes.
test_a_header_that_is_overwritten_of_the_largest_block()
{
	act header_overwritten_large
	said 'pyalloc: BUG heap bad: Header overwritten'
	said 'pyalloc: FIX heap bad: not freed'
}

# Who allocated it cannot be told then.
test_an_owner_that_is_overwritten()
{
	reported owner_overwritten 'Header overwritten' bad
	! log | grep 'pyalloc: Allocated in' || fail "it is told who allocated it"
}

test_a_double_free()
{
	reported double_free 'Object already free'
	by 'middle|do_write' 64
	said 'pyalloc: Freed in .*(double_free|do_write)'
	refused_free
}

test_a_double_free_on_another_cpu()
{
	need_cpus 2
	reported double_free_elsewhere 'Object already free'
	said 'pyalloc: Freed in .*free_it'
	refused_free
}

test_a_double_free_without_locks()
{
	reported double_free_nolock 'Object already free'
	by 'middle|do_write' 5
	refused_free
}

# It is not free before the irq_work, and must not be freed twice then.
test_a_free_of_what_is_freed_later()
{
	reported nolock_and_free 'Object already free'
	refused_free
}

test_a_free_without_locks_of_what_is_free()
{
	reload debug=FZPU debug_quarantine=64
	reported free_and_nolock 'Object already free'
	refused_free
}

test_a_double_free_of_a_large_block()
{
	reported double_free_large 'Object already free'
	by 'middle|do_write' 500
	said 'pyalloc: Freed in '
	refused_free
}

# It waits although less than that was asked for: kfree() would not know it.
test_a_double_free_of_a_large_block_with_a_small_quarantine()
{
	reload debug=FZPU debug_quarantine=1
	reported double_free_large 'Object already free'
	by 'middle|do_write' 500
	refused_free
}

test_a_double_free_of_a_large_block_without_locks()
{
	reported double_free_large_nolock 'Object already free'
	refused_free
}

test_a_double_free_that_wipes()
{
	reported double_free_sensitive 'Object already free'
	refused_free
}

test_a_wipe_of_what_is_free()
{
	reload debug=FZPU debug_quarantine=64
	reported sensitive_after_free 'Object already free'
	refused_free
}

test_a_resize_of_what_is_free()
{
	refused_to_resize realloc_after_free 'Object already free'
}

test_a_resize_that_fits_of_what_is_free()
{
	refused_to_resize realloc_after_free_fits 'Object already free'
}

test_a_resize_of_a_large_block_that_is_free()
{
	refused_to_resize realloc_after_free_large 'Object already free'
}

test_a_double_free_while_the_first_is_in_the_quarantine()
{
	reload debug=FZPU debug_quarantine=64
	reported double_free 'Object already free'
	refused_free
}

test_a_write_after_free_when_the_block_is_used_again()
{
	reported write_and_reuse 'Poison overwritten'
	by 'middle|do_write' 64
	said 'pyalloc: Freed in .*(write_at_and_reuse|do_write)'
	marked Object 5a
}

# Who called those two, as far up as the kernel can tell.
test_the_stacks_of_who_allocated_and_who_freed()
{
	grep -q ' stack_depot_print$' /proc/kallsyms || skip "needs CONFIG_STACKDEPOT"
	reported write_and_reuse 'Poison overwritten'
	is "stacks with the system call" "$(log | sed -n '/ Allocated in /,/ Object /p' |
		grep -c 'vfs_write+0x')" 2
}

# Of a block that is free already: before it, where there is what is known of it.
test_a_header_that_is_overwritten_when_the_block_is_used_again()
{
	reported write_before_and_reuse 'Header overwritten'
	said 'pyalloc: FIX heap default: the block is used as it is'
}

# What else waits is lost, but nobody waits for it, nor does what waits later suffer.
lost_in_the_quarantine()
{
	reload debug=FZPU debug_quarantine=64
	reported "$1" 'Header overwritten' bad
	said 'pyalloc: FIX heap bad: what waits in the quarantine is not used again'
	act use_heaps_together
	act use_all_sizes
	is "reports" "$(reports)" 1
}

test_a_header_that_is_overwritten_in_the_quarantine()
{
	lost_in_the_quarantine write_before_and_destroy
}

test_a_link_that_is_overwritten_in_the_quarantine()
{
	lost_in_the_quarantine write_link_and_destroy
}

test_a_write_after_free_when_the_quarantine_ends()
{
	reload debug=FZPU debug_quarantine=64
	reported write_and_wait 'Poison overwritten'
	marked Object 5a
}

# Once, and not a second time when the block is used again.
test_a_write_after_free_is_told_once()
{
	reload debug=FZPU debug_quarantine=64
	reported write_wait_and_reuse 'Poison overwritten'
	said 'pyalloc: FIX heap default: restored'
}

test_a_write_after_free_when_the_heap_is_destroyed()
{
	reload debug=FZPU debug_quarantine=64
	reported write_and_destroy 'Poison overwritten' bad
	marked Object 5a
}

# What lies in a page that was a pool of another class is no header.
test_a_pool_of_another_class_before()
{
	silent use_other_class
}

test_a_free_of_the_inside_of_a_block()
{
	reported free_inside 'Invalid pointer: inside of a block'
	by 'middle|do_write' 100
	refused_free
}

test_a_free_that_wipes_of_the_inside_of_a_block()
{
	reported free_inside_sensitive 'Invalid pointer: inside of a block'
	by 'middle|do_write' 100
	refused_free
}

test_a_free_of_the_inside_of_a_large_block()
{
	reported free_inside_large 'Invalid pointer: inside of a block'
	by 'middle|do_write' 500
	refused_free
}

test_a_free_of_a_block_whose_pool_is_unused()
{
	reported free_stale '(Invalid pointer|Object already free)'
	refused_free
}

test_a_free_of_a_static_variable()
{
	reported free_static 'Invalid pointer: free of what no allocator has handed out'
	refused_free
}

test_a_free_of_vmalloc_s_memory()
{
	reported free_vmalloc 'Invalid pointer: free of what no allocator has handed out'
	refused_free
}

test_a_free_in_the_wrong_heap()
{
	reported wrong_heap 'Wrong heap' other
	by bad_pyalloc 40
}

test_a_resize_in_the_wrong_heap()
{
	reported resize_in_wrong_heap 'Wrong heap' other
	by bad_pyalloc 40
}

# What is behind the last block of a page is in none.
test_a_free_of_a_page_s_end()
{
	reported free_tail 'Invalid pointer: no block'
	refused_free
}

test_a_free_of_a_private_heap_s_block_by_pyfree()
{
	reported free_of_heap 'Wrong heap' bad
	by bad_pyalloc 40
}

test_a_free_of_a_private_heap_s_large_block_by_pyfree()
{
	reported free_large_of_heap 'Wrong heap' bad
	by bad_pyalloc 500
}

test_a_resize_of_a_private_heap_s_block_by_pyrealloc()
{
	refused_to_resize realloc_of_heap 'Wrong heap' bad
}

test_a_private_heap_alone()
{
	reload debug=-
	silent overrun_by_one_dynamic
	reported overrun_of_heap 'Right Redzone overwritten' bad
	by bad_pyalloc 13
}

test_the_largest_block_of_a_private_heap()
{
	reported overrun_largest_of_heap 'Right Redzone overwritten' bad
}

test_who_lives_in_a_heap_that_must_be_empty()
{
	act live_in_heap
	said 'pyalloc: heap bad: not destroyed, as 1 of its blocks live'
	said 'pyalloc: live: block [0-9]+ of 33 bytes'
	by bad_pyalloc
}

test_who_lives_is_told_of_ten()
{
	act live_in_heap_many
	said 'pyalloc: heap bad: not destroyed, as 15 of its blocks live'
	is "told of" "$(log | grep -c 'pyalloc: live: block')" 10
	said 'pyalloc: live: and 5 more'
}

test_who_lives_in_it_if_the_block_is_large()
{
	act live_large_in_heap
	said 'pyalloc: heap bad: not destroyed, as 1 of its blocks live'
	said 'pyalloc: live: block [0-9]+ of 500 bytes'
	by bad_pyalloc
}

test_no_letter_but_f_looks_at_no_bytes()
{
	reload debug=F
	silent overrun_by_one_dynamic
	silent write_and_reuse
	reported double_free 'Object already free'
}

test_t_tells_of_each()
{
	reload debug=T
	act overrun_by_one_dynamic
	said 'pyalloc: heap default: alloc block [0-9]+ of 13 bytes in '
	said 'pyalloc: heap default: free block [0-9]+ of 13 bytes in '
}

test_all_sizes_are_all_the_callers()
{
	silent use_all_sizes
}

test_all_sizes_with_the_quarantine()
{
	reload debug=FZPU debug_quarantine=16
	silent use_all_sizes
}

# What waits for a grace period is freed when the module goes.
test_all_ways_to_free()
{
	silent use_frees
	unload_clean
	is "reports" "$(reports)" 0
}

test_the_sizes_of_a_private_heap_s_blocks()
{
	silent use_sizes
}

test_heaps_that_come_and_go_with_the_quarantine()
{
	need_cpus 2
	reload debug=FZPU debug_quarantine=64
	silent use_heaps_together
	! log | grep 'not destroyed' || fail "a block of a heap was kept from it"
}

# On one CPU: what was freed on another is on its way home for a while.
test_a_limit_that_is_reached_while_all_is_in_the_quarantine()
{
	reload debug=FZPU debug_quarantine=1024
	taskset 1 sh -c "echo use_up_to_limit >$DEBUGFS/bad_pyalloc/do" ||
		fail "there was less room the second time"
	is "reports" "$(reports)" 0
}

test_resizing_up_and_down()
{
	silent use_resized
}

# Their first words, which may be longer than they are, are links meanwhile.
test_frees_without_locks()
{
	silent use_nolock
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_frees_of_what_may_be_vmalloc_s()
{
	silent use_kvfree
	eventually 2 all_came_back || fail "$(cat "$PY/stats")"
}

# Of each size, in each context, by each kind of free.
test_a_storm()
{
	load "$TEST_PYALLOC"
	ask storm "${STORM_MS:-1500}"
	unload test_pyalloc
	is "reports" "$(reports)" 0
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_objects_of_kfence()
{
	silent use_kfence
}

test_a_resize_that_there_is_no_memory_for()
{
	silent use_huge
}

test_blocks_that_others_free()
{
	need_cpus 2
	silent use_again
}

test_letters_that_there_are_not()
{
	unload_all
	refused debug=FX
	refused debug_quarantine=-1
	refused debug_quarantine=1048577
	load "$PYALLOC" debug_quarantine=1048576
	unload pyalloc
	setup
}

test_the_parameter_shows_the_letters()
{
	is "debug" "$(cat /sys/module/pyalloc/parameters/debug)" FZPU
	reload debug
	is "debug" "$(cat /sys/module/pyalloc/parameters/debug)" FZPU
	reload debug=-
	is "debug" "$(cat /sys/module/pyalloc/parameters/debug)" -
}

run_all
