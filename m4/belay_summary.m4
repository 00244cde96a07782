# SPDX-License-Identifier: BSD-3-Clause
# BELAY_SUMMARY: what was found and decided, as the last thing configure says.
AC_DEFUN([BELAY_SUMMARY], [
    AS_IF([test $belay_verbs = yes],
          [belay_transports="shared memory, verbs (libibverbs $($PKG_CONFIG --modversion libibverbs))"],
          [belay_transports="shared memory only (one host)"])
    AS_IF([test $belay_fortran = yes], [belay_fortran_summary="$FC $FCFLAGS"],
          [belay_fortran_summary="no ($belay_fortran_missing)"])
    cat <<EOF

Belay $PACKAGE_VERSION is configured:
  prefix       $prefix
  compiler     $CC $CFLAGS$DEBUG_CFLAGS
  MPI          $belay_mpi
  transports   $belay_transports
  Fortran      $belay_fortran_summary
  hwloc        $($PKG_CONFIG --modversion hwloc)
  debug        $enable_debug
  sanitizer    $enable_sanitize
  werror       $enable_werror
  unit tests   $belay_cmocka
  hydrogen     $belay_sundials

EOF
])
