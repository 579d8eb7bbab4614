#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# More than one node of memory, and nodes without any: whose memory blocks are, and where
# they go when another node's CPU frees them.

. "$(dirname "$0")/functions.sh"

node_of()
{
	set -- /sys/devices/system/cpu/cpu"$1"/node[0-9]*
	echo "${1##*node}"
}

nodes_with_memory()
{
	ranges /sys/devices/system/node/has_memory
}

has_memory()
{
	nodes_with_memory | grep -qx "$1"
}

# ranges FILE: "0-1,3" as a line each
ranges()
{
	tr , '\n' <"$1" | while IFS=- read -r first last; do
		seq "$first" "${last:-$first}"
	done
}

[ "$(ranges /sys/devices/system/node/online | wc -l)" -ge 2 ] || skip_all "needs two nodes"
[ "$(nodes_with_memory | wc -l)" != "$(ranges /sys/devices/system/node/online | wc -l)" ] ||
	leave_out cpus_without_memory_of_their_own_get_arenas

test_blocks_are_the_cpu_s_own_node_s()
{
	for cpu in $(cpus); do
		node=$(node_of "$cpu")
		has_memory "$node" || continue
		ask alloc "$cpu" 100 5000
		is "CPU $cpu: blocks on node $node" "$(held "node$node")" 5000
		ask free "$cpu" 5000
	done
	is "served by kmalloc" "$(fall 'no arena' 1)" 0
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_every_node_has_its_arenas()
{
	for cpu in $(cpus); do
		ask alloc "$cpu" 100 5000
	done
	for node in $(nodes_with_memory); do
		grep -q "node $node " "$PY/arenas" || fail "node $node: no arena"
	done
	ask free 0 "$(held blocks)"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

# Of the nearest that has some, as kmalloc() does.
test_cpus_without_memory_of_their_own_get_arenas()
{
	for cpu in $(cpus); do
		! has_memory "$(node_of "$cpu")" || continue
		ask alloc "$cpu" 100 5000
		ask alloc "$cpu" 512 1000 atomic
		is "blocks of CPU $cpu" "$(ledger 'bytes in allocated blocks')" \
			$((5000 * 104 + 1000 * 512))
		ask free "$cpu" 6000
	done
	is "served by kmalloc" "$(fall 'no arena' 1)" 0
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_a_node_that_is_asked_for_is_what_comes()
{
	for node in $(nodes_with_memory); do
		for size in 8 100 512 513 4000; do
			ask on 0 "$node" "$size" 200
		done
		is "blocks on node $node" "$(held "node$node")" 1000
		ask free 1 1000
	done
	# __GFP_THISNODE is kmalloc()'s, as another node is.
	is "served by kmalloc for its node" "$(fall "another node's memory" 1)" \
		$(($(nodes_with_memory | wc -l) * 600))
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
}

test_blocks_freed_on_other_nodes_come_back()
{
	for cpu in $(cpus); do
		ask alloc "$cpu" 64 10000
	done
	for cpu in $(cpus); do
		ask free "$cpu" 10000
	done
	is "blocks" "$(held blocks)" 0
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	trims
	is "arenas" "$(arenas)" 0
}

test_a_full_node_is_no_failure()
{
	node=$(nodes_with_memory | tail -n 1)
	for cpu in $(cpus); do
		[ "$(node_of "$cpu")" != "$node" ] || break
	done
	free=$(sed -n "s/^Node $node MemFree: *\([0-9]*\) kB/\1/p" \
		"/sys/devices/system/node/node$node/meminfo")
	count=$((free * 2 + 20000))
	[ "$count" -le 262144 ] || skip "node $node has too much memory to fill"
	ask alloc "$cpu" 512 "$count"
	holds "blocks of other nodes" "$((count - $(held "node$node")))" -ge 1000
	ask free "$cpu" "$count"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

test_a_storm_on_all_nodes()
{
	ask storm "${STORM_MS:-3000}"
	eventually 1 all_came_back || fail "$(cat "$PY/stats")"
	nothing_went_wrong
}

run_all
