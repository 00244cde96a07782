/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file command.h
 * The subcommands of `belay`, and what their exit statuses mean.
 */
#ifndef BELAY_TOOL_COMMAND_H
#define BELAY_TOOL_COMMAND_H

enum exit_status {
    EXIT_INTACT = 0,  /* done; all that was checked is as it should be */
    EXIT_DIFFERS = 1, /* done; something was found lost, different or not as it must be */
    EXIT_USAGE = 2,   /* wrong arguments; nothing was done */
    EXIT_BROKEN = 3   /* not done: Belay, MPI or the system failed */
};

struct command {
    const char *name;
    const char *summary; /* one line of `belay --help` */
    /* argv[0] is the name of the command as shown in its help, "belay stage". @return an exit_status. */
    int (*run)(int argc, char **argv);
};

int command_doctor(int argc, char **argv);
int command_info(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_stage(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_top(int argc, char **argv);
int command_verify(int argc, char **argv);

#endif
