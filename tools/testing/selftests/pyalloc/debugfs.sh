#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The files under /sys/kernel/debug/pyalloc: what they show, what they refuse.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
LEFTOVERS=pyalloc_prof

# KASAN has a red zone behind each block: what counts how many are in a pool is not for it.
! grep -q ' kasan_report$' /proc/kallsyms ||
	leave_out 'stats_look_like_python_s|the_class_table_counts_blocks_and_pools|arenas_are_counted_as_they_come_and_go|the_map_shows_which_pools_are_full'
! in_regions || leave_out trim_gives_back_pages_of_pinned_arenas

# class SIZE: pools, blocks in use, available blocks
class()
{
	awk -v size="$1" '
		/^class/ { table = 1 }
		/^$/ && table && rows { exit }
		table && $2 == size { print $3, $4, $5 }
		table { rows++ }
	' "$PY/stats"
}

map()
{
	awk '/^ *[0-9]+ node [0-9]+ / { print $4 }' "$PY/arenas"
}

test_every_file_can_be_read()
{
	ask alloc 0 24 100
	files=$(find "$PY" -type f -perm -400)
	matches "files" "$(echo "$files" | xargs)" 'pyalloc/stats'
	matches "files" "$(echo "$files" | xargs)" 'pyalloc/arenas'
	for file in $files; do
		[ -n "$(cat "$file")" ] || fail "$file is empty"
	done
}

# all_files COMMAND...: while there are all that there can be
all_files()
{
	[ ! -e "$PROF" ] || load "$PROF"
	[ ! -e "$PROF" ] || echo 1 >"$PY/prof/enable"
	load "$HEAPS_PYALLOC"
	for kind in page vmalloc debug; do
		heap create "$kind" "$kind"
		heap alloc "$kind" 40 1000
		heap alloc "$kind" 1000 3
	done
	ask alloc 0 40 10000
	[ ! -e "$PROF" ] || echo first >"$PY/prof/snapshot"
	heap alloc debug 80 100
	"$@"
	unload heaps_pyalloc
	[ ! -e "$PROF" ] || unload pyalloc_prof
}

only_root_s()
{
	holds "files" "$(find "$PY" -type f | wc -l)" -gt 8
	is "files of others" "$(find "$PY" -type f -perm /077)" ''
}

test_nobody_but_root_can_read()
{
	all_files only_root_s
}

test_stats_look_like_python_s()
{
	ask alloc 0 8 1
	is "1st line" "$(sed -n 1p "$PY/stats")" \
		"Small block threshold = 512, in 64 size classes."
	is "3rd line" "$(sed -n 3p "$PY/stats")" \
		"class   size   num pools   blocks in use  avail blocks"
	is "4th line" "$(sed -n 4p "$PY/stats")" \
		"-----   ----   ---------   -------------  ------------"
	is "5th line" "$(sed -n 5p "$PY/stats" | xargs)" "0 8 1 1 511"
}

test_the_ledger_has_every_line()
{
	for line in 'arenas allocated total' 'arenas reclaimed' \
		'arenas highwater mark' 'arenas allocated current' \
		'bytes in allocated blocks' 'bytes in available blocks' \
		'bytes in in-transit blocks' 'bytes in virgin blocks' \
		'unused pools . 4096 bytes' 'bytes lost to arena headers' \
		'bytes lost to quantization' Total; do
		matches "$line" "$(ledger "$line")" '^[0-9]+$'
	done
}

test_the_class_table_counts_blocks_and_pools()
{
	ask alloc 0 33 1000
	# 4096 / 40 = 102 blocks a pool; 1000 of them need 10.
	is "class 40" "$(class 40)" "10 1000 20"
	ask free 0 400
	is "blocks of 40 in use" "$(class 40 | cut -d' ' -f2)" 600
}

test_every_size_is_in_its_class()
{
	for size in 1 8 9 16 17 100 255 256 257 504 505 512; do
		ask alloc 0 "$size" 1
		rounded=$(((size + 7) / 8 * 8))
		is "size $size" "$(class "$rounded" | cut -d' ' -f1)" 1
	done
	is "blocks in use" "$(awk '$1 ~ /^[0-9]+$/ && NF == 5 { n += $4 } END { print n }' \
		"$PY/stats")" 12
}

test_total_is_all_arenas()
{
	eventually 1 total_is_all_arenas || fail "unused: $(cat "$PY/stats")"
	for size in 1 24 100 136 264 511; do
		ask alloc 0 "$size" 5000
	done
	eventually 1 total_is_all_arenas || fail "30000 blocks: $(cat "$PY/stats")"
	ask thin 0 7
	eventually 1 total_is_all_arenas || fail "one in seven left: $(cat "$PY/stats")"
	echo 1 >"$PY/trim"
	eventually 1 total_is_all_arenas || fail "trimmed: $(cat "$PY/stats")"
	ask free 0 "$(held blocks)"
	eventually 1 total_is_all_arenas || fail "all free: $(cat "$PY/stats")"
}

test_allocated_bytes_are_what_is_held()
{
	for size in 1 24 100 136 264 511; do
		ask alloc 0 "$size" 3333
	done
	is "bytes" "$(ledger 'bytes in allocated blocks')" "$(held usable)"
	is "usable of 1 24 100 136 264 511" "$(held usable)" \
		$((3333 * (8 + 24 + 104 + 136 + 264 + 512)))
	ask free 0 10000
	is "bytes after frees" "$(ledger 'bytes in allocated blocks')" "$(held usable)"
	ask thin 0 3
	is "bytes after more" "$(ledger 'bytes in allocated blocks')" "$(held usable)"
}

test_arenas_are_counted_as_they_come_and_go()
{
	# 8 blocks a pool, 63 pools an arena.
	ask alloc 0 512 $((8 * 63 * 20))
	is "current" "$(arenas)" 20
	is "total" "$(ledger 'arenas allocated total')" 20
	is "highwater" "$(ledger 'arenas highwater mark')" 20
	is "reclaimed" "$(ledger 'arenas reclaimed')" 0
	ask free 0 $((8 * 63 * 20))
	eventually 2 arenas_at_most 1 || fail "$(arenas) arenas are left"
	is "total, then" "$(ledger 'arenas allocated total')" 20
	is "highwater, then" "$(ledger 'arenas highwater mark')" 20
	is "reclaimed, then" "$(ledger 'arenas reclaimed')" $((20 - $(arenas)))
}

no_address()
{
	find "$PY" -type f -perm -400 | while read -r file; do
		# As it is written in C, and as a number.
		! grep -Ei 'f{4}[0-9a-f]{8}|1844[67][0-9]{15}' "$file" ||
			fail "$file shows an address"
	done || exit
}

test_no_file_shows_an_address()
{
	all_files no_address
}

test_the_map_has_a_legend_and_a_line_an_arena()
{
	ask alloc 0 100 20000
	matches "legend" "$(sed '/node/,$d' "$PY/arenas")" 'H header'
	matches "legend" "$(sed '/node/,$d' "$PY/arenas")" '# full'
	is "lines" "$(map | wc -l)" "$(arenas)"
	holds "arenas" "$(arenas)" -gt 5
	is "what is no map" "$(map | grep -Evx 'H[0-9.:#-]{63}')" ''
}

test_the_map_shows_which_pools_are_full()
{
	ask alloc 0 512 $((8 * 63))
	# Whether the last pool is full shows when a block more is wanted.
	matches "full arena" "$(map)" '^H[#9]{63}$'
	ask free 0 $((8 * 40))
	matches "later" "$(map | tr -cd '#9' | wc -c)" '^2[34]$'
}

test_stats_and_arenas_cannot_be_written()
{
	for file in stats arenas; do
		! (echo 1 >"$PY/$file") 2>/dev/null || fail "$file took it"
	done
}

test_trim_cannot_be_read()
{
	! cat "$PY/trim" 2>/dev/null || fail "it could"
}

test_trim_refuses_all_but_1()
{
	ask alloc 0 64 5000
	ask free 0 5000
	long=$(head -c 5000 /dev/zero | tr '\0' 1)
	for value in '' ' ' 0 2 -1 1x x1 '1 1' 1.0 4294967297 \
		99999999999999999999 junk "$long"; do
		! (echo "$value" >"$PY/trim") 2>/dev/null ||
			fail "it took '$value'"
	done
	holds "arenas, as nothing trimmed" "$(arenas)" -ge 1
}

test_trim_leaves_no_arena()
{
	ask alloc 0 64 20000
	ask free 0 20000
	echo 1 >"$PY/trim"
	is "arenas" "$(arenas)" 0
	is "reclaimed" "$(ledger 'arenas reclaimed')" "$(ledger 'arenas allocated total')"
}

test_trim_without_anything_to_trim()
{
	echo 1 >"$PY/trim"
	echo 1 >"$PY/trim"
	is "arenas" "$(arenas)" 0
}

test_trim_gives_back_pages_of_pinned_arenas()
{
	ask alloc 0 64 100000
	before=$(arenas)
	# One block in 16 pools.
	ask thin 0 1024
	echo 1 >"$PY/trim"
	back=$(ledger 'pools given back .')
	holds "bytes given back" "$back" -gt $((before * ARENA / 2))
	is "pages in the map" "$(map | tr -cd - | wc -c)" $((back / 4096))
	eventually 1 total_is_all_arenas || fail "with pages given back: $(cat "$PY/stats")"
	# EIO if a survivor does not hold what was written into it.
	ask free 0 "$(held blocks)"
	echo 1 >"$PY/trim"
	is "arenas" "$(arenas)" 0
}

test_large_requests_are_counted_by_size()
{
	ask alloc 0 513 1
	ask alloc 0 1024 2
	ask alloc 0 2000 4
	ask alloc 0 4000 8
	ask alloc 0 8000 16
	ask alloc 0 20000 32
	is "above 512" "$(for i in 1 2 3 4 5 6; do fall 'above 512 bytes' $i; done | xargs)" \
		"0 3 4 8 16 32"
	is "arenas" "$(arenas)" 0
	ask free 0 63
}

test_foreign_memory_can_be_freed()
{
	ask alloc 0 64 100
	for size in 1 8 64 512 513 4096 100000; do
		ask foreign $size 100
	done
	is "frees refused" "$(ledger 'frees refused')" 0
	is "blocks in use" "$(class 64 | cut -d' ' -f2)" 100
}

test_reading_does_not_disturb_the_allocator()
{
	need_cpus 2
	ask storm 2000 &
	reads=0
	while kill -0 $! 2>/dev/null; do
		cat "$PY/stats" "$PY/arenas" >/dev/null || fail "cannot read"
		reads=$((reads + 1))
	done
	wait $! || fail "the storm did damage"
	holds "reads" "$reads" -gt 0
	eventually 1 total_is_all_arenas || fail "afterwards: $(cat "$PY/stats")"
}

run_all
