# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Running many steps of tools/lab/step, some at a time, and telling how each went.

# What a step exits with that could not run, as a kselftest does.
SKIP=4

passed=0
failed=0
skipped=0

# folder_of NAME: where that step leaves what it prints and finds
folder_of()
{
	echo "$logs/$(tr -cs 'A-Za-z0-9.\n' '-' <<<"$1")"
}

# run_step NAME STEP [nice], in the background; leaves its exit status in its folder, in "rc"
run_step()
{
	local rc=0 start=$SECONDS folder
	folder=$(folder_of "$1")

	rm -rf "$folder"
	mkdir -p "$folder"
	echo "$1" >"$folder/name"
	# A process of its own: set -e would mean nothing in a function whose status
	# is asked for. The step is words: a function and its arguments.
	# shellcheck disable=SC2086
	(cd "$folder" && exec ${3-} "$LAB/step" $2) \
		>"$folder/log" 2>&1 </dev/null || rc=$?
	times >"$folder/times"
	echo "$rc $((SECONDS - start))" >"$folder/rc"
}

# explain FOLDER: what of a failed step's log tells most
explain()
{
	if grep -q 'the lab finds fault' "$1/log"; then
		sed -n '/the lab finds fault/,$p' "$1/log" >"$1/fault"
		head -n 40 "$1/fault"
	elif [ -s "$1/tally" ]; then
		cat "$1/tally"
	else
		tail -n 20 "$1/log"
	fi
}

# judge NAME: how that step went: sets $verdict, $detail and $seconds; adds to the sum
judge()
{
	local folder rc p=0 f=0 s=0
	folder=$(folder_of "$1")

	detail=
	read -r rc seconds <"$folder/rc"
	if [ -s "$folder/tally" ]; then
		detail=$(tail -n 1 "$folder/tally")
		read -r p _ f _ s _ <<<"$detail"
		[ "$rc" -eq 0 ] || [ "$rc" -eq "$SKIP" ] || [ "$f" -gt 0 ] || f=1
	else
		case $rc in
		0)	p=1 ;;
		"$SKIP") s=1 ;;
		*)	f=1 ;;
		esac
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))

	verdict=ok
	[ "$s" -eq 0 ] || [ "$p" -gt 0 ] || verdict=skip
	[ "$f" -eq 0 ] || verdict=FAIL
}

# report NAME: the line of a step that has ended, and why if it failed
report()
{
	local folder verdict detail seconds
	folder=$(folder_of "$1")

	judge "$1"
	printf '%-4s  %-52s %4d s%s\n' "$verdict" "$1" "$seconds" "${detail:+ ($detail)}"
	[ ! -s "$folder/notes" ] || sed 's/^/      | /' "$folder/notes"
	if [ "$verdict" = FAIL ]; then
		explain "$folder" | sed 's/^/      | /'
		echo "      | the whole log: $folder/log"
	fi
}

# Once a minute, what is still running and what the lab is doing for it.
heartbeat()
{
	local name doing

	while sleep 60 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		for name in "$logs"/*/name; do
			[ ! -e "${name%name}rc" ] || continue
			doing=$(grep '^lab: ' "${name%name}log" | tail -n 1) || :
			echo "...   $(cat "$name") is running${doing:+; $doing}"
		done
	done
}

# reap: waits for one of $running
reap()
{
	local pid

	wait -n -p pid "${!running[@]}"
	report "${running[$pid]}"
	unset "running[$pid]"
	[ "$pid" != "$patient" ] || patient=
}

# start STEP [nice]: into $running
start()
{
	local words=${1#*|}

	run_step "${1%|*}" "${words#patient }" "${@:2}" &
	running[$!]=${1%|*}
}

# run_steps NAME|STEP...: reported in the order in which they end. One more at a time than
# there are CPUs, as most wait for a second now and then; not more, as much of what is
# tested has to happen within that. What these leave of the CPUs is for one whose STEP
# begins with "patient": it computes only, and may take its time.
run_steps()
{
	local step heart jobs at_once patient=
	local hasty=() patients=()
	local -A running=()

	for step; do
		case ${step#*|} in
		"patient "*)	patients+=("$step") ;;
		*)		hasty+=("$step") ;;
		esac
	done
	jobs=$(($(nproc) + 1))
	heartbeat &
	heart=$!
	while [ $((${#hasty[@]} + ${#patients[@]} + ${#running[@]})) -gt 0 ]; do
		if [ ${#hasty[@]} -eq 0 ]; then
			hasty=("${patients[@]}")
			patients=()
		fi
		at_once=$jobs
		[ -z "$patient" ] || at_once=$((jobs + 1))
		if [ ${#hasty[@]} -gt 0 ] && [ ${#running[@]} -lt "$at_once" ]; then
			start "${hasty[0]}"
			hasty=("${hasty[@]:1}")
		elif [ ${#patients[@]} -gt 0 ] && [ -z "$patient" ]; then
			start "${patients[0]}" nice
			patient=$!
			patients=("${patients[@]:1}")
		else
			reap
		fi
	done
	kill "$heart" || :
}

# end_with_sum: the last line, and success if nothing failed
end_with_sum()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
}
