# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Getting kernels: Debian's own images, headers and sources into the cache, and
# User-Mode Linux built from source. Nothing here changes the machine's own apt.

# kernel_field KERNEL FIELD: the one table of what a name stands for
kernel_field()
{
	local name suite headers image

	while read -r name suite headers image; do
		[ "$name" = "$1" ] && echo "${!2}" && return
	done <<-'TABLE'
	6.1	bookworm		6\.1\.0-[0-9]+-amd64		linux-image-
	6.12	bookworm-backports	6\.12\.[0-9.]+\+deb12-amd64	linux-image-
	6.12-rt	bookworm-backports	6\.12\.[0-9.]+\+deb12-rt-amd64	linux-image-
	7.x	trixie-backports	7\.[0-9.]+\+deb13-amd64		linux-binary-unsigned-
	7.x-rt	trixie-backports	7\.[0-9.]+\+deb13-rt-amd64	linux-binary-unsigned-
	TABLE
}

is_uml()
{
	[[ $1 = uml || $1 = uml-* ]]
}

# Is it built from source, with a configuration of ours?
is_own()
{
	[ -e "$LAB/configs/$1.config" ]
}

is_trixie()
{
	[[ $(kernel_field "$1" suite) = trixie* ]]
}

known_kernel()
{
	[[ " $STOCK " = *" $1 "* ]] || is_own "$1" ||
		die "there is no kernel '$1'; 'lab list' shows those there are"
}

#
# A private apt: its own lists, the machine's mirror, other suites
#

# mirror_of SUITE: where the machine's own apt gets SUITE from. apt itself is
# asked, so that sources.list and the .sources form are both understood.
mirror_of()
{
	apt-get update --print-uris 2>/dev/null |
		sed -n "s|^'\(.*\)/dists/$1/InRelease'.*|\1|p" | head -n 1
}

write_sources()
{
	local suite=$1 home security keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	local mirror
	home=$(. /etc/os-release && echo "$VERSION_CODENAME")
	mirror=$(mirror_of "$home")
	security=$(mirror_of "$home-security")

	[ -n "$mirror" ] || die "this machine's apt has no source for Debian's suite '$home'."
	echo "deb [signed-by=$keyring] $mirror ${suite%-backports} main"
	[[ $suite = *-backports ]] && echo "deb [signed-by=$keyring] $mirror $suite main"
	if [ -n "$security" ]; then
		echo "deb [signed-by=$keyring] $security ${suite%-backports}-security main"
	fi
}

# Lists that a mirror has had for weeks are signed as they were.
STALE_LISTS=Acquire::Check-Valid-Until=false

# apt_for SUITE COMMAND...: an apt command that sees SUITE, its base and its security
apt_for()
{
	local state=$CACHE/apt/$1

	"${@:2}" -o "$STALE_LISTS" \
		-o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3
}

update_suite()
{
	local state=$CACHE/apt/$1

	mkdir -p "$state"/{lists,cache/archives}/partial
	write_sources "$1" >"$state/sources.list"
	apt_for "$1" apt-get -q update
	touch "$state/updated"
}

need_suite()
{
	locked "apt-$1" need_suite_once "$1"
}

need_suite_once()
{
	[ -e "$CACHE/apt/$1/updated" ] && return
	need_packages debian-archive-keyring
	progress "fetching the package lists of $1" update_suite "$1"
}

download_deb()
{
	local suite=$1 package=$2 partial=$CACHE/debs/partial/$2

	# apt-get resumes what lies there; a whole and verified file leaves it.
	mkdir -p "$partial"
	cd "$partial" || return
	apt_for "$suite" apt-get -q download "$package"
	mv -- *.deb "$CACHE/debs/"
	rmdir "$partial"
}

# deb_file SUITE PACKAGE: the package's file, downloaded; sets $deb
deb_file()
{
	local suite=$1 package=$2 version

	version=$(apt_for "$suite" apt-cache show "$package" | sed -n 's/^Version: //p' | head -n 1)
	[ -n "$version" ] || die "$suite has no package $package (any more): try 'lab update'"
	deb=$(echo "$CACHE/debs/${package}_${version//:/%3a}"_*.deb)
	[ -e "$deb" ] && return
	progress "downloading $package $version" download_deb "$suite" "$package"
	deb=$(echo "$CACHE/debs/${package}_${version//:/%3a}"_*.deb)
}

#
# Debian's kernels
#

newest_release()
{
	local suite headers image release
	suite=$(kernel_field "$1" suite)
	headers=$(kernel_field "$1" headers)
	image=$(kernel_field "$1" image)

	# Newest first; a release counts once both its headers and its image are there.
	apt_for "$suite" apt-cache pkgnames linux-headers- | sed 's/^linux-headers-//' |
		grep -xE "$headers" | sort -rV | while read -r release; do
		# Not grep -q: that would end apt-cache with SIGPIPE, a failure to pipefail.
		apt_for "$suite" apt-cache pkgnames "$image$release" | grep -xF "$image$release" >/dev/null &&
			echo "$release" && break
	done
}

# need_release KERNEL: which release the name means here; sets $release. It stays
# the same until "lab update", so that two runs test the same kernel.
need_release()
{
	local file=$CACHE/kernels/$1.release

	need_suite "$(kernel_field "$1" suite)"
	if [ ! -s "$file" ]; then
		release=$(newest_release "$1")
		[ -n "$release" ] || die "found no package for kernel $1"
		echo "$release" >"$file.$$"
		mv "$file.$$" "$file"
	fi
	release=$(cat "$file")
}

unpack_image()
{
	local partial=$2.partial

	mkdir -p "${2%/*}"
	# The kernel alone: the guests need none of its 300 MB of modules.
	dpkg-deb --fsys-tarfile "$1" | tar -x -O --wildcards '*/vmlinuz*' >"$partial"
	[ -s "$partial" ]
	mv "$partial" "$2"
}

# number FILE OFFSET BYTES: little endian
number()
{
	od -An -j "$2" -N "$3" -t "u$3" "$1" | tr -d ' '
}

# decompress VMLINUZ VMLINUX: what it would make of itself. Where in it that is stands in
# its setup header (Documentation/arch/x86/boot.rst).
decompress()
{
	local partial=$2.partial start length

	start=$((($(number "$1" 0x1f1 1) + 1) * 512 + $(number "$1" 0x248 4)))
	# The last four bytes are the size that it will have.
	length=$(($(number "$1" 0x24c 4) - 4))
	head -c $((start + length)) "$1" | tail -c "$length" >"$partial.packed"
	case $(od -An -N 4 -t x1 "$partial.packed") in
	" fd 37 7a 58")	xz -d --single-stream <"$partial.packed" >"$partial" ;;
	" 28 b5 2f fd")	zstd -d -q <"$partial.packed" >"$partial" ;;
	*)	die "$1: packed by neither xz nor zstd" ;;
	esac
	rm "$partial.packed"
	# Else QEMU would not say why it does not start.
	readelf -n "$partial" | grep '^ *Xen .*0x00000012' >/dev/null ||
		die "$1: has no entry for PVH"
	mv "$partial" "$2"
}

# need_image KERNEL: the bootable kernel; sets $vmlinuz, as Debian ships it, and $vmlinux, the
# same decompressed, which an emulated CPU takes up to seven seconds for.
need_image()
{
	local release deb

	need_release "$1"
	vmlinuz=$CACHE/kernels/$release/vmlinuz
	vmlinux=$CACHE/kernels/$release/vmlinux
	if [ ! -e "$vmlinuz" ]; then
		deb_file "$(kernel_field "$1" suite)" "$(kernel_field "$1" image)$release"
		progress "unpacking the kernel $release" unpack_image "$deb" "$vmlinuz"
		rm "$deb"
	fi
	if [ ! -e "$vmlinux" ]; then
		need_packages binutils xz-utils zstd
		progress "decompressing the kernel $release" decompress "$vmlinuz" "$vmlinux"
	fi
}

unpack_headers()
{
	local root=$1 deb
	shift

	rm -rf "$root.partial"
	for deb; do
		dpkg-deb -x "$deb" "$root.partial"
	done
	# Debian's Makefile names the common headers by an absolute path.
	sed -i "s|/usr/src/|$root/usr/src/|" "$root.partial"/usr/src/linux-headers-*/Makefile
	mv "$root.partial" "$root"
}

# need_headers KERNEL: what modules are built against; sets $headers
need_headers()
{
	local release root suite deb debs=() package

	need_release "$1"
	suite=$(kernel_field "$1" suite)
	if is_trixie "$1"; then
		headers=/usr/src/linux-headers-$release
		locked trixie need_trixie_headers "$release"
		return
	fi

	root=$CACHE/kernels/$release/headers
	headers=$root/usr/src/linux-headers-$release
	need_packages gcc-12 make libelf1 pahole
	[ -d "$root" ] && return
	mkdir -p "${root%/*}"
	for package in linux-headers-"$release" $(apt_for "$suite" apt-cache depends linux-headers-"$release" |
		grep -oE 'linux-(headers-.*-common.*|kbuild-.*)'); do
		deb_file "$suite" "$package"
		debs+=("$deb")
	done
	progress "unpacking the headers of $release" unpack_headers "$root" "${debs[@]}"
	rm "${debs[@]}"
}

#
# A Debian 13 root: the 7.x headers want a newer compiler and C library
#

TRIXIE=$CACHE/roots/trixie

# in_trixie DIR COMMAND...: run in the root, with DIR at /work. The mounts live in
# a namespace of their own and go away with the command.
in_trixie()
{
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount bash -c '
		mkdir -p "$1/work" &&
		mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" &&
		mount --bind "$2" "$1/work" &&
		exec chroot "$1" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			LC_ALL=C DEBIAN_FRONTEND=noninteractive "${@:3}"' \
		bash "$TRIXIE" "$@"
}

# in_place DIR PLACE COMMAND...: run with DIR at PLACE. What is compiled has its path within;
# with always the same, ccache knows what it compiled in another DIR.
in_place()
{
	mkdir -p "$2"
	# shellcheck disable=SC2016 # for the inner shell
	CCACHE_DIR=$CACHE/ccache unshare --mount bash -c '
		mount --bind "$1" "$2" && exec "${@:3}"' bash "$@"
}

make_trixie()
{
	rm -rf --one-file-system "$TRIXIE.partial"
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		trixie "$TRIXIE.partial" \
		"$(sed -n 's/.* \(.*\) trixie main$/\1/p' "$CACHE/apt/trixie-backports/sources.list")"
	mv "$TRIXIE.partial" "$TRIXIE"
}

install_trixie_headers()
{
	cp "$CACHE/apt/trixie-backports/sources.list" "$TRIXIE/etc/apt/"
	# The machine's proxy settings, if it has any.
	apt-config dump | grep '^Acquire::https\?::' >"$TRIXIE/etc/apt/apt.conf.d/90host" || :
	cp /etc/resolv.conf "$TRIXIE/etc/"
	in_trixie "$CACHE/work" apt-get -q -o "$STALE_LISTS" update
	in_trixie "$CACHE/work" apt-get -q -y install --no-install-recommends \
		binutils ccache make "linux-headers-$1"
	touch "$TRIXIE/var/lib/$1.installed"
}

need_trixie_headers()
{
	need_packages debootstrap
	[ -d "$TRIXIE" ] || progress "building a Debian 13 root for the 7.x headers" make_trixie
	if [ ! -e "$TRIXIE/var/lib/$1.installed" ] || [ ! -x "$TRIXIE/usr/bin/ccache" ]; then
		progress "installing the headers of $1 there" install_trixie_headers "$1"
	fi
}

#
# Kernels of our own, from Debian's source: User-Mode Linux from the newest 7.x, others
# for the machine that QEMU is
#

unpack_source()
{
	rm -rf "$2.partial"
	mkdir "$2.partial"
	dpkg-deb --fsys-tarfile "$1" | tar -x -O --wildcards '*.tar.xz' |
		tar -xJ --strip-components=1 -C "$2.partial"
	mv "$2.partial" "$2"
}

# need_source KERNEL: the source of one of Debian's kernels; sets $source
need_source()
{
	local release deb

	need_release "$1"
	release=${release%+*}
	source=$CACHE/src/linux-${release%-amd64}
	[ -d "$source" ] && return
	need_packages xz-utils
	deb_file "$(kernel_field "$1" suite)" "linux-source-$(cut -d. -f1,2 <<<"$release")"
	progress "unpacking the source of $release" unpack_source "$deb" "$source"
	rm "$deb"
}

# need_patched KERNEL: if its configuration names a patch, a copy of the source with it; sets
# $source. The copy's files are links, of which patch replaces what it changes.
need_patched()
{
	local patch copy

	patch=$(own_config "$1.config" | sed -n 's/^#patch //p')
	[ -n "$patch" ] || return 0
	copy=$source-${patch%.patch}-$(sha256sum "$LAB/configs/$patch" | cut -c 1-8)
	if [ ! -d "$copy" ]; then
		need_packages patch
		rm -rf "$source-${patch%.patch}-"*
		cp -al "$source" "$copy.partial"
		patch -s -p1 -d "$copy.partial" <"$LAB/configs/$patch"
		mv "$copy.partial" "$copy"
	fi
	source=$copy
}

# own_config FILE: what it asks for, after what the one asks for that "#include" names.
# "#make" has what is more for make to be told, "#patch" what changes the source.
own_config()
{
	local base

	base=$(sed -n 's/^#include //p' "$LAB/configs/$1")
	[ -z "$base" ] || own_config "$base"
	cat "$LAB/configs/$1"
}

build_own()
{
	local source=$1 build=$2 arch=$3 config=$2/wanted.config option settings

	make -C "$source" O="$build" ARCH="$arch" KCONFIG_ALLCONFIG="$config" allnoconfig
	# kconfig drops what it cannot set without a word; a lab without what it asked
	# for would test something else.
	grep -E '^CONFIG_' "$config" | while read -r option; do
		grep -qxF "$option" "$build/.config" || {
			echo "$config: $option did not come through"
			exit 1
		}
	done
	mapfile -t settings < <(sed -n 's/^#make //p' "$config")
	make -C "$source" O="$build" ARCH="$arch" -j"$JOBS" "${settings[@]}" all
	cp "$config" "$build/built.config"
}

# need_own KERNEL: configs/KERNEL.config, built. Those for QEMU are called like the kernel
# of Debian's whose source they take: 6.1-NAME. Sets $own, the build folder, and $arch.
need_own()
{
	local source

	if is_uml "$1"; then
		arch=um
		locked source need_source 7.x
		own=$CACHE/uml/$1-${source##*/linux-}
		locked source need_patched "$1"
	else
		arch=x86_64
		locked source need_source "${1%%-*}"
		own=$CACHE/x86/$1-${source##*/linux-}
	fi
	locked "$1" build_own_once "$1" "$source" "$own" "$arch"
}

build_own_once()
{
	mkdir -p "$3"
	{ own_config "$1.config" && echo "# of ${2##*/}"; } >"$3/wanted.config"
	cmp -s "$3/wanted.config" "$3/built.config" && return
	need_packages gcc libc6-dev make flex bison bc libelf-dev
	progress "building ${3##*/} with $1.config" build_own "$2" "$3" "$4"
}
