# SPDX-License-Identifier: BSD-3-Clause
# The tests of the Fortran module, linked as a user links.
EXTRA_DIST += tests/fortran/run tests/fortran/failure_job

if HAVE_FORTRAN
fortran_test_flags = $(FC_MODINC)src/fortran $(FC_MODINC)tests/fortran $(FORTRAN_WARNINGS) $(SANITIZE_FLAGS)
CLEANFILES += tests/fortran/*.$(FC_MODEXT)

# Sources that others use are in a library of their own: two programs must not write one module at the same time.
check_LTLIBRARIES += libfortran_tests.la
libfortran_tests_la_SOURCES = tests/fortran/checks.f90
libfortran_tests_la_FCFLAGS = $(fortran_test_flags) $(FC_MODOUT)tests/fortran

check_PROGRAMS += tests/fortran/fortran tests/fortran/failure
tests_fortran_fortran_SOURCES = tests/fortran/fortran.f90 tests/fortran/functions.f90 tests/fortran/keys.f90 tests/fortran/values.f90 \
    tests/fortran/whole.f90
tests_fortran_fortran_FCFLAGS = $(fortran_test_flags) $(FC_MODOUT)tests/fortran
tests_fortran_fortran_LDADD = libfortran_tests.la libbelay_fortran.la libbelay.la
tests_fortran_failure_SOURCES = tests/fortran/failure.f90
tests_fortran_failure_FCFLAGS = $(fortran_test_flags) $(FC_MODOUT)tests/fortran
tests_fortran_failure_LDADD = libfortran_tests.la libbelay_fortran.la libbelay.la

# Who uses whose module.
$(libfortran_tests_la_OBJECTS): src/fortran/belay.lo
$(tests_fortran_fortran_OBJECTS) $(tests_fortran_failure_OBJECTS): $(libfortran_tests_la_OBJECTS)
# By a variable: automake drops its own rule for a target that is named here.
fortran_test = tests/fortran/fortran-
$(fortran_test)fortran.o: $(fortran_test)functions.o $(fortran_test)keys.o $(fortran_test)values.o $(fortran_test)whole.o
else
EXTRA_DIST += tests/fortran/checks.f90 tests/fortran/failure.f90 tests/fortran/fortran.f90 tests/fortran/functions.f90 tests/fortran/keys.f90 \
    tests/fortran/values.f90 tests/fortran/whole.f90
endif
