# SPDX-License-Identifier: GPL-2.0
# Called with data, out and format set.
set datafile separator "\t"
set encoding utf8
if (format eq "svg") {
	set terminal svg size 900, 480 font "sans-serif,15" background "white"
} else {
	set terminal pngcairo size 900, 480 font "sans-serif,11" background "white"
}
set output out
set border 3 linecolor "#666666"
set tics nomirror
set title font ",14"
PY = "#2a78b5"
KM = "#b8b8b8"
