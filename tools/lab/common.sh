# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every lab script needs: the cache, messages, progress, locks, packages.

# Everything that was fetched or built lives here, outside of any checkout.
CACHE=${PYALLOC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pyalloc}
JOBS=$(nproc)

# Debian's own kernels; kernels.sh has what each stands for.
# shellcheck disable=SC2034 # for who includes this
STOCK="6.1 6.12 6.12-rt 7.x 7.x-rt"

# What a "make check" was called with is not meant for the kernels' makefiles.
unset MAKEFLAGS MAKEOVERRIDES MFLAGS

say()
{
	echo "lab: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

need_root()
{
	[ "$(id -u)" -eq 0 ] || die "needs root, to install packages and to start virtual machines: try sudo."
}

need_cache()
{
	mkdir -p "$CACHE"/{apt,busybox,debs/partial,kernels,lock,log,roots,src,uml,work,x86}
}

# locked NAME COMMAND...: one process at a time, so that two labs can share a cache
locked()
{
	local fd

	exec {fd}>"$CACHE/lock/$1"
	flock "$fd"
	"${@:2}"
	# Closing alone would leave the lock to whatever child still lives.
	flock -u "$fd"
	exec {fd}>&-
}

# A line now and then while something long goes on; on a terminal a running clock.
# Ends by itself if the script is gone, and holds no pipe of it open.
ticker()
{
	local start=$SECONDS pause=30

	[ ! -t 2 ] || pause=1
	while sleep "$pause" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		if [ -t 2 ]; then
			printf '\rlab: %s ... %d s ' "$1" $((SECONDS - start)) >&2
		else
			say "$1: still at it after $((SECONDS - start)) s"
		fi
	done
}

# progress TITLE COMMAND...: run it with its output in a log, show that it lives,
# and on failure end with the tail of the log. Not for use inside of a condition:
# bash would ignore "set -e" in COMMAND.
progress()
{
	local title=$1 start=$SECONDS log rc clock
	log=$CACHE/log/$(tr -cs 'A-Za-z0-9.+\n' '-' <<<"$title").log
	shift

	[ -t 2 ] || say "$title"
	ticker "$title" &
	clock=$!
	set +e
	(set -e; "$@") </dev/null >"$log" 2>&1
	rc=$?
	set -e
	kill "$clock"
	wait "$clock" 2>/dev/null || :

	[ -t 2 ] && printf '\r\033[K' >&2
	if [ "$rc" -ne 0 ]; then
		tail -n 25 "$log" >&2
		die "$title failed; the whole log is in $log"
	fi
	say "$title: done in $((SECONDS - start)) s"
}

apt_install()
{
	local -x DEBIAN_FRONTEND=noninteractive
	local apt=(apt-get -y -o DPkg::Lock::Timeout=600)

	# The lists may be missing, or older than the mirror: only then fetch them.
	"${apt[@]}" install --no-install-recommends "$@" || {
		"${apt[@]}" update
		"${apt[@]}" install --no-install-recommends "$@"
	}
}

is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need_packages PACKAGE...: install what is missing, and say nothing if nothing is
need_packages()
{
	local package missing=()

	for package; do
		is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return
	need_root
	locked apt-get progress "installing ${missing[*]}" apt_install "${missing[@]}"
}
