#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A kfree() of a block, a bug of the caller: the kernel warns, and nobody gets the page
# that the block is in. Not run unless asked for by name.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
EXPECTED='cut here|WARNING: .*(free_large_kmalloc|kfree|pyalloc\.c:)'

# Since 7.x the kernel knows which pages are kmalloc()'s, says so of any other each time,
# and lets it be. Others say it once in a boot, and drop a reference.
leaves_it()
{
	log | grep -q 'page dumped because: Not a kmalloc allocation'
}

# pinned: many arenas whose pages are freed one by one, with a block in every 16th pool
pinned()
{
	ask alloc 0 64 100000
	ask thin 0 1024
	echo 1 >"$PY/trim"
	holds "pages given back" "$(ledger 'page allocator: pages given back')" -gt 100
}

# N blocks were given to kfree(): counted, and said when their pages go
found()
{
	strays=$1
	! leaves_it || strays=0
	is "blocks given to kfree()" "$(ledger 'blocks given to kfree')" "$strays"
	eventually 1 total_is_all_arenas || fail "$(cat "$PY/stats")"
	ask free 0 "$(held blocks)"
	echo 1 >"$PY/trim"
	is "arenas" "$(arenas)" 0
	[ "$strays" = 0 ] || said 'pyalloc: kfree\(\) of a block'
	# One for each page.
	[ "$strays" = 0 ] || holds "frees refused" "$(ledger 'frees refused')" -gt $((strays * 3 / 4))
}

# This one is first: most kernels warn but once.
test_the_kernel_warns()
{
	ask alloc 0 64 100
	ask stray 0
	said 'WARNING: .*(free_large_kmalloc|kfree)'
	found 1
}

test_a_block_of_a_pinned_arena()
{
	pinned
	ask stray 0
	found 1
}

test_the_kernel_s_books_are_right_afterwards()
{
	ask alloc 0 64 1000
	ask free 0 1000
	echo 1 >"$PY/trim"
	sleep 1
	before=$(slab)
	for _ in $(seq 80); do
		ask alloc 0 512 8
		ask stray 0
	done
	found 80
	sleep 1
	holds "slab bytes less than before" $((before - $(slab))) -le $((160 * 1024))
}

test_unload_tells_of_it()
{
	ask alloc 0 64 3
	ask stray 0
	ask leave
	strays=$(ledger 'blocks given to kfree')
	leaves_it || is "blocks given to kfree()" "$strays" 1
	unload_all
	said 'pyalloc: unloaded with live blocks'
	[ "$strays" = 0 ] || said 'live: 1 of them were given to kfree\(\)'
	load_all
}

run_all
