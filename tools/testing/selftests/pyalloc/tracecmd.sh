#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The tracepoints through trace-cmd, which reads the events as they were recorded and makes
# text of them by itself, by what each event's "format" says.

. "$(dirname "$0")/functions.sh"

EVENTS=$TRACING/events/pyalloc
DO=$DEBUGFS/test_pyalloc/do
BY_TEST='call_site=block_[a-z_]*+0x[0-9a-f]* ptr=0x[0-9a-f]*'

command -v trace-cmd >/dev/null || skip_all "needs trace-cmd"
[ -d "$TRACING/events" ] || skip_all "needs tracefs at $TRACING, with events"

setup()
{
	load_all
	trace_no_names
	# Where trace.dat goes.
	folder=$(mktemp -d) || fail "mktemp -d"
	trap 'trace-cmd reset; rm -r "$folder"' EXIT
	cd "$folder" || fail "cd $folder"
}

# told EVENT REGEX: how often, in what trace-cmd reported
told()
{
	grep -c " $1: *$2\$" report
}

# The command in the documentation, word for word.
documented()
{
	sed -n "/^    $1 /,/^\$/p" "$TREE/Documentation/tracing.rst" | grep . ||
		fail "the documentation has no $1"
}

recording()
{
	[ "$(cat "$EVENTS/$1/enable" "$TRACING/tracing_on" | tr -d '\n')" = 11 ]
}

test_all_events_are_listed()
{
	is "events" "$(trace-cmd list -e '^pyalloc:' | sort)" \
		"$(cd "$EVENTS" && printf 'pyalloc:%s\n' pyalloc_* | sort)"
	matches "fields" "$(trace-cmd list -F -e '^pyalloc:pyalloc_alloc$')" \
		'field:size_t bytes_req;'
}

test_stat_tells_which_are_on()
{
	trace-cmd start -e pyalloc:pyalloc_trim || fail "trace-cmd start"
	matches "on" "$(trace-cmd stat 2>&1)" '^ *pyalloc_trim$'
	trace-cmd reset
	matches "off" "$(trace-cmd stat 2>&1)" 'All disabled'
}

test_each_allocation_and_free_is_reported()
{
	trace-cmd record -e pyalloc:pyalloc_alloc -e pyalloc:pyalloc_free \
		sh -c "echo alloc 0 100 1000 >$DO && echo free 0 1000 >$DO" ||
		fail "trace-cmd record"
	trace-cmd report >report || fail "trace-cmd report"
	is "allocations" "$(told pyalloc_alloc \
		"$BY_TEST bytes_req=100 bytes_alloc=104 gfp_flags=GFP_KERNEL heap=default")" 1000
	is "frees" "$(told pyalloc_free "$BY_TEST heap=default")" 1000
	nothing_went_wrong
}

test_falls_are_reported_with_their_reason()
{
	command=$(documented trace-cmd) || fail "$command"
	sh -c "$command" >report &
	eventually 30 recording pyalloc_fall || fail "nothing is being recorded"
	ask alloc 0 600 10
	ask alloc 0 64 10 reserve
	wait $! || fail "$command"
	is "large ones" "$(told pyalloc_fall \
		"$BY_TEST bytes_req=600 gfp_flags=GFP_KERNEL reason=size")" 10
	is "of reclaim" "$(told pyalloc_fall \
		"$BY_TEST bytes_req=64 gfp_flags=[^ ]* reason=memory reserves")" 10
	ask free 0 20
}

run_all
