#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The sample: a real client on real text.

. "$(dirname "$0")/functions.sh"

# Of eight arenas at least.
! in_regions || leave_out pages_are_about_those_of_the_arenas

TEXT=/tmp/wordcount-test.$$
WC=$DEBUGFS/wordcount

# A block that moves while the statistics are made may be seen nowhere, and seem in use.
nothing_left()
{
	eventually 1 ledger_is 'bytes in allocated blocks' 0 || fail "$(cat "$PY/stats")"
}

# shellcheck disable=SC2034 # for functions.sh
MODULES=

teardown()
{
	! loaded wordcount || unload wordcount
	! loaded wordcount_kmalloc || unload wordcount_kmalloc
	nothing_left
	unload_clean
	rm -rf "$TEXT" "$TEXT".*
}

# What of this tree is text, some thousand different words.
real_text()
{
	find "$TREE" -name '*.[ch]' -o -name '*.sh' -o -name COPYING -o -name '*.md' |
		sort | xargs cat >"$TEXT"
}

# The same counts by other means.
reference()
{
	tr -cs 'A-Za-z' '\n' <"$TEXT" | tr A-Z a-z | sort | uniq -c |
		awk 'NF == 2 { print $1, $2 }' | sort -k 1,1nr -k 2,2
}

# Load on $TEXT and compare.
counts_right()
{
	load "$WORDCOUNT" path="$TEXT"
	reference >"$TEXT.wanted"
	cp "$WC/counts" "$TEXT.counts"
	cmp "$TEXT.counts" "$TEXT.wanted" ||
		fail "$(diff "$TEXT.counts" "$TEXT.wanted" | head -n 20)"
}

memory()
{
	sed -n "s/^$1 //p" "$WC/memory"
}

# wordcount_refuses REGEX ARGUMENT...
wordcount_refuses()
{
	regex=$1
	shift
	if insmod "$WORDCOUNT" "$@" 2>/dev/null; then
		rmmod wordcount
		fail "'$*' was accepted"
	fi
	said "wordcount: $regex"
	nothing_left
}

test_counts_are_those_of_tr_sort_uniq()
{
	real_text
	counts_right
	holds "different words" "$(wc -l <"$TEXT.wanted")" -gt 1000
}

test_counts_over_kmalloc_are_the_same()
{
	real_text
	counts_right
	load "$WORDCOUNT_KMALLOC" path="$TEXT"
	cmp "$WC/counts" "$DEBUGFS/wordcount_kmalloc/counts" || fail "they differ"
	is "requested bytes" "$(memory requested)" \
		"$(sed -n 's/^requested //p' "$DEBUGFS/wordcount_kmalloc/memory")"
	cat "$WC/memory" "$DEBUGFS/wordcount_kmalloc/memory"
}

test_top_shows_the_most_frequent()
{
	real_text
	load "$WORDCOUNT" path="$TEXT" top=7
	is "top" "$(cat "$WC/top")" "$(reference | head -n 7)"
}

test_top_shows_20_if_not_told()
{
	real_text
	load "$WORDCOUNT" path="$TEXT"
	is "top" "$(cat "$WC/top")" "$(reference | head -n 20)"
}

test_top_of_fewer_words()
{
	echo "one Two two" >"$TEXT"
	load "$WORDCOUNT" path="$TEXT" top=1000
	is "top" "$(xargs <"$WC/top")" "2 two 1 one"
}

test_words_across_the_ends_of_chunks()
{
	for pad in 65530 65533 65534 65535 65536 65537; do
		{
			head -c $pad /dev/zero | tr '\0' ' '
			printf 'straddle'
			head -c $pad /dev/zero | tr '\0' .
			printf 'straddle last'
		} >"$TEXT"
		counts_right
		unload wordcount
	done
}

test_an_empty_file()
{
	: >"$TEXT"
	load "$WORDCOUNT" path="$TEXT"
	is "counts" "$(cat "$WC/counts" "$WC/top")" ""
	is "objects" "$(memory objects)" 0
	is "requested" "$(memory requested)" 0
}

test_a_file_without_a_word()
{
	printf '1 2 3\n\n --- \000\001\377' >"$TEXT"
	load "$WORDCOUNT" path="$TEXT"
	is "counts" "$(cat "$WC/counts")" ""
}

test_letters_of_other_alphabets_end_a_word()
{
	printf 'caf\303\251 na\357ve [Zz] @A`a {z}\000nul' >"$TEXT"
	counts_right
	is "counts" "$(xargs <"$WC/counts")" "2 a 1 caf 1 na 1 nul 1 ve 1 z 1 zz"
}

test_words_up_to_65535_letters()
{
	head -c 65535 /dev/zero | tr '\0' X >"$TEXT"
	load "$WORDCOUNT" path="$TEXT"
	is "counts" "$(cat "$WC/counts")" "1 $(tr X x <"$TEXT")"
}

test_a_longer_word_is_refused()
{
	{
		real_text
		cat "$TEXT"
		head -c 65536 /dev/zero | tr '\0' X
	} >"$TEXT.long"
	wordcount_refuses 'path: .* has a word of more than 65535 letters' path="$TEXT.long"
}

test_a_missing_file_is_refused()
{
	wordcount_refuses 'path: cannot open /nowhere/at/all: ' path=/nowhere/at/all
}

test_a_directory_is_refused()
{
	wordcount_refuses 'path: /proc is not a regular file' path=/proc
}

test_a_fifo_is_refused_at_once()
{
	mkfifo "$TEXT"
	wordcount_refuses 'path: .* is not a regular file' path="$TEXT"
}

test_no_path_is_refused()
{
	wordcount_refuses 'path: no text file given'
}

test_an_empty_path_is_refused()
{
	wordcount_refuses 'path: no text file given' path=
}

test_top_0_is_refused()
{
	echo word >"$TEXT"
	wordcount_refuses 'top: 0 is not 1 to 1000' path="$TEXT" top=0
}

test_top_1001_is_refused()
{
	echo word >"$TEXT"
	wordcount_refuses 'top: 1001 is not 1 to 1000' path="$TEXT" top=1001
}

test_memory_is_two_objects_a_word()
{
	real_text
	load "$WORDCOUNT" path="$TEXT"
	words=$(wc -l <"$WC/counts")
	is "objects" "$(memory objects)" $((2 * words))
	# 40 bytes a node, a string of its length and one.
	is "requested" "$(memory requested)" \
		"$(awk '{ n += 40 + length($2) + 1 } END { print n }' "$WC/counts")"
	is "usable" "$(memory usable)" \
		"$(awk '{ n += 40 + int((length($2) + 8) / 8) * 8 } END { print n }' "$WC/counts")"
}

test_pyalloc_s_ledger_agrees()
{
	real_text
	load "$WORDCOUNT" path="$TEXT"
	is "bytes in allocated blocks" "$(ledger 'bytes in allocated blocks')" \
		"$(memory usable)"
}

# Arenas come whole, and the rest of the kernel allocates meanwhile.
test_pages_are_about_those_of_the_arenas()
{
	real_text
	load "$WORDCOUNT" path="$TEXT"
	difference=$(($(memory pages) - $(arenas) * ARENA))
	holds "pages above the arenas' bytes" "$difference" -le "$ARENA"
	holds "pages below the arenas' bytes" "$difference" -ge $((-ARENA / 2))
}

test_unload_frees_everything()
{
	real_text
	load "$WORDCOUNT" path="$TEXT"
	holds "bytes in use" "$(ledger 'bytes in allocated blocks')" -gt 0
	unload wordcount
	nothing_left
	[ ! -e "$WC" ] || fail "its files are still there"
}

run_all
