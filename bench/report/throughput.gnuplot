# SPDX-License-Identifier: BSD-3-Clause
# YCSB A with 4 processes: operations per second of all, over the number of backups, by mode.
set terminal svg size 700,380 dynamic noenhanced font "sans-serif,12" background "#ffffff"
set output output
set datafile separator tab
set title "YCSB A, 4 processes"
set xlabel "backups"
set ylabel "million operations per second"
set xrange [-0.2:2.2]
set xtics 1
set yrange [0:*]
set key top right
set grid
set border 3
set tics nomirror
plot for [mode in "full_sync primary_sync full_async"] scratch."/throughput.".mode using 1:($2/1e6) \
     with linespoints lw 2 pt 7 title mode
