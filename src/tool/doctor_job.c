/* SPDX-License-Identifier: BSD-3-Clause */
/* The MPI library and what its launcher was told. */
#include "tool/doctor.h"
#include "tool/launcher.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void check_mpi(struct doctor *doctor)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(text, &length); /* may be asked before MPI_Init() */
    text[strcspn(text, "\n,")] = '\0';
#ifdef OMPI_MAJOR_VERSION
    int major = 0, minor = 0;
    if (sscanf(text, "Open MPI v%d.%d", &major, &minor) != 2 || major != OMPI_MAJOR_VERSION)
        doctor_fault(doctor, "MPI", "load the MPI library that Belay was built with, or build it again",
                     "built with Open MPI %d.%d, but runs with %s", OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION,
                     text);
    else if (major == 4 && minor == 1)
        doctor_good(doctor, "MPI", "%s", text);
    else
        doctor_note(doctor, "MPI", NULL, "%s; Belay is tested with Open MPI 4.1", text);
#else
    doctor_note(doctor, "MPI", NULL, "%s; Belay is tested with Open MPI 4.1", text);
#endif
}

/* mpirun hands its flag on to the processes as a variable. */
static void check_recovery(struct doctor *doctor)
{
    static const char fix[] = "start jobs by mpi-launch/belay-run, or mpirun --mca orte_enable_recovery 1";
    const char *flag = getenv("OMPI_MCA_orte_enable_recovery");
    if (flag && (strcmp(flag, "1") == 0 || strcmp(flag, "true") == 0))
        doctor_good(doctor, "recovery", "the job goes on when a process dies");
    else if (!doctor->in_job)
        doctor_note(doctor, "recovery", "run 'belay doctor' in a job, as in: belay-run -n 2 belay doctor",
                    "not known outside a job");
    else if (!getenv("OMPI_COMM_WORLD_RANK"))
        doctor_note(doctor, "recovery", "see doc/launch.md for other launchers than Open MPI's",
                    "not known for this launcher");
    else
        doctor_fault(doctor, "recovery", fix, "mpirun ends the whole job when one process dies");
}

static void check_processors(struct doctor *doctor)
{
    cpu_set_t usable;
    int processors = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 0;
    const char *bound = getenv("OMPI_MCA_orte_bound_at_launch");
    if (!doctor->in_job || launcher_local_size() <= 0)
        doctor_good(doctor, "processors", "%d usable", processors);
    else if (bound && processors == 1 && doctor->settings.progress == BELAY_PROGRESS_THREAD)
        doctor_note(doctor, "processors",
                    "mpirun --bind-to none or --map-by slot:PE=2, or BELAY_PROGRESS=manual",
                    "each process is bound to one processor: its progress thread takes turns with it");
    else if (!bound && processors < doctor->processes)
        doctor_note(doctor, "processors", "fewer processes per host",
                    "%d usable for %d processes: they take turns", processors, doctor->processes);
    else
        doctor_good(doctor, "processors", "%d usable by this process, %d processes on this host", processors,
                    doctor->processes);
}

void doctor_check_job(struct doctor *doctor)
{
    check_mpi(doctor);
    check_recovery(doctor);
    check_processors(doctor);
}
