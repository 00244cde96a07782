/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the subcommand and hands over the arguments behind it. */
#include "config.h"

#include "tool/command.h"
#include "tool/launcher.h"
#include "tool/message.h"
#include "tool/options.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"doctor", "check what a job needs of this host, with a fix for each failure", command_doctor},
    {"info", "tell what this build, this host and this job offer", command_info},
    {"serve", "hold caches for programs of other jobs, until told to stop", command_serve},
    {"stage", "stage a directory tree into a cache, prove that it is intact, and time it", command_stage},
    {"stats", "tell what the nodes of a running job have counted", command_stats},
    {"top", "show what a running job does, again and again", command_top},
    {"verify", "compare all copies of a running job's caches", command_verify},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_commands(FILE *stream)
{
    fputs("Commands:\n", stream);
    for (size_t i = 0; i < COMMANDS; ++i)
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
}

static int print_help(void)
{
    printf("Usage: belay COMMAND [OPTION...]\n"
           "  or:  belay --help | --version\n"
           "A replicated in-memory key-value cache for the processes of an MPI job.\n\n");
    print_commands(stdout);
    printf(
        "\n'belay COMMAND --help' tells about one of them. Exit status: 0 all is well, 1 something was found\n"
        "lost, different or not as it must be, 2 wrong usage, 3 Belay, MPI or the system failed.\n");
    return EXIT_INTACT;
}

static int reject(const char *name)
{
    message_error("%s: no such command; see 'belay --help'", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    message_begin("belay", launcher_rank());
    if (argc < 2) {
        if (launcher_rank() <= 0)
            print_commands(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 || strcmp(argv[1], "help") == 0)
        return print_help();
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        options_print_version(stdout, NULL);
        return EXIT_INTACT;
    }
    for (size_t i = 0; i < COMMANDS; ++i) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        char title[32];
        snprintf(title, sizeof title, "belay %s", commands[i].name);
        message_begin(title, launcher_rank());
        argv[1] = title;
        return commands[i].run(argc - 1, argv + 1);
    }
    return reject(argv[1]);
}
