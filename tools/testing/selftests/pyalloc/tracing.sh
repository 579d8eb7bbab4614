#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tracepoints: each tells what happened and who asked, and nothing when off.

. "$(dirname "$0")/functions.sh"

EVENTS=$TRACING/events/pyalloc
BY_TEST='call_site=[a-z_]*+[^ ]* .test_pyalloc. '

! emulated || leave_out on_and_off_under_load

[ -d "$TRACING/events" ] || skip_all "needs tracefs at $TRACING, with events"

# Since 6.14 the events of a module that is yet to come can be switched on.
grep -q 'module events via: :mod:' "$TRACING/README" || leave_out on_before_it_is_loaded

setup()
{
	load_all
	trace_no_names
	echo >"$TRACING/trace"
	echo 8192 >"$TRACING/buffer_size_kb"
	echo 1 >"$TRACING/tracing_on"
}

# trace EVENT...: from now on
trace()
{
	for event; do
		echo 1 >"$EVENTS/$event/enable" || fail "$event cannot be switched on"
	done
}

quiet()
{
	echo 0 >"$EVENTS/enable"
}

# told EVENT REGEX: how often
told()
{
	grep -c " $1: .*$2" "$TRACING/trace"
}

test_each_allocation_and_free_is_told()
{
	trace pyalloc_alloc pyalloc_free
	ask alloc 0 100 1000
	ask free 0 1000
	quiet
	is "allocations" "$(told pyalloc_alloc \
		"$BY_TEST.*bytes_req=100 bytes_alloc=104 gfp_flags=GFP_KERNEL heap=default")" 1000
	is "frees" "$(told pyalloc_free "$BY_TEST.*heap=default")" 1000
	nothing_went_wrong
}

test_what_is_on_is_told_of_blocks_that_were_there()
{
	ask alloc 0 64 500
	trace pyalloc_free
	ask free 0 500
	quiet
	is "allocations" "$(told pyalloc_alloc '')" 0
	is "frees" "$(told pyalloc_free "$BY_TEST")" 500
}

test_on_before_it_is_loaded()
{
	teardown
	echo :mod:pyalloc >"$TRACING/set_event"
	trap 'echo >"$TRACING/set_event"' EXIT
	setup
	ask alloc 0 64 500
	ask free 0 500
	is "allocations" "$(told pyalloc_alloc "$BY_TEST")" 500
	is "frees" "$(told pyalloc_free "$BY_TEST")" 500
	quiet
}

test_nothing_is_told_when_off()
{
	trace pyalloc_alloc pyalloc_free
	quiet
	ask alloc 0 64 500
	ask free 0 500
	is "events" "$(told 'pyalloc_[a-z_]*' '')" 0
}

test_resizes_are_told()
{
	ask alloc 0 64 20
	trace pyalloc_realloc
	ask resize 0 60 10
	ask resize 0 700 10
	ask resize 0 2000 10
	quiet
	is "in place" "$(told pyalloc_realloc "$BY_TEST.*bytes_req=60 gfp_flags=GFP_KERNEL")" 10
	is "moved" "$(told pyalloc_realloc "$BY_TEST.*bytes_req=700 ")" 10
	is "by kmalloc" "$(told pyalloc_realloc "$BY_TEST.*bytes_req=2000 ")" 10
	ask free 0 20
}

test_falls_are_told_with_their_reason()
{
	trace pyalloc_fall
	ask alloc 0 600 10
	ask alloc 0 64 10 reserve
	quiet
	is "large ones" "$(told pyalloc_fall "$BY_TEST.*bytes_req=600 .*reason=size")" 10
	is "of reclaim" "$(told pyalloc_fall "$BY_TEST.*bytes_req=64 .*reason=memory reserves")" 10
	ask free 0 20
}

# Of those that are too large with what is around them, as of others that kmalloc() serves.
test_blocks_with_debug_hooks_are_told()
{
	reload debug
	trace pyalloc_alloc pyalloc_free pyalloc_fall
	ask alloc 0 100 10
	ask alloc 0 500 10
	ask free 0 20
	quiet
	is "small ones" "$(told pyalloc_alloc "$BY_TEST.*bytes_req=100 bytes_alloc=100 .*heap=default")" 10
	is "large ones" "$(told pyalloc_fall "$BY_TEST.*bytes_req=500 .*reason=size")" 10
	holds "frees" "$(told pyalloc_free "$BY_TEST.*heap=default")" -ge 10
	nothing_went_wrong
}

test_arenas_pools_and_trims_are_told()
{
	trace pyalloc_arena_new pyalloc_arena_gone pyalloc_pool_new pyalloc_pool_gone pyalloc_trim
	ask alloc 0 512 2000
	arenas=$(arenas)
	ask free 0 2000
	trims
	quiet
	is "arenas" "$(told pyalloc_arena_new 'heap=default')" "$arenas"
	is "arenas gone" "$(told pyalloc_arena_gone 'heap=default')" "$arenas"
	holds "pools" "$(told pyalloc_pool_new 'pools=.*heap=default')" -ge 10
	holds "pools gone" "$(told pyalloc_pool_gone 'pools=.*heap=default')" -ge 1
	is "trims" "$(told pyalloc_trim 'pages=[1-9]')" 1
}

test_on_and_off_under_load()
{
	ask storm "${STORM_MS:-3000}" &
	while kill -0 $! 2>/dev/null; do
		echo 1 >"$EVENTS/enable"
		echo 0 >"$EVENTS/enable"
	done
	wait $! || fail "the storm"
	quiet
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_no_address_is_told()
{
	trace pyalloc_alloc
	ask alloc 0 64 10
	quiet
	! grep -E 'ptr=(0x)?ffff[0-9a-f]{12}' "$TRACING/trace" || fail "addresses are not hashed"
	ask free 0 10
}

run_all
