#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A task in a cgroup that is at its limit of memory: an allocation that is the cgroup's is
# refused as kmalloc()'s is, and others are not. For a kernel with CONFIG_MEMCG.

. "$(dirname "$0")/functions.sh"

ROOT=/tmp/cgroup
GROUP=$ROOT/pyalloc
LIMIT=16777216

mkdir -p "$ROOT"
mount -t cgroup2 cgroup2 "$ROOT" 2>/dev/null || skip_all "needs cgroup2"
trap 'umount "$ROOT"' EXIT
grep -qw memory "$ROOT/cgroup.controllers" || skip_all "needs CONFIG_MEMCG"

setup()
{
	load_all
	echo +memory >"$ROOT/cgroup.subtree_control"
	mkdir "$GROUP"
	echo $LIMIT >"$GROUP/memory.max"
}

teardown()
{
	rmdir "$GROUP" || fail "somebody is left in the cgroup"
	unload_clean
}

# in_group COMMAND: what test_pyalloc is asked by a task of the cgroup
in_group()
{
	sh -c "echo \$\$ >$GROUP/cgroup.procs; echo $* >$DEBUGFS/test_pyalloc/do" 2>/dev/null
}

charged()
{
	cat "$GROUP/memory.current"
}

# How often somebody was killed.
kills()
{
	sed -n 's/^oom_kill //p' "$GROUP/memory.events"
}

free_all()
{
	ask free 0 "$(held blocks)"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_what_is_nobody_s_is_not_limited()
{
	in_group here 512 $((LIMIT * 4 / 512)) || fail "refused"
	is "blocks" "$(held blocks)" $((LIMIT * 4 / 512))
	holds "charged to the cgroup" "$(charged)" -lt $((LIMIT / 4))
	is "served by kmalloc" "$(fall "flags of kmalloc's" 1)" 0
	free_all
}

test_what_is_the_cgroup_s_is_limited_as_kmalloc_s()
{
	! in_group here 512 $((LIMIT * 4 / 512)) account kmalloc || fail "kmalloc() has no limit"
	kmalloc=$(held blocks)
	ask free 0 "$kmalloc"
	! in_group here 512 $((LIMIT * 4 / 512)) account || fail "pyalloc() has no limit"
	pyalloc=$(held blocks)
	echo "blocks until it was refused: kmalloc $kmalloc, pyalloc $pyalloc"
	holds "blocks" "$pyalloc" -ge $((kmalloc * 9 / 10))
	holds "blocks" "$pyalloc" -le $((kmalloc * 11 / 10))
	holds "charged to the cgroup" "$(charged)" -ge $((LIMIT * 8 / 10))
	is "served by kmalloc, and the last refused" "$(fall "flags of kmalloc's" 1)" $((pyalloc + 1))
	is "arenas" "$(arenas)" 0
	is "killed" "$(kills)" 0
	free_all
	holds "charged when all was freed" "$(charged)" -lt $((LIMIT / 4))
}

run_all
