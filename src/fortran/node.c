/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

int belay_fortran_open(const MPI_Fint *communicator, const belay_config *config, belay_node **node)
{
    return belay_open(MPI_Comm_f2c(*communicator), config, node);
}
