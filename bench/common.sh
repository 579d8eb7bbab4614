# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What bench/run and bench/guard share: building the modules and booting them.

BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$BENCH/.." && pwd)
LAB=$TOP/tools/lab
. "$LAB/common.sh"

# build_for KERNEL: pyalloc.ko and pyalloc_bench.ko; sets $built. Whoever has built them
# already says in $BUILT in which folder KERNEL.built tells where.
build_for()
{
	local log=$work/build-$1.log

	if [ -n "${BUILT-}" ]; then
		built=$(cat "$BUILT/$1.built")
		return
	fi
	built=$("$LAB/lab" build --with bench "$1" "$TOP" 2>"$log") || {
		tail -n 25 "$log" >&2
		die "the modules do not build for $1"
	}
}

unpack_traces()
{
	local file

	need_packages xz-utils
	mkdir -p "$work/traces"
	for file in "$BENCH"/traces/*.trace.xz; do
		xz -dc "$file" >"$work/traces/$(basename "$file" .xz)"
	done
}

# measure KERNEL "LAB-OPTIONS" "MODULE-PARAMETERS": the results, on stdout
measure()
{
	local options

	read -ra options <<<"$2"
	"$LAB/lab" run --quiet "${options[@]}" --add "$built/pyalloc.ko:/pyalloc.ko" \
		--add "$built/bench/pyalloc_bench.ko:/pyalloc_bench.ko" \
		--add "$work/traces:/traces" "$1" -- "
		insmod /pyalloc.ko ${PARAMETERS-} && insmod /pyalloc_bench.ko $3 &&
		cat /sys/kernel/debug/pyalloc_bench/results && rmmod pyalloc_bench pyalloc"
}
