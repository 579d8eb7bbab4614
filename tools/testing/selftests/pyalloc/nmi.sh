#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# NMIs while all else goes on: pyalloc_nolock() and pyfree_nolock() in the middle of any
# section, "busy" or not. For x86. $NMIS of them (default 3000) a test.

. "$(dirname "$0")/functions.sh"

NMIS=${NMIS:-3000}
NMI_PYALLOC=$HERE/test_mod/nmi_pyalloc.ko
# shellcheck disable=SC2034 # for functions.sh
LEFTOVERS="nmi_pyalloc"

[ -e "$NMI_PYALLOC" ] || skip_all "no NMIs: nmi_pyalloc.ko is not built"

# of WHAT: the NMIs'
of()
{
	cat "/sys/module/nmi_pyalloc/parameters/$1"
}

# nmis_while COMMAND...: again and again, until some have met "busy"; who sends one to
# himself is not.
nmis_while()
{
	need_cpus 2
	insmod "$NMI_PYALLOC" nmis="$NMIS" met=3 &
	while kill -0 $! 2>/dev/null; do
		"$@"
	done
	wait $! || fail "memory did not keep what was written into it: $(log)"
	log | sed -n 's/^.*nmi_pyalloc: //p'
	holds "NMIs" "$(of nmis)" -ge "$NMIS"
	holds "NMIs that met busy" "$(of met)" -ge 3
	# With the debug hooks they are kmalloc_nolock()'s, which wants a CPU with cmpxchg16b.
	[ "${PARAMETERS-}" != "${PARAMETERS#*debug=}" ] ||
		holds "allocations in them" "$(of allocs)" -ge $((NMIS / 20))
	holds "frees in them" "$(of frees)" -ge $((NMIS / 20))
	unload nmi_pyalloc
	ask rest
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_while_task_softirq_and_hardirq_do_all()
{
	nmis_while ask storm 500
}

# Outboxes, inboxes and visits.
frees_for_others()
{
	ask alloc 0 64 5000
	ask alloc 1 200 2000
	ask free 0 3000
	ask free 1 4000
}

test_while_cpus_free_for_each_other()
{
	nmis_while frees_for_others
}

trims_and_looks()
{
	ask storm 100
	trims
	cat "$PY/stats" "$PY/arenas" "$PY/stats.json" >/dev/null
}

test_while_all_is_trimmed_and_looked_at()
{
	nmis_while trims_and_looks
}

run_all
