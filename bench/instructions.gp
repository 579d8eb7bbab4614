# SPDX-License-Identifier: GPL-2.0
load system("dirname ".ARG0)."/style.gp"
set title "Machine instructions on Debian's unmodified kernels (fewer is better)"
set style data histograms
set style histogram clustered gap 1
set style fill solid noborder
set boxwidth 0.92
set yrange [0:*]
set ylabel "instructions"
set grid ytics linecolor "#dddddd"
set xtics scale 0
set bmargin 5
set key top left
plot data using 2:xtic(1) title "pyalloc" linecolor rgb PY, \
     data using 3 title "kmalloc" linecolor rgb KM, \
     data using ($0 - 0.17):($2 + 8):(sprintf("%.0f", $2)) with labels font ",10" notitle, \
     data using ($0 + 0.17):($3 + 8):(sprintf("%.0f", $3)) with labels font ",10" notitle
