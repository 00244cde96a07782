# SPDX-License-Identifier: BSD-3-Clause
# How many operations took how long at most.
set terminal svg size 900,420 dynamic noenhanced font "sans-serif,12" background "#ffffff"
set output output
set datafile separator tab
set logscale x 10
set format x "%.0f"
set xlabel "ns"
set ylabel "percent of operations"
set yrange [0:100]
set key bottom right
set grid
set border 3
set tics nomirror
plot for [name in names] scratch."/latency.".name using 2:1 with lines lw 2 title name
