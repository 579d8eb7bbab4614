# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the test programs share. A program includes this file, defines functions
# called test_..., and ends with run_all. Each of them is one KTAP result, runs in
# a shell of its own with pyalloc and $MODULES freshly loaded (unless
# the program defines setup and teardown differently), and fails by "fail", by
# a check that does not hold, by what the kernel reports meanwhile, or if the
# modules cannot be unloaded afterwards.
#
# For busybox's sh as well as for any other. Some kernels take a tenth of a second for
# a new process: what is asked for often makes do with one.

LC_ALL=C
export LC_ALL

HERE=$(cd "$(dirname "$0")" && pwd)
TREE=${PYALLOC_TREE:-$(cd "$HERE/../../../.." && pwd)}
PYALLOC=$TREE/pyalloc.ko
TEST_PYALLOC=$HERE/test_mod/test_pyalloc.ko
STRESS_PYALLOC=$HERE/test_mod/stress_pyalloc.ko
HEAPS_PYALLOC=$HERE/test_mod/heaps_pyalloc.ko
BAD_PYALLOC=$HERE/test_mod/bad_pyalloc.ko
PROF=$TREE/prof/pyalloc_prof.ko
WORDCOUNT=$TREE/samples/wordcount/wordcount.ko
WORDCOUNT_KMALLOC=$TREE/samples/wordcount/wordcount_kmalloc.ko
WHOHOLDS=$TREE/samples/whoholds/whoholds.ko

# What is loaded over pyalloc, in this order; a program may name others.
MODULES=$TEST_PYALLOC

DEBUGFS=/sys/kernel/debug
PY=$DEBUGFS/pyalloc
ARENA=262144

# Exit statuses that kselftest knows.
KSFT_FAIL=1
KSFT_SKIP=4

# What no test may make the kernel say, unless the program expects it.
SPLAT='BUG:|WARNING:|Oops|cut here|general protection|[Bb]ad page|KASAN|UBSAN|KFENCE|lockdep|rcu.* stall|lockup|INFO: task'

#
# Results
#

fail()
{
	echo "$*"
	exit "$KSFT_FAIL"
}

skip()
{
	echo "$*"
	exit "$KSFT_SKIP"
}

# is WHAT GOT WANTED
is()
{
	[ "$2" = "$3" ] || fail "$1: '$2', not '$3'"
}

# holds WHAT NUMBER OPERATOR NUMBER
holds()
{
	test "$2" "$3" "$4" || fail "$1: not $2 $3 $4"
}

# matches WHAT TEXT REGEX
matches()
{
	echo "$2" | grep -Eq -e "$3" || fail "$1: no match for '$3' in: $2"
}

# Such a CPU may not run for seconds, and may meet the breakpoint of an instruction that is
# patched too late: the profile cannot begin or end under load.
emulated()
{
	grep -q 'QEMU TCG' /proc/cpuinfo
}

# eventually SECONDS COMMAND...: soon enough is as good as at once
eventually()
{
	limit=$(($1 * 10))
	! emulated || limit=$((limit * 5))
	shift
	while ! "$@"; do
		[ "$limit" -gt 0 ] || return 1
		limit=$((limit - 1))
		sleep 0.1
	done
}

#
# The kernel's log
#

# The log may drop what user space writes too often: try until it is there.
mark_log()
{
	MARK="pyalloc selftest $$ $1"
	while echo "$MARK" >/dev/kmsg; ! dmesg | grep -q "$MARK\$"; do
		sleep 0.2
	done
}

# What the kernel said since the test began.
log()
{
	dmesg | sed "1,/$MARK\$/d"
}

said()
{
	log | grep -Eq -e "$1" || fail "the kernel did not say '$1' but: $(log)"
}

#
# Modules
#

loaded()
{
	[ -d "/sys/module/$1/holders" ]
}

# load FILE [PARAMETER=VALUE]...: pyalloc with $PARAMETERS, too
load()
{
	what=$1
	shift
	# shellcheck disable=SC2086 # words
	[ "$what" != "$PYALLOC" ] || set -- ${PARAMETERS-} "$@"
	insmod "$what" "$@" || fail "insmod $what $*: refused"
}

unload()
{
	rmmod "$1" || fail "rmmod $1: refused"
}

# refused PARAMETER=VALUE: at insmod, in words that name the parameter
refused()
{
	if insmod "$PYALLOC" "$1" 2>/dev/null; then
		rmmod pyalloc
		fail "$1 was accepted"
	fi
	log | grep -Fq "pyalloc: parameter ${1%%=*}: \"${1#*=}\" is not" ||
		fail "$1: the kernel did not say why, but: $(log)"
}

# load_all [PARAMETER=VALUE]...: of pyalloc
load_all()
{
	load "$PYALLOC" "$@"
	for file in $MODULES; do
		load "$file"
	done
}

# last_first: sets $names, those of $MODULES and pyalloc
last_first()
{
	names=pyalloc
	for file in $MODULES; do
		file=${file##*/}
		names="${file%.ko} $names"
	done
}

# A test may have done so already.
unload_all()
{
	last_first
	for module in $names; do
		! loaded "$module" || unload "$module"
	done
}

unload_clean()
{
	unload_all
	said 'pyalloc: unloaded: all [0-9]+ arenas returned, no block left'
}

# reload [PARAMETER=VALUE]...: of pyalloc
reload()
{
	unload_all
	load_all "$@"
}

setup()
{
	load_all
}

teardown()
{
	unload_clean
}

# No test is worth the modules somebody else needs.
remove_leftovers()
{
	last_first
	for module in ${LEFTOVERS-} wordcount wordcount_kmalloc stress_pyalloc $names; do
		! loaded "$module" || rmmod "$module" || :
	done
}

#
# test_pyalloc, and what debugfs shows
#

# ask COMMAND: of the test module
ask()
{
	echo "$*" >"$DEBUGFS/test_pyalloc/do" || fail "test_pyalloc: '$*' failed"
}

# held FIELD: blocks, requested, usable
held()
{
	while read -r field number; do
		[ "$field" != "$1" ] || echo "$number"
	done <"$DEBUGFS/test_pyalloc/held"
}

# ledger REGEX: the number of the first line of the ledger that matches
ledger()
{
	awk -v line="$1.* = *[0-9,]*\$" '
		$0 ~ line { gsub(",", "", $NF); print $NF; exit }' "$PY/stats"
}

arenas()
{
	ledger 'arenas allocated current'
}

# ledger_is TEXT NUMBER [TEXT NUMBER]...: each of these lines says so, in one reading
ledger_is()
{
	awk 'BEGIN {
			for (i = 1; i < ARGC - 1; i += 2) {
				want[ARGV[i]] = ARGV[i + 1]
				ARGV[i] = ARGV[i + 1] = ""
			}
		}
		{
			for (text in want) {
				if (index($0, text)) {
					gsub(",", "", $NF)
					wrong += $NF != want[text]
					delete want[text]
				}
			}
		}
		END {
			for (text in want)
				wrong++
			exit wrong > 0
		}' "$@" "$PY/stats"
}

arenas_at_most()
{
	[ "$(arenas)" -le "$1" ]
}

# The identity: every byte of every arena is accounted for. From one reading, as
# the next may see other arenas.
total_is_all_arenas()
{
	awk -v arena=$ARENA '
		/^# arenas allocated current/ { want = $NF * arena }
		/^Total/ { total = $NF }
		END { exit total == "" || total != want }
	' "$PY/stats"
}

# Nothing is in use or on its way, and no arena kept but one for each node.
all_came_back()
{
	set -- /sys/devices/system/node/node[0-9]*
	ledger_is 'bytes in in-transit blocks' 0 'bytes in allocated blocks' 0 &&
		arenas_at_most $#
}

# What must hold after whatever happened.
nothing_went_wrong()
{
	ledger_is 'busy found in a task' 0 'frees refused' 0 'free lists found corrupt' 0 ||
		fail "something went wrong: $(cat "$PY/stats")"
	eventually 1 total_is_all_arenas || fail "$(cat "$PY/stats")"
}

# fall REASON COLUMN: requests that kmalloc() served
fall()
{
	awk -v reason="$1 " -v n="$2" '
		index($0, reason) == 1 { $0 = substr($0, length(reason)); print $n }' "$PY/stats"
}

# fail_arenas ATTRIBUTE=NUMBER...: which arenas are not to be had
fail_arenas()
{
	for attribute; do
		echo "${attribute#*=}" >"$PY/fail/${attribute%%=*}" ||
			fail "fail/${attribute%%=*} refused ${attribute#*=}"
	done
}

# The kernel's own figure of slab memory that cannot be reclaimed, in bytes.
slab()
{
	echo $(($(sed -n 's/^SUnreclaim: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024))
}

# Do the arenas give no pages back?
in_regions()
{
	[ "${PARAMETERS-}" = arenas=vmalloc ]
}

# leave_out TEST|TEST...: this kernel, or with these parameters, cannot run them
leave_out()
{
	LEFT_OUT=${LEFT_OUT:+$LEFT_OUT|}$1
}

# All CPUs that are online, one a line.
cpus()
{
	sed -n 's/^processor[[:space:]]*: //p' /proc/cpuinfo
}

need_cpus()
{
	[ "$(cpus | wc -l)" -ge "$1" ] || skip "needs $1 CPUs"
}

# PREEMPT_RT: there kmalloc() is not for interrupts, nor is pyalloc(), and softirqs are
# threads. /sys/kernel/realtime is not in every such kernel.
realtime()
{
	uname -v | grep -qw PREEMPT_RT
}

#
# heaps_pyalloc
#

# tell COMMAND: to the module
tell()
{
	echo "$*" >"$DEBUGFS/heaps_pyalloc"
}

heap()
{
	tell "$@" || fail "heaps_pyalloc: '$*' failed"
}

#
# The profiler
#

FILES=$PY/prof
KNOBS=/sys/module/pyalloc_prof/parameters

# put FILE TEXT: into one of the profiler's files
put()
{
	printf '%s\n' "$2" | cat >"$FILES/$1" || fail "$1 refused '$2'"
}

# begin [PARAMETER=VALUE]...
begin()
{
	for parameter; do
		echo "${parameter#*=}" >"$KNOBS/${parameter%%=*}" || fail "$parameter was refused"
	done
	put enable 1
}

# traced FIELD
traced()
{
	sed -n "s/^$1 //p" "$FILES/traced"
}

# live: bytes and blocks, of all sites
live()
{
	echo "$(traced bytes) $(traced blocks)"
}

# read_all: its files, and a snapshot
read_all()
{
	put snapshot one
	for file in "$FILES"/*; do
		cat "$file" >/dev/null || fail "${file##*/} cannot be read"
	done
}

#
# Tracepoints
#

TRACING=/sys/kernel/tracing

# The name of each process, which nobody asks for here, takes three tracepoints of the
# scheduler, switched on and off with each event: no emulated CPU should be in the middle.
trace_no_names()
{
	echo 0 >"$TRACING/options/record-cmd" || fail "record-cmd cannot be switched off"
}

#
# CPUs that come and go
#

possible_cpus()
{
	find /sys/devices/system/cpu -maxdepth 1 -name 'cpu[0-9]*' | sed 's/.*cpu//' | sort -n
}

# online CPU 0|1: already so is good, too
online()
{
	switch=/sys/devices/system/cpu/cpu$1/online
	[ "$(cat "$switch")" = "$2" ] || echo "$2" >"$switch" ||
		fail "CPU $1 does not go to online=$2"
}

all_online()
{
	for cpu in $(possible_cpus | sed 1d); do
		online "$cpu" 1
	done
}

can_hotplug()
{
	need_cpus 2
	[ -w /sys/devices/system/cpu/cpu1/online ] || skip "CPUs cannot be taken offline"
}

#
# Stress
#

# stress SECONDS DISTURBANCE...: what to call meanwhile, again and again. Prints what
# stress_pyalloc has to say.
stress()
{
	seconds=$1
	shift
	rounds=0
	for disturb; do
		"$disturb"
	done
	# A test may do this more than once.
	before=$(log | grep -c 'stress_pyalloc: ') || :
	insmod "$STRESS_PYALLOC" seconds="$seconds" seed="${STRESS_SEED:-0}" &
	while kill -0 $! 2>/dev/null; do
		for disturb; do
			"$disturb"
		done
		rounds=$((rounds + 1))
		sleep 0.1
	done
	result=0
	wait $! || result=$?
	log | sed -n 's/^.*stress_pyalloc: //p' | tail -n +$((before + 1))
	[ "$result" = 0 ] || fail "stress_pyalloc found something wrong"
	unload stress_pyalloc
	[ $# = 0 ] || holds "disturbances" "$rounds" -gt 0
	nothing_went_wrong
}

trims()
{
	echo 1 >"$PY/trim"
}

# 2 calls every shrinker until nothing more comes. 4 keeps that out of the log, which
# would lose what else is in it.
shortages()
{
	echo 4 >/proc/sys/vm/drop_caches
	echo 2 >/proc/sys/vm/drop_caches
}

# Every second arena is not to be had for a while, then none, then all.
# None is to be had until one was refused: later, few may be asked for.
refusals()
{
	if [ "$(ledger 'page allocator: refusals')" = 0 ]; then
		fail_arenas probability=100 interval=1 space=0 times=-1
		return
	fi
	case $((rounds % 8)) in
	0)	fail_arenas probability=50 interval=1 space=0 times=-1 ;;
	4)	fail_arenas probability=100 ;;
	6)	fail_arenas probability=0 ;;
	esac
}

# The profile begins and ends, its module comes and goes. It is on afterwards.
profiles()
{
	case $((rounds % 4)) in
	0)	begin every=1 ;;
	1)	read_all ;;
	2)	put enable 0
		begin every=10 ;;
	3)	unload pyalloc_prof
		load "$PROF"
		begin "every=$((1 + rounds % 3))" ;;
	esac
}

# Each CPU but the first goes and comes, one in each three rounds.
switches()
{
	cpu=$((rounds / 3 % ($(possible_cpus | wc -l) - 1) + 1))
	case $((rounds % 3)) in
	0)	online "$cpu" 0 ;;
	2)	online "$cpu" 1 ;;
	esac
}

#
# Running
#

need()
{
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	[ -d "$DEBUGFS" ] && grep -q " $DEBUGFS debugfs " /proc/mounts ||
		skip_all "needs debugfs at $DEBUGFS"
	for file in "$PYALLOC" "$TEST_PYALLOC" "$STRESS_PYALLOC" "$WORDCOUNT" \
		"$WORDCOUNT_KMALLOC"; do
		[ -e "$file" ] || skip_all "${file#"$TREE"/} is not built"
	done
	! loaded pyalloc || skip_all "pyalloc is loaded, and may be in use"
}

skip_all()
{
	echo "1..0 # SKIP $*"
	exit "$KSFT_SKIP"
}

no_splat()
{
	splats=$(dmesg | sed -n "/$MARK\$/,\$p" | grep -E -e "$MARK\$|$SPLAT") ||
		fail "the kernel's log has lost the beginning"
	[ "${splats%"$MARK"}" = "$splats" ] || return 0
	splats=$(echo "$splats" | grep -Ev -e "$MARK\$|${EXPECTED:-^\$}") ||
		return 0
	fail "the kernel reported: $splats"
}

run_one()
{
	(
		mark_log "$1"
		setup
		("$1") || exit
		teardown
		no_splat
	)
}

# The functions called test_..., in the order in which they stand in the program.
all_tests()
{
	sed -n 's/^\(test_[a-z0-9_]*\)()$/\1/p' "$0"
}

# words A_B_C
words()
{
	IFS=_
	# shellcheck disable=SC2086 # to be split
	set -- $1
	IFS=' '
	echo "$*"
}

# Run them all, or those whose names match $ONLY; but those that match $LEFT_OUT, which this
# kernel cannot run, are not in the list.
run_all()
{
	echo "KTAP version 1"
	need
	tests=$(all_tests | grep -Evx "test_(${LEFT_OUT-})" | grep -E "${ONLY:-.}") ||
		skip_all "no test matches $ONLY"
	echo "1..$(echo "$tests" | wc -l)"
	all_tests | grep -Ex "test_(${LEFT_OUT-})" |
		sed "s/^test_/# not in the list of this kernel: ${0##*/}: /"
	number=0
	failed=0
	for test in $tests; do
		number=$((number + 1))
		name=$(words "${test#test_}")
		status=0
		output=$(run_one "$test" 2>&1) || status=$?
		[ -z "$output" ] || echo "$output" | sed 's/^/# /'
		case $status in
		0)		echo "ok $number $name" ;;
		"$KSFT_SKIP")	echo "ok $number $name # SKIP" ;;
		*)		echo "not ok $number $name"
				failed=$((failed + 1)) ;;
		esac
		[ "$status" -eq 0 ] || remove_leftovers
	done
	exit $((failed > 0))
}
