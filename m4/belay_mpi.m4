# SPDX-License-Identifier: BSD-3-Clause
# BELAY_MPI: finds MPI. With CC=mpicc (the default) there is nothing to add; with another compiler the flags
# come from pkg-config. MPI_REQUIRES names the pkg-config module that belay.pc asks for, as belay.h
# includes mpi.h; it stays empty where MPI ships none, and users then compile with mpicc.
AC_DEFUN([BELAY_MPI], [
    AC_CACHE_CHECK([whether $CC compiles MPI programs], [belay_cv_mpi_cc],
        [AC_LINK_IFELSE([BELAY_MPI_PROGRAM], [belay_cv_mpi_cc=yes], [belay_cv_mpi_cc=no])])
    AS_IF([test $belay_cv_mpi_cc = no], [
        PKG_CHECK_MODULES([MPI], [mpi-c], [],
            [PKG_CHECK_MODULES([MPI], [ompi-c], [],
                [PKG_CHECK_MODULES([MPI], [mpich], [], [AC_MSG_ERROR([MPI not found: $CC cannot build an MPI program
and pkg-config knows none. Give CC=mpicc, or on Debian: apt-get install openmpi-bin libopenmpi-dev])])])])])

    BELAY_MPI_MACRO([belay_open_mpi], [OPEN_MPI], [OMPI_MAJOR_VERSION.OMPI_MINOR_VERSION.OMPI_RELEASE_VERSION])
    BELAY_MPI_MACRO([belay_mpich], [MPICH_VERSION], [MPICH_VERSION])
    AS_IF([test -n "$belay_open_mpi"], [belay_mpi="Open MPI $belay_open_mpi" belay_mpi_module=ompi-c],
          [test -n "$belay_mpich"], [belay_mpi="MPICH $belay_mpich" belay_mpi_module=mpich],
          [belay_mpi="unknown implementation" belay_mpi_module=mpi-c])
    MPI_REQUIRES=
    PKG_CHECK_EXISTS([$belay_mpi_module], [MPI_REQUIRES=$belay_mpi_module])
    AC_SUBST([MPI_REQUIRES])
])

m4_define([BELAY_MPI_PROGRAM], [AC_LANG_PROGRAM([[#include <mpi.h>]], [[return MPI_Init(0, 0);]])])

# BELAY_MPI_MACRO(VARIABLE, MACRO, EXPANSION): VARIABLE = what EXPANSION expands to where mpi.h defines MACRO.
AC_DEFUN([BELAY_MPI_MACRO], [
    belay_save_CPPFLAGS=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
    AC_LANG_CONFTEST([AC_LANG_SOURCE([[#include <mpi.h>
#ifdef $2
belay_version $3
#endif]])])
    $1=$($CC -E $CPPFLAGS conftest.c 2>/dev/null | sed -n 's/^belay_version //p' | tr -d ' "')
    rm -f conftest.c
    CPPFLAGS=$belay_save_CPPFLAGS
])
