# SPDX-License-Identifier: GPL-2.0
load system("dirname ".ARG0)."/style.gp"
set title "Memory taken from the kernel for each byte asked for"
set style data histograms
set style histogram clustered gap 1
set style fill solid noborder
set boxwidth 0.92
set yrange [0:2.2]
set ylabel "bytes"
set grid ytics linecolor "#dddddd"
set xtics scale 0
set bmargin 5
set key top right
set arrow from graph 0, first 1 to graph 1, first 1 nohead dashtype 2 linecolor "#444444" front
plot data using 2:xtic(1) title "pyalloc" linecolor rgb PY, \
     data using 3 title "kmalloc" linecolor rgb KM, \
     data using ($0 - 0.17):($2 + 0.06):(sprintf("%.2f", $2)) with labels font ",10" notitle, \
     data using ($0 + 0.17):($3 + 0.06):(sprintf("%.2f", $3)) with labels font ",10" notitle
