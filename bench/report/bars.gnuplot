# SPDX-License-Identifier: BSD-3-Clause
# Cost of one get and one put of 64 bytes, on a logarithmic scale.
set encoding utf8
set terminal svg size 800,560 dynamic noenhanced font "sans-serif,12" background "#ffffff"
set output output
set datafile separator tab
set multiplot layout 2,1
set style fill solid 0.85
set boxwidth 0.35
set logscale x 10
set xtics ("10 ns" 10, "100 ns" 100, "1 µs" 1e3, "10 µs" 1e4, "100 µs" 1e5, "1 ms" 1e6)
set xrange [10:1e6]
set grid xtics
set border 3
set tics nomirror
unset key
set lmargin 31
height = 0.35
set yrange [:] reverse
set title "One get of 64 bytes from another process"
plot scratch."/gets" using ($2/2):0:(10):2:($0-height):($0+height):ytic(1) with boxxyerror lc rgb "#3465a4", \
     "" using 2:0:(sprintf(" %.0f ns", $2)) with labels left notitle
set title "One put of 64 bytes to another process"
plot scratch."/puts" using ($2/2):0:(10):2:($0-height):($0+height):ytic(1) with boxxyerror lc rgb "#cc6600", \
     "" using 2:0:(sprintf(" %.0f ns", $2)) with labels left notitle
unset multiplot
