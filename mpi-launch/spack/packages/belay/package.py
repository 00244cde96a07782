# SPDX-License-Identifier: BSD-3-Clause
#
# Use it by: spack repo add PREFIX-OR-SOURCE/mpi-launch/spack; spack dev-build belay@main
# (there is no release to download yet: Spack builds the source tree that it is called in).
from spack.package import *


class Belay(AutotoolsPackage):
    """Replicated in-memory key-value cache for the processes of an MPI job: partitions with one primary and any number
    of backup copies, pushed by one-sided RDMA writes."""

    license("BSD-3-Clause")
    version("main")

    variant("verbs", default=True, description="RDMA between hosts by libibverbs and librdmacm")
    variant("fortran", default=True, description="Fortran module")

    depends_on("c", type="build")
    depends_on("fortran", type="build", when="+fortran")
    depends_on("autoconf@2.71:", type="build")
    depends_on("automake@1.16:", type="build")
    depends_on("libtool", type="build")
    depends_on("m4", type="build")
    depends_on("perl", type=("build", "run"))
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("hwloc@2:")
    depends_on("xxhash@0.8:")
    depends_on("expat")
    depends_on("jansson@2.9:")
    depends_on("rdma-core", when="+verbs")
    depends_on("cmocka@1.1:", type="test")

    def autoreconf(self, spec, prefix):
        Executable("./autogen.sh")()

    def configure_args(self):
        return ["CC=" + self.spec["mpi"].mpicc] + self.with_or_without("verbs") + self.with_or_without("fortran")
