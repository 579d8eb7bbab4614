# SPDX-License-Identifier: GPL-2.0
#
# What a person types. The module's own makefile is Kbuild; the kernels in which it is
# built and tested come from tools/lab.

# The running kernel's headers, else the newest installed ones.
KDIR ?= $(or $(wildcard /lib/modules/$(shell uname -r)/build),$(shell ls -d \
	/lib/modules/*/build 2>/dev/null | sort -V | tail -n 1))
# As uname -r says it; Debian's kernel.release says something else.
RELEASE = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)
EXTRA = /lib/modules/$(RELEASE)/extra
SHARED = /usr/src/pyalloc

modules: need-kdir
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

clean: need-kdir
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean
	@$(MAKE) --no-print-directory -C tools/pyallocstat clean

install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_DIR=extra modules_install
	install -D -m 644 -t $(SHARED) pyalloc.h pyalloc_kmalloc.h Module.symvers
	depmod $(RELEASE)

uninstall: need-kdir
	rm -rf $(EXTRA)/pyalloc.ko* $(EXTRA)/kunit/pyalloc_kunit.ko* $(SHARED)
	depmod $(RELEASE)

load: modules
	@[ "$(RELEASE)" = "$$(uname -r)" ] || { echo "Built for $(RELEASE), but this is $$(uname -r): apt-get install linux-headers-$$(uname -r)" >&2; exit 1; }
	insmod pyalloc.ko

unload:
	rmmod pyalloc

demo:
	@tools/lab/demo $(TEXT)

check:
	@tools/lab/check $(if $(ONLY),'$(ONLY)')

matrix:
	@tools/lab/matrix $(if $(ONLY),'$(ONLY)')

style:
	@tools/lab/check '^(style|build)'

bench:
	@bench/run $(STAGES)

soak:
	@tools/lab/soak $(or $(MINUTES),10) $(if $(ONLY),'$(ONLY)')

mutants:
	@tools/mutants/run $(ONLY)

verify:
	@tools/verify/run --all $(if $(ONLY),'$(ONLY)')

coverage:
	@tools/lab/coverage

pyallocstat:
	@$(MAKE) --no-print-directory -C tools/pyallocstat

help:
	@echo 'make             build pyalloc.ko against KDIR ($(or $(KDIR),no headers found))'
	@echo 'make clean       remove what was built here'
	@echo 'make demo        watch the module at work in a virtual machine; TEXT=file counts'
	@echo '                 the words of that file'
	@echo 'make check       everything that must hold; ONLY=regex runs the steps whose names match'
	@echo 'make matrix      the tests on every kernel, with 1, 2 and 8 CPUs, as one table: hours; goes'
	@echo '                 on where it was interrupted; ONLY=regex runs those cells anew'
	@echo 'make style       the part of it that looks at the code: checkpatch, sparse, W=1, kernel-doc'
	@echo 'make bench       speed and memory beside kmalloc, as one table and as plots; STAGES="name'
	@echo '                 ..." measures those anew. Leave the machine alone meanwhile'
	@echo 'make soak        the differential stress on every kernel, MINUTES=10 each; ONLY=regex runs it'
	@echo '                 on those whose names match'
	@echo 'make mutants     break the code in every way that is kept, and see which test notices;'
	@echo '                 ONLY="name ..." runs those'
	@echo 'make verify      all that the models of hand-over and of memory order can do; ONLY=regex'
	@echo '                 takes those whose lines match'
	@echo 'make coverage    which lines and branches the tests run, in User-Mode Linux with gcov'
	@echo 'make pyallocstat build tools/pyallocstat, which shows what the module has and does'
	@echo 'make install     the module among the kernel'"'"'s, header and Module.symvers to $(SHARED)'
	@echo 'make uninstall   take them away again'
	@echo 'make load        load the module built here into the running kernel'
	@echo 'make unload      unload it'
	@echo 'tools/lab/lab    build for and boot other kernels; "tools/lab/lab help" tells how'

need-kdir:
	@[ -n "$(KDIR)" ] || { echo "No kernel headers found: apt-get install linux-headers-amd64, or say KDIR=..." >&2; exit 1; }

.PHONY: modules clean install uninstall load unload demo check matrix style bench soak mutants \
	verify coverage pyallocstat help need-kdir
