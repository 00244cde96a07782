# SPDX-License-Identifier: BSD-3-Clause
# BELAY_FORTRAN: the Fortran module is built if there is a Fortran compiler that can, unless the user decides.
# AC_PROG_FC comes before it. It needs mpi_f08 of the same compiler, assumed-type arguments passed to C (Fortran 2018) and, in C, their header.
AC_DEFUN([BELAY_FORTRAN], [
    AC_ARG_WITH([fortran],
        [AS_HELP_STRING([--with-fortran=auto|yes|no], [Fortran module belay (default: auto)])],
        [], [with_fortran=auto])
    AS_CASE([$with_fortran], [auto|yes|no], [], [AC_MSG_ERROR([--with-fortran=$with_fortran: say auto, yes or no])])
    belay_fortran_missing="no Fortran compiler found; on Debian: apt-get install gfortran"
    belay_fortran=no
    FC_MODINC= FC_MODOUT= FORTRAN_WARNINGS=
    AS_IF([test "$with_fortran" = no], [belay_fortran_missing="--without-fortran"],
          [test -n "$FC"], [BELAY_FC_WORKS])
    AS_IF([test $belay_fortran = yes], [], [test "$with_fortran" = yes], [AC_MSG_ERROR([$belay_fortran_missing])],
        [AC_MSG_NOTICE([building without the Fortran module: $belay_fortran_missing])])
    AC_SUBST([FORTRAN_WARNINGS])
    AM_CONDITIONAL([HAVE_FORTRAN], [test $belay_fortran = yes])
])

AC_DEFUN([BELAY_FC_WORKS], [
    AC_CHECK_HEADER([ISO_Fortran_binding.h], [belay_fortran_missing=],
        [belay_fortran_missing="$CC has no ISO_Fortran_binding.h"])
    AC_LANG_PUSH([Fortran])
    AC_FC_SRCEXT([f90])
    AC_CACHE_CHECK([whether $FC knows mpi_f08 and type(*), dimension(..)], [belay_cv_fc_works],
        [AC_COMPILE_IFELSE([BELAY_FC_PROGRAM], [belay_cv_fc_works=yes], [belay_cv_fc_works=no])])
    AS_IF([test $belay_cv_fc_works = no],
        [belay_fortran_missing="$FC cannot use mpi_f08 or assumed types; give FC=mpif90 of the MPI that CC uses"])
    AS_IF([test -z "$belay_fortran_missing"], [
        AC_FC_MODULE_EXTENSION
        AC_FC_MODULE_FLAG([], [belay_fortran_missing="$FC has no known option to find modules"])
        AC_FC_MODULE_OUTPUT_FLAG([], [belay_fortran_missing="$FC has no known option to place modules"])])
    AS_IF([test -z "$belay_fortran_missing"], [belay_fortran=yes])
    belay_save_FCFLAGS=$FCFLAGS
    FCFLAGS="$FCFLAGS -Wall -Wextra -Wno-function-elimination"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM], [FORTRAN_WARNINGS="-Wall -Wextra -Wno-function-elimination"])
    FCFLAGS=$belay_save_FCFLAGS
    AS_IF([test -n "$FORTRAN_WARNINGS" && test "$enable_werror" = yes], [AS_VAR_APPEND([FORTRAN_WARNINGS], [" -Werror"])])
    AC_LANG_POP([Fortran])
])

m4_define([BELAY_FC_PROGRAM], [AC_LANG_SOURCE([[
      program conftest
          use mpi_f08, only: MPI_Comm
          interface
              subroutine take(variable) bind(C)
                  type(*), dimension(..), intent(in) :: variable
              end subroutine
          end interface
      end program]])])
