#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loading and unloading, $ROUNDS times (default 20), and the module's parameters.

. "$(dirname "$0")/functions.sh"

ROUNDS=${ROUNDS:-20}

# Each test here loads and unloads by itself.
setup()
{
	:
}

teardown()
{
	! loaded pyalloc || fail "pyalloc is still loaded"
}

# accepted PARAMETER VALUE: and shown in sysfs
accepted()
{
	load "$PYALLOC" "$1=$2"
	is "$1" "$(cat "/sys/module/pyalloc/parameters/$1")" "$2"
	unload_clean
}

test_loads_and_says_so()
{
	load "$PYALLOC"
	said 'pyalloc: loaded: 64 size classes up to 512 bytes, arenas of 256 KiB'
	unload_clean
}

test_takes_no_arena_before_it_is_used()
{
	load "$PYALLOC"
	is "arenas ever" "$(ledger 'arenas allocated total')" 0
	unload_clean
}

test_defaults_of_the_parameters()
{
	load "$PYALLOC"
	cd /sys/module/pyalloc/parameters || fail "no parameters"
	is "reap_ms keep batch" "$(cat reap_ms keep batch | xargs)" "250 1 64"
	in_regions || is "arenas" "$(cat arenas)" page
	unload_clean
}

test_reap_ms_takes_10_to_400()
{
	accepted reap_ms 10
	accepted reap_ms 400
}

test_reap_ms_refuses_anything_else()
{
	for value in 9 401 -1 4294967306 99999999999999999999 10ms ""; do
		refused "reap_ms=$value"
	done
}

test_keep_takes_0_to_64()
{
	accepted keep 0
	accepted keep 64
}

test_keep_refuses_anything_else()
{
	for value in 65 -1 4294967296 1.5 ""; do
		refused "keep=$value"
	done
}

test_batch_takes_1_to_64()
{
	accepted batch 1
	accepted batch 64
}

test_batch_refuses_anything_else()
{
	for value in 0 65 4294967297 many ""; do
		refused "batch=$value"
	done
}

test_shuffle_takes_0_and_1()
{
	accepted shuffle 0
	accepted shuffle 1
}

test_shuffle_refuses_anything_else()
{
	for value in 2 -1 yes ""; do
		refused "shuffle=$value"
	done
}

test_arenas_takes_page_and_vmalloc()
{
	accepted arenas page
	accepted arenas vmalloc
}

test_arenas_refuses_anything_else()
{
	for value in pages Vmalloc 0 1 ""; do
		! insmod "$PYALLOC" "arenas=$value" 2>/dev/null || fail "it took '$value'"
	done
	said 'pyalloc: parameter arenas: "pages" is not "page" or "vmalloc"'
}

test_loads_after_a_refusal()
{
	refused keep=x
	load "$PYALLOC" keep=2
	unload_clean
}

# All but whether a mistake that was found ends in a panic.
test_parameters_cannot_be_changed_later()
{
	load "$PYALLOC"
	for file in /sys/module/pyalloc/parameters/*; do
		mode=444
		[ "${file##*/}" != debug_panic ] || mode=644
		is "mode of $file" "$(stat -c %a "$file")" $mode
	done
	unload_clean
}

test_does_not_unload_under_a_user()
{
	load_all
	! rmmod pyalloc 2>/dev/null || fail "rmmod took it away"
	ask alloc 0 100 1000
	is "blocks held" "$(held blocks)" 1000
	unload_clean
}

test_unload_tells_that_all_arenas_are_back()
{
	load_all
	ask alloc 0 512 5040
	total=$(ledger 'arenas allocated total')
	holds "arenas for 5040 blocks of 512" "$total" -ge 10
	unload_all
	said "pyalloc: unloaded: all $total arenas returned, no block left"
}

test_unload_right_after_frees_elsewhere()
{
	need_cpus 2
	load_all
	ask alloc 0 64 10000
	ask free 1 10000
	unload_clean
}

test_loads_and_unloads_again_and_again()
{
	for round in $(seq "$ROUNDS"); do
		load_all
		ask alloc 0 "$((round * 25))" 500
		unload_all
	done
	is "clean unloads" "$(log | grep -c 'pyalloc: unloaded: all')" "$ROUNDS"
}

test_two_loads_at_once_are_refused()
{
	load "$PYALLOC"
	! insmod "$PYALLOC" 2>/dev/null || fail "loaded twice"
	unload_clean
}

run_all
