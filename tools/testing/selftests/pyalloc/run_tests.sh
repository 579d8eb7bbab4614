#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the test programs given, or all that need no special care, and prints one KTAP
# document. Exits with 0, 1 if a test failed, 4 if everything was skipped.

cd "$(dirname "$0")" || exit 1
[ $# -gt 0 ] || set -- load.sh debugfs.sh json.sh remote.sh contexts.sh heaps.sh tracing.sh busy.sh quiet.sh \
	nmi.sh cgroup.sh unload.sh wordcount.sh prof.sh

echo "KTAP version 1"
echo "1..$#"
number=0 pass=0 fail=0 skip=0
for program; do
	number=$((number + 1))
	result=$({ { sh "./$program"; echo $? >&3; } | sed 's/^/    /' >&4; } 3>&1) 4>&1
	case $result in
	0)	echo "ok $number $program"; pass=$((pass + 1)) ;;
	4)	echo "ok $number $program # SKIP"; skip=$((skip + 1)) ;;
	*)	echo "not ok $number $program"; fail=$((fail + 1)) ;;
	esac
done
echo "# Totals: pass:$pass fail:$fail xfail:0 xpass:0 skip:$skip error:0"

[ "$fail" -eq 0 ] || exit 1
[ "$pass" -gt 0 ] || exit 4
