# SPDX-License-Identifier: BSD-3-Clause
heatdir = $(docdir)/examples/heat
dist_heat_DATA = examples/heat/heat.c examples/heat/heat.f90

noinst_PROGRAMS += examples/heat/heat
examples_heat_heat_SOURCES = examples/heat/heat.c

if HAVE_FORTRAN
noinst_PROGRAMS += examples/heat/heat_fortran
examples_heat_heat_fortran_SOURCES = examples/heat/heat.f90
examples_heat_heat_fortran_FCFLAGS = $(FC_MODINC)src/fortran $(FC_MODOUT)examples/heat $(FORTRAN_WARNINGS) \
    $(SANITIZE_FLAGS)
examples_heat_heat_fortran_LDADD = libbelay_fortran.la libbelay.la
CLEANFILES += examples/heat/*.$(FC_MODEXT)
$(examples_heat_heat_fortran_OBJECTS): src/fortran/belay.lo
endif
