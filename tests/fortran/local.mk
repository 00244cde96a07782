# SPDX-License-Identifier: BSD-3-Clause
# The tests of the Fortran module: one program, linked as a user links.
EXTRA_DIST += tests/fortran/run

fortran_test_sources = tests/fortran/checks.f90 tests/fortran/fortran.f90 tests/fortran/keys.f90 \
    tests/fortran/values.f90 tests/fortran/whole.f90

if HAVE_FORTRAN
check_PROGRAMS += tests/fortran/fortran
tests_fortran_fortran_SOURCES = $(fortran_test_sources)
tests_fortran_fortran_FCFLAGS = $(FC_MODINC)src/fortran $(FC_MODOUT)tests/fortran $(FC_MODINC)tests/fortran \
    $(FORTRAN_WARNINGS) $(SANITIZE_FLAGS)
tests_fortran_fortran_LDADD = libbelay_fortran.la libbelay.la
CLEANFILES += tests/fortran/*.$(FC_MODEXT)

# Who uses whose module.
fortran_test = tests/fortran/fortran
$(fortran_test)-checks.o: src/fortran/belay.lo
$(fortran_test)-keys.o $(fortran_test)-values.o $(fortran_test)-whole.o: $(fortran_test)-checks.o
$(fortran_test)-fortran.o: $(fortran_test)-keys.o $(fortran_test)-values.o $(fortran_test)-whole.o
else
EXTRA_DIST += $(fortran_test_sources)
endif
