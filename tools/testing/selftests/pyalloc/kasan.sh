#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What KASAN says about misused blocks: what it would about kmalloc's, and nothing about
# those that are used well. For a kernel with KASAN, booted with kasan_multi_shot; the
# reports taint it. Not run unless asked for by name.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
EXPECTED='BUG: KASAN: .* in (peek|poke|_copy_[a-z]+_user|overrun_[a-z]+_user|py[a-z_]+|block_exit)(\.part\.0)?\+|cut here|WARNING: .*pyalloc\.c:'
# shellcheck disable=SC2034 # for functions.sh
MODULES=$BAD_PYALLOC

setup()
{
	grep -q kasan_multi_shot /proc/cmdline || skip "needs KASAN, and kasan_multi_shot"
	# What is before a block says what kind of access it is: the first one's header, or
	# another block that was given. In a random order it may be one that never was.
	load_all shuffle=0
}

act()
{
	echo "$1" >"$DEBUGFS/bad_pyalloc/do" || fail "'$1' failed"
}

# reported ACTION KIND WHERE [ACCESS]: this, and nothing else
reported()
{
	act "$1"
	said "BUG: KASAN: (slab-)?$2 in $3(\\.part\\.0)?\\+"
	[ -z "${4-}" ] || said "$4 at addr "
	is "reports" "$(log | grep -c 'BUG: KASAN')" 1
}

# refused ACTION REGEX: by pyalloc, too
refused_free()
{
	said 'pyalloc: double free'
	is "frees refused" "$(ledger 'frees refused')" 1
	is "free lists found corrupt" "$(ledger 'free lists found corrupt')" 0
}

silent()
{
	act "$1"
	is "reports" "$(log | grep -c 'BUG: KASAN')" 0
}

test_a_read_after_free()
{
	reported read_after_free use-after-free peek 'Read of size 1'
}

test_a_write_after_free()
{
	reported write_after_free use-after-free poke 'Write of size 1'
}

test_a_read_when_the_pool_has_another_class()
{
	reported read_after_free_of_all use-after-free peek 'Read of size 1'
}

test_a_read_of_a_block_in_another_cpu_s_outbox()
{
	need_cpus 2
	reported read_after_free_elsewhere use-after-free peek 'Read of size 1'
}

test_an_overrun_of_a_constant_size()
{
	reported overrun_constant out-of-bounds poke 'Write of size 1'
}

test_an_overrun_of_a_dynamic_size()
{
	reported overrun_dynamic out-of-bounds poke 'Write of size 1'
}

test_an_overrun_by_one_within_a_constant_size_s_last_granule()
{
	reported overrun_by_one_constant out-of-bounds poke 'Write of size 1'
}

test_an_overrun_by_one_within_a_dynamic_size_s_last_granule()
{
	reported overrun_by_one_dynamic out-of-bounds poke 'Write of size 1'
}

test_an_overrun_of_the_smallest_block()
{
	reported overrun_smallest out-of-bounds poke 'Write of size 1'
}

test_an_overrun_of_the_largest_block()
{
	reported overrun_largest out-of-bounds poke 'Write of size 1'
}

test_an_overrun_of_a_block_that_was_shrunk()
{
	reported overrun_shrunk out-of-bounds poke 'Write of size 1'
}

test_a_copy_to_a_user_beyond_a_block()
{
	reported overrun_to_user out-of-bounds '(_copy_to_user|overrun_to_user)' 'Read of size 65'
}

test_a_copy_from_a_user_beyond_a_block()
{
	act overrun_from_user
	# And once more when what could not be copied is zeroed.
	said 'BUG: KASAN: (slab-)?out-of-bounds in (_copy_from_user|overrun_from_user)\+'
	said 'Write of size 101 at addr '
}

test_an_underrun()
{
	reported underrun out-of-bounds poke 'Write of size 1'
}

test_an_underrun_of_an_arena_s_first_block()
{
	reported underrun_first out-of-bounds poke 'Write of size 1'
}

test_a_double_free_with_others_between()
{
	reported double_free use-after-free '(pyfree|block_exit)'
	refused_free
}

test_a_double_free_that_wipes()
{
	reported double_free_sensitive use-after-free '(pyfree(_sensitive)?|block_exit)'
	refused_free
}

test_a_resize_after_free()
{
	reported realloc_after_free use-after-free pyrealloc
}

test_a_size_asked_for_after_free()
{
	reported size_after_free use-after-free pysize
}

test_nothing_about_blocks_of_all_sizes()
{
	silent use_all_sizes
}

test_nothing_about_blocks_that_are_resized()
{
	silent use_resized
}

test_nothing_about_a_block_s_whole_size()
{
	silent use_size
}

test_nothing_about_blocks_freed_elsewhere_and_used_again()
{
	need_cpus 2
	silent use_again
}

run_all
