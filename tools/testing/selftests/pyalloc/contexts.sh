#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Task, softirq and hardirq at once, on all CPUs. A storm takes $STORM_MS (default 3000).

. "$(dirname "$0")/functions.sh"

STORM_MS=${STORM_MS:-3000}

nothing_left()
{
	ledger_is 'bytes in in-transit blocks' 0 'bytes in allocated blocks' 0
}

# steps CONTEXT: the fewest that any CPU did there
steps()
{
	awk -v context="$1" '$3 == context && (min == "" || $5 < min) { min = $5 }
		END { print min + 0 }' "$DEBUGFS/test_pyalloc/storm"
}

test_a_storm_keeps_contents_intact()
{
	need_cpus 2
	ask storm "$STORM_MS"
	is "damaged or failed" "$(awk '{ n += $7 + $9 } END { print n }' \
		"$DEBUGFS/test_pyalloc/storm")" 0
	contexts="task softirq hardirq"
	! realtime || contexts="task softirq"
	for context in $contexts; do
		holds "steps in $context, the laziest CPU's" "$(steps "$context")" \
			-gt $((STORM_MS / 60))
	done
	nothing_went_wrong
}

test_nothing_is_left_of_a_storm()
{
	need_cpus 2
	ask storm 1000
	eventually 1 nothing_left || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_a_storm_while_trim_takes_pages_away()
{
	need_cpus 2
	ask alloc 0 64 50000
	ask thin 0 500
	ask storm "$STORM_MS" &
	while kill -0 $! 2>/dev/null; do
		echo 1 >"$PY/trim"
		sleep 0.1
	done
	wait $! || fail "the storm did damage"
	in_regions ||
		holds "pages given back" "$(ledger 'page allocator: pages given back')" -gt 0
	ask free 0 "$(held blocks)"
	eventually 1 nothing_left || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_a_storm_while_memory_is_short()
{
	need_cpus 2
	[ -w /proc/sys/vm/drop_caches ] || skip "needs /proc/sys/vm/drop_caches"
	ask storm "$STORM_MS" &
	while kill -0 $! 2>/dev/null; do
		shortages
		sleep 0.1
	done
	wait $! || fail "the storm did damage"
	eventually 1 nothing_left || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

run_all
