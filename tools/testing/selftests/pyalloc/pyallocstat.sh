#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# pyallocstat where it is used: on the running kernel, in a terminal. What it makes of all
# that may stand in stats.json is tested by tools/pyallocstat/test.

. "$(dirname "$0")/functions.sh"

# shellcheck disable=SC2034 # for functions.sh
MODULES="$TEST_PYALLOC $PROF $WHOHOLDS"

for program in pyallocstat tmux; do
	command -v "$program" >/dev/null || skip_all "needs $program"
done

# For tmux: terminals, and an encoding that knows more than ASCII.
if [ ! -e /dev/pts/ptmx ]; then
	mkdir -p /dev/pts
	mount -t devpts none /dev/pts || skip_all "needs devpts"
fi
tmux()
{
	LC_ALL=C.UTF-8 command tmux -L pyallocstat -f /dev/null "$@"
}

setup()
{
	load_all
	echo 1 >"$PY/prof/enable"
	echo 1000 >/sys/module/whoholds/parameters/strings
}

test_once_it_shows_what_there_is()
{
	ask alloc 0 64 500
	text=$(pyallocstat --once) || fail "it failed: $text"
	matches "class of 16 bytes" "$text" '^ +16 +4 +1000 +0 '
	matches "class of 64 bytes" "$text" '^ +64 +8 +500 +0 '
	matches "profile" "$text" '^recording 1 of 1: .* in 1500 blocks'
	matches "call site" "$text" ' 1000 .* make_strings\+0x[0-9a-f/x]+ \[whoholds\]$'
}

test_call_sites_are_lines_of_source()
{
	text=$(pyallocstat --once --debug "$TREE") || fail "it failed: $text"
	matches "call site" "$text" ' make_strings whoholds\.c:[0-9]+ \[whoholds\]$'
}

test_what_it_saves_it_reads()
{
	pyallocstat --json >/tmp/saved.json || fail "it failed"
	pyallocstat --svg /tmp/saved.svg || fail "it failed"
	matches "picture" "$(head -n 2 /tmp/saved.svg)" '<svg '
	unload whoholds
	matches "as it was" "$(pyallocstat --once /tmp/saved.json)" ' 1000 .* make_strings'
	load "$WHOHOLDS"
}

test_without_pyalloc_it_says_so()
{
	teardown
	! text=$(pyallocstat --once 2>&1) || fail "it did not fail"
	matches "why" "$text" 'pyalloc is not loaded'
	setup
}

# sees REGEX [KEY]...: in a line of the terminal, after these keys
sees()
{
	want=$1
	shift
	[ $# -eq 0 ] || tmux send-keys "$@"
	eventually 10 seen || fail "no '$want' in: $(cat /tmp/pane)"
}

seen()
{
	tmux capture-pane -p >/tmp/pane && grep -Eq -e "$want" /tmp/pane
}

test_in_a_terminal_it_follows()
{
	tmux new-session -d -x 100 -y 30 "pyallocstat -d 0.2; echo status \$?; sleep 60" ||
		fail "tmux failed"
	trap 'tmux kill-server' EXIT
	sees '^\[1 Classes\]'
	sees '^ +16 +4 +1000 '
	ask alloc 0 64 500
	sees '^ +64 +8 +500 '
	ask free 0 500
	sees ' make_strings\+' 3
	echo 100 >/sys/module/whoholds/parameters/leak
	sees '^ +19\.5K +100 .* forget_objects\+'
	sees '^ +0 node 0 H' 4
	sees '^status 0' q
}

run_all
