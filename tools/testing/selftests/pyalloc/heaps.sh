#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Private heaps: their files, their limits, and how they go.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
MODULES=$HEAPS_PYALLOC

cannot()
{
	! tell "$@" 2>/tmp/refused || fail "'$*' was accepted"
}

# of HEAP COMMAND...: with the heap's own files
of()
{
	(
		PY=$PY/heaps/$1
		shift
		"$@"
	)
}

test_it_has_files_of_its_own()
{
	heap create one
	is "files" "$(ls "$PY/heaps/one" | xargs)" "arenas stats"
	heap alloc one 40 10000
	is "bytes in use" "$(of one ledger 'bytes in allocated blocks')" 400000
	is "the default heap's" "$(ledger 'bytes in allocated blocks')" 0
	is "the default heap's arenas" "$(arenas)" 0
	is "lines of the map" "$(grep -c ' node ' "$PY/heaps/one/arenas")" "$(of one arenas)"
	of one total_is_all_arenas || fail "$(cat "$PY/heaps/one/stats")"
	heap destroy one
	[ ! -e "$PY/heaps/one" ] || fail "its folder is still there"
}

test_it_goes_with_all_that_is_in_it()
{
	# The first takes an arena, or a region, for the default heap.
	for _ in 1 2; do
		before=$(slab)
		heap create one
		heap alloc one 64 100000
		heap alloc one 5000 10
		holds "slab" "$(slab)" -ge $((before + 6000000))
		heap destroy one
	done
	holds "slab, afterwards" "$(slab)" -le $((before + 1000000))
}

test_names_are_unlike()
{
	heap create one
	cannot create one
	grep -q 'exists' /tmp/refused || fail "$(cat /tmp/refused)"
	for name in . .. a/b \
		"$(printf "%64s" "" | tr " " a)"; do
		cannot create "$name"
	done
	heap create "two-2_2:x"
	heap destroy one
	heap create one
	heap destroy one
	heap destroy "two-2_2:x"
}

test_blocks_freed_elsewhere_come_home()
{
	need_cpus 2
	heap create one
	heap alloc one 100 $((1000 * $(cpus | wc -l) + 3000))
	for cpu in $(cpus); do
		taskset "$(printf %x $((1 << cpu)))" sh -c \
			"echo free one 1000 >$DEBUGFS/heaps_pyalloc" || fail "CPU $cpu"
	done
	heap free one 3000
	eventually 1 of one all_came_back || fail "$(cat "$PY/heaps/one/stats")"
	heap destroy one
}

test_trim_gives_back_its_pages()
{
	heap create one
	heap alloc one 512 20000
	heap free one 19999
	trims
	is "arenas" "$(of one arenas)" 1
	holds "pages given back" "$(of one ledger 'page allocator: pages given back')" -ge 50
	heap free one 1
	trims
	is "arenas" "$(of one arenas)" 0
	heap destroy one
}

test_the_shrinker_gives_back_its_pages()
{
	[ -w /proc/sys/vm/drop_caches ] || skip "needs /proc/sys/vm/drop_caches"
	heap create one
	heap alloc one 512 20000
	heap free one 19999
	shortages
	holds "pages given back" "$(of one ledger 'page allocator: pages given back')" -ge 50
	heap destroy one
}

test_a_limit_refuses()
{
	heap create one
	heap create two
	heap limit one 1000000
	cannot alloc one 100 20000
	grep -qi 'memory' /tmp/refused || fail "$(cat /tmp/refused)"
	holds "bytes in use" "$(of one ledger 'bytes in allocated blocks')" -le 1000000
	# Half of it if KASAN puts red zones between blocks.
	holds "bytes in use" "$(of one ledger 'bytes in allocated blocks')" -ge 450000
	holds "refused" "$(of one ledger "refused, at the heap's limit")" -ge 1
	heap alloc two 100 20000
	heap free one 1000
	sleep 1		# then no other CPU keeps what is empty
	heap alloc one 100 800
	heap limit one 0
	heap alloc one 100 20000
	heap destroy one
	heap destroy two
}

test_a_limit_counts_what_kmalloc_serves()
{
	heap create one
	heap limit one 100000
	heap alloc one 8192 10
	cannot alloc one 8192 3
	heap free one 10
	heap alloc one 8192 10
	heap destroy one
}

test_one_that_must_be_empty_stays()
{
	heap create one empty
	heap alloc one 64 100
	cannot destroy one
	grep -qi 'busy' /tmp/refused || fail "$(cat /tmp/refused)"
	said 'heap one: not destroyed, as 100 of its blocks live'
	[ -e "$PY/heaps/one/stats" ] || fail "its files are gone"
	heap free one 100
	heap destroy one
}

regions()
{
	grep -c 'region_create.*\[pyalloc\]' /proc/vmallocinfo
}

test_one_of_vmalloc_arenas()
{
	before=$(regions)
	heap create one vmalloc
	heap alloc one 64 100000
	of one total_is_all_arenas || fail "$(cat "$PY/heaps/one/stats")"
	holds "regions" "$(regions)" -gt "$before"
	heap free one 50000
	heap destroy one
	is "regions, afterwards" "$(regions)" "$before"
}

test_many_at_once()
{
	for n in $(seq 30); do
		heap create "heap$n"
		heap alloc "heap$n" $((16 + n)) 500
	done
	is "folders" "$(ls "$PY/heaps" | wc -l)" 30
	for n in $(seq 30); do
		is "heap$n" "$(of "heap$n" ledger 'bytes in allocated blocks')" \
			$((500 * ((16 + n + 7) / 8 * 8)))
		heap destroy "heap$n"
	done
	is "folders" "$(ls "$PY/heaps" | wc -l)" 0
}

test_destroyed_while_its_files_are_read()
{
	(
		while [ ! -e /tmp/enough ]; do
			cat "$PY"/heaps/*/stats "$PY"/heaps/*/arenas >/dev/null 2>&1
		done
	) &
	reader=$!
	for _ in $(seq 30); do
		heap create one
		heap alloc one 64 5000
		heap destroy one
	done
	touch /tmp/enough
	wait "$reader"
	rm /tmp/enough
}

test_one_that_was_never_destroyed()
{
	heap create lost
	heap alloc lost 64 1000
	unload_clean
	said 'heap lost was never destroyed'
	load_all
}

run_all
