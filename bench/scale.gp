# SPDX-License-Identifier: GPL-2.0
load system("dirname ".ARG0)."/style.gp"
set title "What a million operations do off the fast path"
set logscale x 2
set logscale y 10
set xrange [0.9:18]
set yrange [1:1000000]
set format y "10^{%T}"
set xtics (1, 2, 4, 8, 16)
set xlabel "CPUs, all at work: flat lines scale"
set ylabel "events; none is drawn as 1"
set grid ytics linecolor "#dddddd"
set key outside right
plot data using 1:2 with linespoints pt 7 lw 2 lc rgb "#2a78b5" title "slow allocations", \
     data using 1:($3 > 0 ? $3 : 1) with linespoints pt 5 lw 2 lc rgb "#d9822b" title "batches from other CPUs", \
     data using 1:($4 > 0 ? $4 : 1) with linespoints pt 9 lw 2 lc rgb "#3a9a5b" title "node locks", \
     data using 1:($5 > 0 ? $5 : 1) with linespoints pt 11 lw 2 lc rgb "#9a5bb0" title "page allocator calls"
