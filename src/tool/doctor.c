/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks what a job needs of this host, and says how to mend what is missing. */
#include "tool/doctor.h"

#include "base/log.h"
#include "tool/command.h"
#include "tool/launcher.h"
#include "tool/message.h"
#include "tool/options.h"

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Telling ---- */

static void tell(const struct doctor *doctor, const char *verdict, const char *subject, const char *fix,
                 const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

static void tell(const struct doctor *doctor, const char *verdict, const char *subject, const char *fix,
                 const char *format, va_list arguments)
{
    fprintf(doctor->report, "%-5s %-14s ", verdict, subject);
    vfprintf(doctor->report, format, arguments);
    if (fix)
        fprintf(doctor->report, "\n      %-14s fix: %s", "", fix);
    fputc('\n', doctor->report);
}

void doctor_good(struct doctor *doctor, const char *subject, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(doctor, "ok", subject, NULL, format, arguments);
    va_end(arguments);
}

void doctor_note(struct doctor *doctor, const char *subject, const char *fix, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(doctor, "note", subject, fix, format, arguments);
    va_end(arguments);
    ++doctor->notes;
}

void doctor_fault(struct doctor *doctor, const char *subject, const char *fix, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(doctor, "FAIL", subject, fix, format, arguments);
    va_end(arguments);
    ++doctor->faults;
}

/* ---- The whole ---- */

static int usable_processors(void)
{
    cpu_set_t usable;
    return sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 1;
}

static void check_settings(struct doctor *doctor)
{
    settings_file *file = NULL;
    if (settings_resolve_node(NULL, &doctor->settings, &file) == BELAY_OK)
        doctor_good(doctor, "settings", "valid ('belay info --config' shows them)");
    else
        doctor_fault(doctor, "settings", "correct it; doc/configuration.md has all settings", "%s",
                     log_last_error());
    settings_file_free(file);
}

static void check_all(struct doctor *doctor)
{
    check_settings(doctor);
    doctor_check_host(doctor);
    doctor_check_job(doctor);
    doctor_check_network(doctor); /* before memory: a device needs locked memory */
    doctor_check_memory(doctor);
    fprintf(doctor->report, "%u failed, %u notes\n", doctor->faults, doctor->notes);
}

/* The report is written at once, so that those of several hosts do not mix. */
static int examine(void)
{
    char *text = NULL, host[256] = "";
    size_t length = 0;
    struct doctor doctor = {.report = open_memstream(&text, &length)};
    if (!doctor.report) {
        message("out of memory");
        return EXIT_BROKEN;
    }
    doctor.in_job = launcher_rank() >= 0;
    doctor.processes = launcher_local_size() > 0 ? launcher_local_size() : usable_processors();
    gethostname(host, sizeof host - 1);
    fprintf(doctor.report, "host %s\n", host);
    check_all(&doctor);
    fclose(doctor.report);
    fwrite(text, 1, length, stdout);
    fflush(stdout);
    free(text);
    return doctor.faults ? EXIT_DIFFERS : EXIT_INTACT;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    if (key == ARGP_KEY_ARG)
        return options_wrong(state, "%s: no argument is expected", text);
    return ARGP_ERR_UNKNOWN;
}

static const char doc[] =
    "Check all that a job needs of this host, with a fix for each failure: settings, processes, MPI and its recovery "
    "flag, RDMA devices with their link, GID and MTU, locked memory, huge pages, shared memory. A device is tested by a "
    "connection to itself, with an RDMA write and a read."
    "\vRun by mpirun, one process of each host answers for it, and what the launcher set is checked too. 'belay info "
    "--job' then shows how the processes reach each other.\n\n"
    "Exit status: 0 nothing failed, 1 something did, 2 wrong usage, 3 the system failed.";

int command_doctor(int argc, char **argv)
{
    const struct argp table = {NULL, parse_option, NULL, doc, NULL, NULL, NULL};
    switch (options_parse(&table, argc, argv, NULL)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    if (launcher_local_rank() > 0)
        return EXIT_INTACT;
    setenv("BELAY_LOG", "off", 1); /* the report says it all */
    log_init(-1);
    return examine();
}
