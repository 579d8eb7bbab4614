#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The profiler: who holds memory is named, with the figures that a caller of known habits
# makes known; what it cannot know is counted; and it may come and go at any time.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
MODULES="$PROF $TEST_PYALLOC $WHOHOLDS $HEAPS_PYALLOC"
NAME_31=a23456789-b23456789-c23456789-d

! emulated || leave_out 'begun_and_ended_under_load|unloaded_under_load'

# User-Mode Linux does not know whose call a frame on the stack is.
! grep -q 'User Mode Linux' /proc/cpuinfo ||
	leave_out 'sites_without_room_are_one_site|depth_is_frames_of_a_site'

for file in "$PROF" "$WHOHOLDS"; do
	[ -e "$file" ] || skip_all "${file#"$TREE"/} is not built"
done

# refuses WHY FILE TEXT: as printf has it
refuses()
{
	# shellcheck disable=SC2059 # so that each may have its newline, or none
	! printf "$3" | cat 2>/tmp/refused >"$FILES/$2" || fail "$2 took '$3'"
	grep -q "$1" /tmp/refused || fail "$2, '$3': $(cat /tmp/refused), not $1"
}

# letters NUMBER: so many
letters()
{
	printf "%$1s" "" | tr ' ' a
}

# whoholds WHAT COUNT
whoholds()
{
	echo "$2" >"/sys/module/whoholds/parameters/$1" || fail "whoholds: $1 $2 failed"
}

# site TEXT: bytes, blocks, and blocks ever, of the lines of top that have it
site()
{
	awk -v text="$1" '
		NR > 1 && index($0, text) { bytes += $1; blocks += $2; ever += $5 }
		END { print bytes + 0, blocks + 0, ever + 0 }' "$FILES/top"
}

# sites: the function in front of each line of top
sites()
{
	sed '1d; s/[+].*//; s/.* //' "$FILES/top" | xargs
}

# first FILE: its first line
first()
{
	head -n 1 "$FILES/$1"
}

#
# Who holds the memory
#

# The seed example of tracemalloc: 50,000 strings, and who made them.
test_what_was_made_between_two_snapshots_is_named()
{
	begin
	whoholds strings 1000
	whoholds leak 100
	ask alloc 0 64 300
	put snapshot before
	whoholds strings 50000
	whoholds leak 10
	put snapshot after
	matches "diff" "$(first diff)" '^make_strings[+.][^ ]* \[whoholds\]: size=765000 \(\+750000\), count=51000 \(\+50000\), average=15$'
	is "lines of make_strings" "$(head -n 3 "$FILES/diff" | grep -c make_strings)" 1
	is "lines" "$(wc -l <"$FILES/diff")" 3
}

test_a_leak_stands_first_in_diff()
{
	begin
	whoholds strings 5000
	put snapshot before
	ask alloc 0 64 200
	whoholds leak 300
	matches "diff" "$(first diff)" \
		'^forget_objects[+.].*\[whoholds\]: size=60000 \(\+60000\), count=300 \(\+300\), average=200$'
}

test_diff_tells_what_went_too()
{
	begin
	ask alloc 0 100 1000
	put snapshot before
	ask free 0 400
	whoholds leak 10
	matches "diff" "$(first diff)" \
		'\[test_pyalloc\]: size=60000 \(-40000\), count=600 \(-400\), average=100$'
}

test_a_pin_stands_first_in_pins()
{
	begin
	ask alloc 0 128 5000
	whoholds pins 20
	matches "pins" "$(first pins)" \
		'^keep_one[+.].*\[whoholds\]: [1-9][0-9]* bytes come back with 20 blocks of 2560 bytes; alone in [1-9][0-9]* of 2[01] arenas$'
	back=$(sed -n '1s/.*: \([0-9]*\) bytes come back.*/\1/p' "$FILES/pins")
	holds "bytes that come back" "$back" -ge $((15 * ARENA))
	holds "arenas held" "$(grep -Ec '^arena .* 1 blocks of 128 bytes: keep_one' "$FILES/pins")" -ge 15
	before=$(arenas)
	unload whoholds
	trims
	holds "arenas that came back" $((before - $(arenas))) -ge 15
	! grep -q keep_one "$FILES/pins" || fail "they went, but: $(cat "$FILES/pins")"
}

# The other one's blocks fill what is free in these arenas, and all but a few go.
test_pins_of_two_bring_nothing_back()
{
	begin
	whoholds pins 10
	ask alloc 0 128 21000
	ask thin 0 21
	cat "$FILES/pins" >/tmp/pins
	holds "arenas of both" "$(grep -Ec '^arena .*(keep_one.*block_fill|block_fill.*keep_one)' \
		/tmp/pins)" -ge 9
	matches "of one" "$(grep '^keep_one' /tmp/pins)" ': 0 bytes come back .* alone in 0 of'
	is "arenas of one alone" "$(awk -F 'alone in ' '{ n += $2 } END { print n + 0 }' \
		/tmp/pins)" "$(grep -c '^arena [^;]*;$' /tmp/pins)"
}

twenty_unknown()
{
	grep -Eq '^[0-9]+ arenas are nearly empty: .* 20 of their blocks are not recorded$' \
		"$FILES/pins"
}

test_what_pins_does_not_know_is_not_recorded()
{
	whoholds pins 20
	begin
	is "sites" "$(grep -c 'come back with' "$FILES/pins")" 0
	# If the task changed the CPU, blocks that it freed are under way for a second.
	eventually 3 twenty_unknown || fail "$(cat "$FILES/pins")"
}

test_names_outlive_their_module()
{
	begin
	whoholds strings 1000
	whoholds leak 100
	whoholds pins 1
	unload whoholds
	is "bytes, blocks" "$(live)" "0 0"
	for function in make_strings forget_objects keep_one fill; do
		matches "top" "$(cat "$FILES/top")" \
			"^ +0 +0 +0 +[0-9]+ +[1-9][0-9]* +0\.0  ${function}[+.].*\[whoholds\]\$"
	done
	is "strings" "$(site make_strings)" "0 0 1000"
}

test_top_is_sorted_by_size_count_and_age()
{
	begin
	ask alloc 0 64 10
	sleep 0.8	# three ticks of its clock
	whoholds strings 500
	sleep 0.8
	whoholds leak 100
	is "by default" "$(sites)" "forget_objects make_strings block_fill"
	put top count
	is "by count" "$(sites)" "make_strings forget_objects block_fill"
	put top age
	is "by age" "$(sites)" "block_fill make_strings forget_objects"
	oldest=$(awk 'NR == 2 { print $6 * 10 }' "$FILES/top")
	holds "tenths of a second" "$oldest" -ge 5
	put top size
	is "by size" "$(sites)" "forget_objects make_strings block_fill"
}

test_traced_has_the_sum_and_the_peak()
{
	begin
	whoholds strings 1000
	whoholds leak 1000
	is "bytes, blocks" "$(live)" "215000 2000"
	# What surrounds a pin: 2100 of 128 bytes. A CPU may not have told of all yet.
	whoholds pins 5
	is "bytes, blocks" "$(live)" "215640 2005"
	is "ever" "$(traced total_blocks) $(traced total_bytes)" "12505 $((215640 + 5 * 2100 * 128))"
	holds "peak" "$(traced peak)" -le $((215640 + 5 * 2100 * 128))
	holds "peak" "$(traced peak)" -ge $((215640 + 5 * 2100 * 128 - 65536))
	put traced reset
	is "peak" "$(traced peak)" 215640
	is "of a site" "$(awk '/ fill[+.]/ { print $4 }' "$FILES/top")" 0
	whoholds leak 1000
	is "peak" "$(traced peak)" 415640
}

test_overhead_is_told()
{
	is "before" "$(awk '{ print $2 }' "$FILES/overhead" | xargs)" "0 0 0 0"
	begin records=4096 sites=64
	whoholds leak 100
	# shellcheck disable=SC2046 # words
	set -- $(awk '{ print $2 }' "$FILES/overhead")
	holds "bytes a record" $(($1 / 4096)) -ge 16
	holds "bytes a record" $(($1 / 4096)) -le 25
	holds "bytes of sites" "$2" -ge $((64 * 96))
	is "snapshots" "$3" 0
	is "sum" "$4" $(($1 + $2))
	put snapshot one
	holds "bytes of a snapshot" "$(sed -n 's/^snapshots //p' "$FILES/overhead")" -gt 64
	put snapshot -one
	is "snapshots" "$(sed -n 's/^snapshots //p' "$FILES/overhead")" 0
	begin records=8192 sites=128
	is "of twice as many" "$(awk '{ print $2 }' "$FILES/overhead" | xargs)" \
		"$((2 * $1)) $((2 * $2)) 0 $((2 * $4))"
}

#
# The filter
#

test_stats_json_has_it()
{
	is "profile, before" "$(grep '"profile"' "$PY/stats.json")" '"profile": null'
	begin
	whoholds strings 100
	whoholds leak 10
	profile=$(sed '1,/"profile"/d' "$PY/stats.json")
	matches "profile" "$profile" '^"enabled": true, "every": 1, "depth": 1,$'
	matches "sums" "$profile" '^"blocks": 110, "bytes": 3500, "peak_bytes": 3500, "dropped": 0, '
	is "sites" "$(echo "$profile" | sed -n 's/^.*frames": \["\([a-z_]*\).*/\1/p' | xargs)" \
		"forget_objects make_strings"
	matches "a site" "$profile" '^[{]"frames": \["make_strings\+0x[0-9a-f/x]+ \[whoholds\]"\], "blocks": 100, "bytes": 1500, "given": 1600, "peak_bytes": 1500, "total_blocks": 100, "total_bytes": 1500, "oldest_ms": [0-9]+[}]$'
	unload whoholds
	put enable 0
	matches "ended" "$(cat "$PY/stats.json")" '^"enabled": false, '
	matches "of none" "$(cat "$PY/stats.json")" '\["forget_objects.*"blocks": 0, .*"oldest_ms": null[}]'
	unload pyalloc_prof
	is "profile, after" "$(grep '"profile"' "$PY/stats.json")" '"profile": null'
}

test_filter_by_function()
{
	begin
	put filter 'function=make_*'
	is "filter" "$(cat "$FILES/filter")" 'function=make_*'
	whoholds strings 100
	whoholds leak 100
	is "sites" "$(sites)" make_strings
	is "bytes, blocks" "$(live)" "1500 100"
	# What it let by is not known afterwards, either.
	put filter ''
	is "filter" "$(cat "$FILES/filter")" ''
	whoholds leak 1
	is "leak" "$(site forget_objects)" "200 1 1"
	put filter function=forget_objects
	is "sites" "$(sites)" forget_objects
}

test_filter_by_module()
{
	put filter module=test_pyalloc
	begin
	whoholds strings 100
	ask alloc 0 64 100
	is "sites" "$(sites)" block_fill
	put filter 'module=who* function=*string*'
	whoholds strings 100
	whoholds leak 100
	ask alloc 0 64 100
	is "sites" "$(sites)" make_strings
	is "strings" "$(site make_strings)" "1500 100 100"
}

test_filter_by_size()
{
	begin
	put filter size=100-200
	is "filter" "$(cat "$FILES/filter")" size=100-200
	for size in 99 100 200 201 600; do
		ask alloc 0 "$size" 10
	done
	is "bytes, blocks" "$(live)" "3000 20"
	put filter size=600
	is "filter" "$(cat "$FILES/filter")" size=600-600
	ask alloc 0 600 10
	ask alloc 0 601 10
	is "bytes, blocks" "$(live)" "9000 30"
	ask free 0 70
	is "bytes, blocks" "$(live)" "0 0"
}

test_a_bad_filter_is_refused_and_changes_nothing()
{
	put filter 'function=make_* size=1-20'
	for text in 'size=1-2 size=3-4' 'function=a function=b' 'module=a module=b' colour=red \
		garbage 'function=' 'module=' 'size=' size=2-1 size=-1 size=1- size=x size=1-2-3 \
		'module=test_pyalloc garbage' "$(letters 300)" \
		"function=$(letters 64)"; do
		refuses 'Invalid argument' filter "$text\\n"
		is "filter" "$(xargs <"$FILES/filter")" 'function=make_* size=1-20'
	done
}

#
# What is counted
#

test_blocks_older_than_the_profile_are_ignored()
{
	ask alloc 0 64 500
	ask alloc 0 600 10
	begin
	ask free 0 510
	is "traced" "$(awk '{ print $2 }' "$FILES/traced" | xargs)" "0 0 0 0 0 0"
	ask alloc 0 64 100
	begin
	ask free 0 60
	is "traced" "$(awk '{ print $2 }' "$FILES/traced" | xargs)" "0 0 0 0 0 0"
}

test_frees_by_another_cpu()
{
	need_cpus 2
	begin
	ask alloc 0 64 1000
	ask alloc 0 700 10
	ask free 1 610
	is "bytes, blocks" "$(live)" "25600 400"
	ask alloc 1 64 100
	ask free 0 500
	is "bytes, blocks" "$(live)" "0 0"
}

test_realloc_moves_the_attribution()
{
	begin
	ask alloc 0 64 100
	is "allocated" "$(site block_fill)" "6400 100 100"
	# Moved, in place, to kmalloc's memory, there, and back.
	for size in 200 199 700 3000 40; do
		ask resize 0 "$size" 100
		is "allocated" "$(site block_fill)" "0 0 100"
		is "bytes, blocks" "$(live)" "$((size * 100)) 100"
		[ "$(site do_resize | cut -d ' ' -f 1,2)" = "$((size * 100)) 100" ] ||
			fail "resized to $size: $(cat "$FILES/top")"
	done
	ask free 0 100
	is "bytes, blocks" "$(live)" "0 0"
}

test_what_kmalloc_serves_is_counted()
{
	begin
	ask alloc 0 600 100
	is "large ones" "$(site test_pyalloc)" "60000 100 100"
	is "given" "$(awk 'NR == 2 { print $3 }' "$FILES/top")" 102400
	ask alloc 0 64 10 reserve
	is "of reclaim" "$(site test_pyalloc)" "60640 110 110"
	ask free 0 110
	is "bytes, blocks" "$(live)" "0 0"
}

test_a_heap_that_goes_leaves_no_record()
{
	begin
	heap create one
	heap create two
	heap alloc one 64 5000
	heap alloc one 5000 10
	heap alloc two 100 300
	heap free two 100
	is "bytes, blocks" "$(live)" "$((64 * 5000 + 5000 * 10 + 100 * 200)) 5210"
	heap destroy one
	is "bytes, blocks" "$(live)" "20000 200"
	# Of the addresses that it had, none is taken for a block still.
	ask alloc 0 64 5000
	is "bytes, blocks" "$(live)" "340000 5200"
	heap destroy two
	ask free 0 5000
	is "bytes, blocks" "$(live)" "0 0"
}

# Small ones, and some that kmalloc() serves as they need more than 512 bytes.
test_a_heap_with_debug_hooks_that_goes_leaves_no_record()
{
	begin
	heap create one debug
	heap alloc one 64 1000
	heap alloc one 500 50
	is "bytes, blocks" "$(live)" "$((64 * 1000 + 500 * 50)) 1050"
	heap free one 60
	is "bytes, blocks" "$(live)" "$((64 * 990)) 990"
	heap alloc one 500 50
	heap destroy one
	is "bytes, blocks" "$(live)" "0 0"
	nothing_went_wrong
}

#
# Limits
#

test_a_full_table_counts_what_is_not_recorded()
{
	begin records=1024
	ask alloc 0 64 5000
	recorded=$(traced blocks)
	missed=$(traced not_recorded)
	holds "recorded" "$recorded" -le 1024
	holds "recorded" "$recorded" -ge 900
	is "all" $((recorded + missed)) 5000
	matches "top" "$(tail -n 1 "$FILES/top")" "^$missed allocations not recorded: no room"
	ask free 0 5000
	is "bytes, blocks" "$(live)" "0 0"
	ask alloc 0 64 100
	is "bytes, blocks" "$(live)" "6400 100"
	is "not recorded" "$(traced not_recorded)" "$missed"
	begin
	is "not recorded" "$(traced not_recorded)" 0
}

# Of 8192 records in 1024 buckets, whatever the distances: 12 to 42 find no room by calculation.
test_blocks_of_all_sizes_find_room()
{
	begin records=8192
	for size in $(seq 8 8 512); do
		ask alloc 0 "$size" 100
	done
	holds "not recorded, of 6400" "$(traced not_recorded)" -le 60
	ask free 0 6400
	is "bytes, blocks" "$(live)" "0 0"
}

test_sites_without_room_are_one_site()
{
	begin sites=64 depth=16
	ask paths 0 100
	is "sites" "$(sed 1d "$FILES/top" | wc -l)" 64
	is "all" "$(live | cut -d ' ' -f 2)" 100
	is "further ones" "$(site '(further call sites)' | cut -d ' ' -f 2)" $((100 - 63))
	ask free 0 100
	is "bytes, blocks" "$(live)" "0 0"
	ask alloc 0 64 10
	is "further ones" "$(site '(further call sites)' | cut -d ' ' -f 1,2)" "640 10"
}

test_depth_is_frames_of_a_site()
{
	begin
	ask alloc 0 64 10
	is "frames" "$(awk -F ' < ' 'NR == 2 { print NF }' "$FILES/top")" 1
	begin depth=4
	ask alloc 0 64 10
	put snapshot one
	ask alloc 0 64 10
	is "frames" "$(awk -F ' < ' 'NR == 2 { print NF }' "$FILES/top")" 4
	matches "top" "$(sed 1d "$FILES/top")" \
		'  block_fill[+.][^<]* \[test_pyalloc\] < do_alloc[+.][^<]* \[test_pyalloc\] < [^<]* < [^<]*$'
	matches "diff" "$(cat "$FILES/diff")" \
		'^block_fill[+.].* < do_alloc[+.].* < .* < .*: size=1280 \(\+640\), count=20 \(\+10\)'
	is "sites" "$(sed 1d "$FILES/top" | wc -l)" 1
}

# A period of the sampling's own would see one of the two alone. It is off by more than
# 10 % once in 10,000 times.
test_one_of_a_hundred_estimates_two_that_alternate()
{
	begin every=100
	ask pairs 0 100000
	for function in fill_40 fill_48; do
		# shellcheck disable=SC2046 # words
		set -- $(site "$function")
		holds "$function" "$2" -ge 90000
		holds "$function" "$2" -le 110000
		is "bytes of $function" "$1" $(($2 * ${function#fill_}))
	done
	matches "top" "$(tail -n 1 "$FILES/top")" '^estimated: one of 100 allocations'
	holds "recorded, each for 100" $(($(traced blocks) % 100)) -eq 0
	ask free 0 200000
	is "bytes, blocks" "$(live)" "0 0"
}

#
# Begin and end
#

test_begun_again_it_knows_nothing()
{
	is "enable" "$(cat "$FILES/enable")" 0
	matches "top" "$(first top)" '^not begun'
	begin
	whoholds leak 100
	put snapshot one
	begin
	is "enable" "$(cat "$FILES/enable")" 1
	is "traced" "$(awk '{ print $2 }' "$FILES/traced" | xargs)" "0 0 0 0 0 0"
	is "sites, snapshots" "$(sites)$(cat "$FILES/snapshot")" ""
	whoholds leak 10
	is "leak" "$(site forget_objects)" "2000 10 10"
}

test_ended_it_keeps_its_figures()
{
	begin
	whoholds leak 100
	put snapshot one
	whoholds strings 100
	put enable 0
	is "enable" "$(cat "$FILES/enable")" 0
	whoholds leak 100
	ask alloc 0 64 100
	unload whoholds
	is "leak" "$(site forget_objects)" "20000 100 100"
	is "bytes, blocks" "$(live)" "21500 200"
	matches "diff" "$(first diff)" '^make_strings[+.].*: size=1500 \(\+1500\), count=100 '
	put enable 0
	is "bytes, blocks" "$(live)" "21500 200"
}

test_what_makes_no_sense_is_refused()
{
	begin
	put snapshot one
	for text in maybe 2 ''; do
		refuses 'Invalid argument' enable "$text\\n"
	done
	for text in bytes 'size count' sizes '' "$(letters 20)"; do
		refuses 'Invalid argument' top "$text\\n"
	done
	for text in resets rese '' 'reset reset'; do
		refuses 'Invalid argument' traced "$text\\n"
	done
	for text in 'a b' - '' "$(letters 300)"; do
		refuses 'Invalid argument' snapshot "$text\\n"
	done
	refuses 'No such file' snapshot -two
	for text in two 'one two' 'two one' 'one one one'; do
		refuses 'No such file' diff "$text\\n"
	done
	for file in overhead pins; do
		refuses '' "$file" 1
	done
	is "enable" "$(cat "$FILES/enable")" 1
}

# refused_here PARAMETER VALUE: by whoever writes to it, and what was there stays
refused_here()
{
	was=$(cat "$KNOBS/$1")
	! (echo "$2" >"$KNOBS/$1") 2>/dev/null || fail "$1=$2 was accepted"
	is "$1" "$(cat "$KNOBS/$1")" "$was"
}

test_parameters_are_in_their_limits()
{
	is "defaults" "$(cd "$KNOBS" && cat records sites depth every | xargs)" "262144 1024 1 1"
	for value in 1023 67108865 -1 many ''; do
		refused_here records "$value"
	done
	for value in 63 1048577 x; do
		refused_here sites "$value"
	done
	for value in 0 17 1.5; do
		refused_here depth "$value"
	done
	for value in 0 1000001 99999999999999999999; do
		refused_here every "$value"
	done
	begin records=1024 sites=64 depth=16 every=1000000
	begin depth=1 every=1
	whoholds leak 100
	is "leak" "$(site forget_objects)" "20000 100 100"
	unload pyalloc_prof
	! insmod "$PROF" depth=17 2>/dev/null || fail "depth=17 was accepted"
	said 'parameter depth: "17" is not a number from 1 to 16'
	load "$PROF" depth=2
	is "depth" "$(cat "$KNOBS/depth")" 2
}

#
# Snapshots
#

# snapshots: their names, the oldest first
snapshots()
{
	sed 's/:.*//' "$FILES/snapshot" | xargs
}

test_snapshots_are_replaced_and_dropped()
{
	begin
	whoholds leak 1
	put snapshot one
	whoholds leak 10
	put snapshot two
	matches "one" "$(first snapshot)" '^one: size=200, count=1, [0-9] s ago$'
	whoholds leak 100
	put snapshot one
	is "names" "$(snapshots)" "two one"
	matches "one" "$(tail -n 1 "$FILES/snapshot")" '^one: size=22200, count=111, [0-9] s ago$'
	matches "diff" "$(first diff)" ': size=22200 \(\+20000\), count=111 \(\+100\)'
	put diff 'one two'
	matches "diff" "$(first diff)" ': size=2200 \(-20000\), count=11 \(-100\)'
	whoholds leak 1000
	put diff two
	matches "diff" "$(first diff)" ': size=222200 \(\+220000\), count=1111 \(\+1100\)'
	put diff ''
	matches "diff" "$(first diff)" ': size=22200 \(\+20000\), count=111 \(\+100\)'
	put diff 'two one'
	put snapshot -two
	! cat "$FILES/diff" >/dev/null 2>/tmp/refused || fail "two is gone"
	grep -q 'No such file' /tmp/refused || fail "$(cat /tmp/refused)"
	put diff ''
	matches "diff" "$(first diff)" ': size=222200 \(\+200000\), count=1111 \(\+1000\)'
	put snapshot -one
	is "names" "$(snapshots)" ""
	matches "diff" "$(first diff)" '^no snapshot'
}

test_snapshots_have_names_of_up_to_31_letters()
{
	begin
	put snapshot "$NAME_31"
	is "names" "$(snapshots)" "$NAME_31"
	refuses 'Invalid argument' snapshot "${NAME_31}2"
	refuses 'Invalid argument' snapshot "${NAME_31}2\\n"
	put snapshot "${NAME_31%d}e"
	put diff "$NAME_31 ${NAME_31%d}e"
	cat "$FILES/diff" >/dev/null || fail "it does not find them"
	put snapshot "-$NAME_31"
	is "names" "$(snapshots)" "${NAME_31%d}e"
	refuses 'Invalid argument' snapshot "-${NAME_31}2\\n"
	put snapshot " blank	"
	is "names" "$(snapshots)" "${NAME_31%d}e blank"
}

test_snapshots_are_64_at_most()
{
	begin
	for n in $(seq 64); do
		put snapshot "s$n"
	done
	refuses 'No space left' snapshot 's65\n'
	put snapshot s1
	is "snapshots" "$(snapshots | wc -w)" 64
	put snapshot -s2
	put snapshot s65
	is "snapshots" "$(snapshots | wc -w)" 64
	begin
	is "snapshots" "$(snapshots)" ""
}

#
# It comes and goes
#

test_it_stays_while_a_file_is_open()
{
	begin
	for file in enable top traced filter overhead pins snapshot diff; do
		exec 3<"$FILES/$file"
		! rmmod pyalloc_prof 2>/dev/null || fail "it went, though $file was open"
		exec 3<&-
	done
	! rmmod pyalloc 2>/dev/null || fail "pyalloc went"
}

test_begun_and_ended_under_load()
{
	ask storm "${STORM_MS:-2000}" &
	while kill -0 $! 2>/dev/null; do
		begin every=1
		read_all
		begin every=10
		put enable 0
		put enable 1
	done
	wait $! || fail "the storm"
	# All that the storm had is freed.
	is "bytes, blocks" "$(live)" "0 0"
	nothing_went_wrong
}

test_unloaded_under_load()
{
	ask storm "${STORM_MS:-2000}" &
	rounds=0
	while kill -0 $! 2>/dev/null; do
		begin "every=$((1 + rounds % 2 * 9))"
		read_all
		unload pyalloc_prof
		[ ! -e "$FILES" ] || fail "its files are still there"
		load "$PROF"
		rounds=$((rounds + 1))
	done
	wait $! || fail "the storm"
	holds "rounds" "$rounds" -ge 1
	nothing_went_wrong
}

run_all
