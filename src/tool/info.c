/* SPDX-License-Identifier: BSD-3-Clause */
/* What this build, this host and this job offer. Changes nothing; starts no job. */
#include "tool/info.h"

#include "tool/command.h"
#include "tool/launcher.h"
#include "tool/options.h"

#include <stdbool.h>
#include <stddef.h>

struct arguments {
    bool config, job;
    const char *cache;
};

static const struct argp_option option_table[] = {
    {"config", 'c', NULL, 0, "Every setting, its value, and where that came from", 0},
    {"job", 'j', NULL, 0, "Join this job's processes: where each runs, and how it reaches the others", 0},
    {"cache", 'n', "NAME", 0, "The cache that --config and --job tell about", 0},
    {0},
};

static const char doc[] =
    "Tell what this build and this host offer: versions, processors, RDMA devices, limits, variables. Whether that is "
    "enough is for 'belay doctor' to say."
    "\vWith --config, the settings that a program would get here: those of its nodes, and of the caches that the file "
    "BELAY_CONFIG_FILE names, or of the cache NAME. With --job, run by mpirun.\n\n"
    "Exit status: 0 all is well, 1 a setting is not valid, 2 wrong usage, 3 Belay, MPI or the system failed.";

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c': arguments->config = true; return 0;
    case 'j': arguments->job = true; return 0;
    case 'n': arguments->cache = text; return 0;
    case ARGP_KEY_ARG: return options_wrong(state, "%s: no argument is expected", text);
    case ARGP_KEY_END:
        if (arguments->config && arguments->job)
            return options_wrong(state, "--config and --job: one at a time");
        if (arguments->cache && !arguments->config && !arguments->job)
            return options_wrong(state, "--cache=%s: needs --config or --job", arguments->cache);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int command_info(int argc, char **argv)
{
    const struct argp table = {option_table, parse_option, NULL, doc, NULL, NULL, NULL};
    struct arguments arguments = {0};
    switch (options_parse(&table, argc, argv, &arguments)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    if (arguments.job)
        return info_print_job(arguments.cache);
    if (launcher_rank() > 0) /* one host's answer is enough */
        return EXIT_INTACT;
    if (arguments.config)
        return info_print_config(arguments.cache);
    info_print_host();
    return EXIT_INTACT;
}
