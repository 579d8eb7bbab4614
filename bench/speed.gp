# SPDX-License-Identifier: GPL-2.0
load system("dirname ".ARG0)."/style.gp"
set title "Time of pyalloc where kmalloc takes 1"
set border 1
set xtics 0.25
set grid xtics linecolor "#dddddd"
stats data using ($2/$3) nooutput
n = STATS_records
set xrange [0:STATS_max < 1.1 ? 1.25 : STATS_max + 0.15]
set yrange [n - 0.4:-1.4]
set ytics scale 0
set lmargin 34
set key off
set arrow from 1, graph 0 to 1, -0.7 nohead linewidth 3 linecolor rgb KM front
set label "kmalloc" at 1, -1 center textcolor rgb "#666666" front
plot data using ($2/$3/2):0:($2/$3/2):(0.36):ytic(1) with boxxyerror fill solid noborder linecolor rgb PY, \
     data using ($2/$3):0:(sprintf("  %.2f", $2/$3)) with labels left
