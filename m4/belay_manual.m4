# SPDX-License-Identifier: BSD-3-Clause
# BELAY_MANUAL: man pages are made with perl; 'make html' needs lowdown, mandoc and dot too and says so when it is asked.
AC_DEFUN([BELAY_MANUAL], [
    AC_CHECK_PROGS([PERL], [perl])
    AS_IF([test -z "$PERL"], [AC_MSG_NOTICE([perl not found, no man pages; on Debian: apt-get install perl])])
    dnl Pages about commands come from the commands' own help, so they must run here.
    AM_CONDITIONAL([MAKE_MANUAL], [test -n "$PERL" && test "$cross_compiling" = no])
])
