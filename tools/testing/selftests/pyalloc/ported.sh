#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Code that others wrote for kmalloc(), moved over by one #include: tools/testing/ported
# built for this kernel, in $PORTED. Each test ends with pyalloc unloaded and no block left.

. "$(dirname "$0")/functions.sh"

PORTED=${PORTED:-$TREE/tools/testing/ported}
LEFTOVERS="ext2 brd roundtrip ported_rhashtable test_meminit test_xarray test_list_sort test_hash"

# What each test needs; kernels with KUnit build other modules than those without.
for needs in files_compressed_and_expanded:roundtrip \
	a_file_system_over_a_block_driver:ext2 test_meminit:test_meminit \
	test_xarray:test_xarray test_rhashtable:ported_rhashtable \
	test_list_sort:test_list_sort test_hash:test_hash; do
	[ -e "$PORTED/${needs#*:}.ko" ] || leave_out "${needs%:*}"
done

# shellcheck disable=SC2034 # for functions.sh
MODULES=

# run MODULE [PARAMETER=VALUE]...: it tests when it is loaded
run()
{
	what=$1
	shift
	load "$PORTED/$what.ko" "$@"
	nothing_went_wrong
}

served()
{
	holds "arenas that served it" "$(ledger 'arenas allocated total')" -ge 1
}

test_test_meminit()
{
	run test_meminit
	said 'test_meminit: all [0-9]+ tests passed'
	served
	unload test_meminit
}

test_test_xarray()
{
	run test_xarray
	said 'XArray: [0-9]+ of [0-9]+ tests passed'
	unload test_xarray
}

test_test_rhashtable()
{
	run ported_rhashtable parm_entries=10000 runs=2
	said 'Started 10 threads, 0 failed, rhltable test returns 0'
	# A walk that meets a resize begins again, and counts some twice.
	! log | grep -i 'test failed' | grep -v 'count mismatch' || fail "it says so"
	served
	unload ported_rhashtable
}

test_test_list_sort()
{
	run test_list_sort
	said 'ok [0-9]+ -? ?list_sort'
	! log | grep 'not ok' || fail "KUnit says so"
	served
	unload test_list_sort
}

test_test_hash()
{
	run test_hash
	said 'ok [0-9]+ -? ?hash'
	! log | grep 'not ok' || fail "KUnit says so"
	unload test_hash
}

test_files_compressed_and_expanded()
{
	for file in /bin/busybox "$PYALLOC" "$TREE/pyalloc.c" "$TREE/COPYING"; do
		run roundtrip file="$file"
		said "roundtrip: $(stat -c %s "$file") bytes in [0-9]+ records, [0-9]+ packed, 0 wrong"
		unload roundtrip
	done
	served
}

# Each line of a text in a file of its own, and a large one.
fill_disk()
{
	number=0
	while IFS= read -r line; do
		number=$((number + 1))
		echo "$line" >"/tmp/disk/$number"
	done <"$1"
	cp /bin/busybox /tmp/disk/large
}

disk_has()
{
	for number in $(seq "$(wc -l <"$1")"); do
		echo "/tmp/disk/$number"
	done | xargs cat | cmp - "$1" || fail "the lines are not what was written"
	cmp /bin/busybox /tmp/disk/large || fail "the large file is not what was written"
}

test_a_file_system_over_a_block_driver()
{
	text=$TREE/pyalloc.h
	load "$PORTED/brd.ko" rd_nr=1 rd_size=32768
	load "$PORTED/ext2.ko"
	mke2fs /dev/ram0 >/tmp/mke2fs.log || fail "mke2fs: $(cat /tmp/mke2fs.log)"
	mkdir -p /tmp/disk
	mount -t ext2 /dev/ram0 /tmp/disk
	fill_disk "$text"
	# What a file with blocks of its own has in memory.
	holds "blocks that ext2 holds" \
		"$(ledger 'bytes in allocated blocks')" -ge $(($(wc -l <"$text") * 32))
	disk_has "$text"
	umount /tmp/disk
	mount -t ext2 /dev/ram0 /tmp/disk
	disk_has "$text"
	rm -r /tmp/disk/[0-9]*
	umount /tmp/disk
	nothing_went_wrong
	unload ext2
	unload brd
}

run_all
