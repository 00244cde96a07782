# SPDX-License-Identifier: BSD-3-Clause
# How the compiler is called. The user's CFLAGS stay his own: these go to AM_CFLAGS and AM_LDFLAGS.

AC_DEFUN([BELAY_ENABLE_DEBUG], [
    AC_ARG_ENABLE([debug],
        [AS_HELP_STRING([--enable-debug], [unoptimised, with debugging checks (default: no)])], [], [enable_debug=no])
    DEBUG_CFLAGS=
    AS_IF([test "$enable_debug" != no], [
        DEBUG_CFLAGS="-O0 -g3"
        AC_DEFINE([BELAY_DEBUG], [1], [Define to check internal invariants at run time])])
    AC_SUBST([DEBUG_CFLAGS])
])

AC_DEFUN([BELAY_ENABLE_FAULT_POINTS], [
    AC_ARG_ENABLE([fault-points],
        [AS_HELP_STRING([--enable-fault-points], [named places where tests let a node die, see src/base/fault.h (default: no)])],
        [], [enable_fault_points=no])
    AS_IF([test "$enable_fault_points" != no], [
        AC_DEFINE([BELAY_FAULT_POINTS], [1], [Define to compile the places where tests let a node die])])
])

AC_DEFUN([BELAY_ENABLE_SANITIZE], [
    AC_ARG_ENABLE([sanitize],
        [AS_HELP_STRING([--enable-sanitize=LIST], [compile with sanitizers: address,undefined or thread (default: no)])],
        [], [enable_sanitize=no])
    SANITIZE_FLAGS=
    AS_CASE([$enable_sanitize],
        [no], [],
        [yes], [AC_MSG_ERROR([--enable-sanitize needs a list: address,undefined or thread])],
        [SANITIZE_FLAGS="-fsanitize=$enable_sanitize -fno-sanitize-recover=all -fno-omit-frame-pointer"
         BELAY_CC_FLAG([$SANITIZE_FLAGS], [], [AC_MSG_ERROR([$CC cannot link with -fsanitize=$enable_sanitize])])])
    AC_SUBST([SANITIZE_FLAGS])
])

AC_DEFUN([BELAY_ENABLE_WERROR], [
    AC_ARG_ENABLE([werror],
        [AS_HELP_STRING([--enable-werror], [warnings are errors (default: yes in a git checkout, no in a release)])],
        [], [AS_IF([test -e "$srcdir/.git"], [enable_werror=yes], [enable_werror=no])])
    WARNING_CFLAGS=
    for flag in -Wall -Wextra -Wshadow -Wundef -Wvla -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wdouble-promotion \
            -Wimplicit-fallthrough -Wlogical-op -Wduplicated-cond; do
        BELAY_CC_FLAG([-Werror $flag], [AS_VAR_APPEND([WARNING_CFLAGS], [" $flag"])], [])
    done
    AS_IF([test "$enable_werror" = yes], [AS_VAR_APPEND([WARNING_CFLAGS], [" -Werror"])])
    AC_SUBST([WARNING_CFLAGS])
])

# BELAY_CC_FLAG(FLAGS, IF-ACCEPTED, IF-NOT)
AC_DEFUN([BELAY_CC_FLAG], [
    belay_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM], [belay_flag=yes], [belay_flag=no])
    CFLAGS=$belay_save_CFLAGS
    AS_IF([test $belay_flag = yes], [$2], [$3])
])
