/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/launcher.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

/* The first of the variables that holds a number; -1 if none does. */
static int number_of(const char *const variables[])
{
    for (; *variables; ++variables) {
        const char *value = getenv(*variables);
        if (!value || !*value)
            continue;
        char *end;
        long number = strtol(value, &end, 10);
        if (*end == '\0' && number >= 0 && number < INT_MAX)
            return (int)number;
    }
    return -1;
}

/* Open MPI and others with PMIx, MPICH's family, Slurm without either. */
int launcher_rank(void)
{
    static const char *const variables[] = {"PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID",
                                            NULL};
    return number_of(variables);
}

int launcher_local_rank(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID",
                                            NULL};
    return number_of(variables);
}

int launcher_local_size(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", NULL};
    return number_of(variables);
}
