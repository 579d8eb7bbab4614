# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Booting a kernel with an initramfs that runs one command, and judging how it went.

# The lab's own verdict; a guest's command is not expected to end with it.
LAB_FAILED=99

#
# The guest's files
#

unpack_busybox()
{
	dpkg-deb -x "$1" "$CACHE/busybox/partial"
	mv "$CACHE/busybox/partial/bin/busybox" "$CACHE/busybox/busybox"
	rm -rf "$CACHE/busybox/partial"
}

# From the package, not installed: busybox-static would replace the machine's busybox.
need_busybox()
{
	local deb

	[ -x "$CACHE/busybox/busybox" ] && return
	need_suite bookworm
	deb_file bookworm busybox-static
	progress "unpacking busybox" unpack_busybox "$deb"
}

# make_initramfs FILE COMMAND HOSTPATH:GUESTPATH...; with strip=no modules stay as they are
make_initramfs()
{
	local file=$1 command=$2 stage=$1.d add strip=${strip-yes}
	shift 2

	mkdir -p "$stage"/{bin,dev,lab}
	mknod "$stage/dev/console" c 5 1
	cp "$CACHE/busybox/busybox" "$stage/bin/"
	cp "$LAB/guest-init" "$stage/init"
	echo "$command" >"$stage/lab/command"
	for add; do
		mkdir -p "$stage/$(dirname "${add#*:}")"
		cp -rL "${add%%:*}" "$stage/${add#*:}"
	done
	# Of no use in a guest: what a build leaves behind, each file of which takes kernels
	# that look for bugs up to a tenth of a second to unpack; and mostly what modules have
	# for debuggers, with which insmod takes 1.5 instead of 0.2 s where CPUs are emulated.
	find "$stage" \( -name '*.o' -o -name '.*.cmd' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name modules.order -o -name Module.symvers \) -delete
	[ "$strip" = no ] || find "$stage" -name '*.ko' -exec strip --strip-debug {} +
	(cd "$stage" && find . -print0 | cpio -0 -o -H newc --quiet) >"$file"
	rm -rf "$stage"
}

#
# The machines: each function sets $machine, the command that boots, with the kernel
# log going to fd 3 and the command's output to fd 4
#

COMMAND_LINE="ignore_loglevel printk.time=1 printk.devkmsg=on panic=-1 oops=panic"

# qemu_machine CPUS MEMORY VMLINUZ INITRAMFS APPEND ACCELERATOR
qemu_machine()
{
	local cpu emulated="rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"

	# A sixth of the time to boot is the ciphers' own tests.
	emulated+=" cryptomgr.notests"

	# "max" is all that this QEMU can emulate, the same on every host.
	case $6 in
	kvm)	cpu="-cpu host -accel kvm" ;;
	icount)	cpu="-cpu max -accel tcg,thread=single -icount shift=0,sleep=off" ;;
	# QEMU before 8.0 computes the flags after cmpxchg16b from stale ones, and an
	# interrupt right there pushes what no CPU has. A kernel with five levels of page
	# tables forgets for some milliseconds of its boot that it has them, and KASAN
	# reports whatever an interrupt touches then.
	tcg)	cpu="-cpu max,-cx16,-la57 -accel tcg,thread=multi"
		# A clock that is read without leaving the emulated CPU; the HPET takes a
		# quarter of all time. When the kernel begins to call it stable it patches what
		# each CPU's tick executes, and an emulated CPU may meet the breakpoint too
		# late. So there is one CPU until then; guest-init brings the others.
		emulated+=" tsc=reliable maxcpus=1 noreplace-smp" ;;
	esac
	# An emulated CPU may not run for seconds, so stalls and lockups are called late;
	# a real hang meets the run's own time limit.
	# shellcheck disable=SC2206 # $cpu is words
	machine=(
		qemu-system-x86_64 $cpu -smp "$1" -m "$2" -kernel "$3" -initrd "$4"
		-append "$COMMAND_LINE console=ttyS0 lab_out=ttyS1 mitigations=off $emulated $5"
		-no-user-config -nodefaults -display none -monitor none -nic none -no-reboot
		-serial file:/dev/fd/3 -serial file:/dev/fd/4
	)
}

# qemu_nodes CPUS MIB,MIB,...: NUMA nodes for $machine
qemu_nodes()
{
	local sizes cpu node total=0

	IFS=, read -ra sizes <<<"$2"
	for node in "${!sizes[@]}"; do
		total=$((total + sizes[node]))
		if [ "${sizes[node]}" = 0 ]; then
			machine+=(-numa "node,nodeid=$node")
		else
			machine+=(-object "memory-backend-ram,id=node$node,size=${sizes[node]}M"
				-numa "node,nodeid=$node,memdev=node$node")
		fi
	done
	for ((cpu = 0; cpu < $1; cpu++)); do
		machine+=(-numa "cpu,node-id=$((cpu % ${#sizes[@]})),socket-id=$cpu")
	done
	machine+=(-m "$total" -smp "$1,sockets=$1")
}

# qemu_core FILE: $machine stays, stopped, when its kernel has ended, until its memory is
# in FILE; the device is there for the kernel to say where in it things are
qemu_core()
{
	rm -f "$1"
	mkfifo "$dir"/qmp.{in,out}
	# shellcheck disable=SC2054 # the commas are QEMU's
	machine+=(-device vmcoreinfo -action shutdown=pause
		-chardev "pipe,id=qmp,path=$dir/qmp" -mon chardev=qmp,mode=control)
	write_core "$1" <"$dir/qmp.out" >"$dir/qmp.in" 2>/dev/null &
	core_writer=$!
}

# What QEMU tells comes on stdin, what it is told goes to stdout. Paging: the core has the
# kernel's own addresses, too, without which drgn 0.0.22 does not find the page tables.
write_core()
{
	echo '{"execute": "qmp_capabilities"}'
	grep -q -m 1 '"SHUTDOWN"'
	echo '{"execute": "dump-guest-memory",
		"arguments": {"paging": true, "protocol": "file:'"$1"'"}}'
	echo '{"execute": "quit"}'
}

# need_core FILE: after the boot
need_core()
{
	kill "$core_writer" 2>/dev/null || :
	[ -s "$1" ] || die "QEMU wrote no core: $(cat "$dir/machine")"
}

# uml_machine CPUS MEMORY BUILD INITRAMFS APPEND
uml_machine()
{
	find_executable_temp
	# seccomp=auto takes ptrace where the host lacks seccomp's ways, and then refuses
	# more than one CPU. The command lines are words.
	# shellcheck disable=SC2206
	machine=(
		env TMPDIR="$uml_tmp" "$3/linux" ncpus="$1" mem="$2" initrd="$4" seccomp=auto
		con=null con0=null,fd:3 con1=null,fd:4 stderr=0 console=tty0
		lab_out=tty1 $COMMAND_LINE $5
	)
}

# User-Mode Linux keeps its memory in a file that it maps executable.
find_executable_temp()
{
	local probe

	for uml_tmp in ${TMPDIR:+"$TMPDIR"} /dev/shm /tmp; do
		probe=$(mktemp "$uml_tmp/pyalloc-lab.XXXXXX" 2>/dev/null) || continue
		cp /bin/true "$probe"
		chmod +x "$probe"
		"$probe" 2>/dev/null && rm "$probe" && return
		rm "$probe"
	done
	die "User-Mode Linux needs temporary space that allows execution: neither \$TMPDIR, /dev/shm nor /tmp does."
}

# probe_kvm VMLINUZ: KVM is used where a boot with it really works; a device file alone
# says little. Asked once for each boot of the host; sets $kvm to yes or no.
probe_kvm()
{
	local answer dir machine
	answer=$CACHE/kvm-$(cat /proc/sys/kernel/random/boot_id)

	if [ ! -e "$answer" ]; then
		rm -f "$CACHE"/kvm-*
		dir=$(mktemp -d)
		kvm=no
		if [ -w /dev/kvm ]; then
			make_initramfs "$dir/initramfs" true
			qemu_machine 1 256M "$1" "$dir/initramfs" "" kvm
			run_machine 15 3>"$dir/log" 4>/dev/null >/dev/null 2>&1
			! grep -q 'lab: guest exit status 0' "$dir/log" || kvm=yes
		fi
		echo "$kvm" >"$dir/answer"
		mv "$dir/answer" "$answer"
		rm -r "$dir"
	fi
	kvm=$(cat "$answer")
}

# run_machine LIMIT: a machine's own exit status means little (how the guest fared is
# in its log), except that the time was up.
run_machine()
{
	local rc=0

	timeout --foreground -k 5 "$1" "${machine[@]}" </dev/null || rc=$?
	[ "$rc" -ne 124 ] || echo "stopped after $1 s"
}

# boot LIMIT LOG FD: run $machine; what it prints itself goes into $dir/machine. The
# guest's two outputs go line by line into LOG, the command's also to stdout and the
# kernel's to FD.
boot()
{
	local log=$2 fd=$3 kernel_reader command_reader

	exec 3> >(sed -u 's/\r$//' | tee -a "$log" >&"$fd")
	kernel_reader=$!
	exec 4> >(sed -u 's/\r$//' | tee -a "$log")
	command_reader=$!
	run_machine "$1" >"$dir/machine" 2>&1
	exec 3>&- 4>&-
	wait "$kernel_reader" "$command_reader"
}
