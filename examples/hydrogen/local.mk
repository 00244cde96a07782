# SPDX-License-Identifier: BSD-3-Clause
hydrogendir = $(docdir)/examples/hydrogen
hydrogen_mechanism = examples/hydrogen/mechanism.h examples/hydrogen/mechanism_rates.c \
    examples/hydrogen/mechanism_read.c examples/hydrogen/reactor.c examples/hydrogen/reactor.h
hydrogen_simulation = examples/hydrogen/chemistry.c examples/hydrogen/chemistry.h examples/hydrogen/crew.c \
    examples/hydrogen/crew.h examples/hydrogen/hydrogen.c examples/hydrogen/picture.c examples/hydrogen/picture.h \
    examples/hydrogen/problem.c examples/hydrogen/problem.h examples/hydrogen/report.c examples/hydrogen/report.h \
    examples/hydrogen/rows.c examples/hydrogen/rows.h examples/hydrogen/strip.c examples/hydrogen/strip.h
dist_hydrogen_DATA = $(hydrogen_mechanism) $(hydrogen_simulation) examples/hydrogen/ignition.c \
    examples/hydrogen/bhaskaran1973.txt examples/hydrogen/burke2012.txt examples/hydrogen/slack1977.txt \
    examples/hydrogen/Makefile examples/hydrogen/README.md

if HAVE_SUNDIALS
noinst_PROGRAMS += examples/hydrogen/hydrogen examples/hydrogen/ignition
examples_hydrogen_hydrogen_SOURCES = $(hydrogen_mechanism) $(hydrogen_simulation)
examples_hydrogen_hydrogen_LDADD = $(LDADD) $(SUNDIALS_LIBS) $(PNG_LIBS) -lm
examples_hydrogen_ignition_SOURCES = $(hydrogen_mechanism) examples/hydrogen/ignition.c
examples_hydrogen_ignition_LDADD = $(SUNDIALS_LIBS) -lm
endif
