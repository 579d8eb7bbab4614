#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# stats.json: it is JSON whatever happens, and says what the files for people say.

. "$(dirname "$0")/functions.sh"

JSON=$PY/stats.json
# shellcheck disable=SC2034 # for functions.sh
MODULES="$TEST_PYALLOC $HEAPS_PYALLOC"

# leaves: of the JSON text that comes in, each string, number, true, false and null, one a
# line, as "PATH VALUE" with PATH like .heaps.0.name. Fails, and says why, if it is not JSON,
# or not in ASCII. No token goes over the end of a line.
leaves()
{
	awk '
	function wrong(why) {
		print "line " NR ": " why
		failed = 1
		exit 1
	}
	function ended() {
		state = depth ? "comma" : "end"
	}
	function begin(	path) {
		if (state != "value" && state != "first")
			wrong("a value, and not " state)
		path = paths[depth]
		if (closing[depth] == "]")
			path = path "." elements[depth]++
		else if (depth)
			path = path "." name[depth]
		return path
	}
	function open(bracket,	path) {
		path = begin()
		paths[++depth] = path
		closing[depth] = bracket
		elements[depth] = 0
		state = "first"
	}
	function close_(bracket) {
		if (!depth || bracket != closing[depth] || (state != "first" && state != "comma"))
			wrong("\"" bracket "\", and not " state)
		depth--
		ended()
	}
	function leaf(text) {
		print begin(), text
		ended()
	}
	function string(text) {
		if (state == "key" || (state == "first" && closing[depth] == "}")) {
			name[depth] = substr(text, 2, length(text) - 2)
			state = "colon"
		} else {
			leaf(text)
		}
	}
	function token(text) {
		if (text ~ /^"/)
			string(text)
		else if (state == "key" || (state == "first" && closing[depth] == "}" && text != "}"))
			wrong(text " is no key")
		else if (text == "{")
			open("}")
		else if (text == "[")
			open("]")
		else if (text == "}" || text == "]")
			close_(text)
		else if (text == "," && state == "comma")
			state = closing[depth] == "]" ? "value" : "key"
		else if (text == ":" && state == "colon")
			state = "value"
		else if (text == "," || text == ":")
			wrong("\"" text "\", and not " state)
		else
			leaf(text)
	}
	BEGIN {
		state = "value"
		hex = "[0-9a-fA-F]"
		string_token = "\"([] !#-[^-~]|[\\\\][\"\\\\/bfnrt]|[\\\\]u" hex hex hex hex ")*\""
		number_token = "-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?"
		tokens = "^([][{},:]|" string_token "|" number_token "|true|false|null)"
	}
	{
		rest = $0
		sub(/^[ \t\r]+/, "", rest)
		while (rest != "") {
			if (!match(rest, tokens))
				wrong("no token: " rest)
			token(substr(rest, 1, RLENGTH))
			rest = substr(rest, RLENGTH + 1)
			sub(/^[ \t\r]+/, "", rest)
		}
	}
	END {
		if (!failed && state != "end")
			wrong("it ends, and not " state)
		exit failed
	}'
}

# read_json [COPY]: the file, once, for all that follows
read_json()
{
	leaves <"${1-$JSON}" >/tmp/leaves ||
		fail "not JSON: $(tail -n 1 /tmp/leaves): $(cat "${1-$JSON}")"
}

# member PATH: its value
member()
{
	while read -r path value; do
		[ "$path" != "$1" ] || printf '%s\n' "$value"
	done </tmp/leaves
}

# What stands in stats, and where it stands in a heap of the JSON.
LINES='arenas.total|# arenas allocated total
arenas.reclaimed|# arenas reclaimed
arenas.highwater|# arenas highwater mark
arenas.current|# arenas allocated current
arenas.failed|page allocator: refusals
bytes.allocated|# bytes in allocated blocks
bytes.available|# bytes in available blocks
bytes.in_transit|# bytes in in-transit blocks
bytes.virgin|# bytes in virgin blocks
bytes.unused_pools|unused pools * 4096 bytes
bytes.pools_given_back|pools given back * 4096 bytes
bytes.headers|# bytes lost to arena headers
bytes.quantization|# bytes lost to quantization
bytes.total|Total
events.slow_allocs|slow allocations
events.carves|virgin blocks carved, times
events.slow_frees|slow frees
events.node_takes|pools taken, node locks
events.node_backs|pools handed back, node locks
events.remote_batches|remote batches arrived
events.remote_blocks|blocks in remote batches
events.remote_forwarded|remote batches forwarded
events.nested_frees|frees in an interrupt, busy
events.busy_in_task|busy found in a task (bug)
events.frees_refused|frees refused
events.limit_refused|refused, at the heap'\''s limit
events.pages_given_back|page allocator: pages given back
events.pages_had_again|page allocator: of these had again
events.corrupt|free lists found corrupt
events.given_to_kfree|blocks given to kfree() (bug)
events.pools_kept_by_cpus|unused pools kept by CPUs'
PRIVATE_LINES='held|bytes held: pools and kmalloc blocks
limit|limit, bytes (0: none)
kmalloc.blocks|kmalloc blocks
kmalloc.bytes|bytes in kmalloc blocks'
ROWS='falls.size|above 512 bytes
falls.flags|flags of kmalloc'\''s
falls.node|another node'\''s memory
falls.nested|in an interrupt, busy
falls.reserve|memory reserves
falls.no_arena|no arena
falls.nolock|without locks, none here'

# from_stats LINES FILE: what stats says, as the leaves of a heap
from_stats()
{
	echo "$1" | awk -v rows="$ROWS" '
		BEGIN {
			n = split(rows, row, "\n")
			for (i = 1; i <= n; i++) {
				split(row[i], part, "|")
				reason[part[2]] = part[1]
			}
		}
		FNR == NR { split($0, part, "|"); path[part[2]] = part[1]; next }
		/ = +[0-9]+$/ {
			text = $0
			sub(/ *= *[0-9]+$/, "", text)
			if (text ~ /^[0-9]+ .* \* /)
				sub(/^[0-9]+ /, "", text)
			if (text in path)
				print path[text], $NF
			next
		}
		{
			text = substr($0, 1, 26)
			sub(/ +$/, "", text)
			for (i = 0; text in reason && i < 6; i++)
				print reason[text] "." i, $(NF - 5 + i)
		}' - "$2" | sort
}

# from_json HEAP LINES: the same leaves
from_json()
{
	sed -n "s/^\.heaps\.$1\.//p" /tmp/leaves | awk -v lines="$2
$ROWS" '
		BEGIN {
			n = split(lines, line, "\n")
			for (i = 1; i <= n; i++) {
				sub(/\|.*/, "", line[i])
				wanted[line[i]]
			}
		}
		{ path = $1; sub(/\.[0-9]$/, "", path) }
		path in wanted' | sort
}

# The table of classes, by size: pools, blocks in use, available blocks.
classes_of_stats()
{
	awk '/^# / { exit } NF == 5 && $1 ~ /^[0-9]+$/ { print $2, $3, $4, $5 }' "$1"
}

classes_of_json()
{
	awk -v heap="$1" '
		{ n = split($1, part, ".") }
		n == 6 && part[3] == heap && part[4] == "classes" {
			class = part[5]
			has[class, part[6]] = $2
			classes = class + 1
		}
		END {
			for (i = 0; i < classes; i++)
				print has[i, "size"], has[i, "pools"], has[i, "in_use"],
					has[i, "free"] + has[i, "virgin"]
		}' /tmp/leaves
}

# read_at_rest FILE: that of the default heap and of "one", as /tmp/heap0 and /tmp/heap1, and
# the JSON. Not at rest if they say something else afterwards.
read_at_rest()
{
	cat "$PY/$1" >/tmp/heap0
	cat "$PY/heaps/one/$1" >/tmp/heap1
	read_json
	[ "$(cat /tmp/heap0 /tmp/heap1)" = "$(cat "$PY/$1" "$PY/heaps/one/$1")" ]
}

is_json()
{
	printf '%s\n' "$1" | leaves >/dev/null
}

test_the_checker_takes_json()
{
	for text in '{}' '[]' '0' '-0.5e+10' '""' 'null' ' [ true , false ] ' \
		'[[[]],{}]' '{"a":{"b":[1,"\"\\\/\b\f\n\r\t\u00e9"]},"":-1}' '"a,b:]}"'; do
		is_json "$text" || fail "it does not take $text"
	done
	printf '{\n"a"\n:\r\n\t1\n}\n' | leaves >/dev/null || fail "white space"
	is "leaves" "$(echo '{"a":[1,{"b":"x y"}],"c":null}' | leaves)" \
		"$(printf '.a.0 1\n.a.1.b "x y"\n.c null')"
}

test_the_checker_takes_nothing_else()
{
	for text in '' ' ' '{' '[' ']' '}' '[1' '[1,' '[1,]' '[,1]' '[1 2]' '[1]]' '[1}' '{1}' \
		'{"a"}' '{"a":}' '{"a":1,}' '{"a" 1}' '{"a":1 "b":2}' '{a:1}' '{1:1}' '{[]:1}' \
		'{"a":1]' '{,}' '{:1}' ':' ',' '1 2' '{}{}' '[]1' '01' '-' '-01' '1.' '.5' '+1' \
		'1e' '1e+' '0x1' '1a' 'nul' 'nulll' 'True' 'NaN' 'Infinity' "'a'" '"a' 'a"' '"a"b"' \
		'"\x41"' '"\u12"' '"\u12g4"' '"\"' '// a' '[1,/**/2]' \
		"$(printf '"a\tb"')" "$(printf '"a\nb"')" "$(printf '"\001"')" \
		"$(printf '[1,\0142]')" "$(printf '"\303\251"')"; do
		! is_json "$text" || fail "it takes $text"
	done
}

test_it_is_json()
{
	read_json
	heap create one
	for size in $(seq 8 56 512); do
		ask alloc 0 "$size" 500
		heap alloc one $((size + 8)) 100
	done
	read_json
	# Read once: its numbers, and so its size, change all the time.
	text=$(cat "$JSON")
	is_json "$text" || fail "this is none: $text"
	size=${#text}
	for part in 1 $((size / 4)) $((size / 2)) $((size - 1)); do
		! is_json "$(echo "$text" | head -c "$part")" || fail "$part bytes of it, too"
	done
	heap destroy one
}

test_it_says_what_it_is()
{
	read_json
	is "schema" "$(member .schema)" '"pyalloc-stats"'
	is "version" "$(member .version)" 1
	is "release" "$(member .release)" "\"$(cat /sys/module/pyalloc/version)\""
	is "kernel" "$(member .kernel)" "\"$(uname -r)\""
	is "sizes" "$(for size in arena_size pool_size threshold alignment; do
		member ".$size"; done | xargs)" "262144 4096 512 8"
	is "profile" "$(member .profile)" null
}

test_its_time_goes_on()
{
	read_json
	first=$(member .uptime_ns)
	sleep 1
	read_json
	holds "nanoseconds" $(($(member .uptime_ns) - first)) -ge 1000000000
}

# That is what lets programs rely on them.
test_no_member_is_missing()
{
	ask alloc 0 24 100
	read_json
	members=$(sed 's/ .*//; s/\.[0-9][0-9]*/.N/g' /tmp/leaves | sort -u)
	for path in schema version release kernel uptime_ns arena_size pool_size threshold \
		alignment profile heaps.N.name heaps.N.private \
		$(printf '%s\n' "$LINES" "$PRIVATE_LINES" | sed 's/^/heaps.N./; s/|.*//') \
		$(echo "$ROWS" | sed 's/^/heaps.N./; s/|.*/.N/') \
		heaps.N.classes.N.size heaps.N.classes.N.pools heaps.N.classes.N.in_use \
		heaps.N.classes.N.in_transit heaps.N.classes.N.free heaps.N.classes.N.virgin \
		heaps.N.map.N.node heaps.N.map.N.pools; do
		echo "$members" | grep -qxF ".$path" || fail "there is no $path"
	done
}

test_its_numbers_are_those_of_stats()
{
	heap create one
	heap limit one 1500000
	for size in 1 24 100 136 264 511 700 5000; do
		ask alloc 0 "$size" 3000
	done
	for size in 40 400 2000; do
		heap alloc one "$size" 200
	done
	! tell alloc one 512 10000 2>/dev/null || fail "the heap has no limit"
	heap free one 500
	ask thin 0 7
	trims
	ask alloc 0 256 500
	eventually 5 read_at_rest stats || fail "$(cat "$PY/stats")"

	is "default heap" "$(from_json 0 "$LINES")" "$(from_stats "$LINES" /tmp/heap0)"
	is "its classes" "$(classes_of_json 0)" "$(classes_of_stats /tmp/heap0)"
	lines="$LINES
$PRIVATE_LINES"
	is "private heap" "$(from_json 1 "$lines")" "$(from_stats "$lines" /tmp/heap1)"
	is "its classes" "$(classes_of_json 1)" "$(classes_of_stats /tmp/heap1)"
	holds "what was compared" "$(from_json 1 "$lines" | wc -l)" -eq $((35 + 7 * 6))

	# There is something to compare.
	pages='bytes.pools_given_back events.pages_given_back'
	! in_regions || pages=
	for path in bytes.allocated falls.size.1 $pages; do
		holds "default heap: $path" "$(member ".heaps.0.$path")" -gt 0
	done
	for path in limit held kmalloc.blocks events.limit_refused; do
		holds "private heap: $path" "$(member ".heaps.1.$path")" -gt 0
	done
	heap destroy one
}

# The default heap has no limit, so nothing but its pools shows what it holds.
test_what_a_heap_holds_is_its_pools()
{
	heap create one
	ask alloc 0 100 2000
	heap alloc one 100 2000
	eventually 5 read_at_rest stats || fail "$(cat "$PY/stats")"
	for heap in 0 1; do
		pools=$(classes_of_json "$heap" | awk '{ n += $2 } END { print n }')
		kept=$(member ".heaps.$heap.events.pools_kept_by_cpus")
		is "heap $heap" "$(member ".heaps.$heap.held")" $(((pools + kept) * 4096))
	done
	heap destroy one
}

test_blocks_on_their_way_are_in_transit()
{
	need_cpus 2
	ask alloc 0 64 50
	# Fewer than a batch: they wait for the reaper, so look at once.
	for _ in $(seq 10); do
		ask free 1 1
		read_json
		[ "$(member .heaps.0.classes.0.in_transit)" = 0 ] || break
	done
	away=$(member .heaps.0.classes.0.in_transit)
	holds "in transit" "$away" -gt 0
	is "bytes" "$(member .heaps.0.bytes.in_transit)" $((away * 64))
	is "in use" "$(member .heaps.0.classes.0.in_use)" "$(held blocks)"
}

test_the_map_is_that_of_arenas()
{
	ask alloc 0 512 $((8 * 63 * 5))
	heap create one
	heap alloc one 100 10000
	eventually 5 read_at_rest arenas || fail "$(cat "$PY/arenas")"
	holds "arenas" "$(arenas)" -ge 5
	for heap in 0 1; do
		is "heap $heap" "$(sed -n "s/^\.heaps\.$heap\.map\.[0-9]*\.pools \"\(.*\)\"/\1/p" \
			/tmp/leaves)" "$(awk '$2 == "node" { print $4 }' "/tmp/heap$heap")"
		is "nodes" "$(sed -n "s/^\.heaps\.$heap\.map\.[0-9]*\.node //p" /tmp/leaves)" \
			"$(awk '$2 == "node" { print $3 }' "/tmp/heap$heap")"
	done
	heap destroy one
}

test_private_heaps_come_and_go()
{
	heap create one
	heap create two
	heap alloc two 40 1000
	read_json
	is "names" "$(sed -n 's/^\.heaps\.[0-9]*\.name //p' /tmp/leaves | xargs)" "default one two"
	is "private" "$(sed -n 's/^\.heaps\.[0-9]*\.private //p' /tmp/leaves | xargs)" \
		"false true true"
	is "bytes" "$(sed -n 's/^\.heaps\.[0-9]*\.bytes\.allocated //p' /tmp/leaves | xargs)" \
		"0 0 40000"
	heap destroy one
	read_json
	is "names" "$(sed -n 's/^\.heaps\.[0-9]*\.name //p' /tmp/leaves | xargs)" "default two"
	heap destroy two
}

test_odd_names_are_escaped()
{
	for name in 'a"b' 'a\b' '"' '\' "it's" '%s%n%p' '<b>&' '{}[],:' '","private":false' \
		"$(printf 'bell\007')" "$(printf '\033[31mred')" "$(printf 'del\177')" \
		"$(printf 'caf\303\251')" "$(printf '\377')"; do
		# Not echo: to some shells \b is one character.
		printf 'create %s\n' "$name" | cat >"$DEBUGFS/heaps_pyalloc" || fail "$name"
	done
	read_json
	is "names" "$(sed -n 's/^\.heaps\.[0-9]*\.name //p' /tmp/leaves | sed 1d)" "$(cat <<-'NAMES'
		"a\"b"
		"a\\b"
		"\""
		"\\"
		"it's"
		"%s%n%p"
		"<b>&"
		"{}[],:"
		"\",\"private\":false"
		"bell\u0007"
		"\u001b[31mred"
		"del\u007f"
		"caf\u00c3\u00a9"
		"\u00ff"
	NAMES
	)"
}

test_many_heaps_and_arenas()
{
	ask alloc 0 512 $((8 * 63 * 100))
	# Opened before they come, it has no room for them.
	exec 3<"$JSON"
	for n in $(seq 40); do
		heap create "heap$n"
		heap alloc "heap$n" 40 10
	done
	leaves <&3 >/tmp/leaves || fail "opened early: $(tail -n 1 /tmp/leaves)"
	exec 3<&-
	is "heaps" "$(grep -c '^\.heaps\.[0-9]*\.name ' /tmp/leaves)" 41
	holds "arenas" "$(grep -c '^\.heaps\.0\.map\.[0-9]*\.pools ' /tmp/leaves)" -ge 100
	is "the last" "$(member .heaps.40.bytes.allocated)" 400
	# But for what changes, and the last line, which ends elsewhere if it gets longer.
	is "of bytes read one by one" \
		"$(dd if="$JSON" bs=1 count=2000 2>/dev/null | sed '$d' | grep -v uptime)" \
		"$(head -c 2000 "$JSON" | sed '$d' | grep -v uptime)"
	for n in $(seq 40); do
		heap destroy "heap$n"
	done
}

test_it_cannot_be_written()
{
	! (echo 1 >"$JSON") 2>/dev/null || fail "it took it"
}

test_read_under_load()
{
	rm -f /tmp/enough
	trap 'touch /tmp/enough; wait' EXIT
	(
		while [ ! -e /tmp/enough ]; do
			ask storm 500
		done
	) &
	storms=$!
	(
		while [ ! -e /tmp/enough ]; do
			heap create one
			heap alloc one 64 2000
			heap destroy one
		done
	) &
	heaps=$!
	for n in $(seq 4); do
		cat "$JSON" >"/tmp/json$n" || fail "cannot read"
	done
	touch /tmp/enough
	wait "$storms" || fail "the storms did damage"
	wait "$heaps" || fail "heaps do not come and go"
	for n in $(seq 4); do
		read_json "/tmp/json$n"
		is "bytes" "$(member .heaps.0.bytes.total)" \
			$(($(member .heaps.0.arenas.current) * ARENA))
	done
	nothing_went_wrong
}

run_all
