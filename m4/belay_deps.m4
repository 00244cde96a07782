# SPDX-License-Identifier: BSD-3-Clause
# The libraries Belay stands on, by pkg-config.

# BELAY_REQUIRE(PREFIX, MODULE, DEBIAN-PACKAGE)
AC_DEFUN([BELAY_REQUIRE], [
    PKG_CHECK_MODULES([$1], [$2], [],
        [AC_MSG_ERROR([$2 not found; on Debian: apt-get install $3 (or run mpi-launch/packages install build)])])
])

# BELAY_VERBS: the RDMA transport is built if libibverbs and librdmacm are there, unless the user decides.
AC_DEFUN([BELAY_VERBS], [
    AC_ARG_WITH([verbs],
        [AS_HELP_STRING([--with-verbs=auto|yes|no], [RDMA transport by libibverbs and librdmacm (default: auto)])],
        [], [with_verbs=auto])
    AS_CASE([$with_verbs], [auto|yes|no], [], [AC_MSG_ERROR([--with-verbs=$with_verbs: say auto, yes or no])])
    belay_verbs=no
    VERBS_REQUIRES=
    AS_IF([test "$with_verbs" != no], [
        PKG_CHECK_MODULES([VERBS], [libibverbs librdmacm], [belay_verbs=yes], [
            belay_verbs_missing="libibverbs or librdmacm not found; on Debian: apt-get install libibverbs-dev librdmacm-dev"
            AS_IF([test "$with_verbs" = yes], [AC_MSG_ERROR([$belay_verbs_missing])])
            AC_MSG_NOTICE([building without RDMA, for jobs on one host only: $belay_verbs_missing])])])
    AS_IF([test $belay_verbs = yes], [
        VERBS_REQUIRES="libibverbs librdmacm"
        AC_DEFINE([HAVE_VERBS], [1], [Define if the verbs transport is built])])
    AC_SUBST([VERBS_REQUIRES])
    AM_CONDITIONAL([HAVE_VERBS], [test $belay_verbs = yes])
])

# BELAY_CMOCKA: the unit tests need it, nothing else does.
AC_DEFUN([BELAY_CMOCKA], [
    PKG_CHECK_MODULES([CMOCKA], [cmocka >= 1.1], [belay_cmocka=yes],
        [belay_cmocka=no
         AC_MSG_NOTICE([cmocka not found, no unit tests; on Debian: apt-get install libcmocka-dev])])
    AS_IF([test $belay_cmocka = yes], [AC_DEFINE([HAVE_CMOCKA], [1], [Define if the unit tests are built])])
    AM_CONDITIONAL([HAVE_CMOCKA], [test $belay_cmocka = yes])
])

# BELAY_PEERS: clients of the stores that the benchmarks compare with; each only if it is there.
AC_DEFUN([BELAY_PEERS], [
    PKG_CHECK_MODULES([HIREDIS], [hiredis], [belay_hiredis=yes], [belay_hiredis=no])
    AM_CONDITIONAL([HAVE_HIREDIS], [test $belay_hiredis = yes])
    PKG_CHECK_MODULES([LIBMEMCACHED], [libmemcached], [belay_libmemcached=yes], [belay_libmemcached=no])
    AM_CONDITIONAL([HAVE_LIBMEMCACHED], [test $belay_libmemcached = yes])
])

# BELAY_SUNDIALS: the hydrogen example needs it, and libpng; nothing else does.
AC_DEFUN([BELAY_SUNDIALS], [
    PKG_CHECK_MODULES([PNG], [libpng >= 1.6], [belay_png=yes], [belay_png=no])
    belay_sundials=no
    SUNDIALS_LIBS="-lsundials_cvode -lsundials_nvecserial -lsundials_sunmatrixdense -lsundials_sunlinsoldense"
    belay_save_LIBS=$LIBS
    LIBS="$SUNDIALS_LIBS $LIBS -lm"
    AC_CACHE_CHECK([for SUNDIALS 6], [belay_cv_sundials],
        [AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cvode/cvode.h>]],
            [[SUNContext context; return SUNContext_Create(NULL, &context) || !CVodeCreate(CV_BDF, context);]])],
            [belay_cv_sundials=yes], [belay_cv_sundials=no])])
    LIBS=$belay_save_LIBS
    AS_IF([test $belay_cv_sundials = yes && test $belay_png = yes], [belay_sundials=yes],
        [AC_MSG_NOTICE([no SUNDIALS or no libpng, so no hydrogen example; on Debian: apt-get install libsundials-dev libpng-dev])])
    AC_SUBST([SUNDIALS_LIBS])
    AM_CONDITIONAL([HAVE_SUNDIALS], [test $belay_sundials = yes])
])
