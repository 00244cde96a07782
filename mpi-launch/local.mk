# SPDX-License-Identifier: BSD-3-Clause
# belay-run and its helpers, and examples of job scripts.
dist_bin_SCRIPTS = mpi-launch/belay-run
dist_pkglibexec_SCRIPTS = mpi-launch/belay-run-process mpi-launch/belay-run-watch
pkglibexecdir = $(libexecdir)/belay

jobsdir = $(docdir)/jobs
dist_jobs_DATA = \
    mpi-launch/examples/direct.sbatch \
    mpi-launch/examples/hostfile \
    mpi-launch/examples/job.sbatch \
    mpi-launch/examples/servers.sbatch \
    mpi-launch/examples/service.sbatch
