#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# No memory, anywhere: of all that is not a pyalloc() or a pyfree(), the first allocation
# fails, then the second, and so on until all were made. Each time it is a clean error or
# something that can be done without, and all goes on. For a kernel with FAILSLAB and
# FAIL_PAGE_ALLOC.

. "$(dirname "$0")/functions.sh"

INJECT=$HERE/test_mod/inject_pyalloc.ko
KNOBS=/sys/module/inject_pyalloc/parameters
# shellcheck disable=SC2034 # for functions.sh
MODULES="$HEAPS_PYALLOC $PROF"

# What the page allocator and SLUB may refuse: all, without a line in the log for each.
for fault in failslab fail_page_alloc; do
	[ -d "$DEBUGFS/$fault" ] || skip_all "needs CONFIG_FAILSLAB and CONFIG_FAIL_PAGE_ALLOC"
	echo N >"$DEBUGFS/$fault/ignore-gfp-wait"
	echo 0 >"$DEBUGFS/$fault/verbose"
	echo 1000000 >"$DEBUGFS/$fault/times"
done
echo N >"$DEBUGFS/fail_page_alloc/ignore-gfp-highmem"
echo 0 >"$DEBUGFS/fail_page_alloc/min-order"
loaded inject_pyalloc || insmod "$INJECT" || skip_all "needs inject_pyalloc.ko"

setup()
{
	load_all
	fail_arenas times=1000000
	heap create full
	heap alloc full 64 300
	heap alloc full 600 3
	echo 1 >"$PY/prof/enable"
	heap create busy
	heap alloc busy 100 300
	heap alloc busy 700 3
	echo first >"$PY/prof/snapshot"
}

teardown()
{
	for name in full busy; do
		! [ -d "$PY/heaps/$name" ] || heap destroy "$name"
	done
	! loaded pyalloc || nothing_went_wrong
	unload_clean
}

# Sets $hits: allocations that were made to fail so far.
count_hits()
{
	hits=0
	for attr in "$DEBUGFS"/failslab "$DEBUGFS"/fail_page_alloc "$PY"/fail; do
		if [ -e "$attr" ]; then
			read -r times <"$attr/times"
			hits=$((hits + 1000000 - times))
		fi
	done
}

# in_turn CHECK COMMAND...: the first allocation of COMMAND fails, then its second, ...;
# CHECK gets what COMMAND returned.
in_turn()
{
	check=$1
	shift
	nth=0 hits=1 before=0
	while [ "$hits" != "$before" ]; do
		nth=$((nth + 1))
		count_hits
		before=$hits
		status=0
		(
			echo "$nth" >/proc/self/fail-nth
			"$@"
		) 2>/tmp/inject || status=$?
		count_hits
		"$check" "$status"
	done
	is "with all of its memory: $* returned" "$status" 0
	holds "allocations of $*" "$nth" -gt 1
	nothing_went_wrong
	echo "$((nth - 1)) allocations: $*"
}

# 0, or an error that says what was missing.
for_want_of_memory()
{
	[ "$1" = 0 ] || [ ! -s /tmp/inject ] || grep -q 'Cannot allocate memory' /tmp/inject ||
		fail "allocation $nth: $(cat /tmp/inject)"
}

# That, or done; then it must hold that COMMAND...
sound()
{
	for_want_of_memory "$1"
	shift
	total_is_all_arenas || fail "$(cat "$PY/stats")"
	[ $# = 0 ] || "$@" || fail "after allocation $nth: not $*"
}

#
# Modules
#

# insert FILE [PARAMETER]...: its init function's allocation $nth fails
insert()
{
	echo "$nth" >"$KNOBS/nth"
	insmod "$@" 2>/tmp/inject || :
	read -r error <"$KNOBS/error"
	read -r left <"$KNOBS/left"
	case $error in
	0|-12) ;;
	*)	fail "allocation $nth of $1: error $error" ;;
	esac
	# An insmod tries again by itself, or does not.
	name=${1##*/}
	loaded "${name%.ko}" || load "$@"
}

# inserted_in_turn COMMAND FILE [PARAMETER]...: COMMAND must hold whatever has failed
inserted_in_turn()
{
	check=$1 nth=0 refused=0
	shift
	left=0
	while [ "$left" = 0 ]; do
		nth=$((nth + 1))
		insert "$@"
		refused=$((refused + (error != 0)))
		"$check" || fail "after allocation $nth: not $check"
	done
	is "with all of its memory" "$error" 0
	holds "allocations that it cannot do without" "$refused" -gt 0
	echo "$((nth - 1)) allocations, $refused of them it cannot do without: $*"
}

# Without some of its files, too; without all memory for them, it has to make heaps.
pyalloc_works()
{
	if [ ! -e "$PY/heaps" ]; then
		load "$HEAPS_PYALLOC"
		heap create h
		heap alloc h 40 1000
		heap free h 1000
		heap destroy h
		unload heaps_pyalloc
	fi
	unload pyalloc
}

# insmod_pyalloc [PARAMETER]...
insmod_pyalloc()
{
	teardown
	inserted_in_turn pyalloc_works "$PYALLOC" "$@"
	! log | grep -i 'already' || fail "something was left behind"
	is "loaded and unloaded" "$(log | grep -c 'pyalloc: loaded')" \
		"$(log | grep -c 'pyalloc: unloaded: all .* no block left')"
	setup
}

test_insmod_pyalloc()
{
	insmod_pyalloc
}

test_insmod_pyalloc_in_vmalloc_space()
{
	insmod_pyalloc arenas=vmalloc
}

test_insmod_pyalloc_with_debug_hooks()
{
	insmod_pyalloc debug=FZPU debug_quarantine=64
}

prof_works()
{
	[ ! -e "$PY/prof/enable" ] || echo 1 >"$PY/prof/enable" || return
	unload pyalloc_prof
	nothing_went_wrong
	[ ! -e "$PY/prof" ]
}

# It has nothing but its files.
test_insmod_pyalloc_prof()
{
	unload pyalloc_prof
	nth=0 left=0
	while [ "$left" = 0 ]; do
		nth=$((nth + 1))
		insert "$PROF"
		is "error at allocation $nth" "$error" 0
		prof_works || fail "after allocation $nth"
	done
	holds "allocations" "$nth" -gt 10
	echo "$((nth - 1)) allocations"
}

# removed_in_turn MODULE AGAIN: it stays, or goes and leaves nothing, and comes AGAIN
removed_in_turn()
{
	nth=0 gone=0 hits=1 before=0
	while [ "$hits" != "$before" ]; do
		nth=$((nth + 1))
		count_hits
		before=$hits
		status=0
		(
			echo "$nth" >/proc/self/fail-nth
			exec rmmod "$1"
		) 2>/tmp/inject || status=$?
		count_hits
		loaded "$1" || gone=$((gone + 1))
		loaded "$1" || "$2"
	done
	is "with all of its memory: rmmod returned" "$status" 0
	holds "times it was gone" "$gone" -ge 1
	echo "$((nth - 1)) allocations, after $((gone - 1)) of which it was gone"
}

prof_again()
{
	[ ! -e "$PY/prof" ] || fail "files were left"
	load "$PROF"
	echo 1 >"$PY/prof/enable"
	heap alloc busy 40 100
}

test_rmmod_pyalloc_prof()
{
	removed_in_turn pyalloc_prof prof_again
}

pyalloc_again()
{
	[ ! -e "$PY" ] || fail "files were left"
	said 'pyalloc: unloaded: all [1-9][0-9]* arenas returned, no block left'
	load "$PYALLOC"
	fail_arenas times=1000000
	load "$HEAPS_PYALLOC"
	heap create left
	heap alloc left 64 300
	unload heaps_pyalloc
}

# With a heap that nobody destroyed.
test_rmmod_pyalloc()
{
	unload pyalloc_prof
	heap destroy full
	heap destroy busy
	unload heaps_pyalloc
	removed_in_turn pyalloc pyalloc_again
	unload pyalloc
	setup
}

#
# Heaps
#

# The file is open already: what fails is what is called.
call()
{
	echo "$*" >&4
}

created()
{
	[ "$1" != 0 ] || heap destroy h
	sound "$1" [ ! -e "$PY/heaps/h" ]
}

test_a_heap_is_made()
{
	exec 4>"$DEBUGFS/heaps_pyalloc"
	in_turn created call create h
	in_turn created call create h vmalloc
	in_turn created call create h debug
	exec 4>&-
}

# If the file could not be opened, it is still there.
destroyed()
{
	sound "$1"
	[ "$1" = 0 ] || heap destroy h
	heap create h
	heap alloc h 64 300
	heap alloc h 900 3
}

test_a_heap_goes()
{
	heap create h
	in_turn destroyed tell destroy h
	heap destroy h
}

# What pyalloc cannot do without is kmalloc()'s.
served()
{
	sound "$1"
	is "error at allocation $nth" "$1" 0
	heap free h 100
	heap destroy h
	heap create h "$source"
}

test_blocks_of_a_heap()
{
	exec 4>"$DEBUGFS/heaps_pyalloc"
	for source in page vmalloc; do
		heap create h "$source"
		in_turn served call alloc h 64 100
		heap destroy h
	done
	exec 4>&-
}

# shown NAME LINE: the number in the heap's ledger
shown()
{
	sed -n "s/^$2 .* //p" "$PY/heaps/$1/stats"
}

refused_whole()
{
	sound "$1"
	is "kmalloc blocks" "$(shown h 'kmalloc blocks')" "$((1 - ($1 != 0)))"
	[ "$1" != 0 ] || heap free h 1
	is "bytes in kmalloc blocks" "$(shown h 'bytes in kmalloc blocks')" 0
}

test_a_large_block_of_a_heap()
{
	heap create h
	exec 4>"$DEBUGFS/heaps_pyalloc"
	in_turn refused_whole call alloc h 2000 1
	exec 4>&-
	heap destroy h
}

#
# Files
#

read_it()
{
	read -r _ <"$1"
}

write_it()
{
	echo "$2" >"$1"
}

# And can be read now.
readable()
{
	sound "$1" read_it "$PY/$file"
}

test_each_file_is_read()
{
	for file in stats arenas stats.json fail/probability heaps/full/stats heaps/busy/arenas \
		prof/enable prof/traced prof/overhead prof/pins prof/top prof/snapshot prof/diff; do
		in_turn readable read_it "$PY/$file"
	done
}

trimmed()
{
	sound "$1" heap alloc busy 64 300
}

test_a_trim()
{
	in_turn trimmed write_it "$PY/trim" 1
}

#
# The profile
#

begun()
{
	sound "$1" read_it "$PY/prof/top"
	read -r on <"$PY/prof/enable"
	is "begun, returned $1" "$on" "$((1 - ($1 != 0)))"
	echo 0 >"$PY/prof/enable"
}

test_a_profile_begins()
{
	echo 0 >"$PY/prof/enable"
	in_turn begun write_it "$PY/prof/enable" 1
}

# Then pyalloc itself has to make a table, which stays.
test_the_first_profile_begins()
{
	teardown
	load "$PYALLOC"
	load "$PROF"
	echo 2 >/sys/module/pyalloc_prof/parameters/every
	in_turn begun write_it "$PY/prof/enable" 1
	unload pyalloc_prof
	unload pyalloc
	setup
}

taken()
{
	sound "$1" read_it "$PY/prof/diff"
	is "snapshots, returned $1" "$(grep -c second "$PY/prof/snapshot")" "$((1 - ($1 != 0)))"
	[ "$1" != 0 ] || echo -second >"$PY/prof/snapshot"
	is "first snapshot" "$(grep -c first "$PY/prof/snapshot")" 1
}

test_a_snapshot()
{
	in_turn taken write_it "$PY/prof/snapshot" second
}

filtered()
{
	sound "$1" read_it "$PY/prof/top"
	is "filter, returned $1" "$(cat "$PY/prof/filter")" \
		"$([ "$1" != 0 ] || echo 'size=1-100')"
	echo >"$PY/prof/filter"
}

test_a_filter()
{
	in_turn filtered write_it "$PY/prof/filter" size=1-100
}

reset()
{
	sound "$1" read_it "$PY/prof/traced"
}

test_the_most_is_reset()
{
	in_turn reset write_it "$PY/prof/traced" reset
}

run_all
