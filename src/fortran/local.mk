# SPDX-License-Identifier: BSD-3-Clause
# The Fortran module, in a library of its own: programs in C need no Fortran runtime.
fortran_sources = src/fortran/array.c src/fortran/array.h src/fortran/belay.f90 src/fortran/calls.f90 \
    src/fortran/calls.h src/fortran/invoke.c src/fortran/keyed.h src/fortran/loader.c src/fortran/many_keys.c src/fortran/node.c src/fortran/one_key.c \
    src/fortran/placement.c src/fortran/request.c src/fortran/transaction.c src/fortran/types.f90

if HAVE_FORTRAN
pkgconfig_DATA += belay-fortran.pc
lib_LTLIBRARIES += libbelay_fortran.la
libbelay_fortran_la_SOURCES = $(fortran_sources)
libbelay_fortran_la_LDFLAGS = -version-info 0:0:0 -pthread $(SANITIZE_FLAGS)
libbelay_fortran_la_LIBADD = libbelay.la

# Compiling a source writes its modules, in a folder that a user's -I finds. pkg-config drops -I/usr/include, where
# Fortran compilers do not look: so not there.
fortrandir = $(includedir)/belay
fortran_modules = src/fortran/belay.$(FC_MODEXT) src/fortran/belay_calls.$(FC_MODEXT) \
    src/fortran/belay_types.$(FC_MODEXT)
nodist_fortran_DATA = $(fortran_modules)
AM_FCFLAGS = $(FC_MODOUT)src/fortran $(FC_MODINC)src/fortran $(FORTRAN_WARNINGS) $(SANITIZE_FLAGS)
CLEANFILES += $(fortran_modules)

src/fortran/calls.lo: src/fortran/types.lo
src/fortran/belay.lo: src/fortran/calls.lo src/fortran/types.lo
$(fortran_modules): src/fortran/belay.lo
else
EXTRA_DIST += $(fortran_sources)
endif
