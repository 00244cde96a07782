/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage.h"

#include "tool/command.h"
#include "tool/message.h"
#include "tool/options.h"
#include "tool/stage_walk.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

const struct stage_mode stage_modes[STAGE_MODES] = {
    {BELAY_FULL_SYNC, "FULL_SYNC", "stage-full-sync"},
    {BELAY_PRIMARY_SYNC, "PRIMARY_SYNC", "stage-primary-sync"},
    {BELAY_FULL_ASYNC, "FULL_ASYNC", "stage-full-async"},
};

enum { ALL_MODES = (1 << STAGE_MODES) - 1, JOBS_MOST = 256, KIB = 1024 };

/* ---- Arguments ---- */

struct arguments {
    struct stage_options options;
    const char *directory, *json;
};

enum { OPTION_JSON = 0x200, OPTION_PROGRESS, OPTION_KILL };

static const struct argp_option option_table[] = {
    {"mode", 'm', "MODE", 0,
     "FULL_SYNC, PRIMARY_SYNC, FULL_ASYNC, or all: one pass over the tree for each (all)", 0},
    {"backups", 'b', "N", 0, "Backup copies of every file (1)", 0},
    {"limit", 'l', "SIZE", 0, "Leave out files that would make it more than this in all", 0},
    {"part-size", 'p', "SIZE", 0, "Stage larger files in parts of this size (1G, the longest value)", 0},
    {"jobs", 'j', "N", 0, "Threads per rank that read and check files (1)", 0},
    {"keep-going", 'k', NULL, 0, "Go on with the next mode when one was not good", 0},
    {"json", OPTION_JSON, "FILE", 0,
     "Write the table as JSON too; -: to standard output instead of the table", 0},
    {"progress", OPTION_PROGRESS, "HOW", 0,
     "bar, lines, none, or auto: a bar on a terminal, else lines (auto)", 0},
    {"kill", OPTION_KILL, "RANK@PERCENT", 0,
     "To show what happens then: this rank kills itself when about so much of the first pass's files are taken",
     0},
    {"quiet", 'q', NULL, 0, "No progress, no table: only what is wrong", 0},
    {0},
};

static const char doc[] =
    "Stage the regular files of a directory tree into a cache, read each back at another rank, compare it with the "
    "disk, and compare all copies in the cache. Tells how fast that was in each write synchronization mode."
    "\vRun by mpirun; DIR must be the same tree on every rank. The first rank walks it.\n\n"
    "Exit status: 0 all files are intact and all copies identical, 1 some are lost or differ, 2 wrong usage, 3 Belay, "
    "MPI or the system failed. Files that cannot be read, or change meanwhile, are reported and are no failure.\n\n"
    "When ranks are lost on the way, those that are left finish the job and tell of it; their exit statuses "
    "mean what they always do. Start such a job by belay-run --may-lose N, or give mpirun --mca orte_enable_recovery 1, "
    "whose own status then says nothing.\n\n"
    "Sizes may have a suffix K, M, G or T. A cache needs memory for 1 + backups times the tree; each rank's share is "
    "chosen by the size of the tree unless BELAY_ARENA_SIZE is set.";

static error_t parse_mode(struct argp_state *state, const char *text, unsigned *modes)
{
    if (strcasecmp(text, "all") == 0) {
        *modes = ALL_MODES;
        return 0;
    }
    for (unsigned i = 0; i < STAGE_MODES; ++i) {
        if (strcasecmp(text, stage_modes[i].name) == 0) {
            *modes = 1u << i;
            return 0;
        }
    }
    return options_wrong(state, "--mode=%s: not FULL_SYNC, PRIMARY_SYNC, FULL_ASYNC or all", text);
}

static error_t parse_style(struct argp_state *state, const char *text, int *style)
{
    static const char *const names[] = {"none", "lines", "bar"};
    for (int i = PROGRESS_NONE; i <= PROGRESS_BAR; ++i) {
        if (strcmp(text, names[i]) == 0) {
            *style = i;
            return 0;
        }
    }
    if (strcmp(text, "auto") != 0)
        return options_wrong(state, "--progress=%s: not bar, lines, none or auto", text);
    *style = (int)progress_choose();
    return 0;
}

static error_t parse_kill(struct argp_state *state, const char *text, struct stage_options *options)
{
    char end;
    if (!isdigit((unsigned char)text[0]) ||
        sscanf(text, "%5u@%3u%c", &options->kill_rank, &options->kill_percent, &end) != 2 ||
        options->kill_percent > 100)
        return options_wrong(state, "--kill=%s: not a rank and a percentage, such as 2@50", text);
    options->kill = true;
    return 0;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct stage_options *options = &arguments->options;
    switch (key) {
    case 'm': return parse_mode(state, text, &options->modes);
    case 'b': return options_number(state, "--backups", text, 0, BELAY_BACKUPS_MAX, &options->backups);
    case 'l': return options_size(state, "--limit", text, 0, UINT64_MAX, &options->limit);
    case 'p': return options_size(state, "--part-size", text, KIB, BELAY_VALUE_MAX, &options->piece_size);
    case 'j': return options_number(state, "--jobs", text, 1, JOBS_MOST, &options->jobs);
    case 'k': options->keep_going = true; return 0;
    case OPTION_JSON: arguments->json = text; return 0;
    case OPTION_PROGRESS: return parse_style(state, text, &options->style);
    case OPTION_KILL: return parse_kill(state, text, options);
    case 'q': options->quiet = true; return 0;
    case ARGP_KEY_ARG:
        if (arguments->directory)
            return options_wrong(state, "%s: one directory is enough", text);
        arguments->directory = text;
        return 0;
    case ARGP_KEY_END: return arguments->directory ? 0 : options_wrong(state, "no directory was named");
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- While there is MPI ---- */

static int mpi_begin(struct stage *stage)
{
    int level, rank, ranks;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS ||
        MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS ||
        MPI_Comm_size(MPI_COMM_WORLD, &ranks) != MPI_SUCCESS ||
        MPI_Bcast(&stage->options, sizeof stage->options, MPI_BYTE, 0, MPI_COMM_WORLD) != MPI_SUCCESS) {
        message("MPI cannot be initialised");
        return EXIT_BROKEN;
    }
    stage->rank = (unsigned)rank;
    stage->ranks = (unsigned)ranks;
    message_begin("belay stage", ranks > 1 ? rank : -1);
    message_over_bar(stage->options.style == PROGRESS_BAR);
    return EXIT_INTACT;
}

/* The worst exit status of all ranks. Sleeps while it waits: MPI's own waiting would take the processor from the rank
 * that walks the tree. */
static int worst_of_all(int status)
{
    static const struct timespec nap = {.tv_nsec = 1000000};
    int worst = EXIT_BROKEN, done = 0;
    MPI_Request request;
    if (MPI_Iallreduce(&status, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD, &request) != MPI_SUCCESS)
        return EXIT_BROKEN;
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
        nanosleep(&nap, NULL);
    return done ? worst : EXIT_BROKEN;
}

/* The first rank: what only it needs, before the long work begins. */
static int prepare_first(struct stage *stage)
{
    FILE *json = NULL;
    if (stage->json_name && strcmp(stage->json_name, "-") != 0 && !(json = fopen(stage->json_name, "w"))) {
        message("%s: %s", stage->json_name, strerror(errno));
        return EXIT_USAGE;
    }
    if (json)
        fclose(json);
    if (stage->options.kill && stage->options.kill_rank >= stage->ranks) {
        message("--kill: there is no rank %u of %u", stage->options.kill_rank, stage->ranks);
        return EXIT_USAGE;
    }
    switch (stage_walk(stage->directory_name, stage->options.limit, &stage->tree)) {
    case BELAY_OK: return EXIT_INTACT;
    case BELAY_ERR_INVALID: return EXIT_USAGE;
    default: return EXIT_BROKEN;
    }
}

static int prepare(struct stage *stage)
{
    int status = stage->rank == 0 ? prepare_first(stage) : EXIT_INTACT;
    status = worst_of_all(status);
    if (status != EXIT_INTACT)
        return status;
    stage->directory = open(stage->directory_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stage->directory < 0) {
        message("%s: %s", stage->directory_name, strerror(errno));
        status = EXIT_USAGE;
    }
    status = worst_of_all(status);
    if (status != EXIT_INTACT)
        return status;
    int result = tree_share(&stage->tree, MPI_COMM_WORLD);
    if (result == BELAY_OK)
        result = tree_cut(&stage->tree, stage->options.piece_size);
    if (result != BELAY_OK)
        message("cannot share the list of files: %s", belay_strerror(result));
    return worst_of_all(result == BELAY_OK ? EXIT_INTACT : EXIT_BROKEN);
}

static int open_node(struct stage *stage, belay_node **node)
{
    stage->arena_size = stage_arena_size(stage);
    const belay_config config = {.arena_size = stage->arena_size};
    int result = belay_open(MPI_COMM_WORLD, &config, node);
    if (result != BELAY_OK && stage->rank == 0)
        message("cannot open the node: %s", belay_last_error());
    return result == BELAY_OK ? EXIT_INTACT : EXIT_BROKEN;
}

/* ---- After MPI ---- */

static void watch(const struct crew_done *sum, void *context)
{
    progress_show(context, sum->files, sum->bytes);
}

static int write_json(const struct stage *stage)
{
    bool to_stdout = strcmp(stage->json_name, "-") == 0;
    FILE *json = to_stdout ? stdout : fopen(stage->json_name, "w");
    if (!json) {
        message("%s: %s", stage->json_name, strerror(errno));
        return EXIT_BROKEN;
    }
    bool written = stage_write_json(json, stage);
    if (!to_stdout && fclose(json) != 0)
        written = false;
    return written ? EXIT_INTACT : EXIT_BROKEN;
}

static int report(const struct stage *stage)
{
    bool table = !stage->json_name || strcmp(stage->json_name, "-") != 0;
    if (table && !stage->options.quiet) {
        stage_print_table(stdout, stage);
        fflush(stdout);
    }
    return stage->json_name ? write_json(stage) : EXIT_INTACT;
}

static int report_for_all(void *status, void *context)
{
    *(int *)status = report(context);
    return BELAY_OK;
}

static bool all_good(const struct stage *stage)
{
    for (unsigned i = 0; i < stage->passes; ++i)
        if (!stage_outcome_good(&stage->outcomes[i]))
            return false;
    return true;
}

/* A pass in each mode, until one is not good. @return BELAY_OK or why the job cannot go on. */
static int run_passes(struct stage *stage, belay_node *node)
{
    for (unsigned m = 0; m < STAGE_MODES; ++m) {
        if (!(stage->options.modes >> m & 1))
            continue;
        bool last = stage->options.modes >> (m + 1) == 0;
        int result = stage_pass(stage, node, &stage_modes[m], last);
        if (result != BELAY_OK)
            return result;
        if (!all_good(stage) && !stage->options.keep_going)
            break;
    }
    return BELAY_OK;
}

static int run_and_report(struct stage *stage, belay_node *node)
{
    int status = EXIT_INTACT;
    int result = run_passes(stage, node);
    progress_erase(stage->progress);
    if (result == BELAY_OK)
        result = crew_let_first(stage->crew, (struct notice){"report", 0, 0}, report_for_all, stage, &status,
                                sizeof status);
    else if (stage->passes > 0 && losses_is_first(&stage->losses))
        report(stage);
    if (result != BELAY_OK)
        return crew_fail(stage->crew, result), EXIT_BROKEN;
    return status != EXIT_INTACT ? status : all_good(stage) ? EXIT_INTACT : EXIT_DIFFERS;
}

static int work(struct stage *stage, belay_node *node)
{
    if (!stage->options.quiet)
        stage->progress = progress_open((enum progress_style)stage->options.style);
    int status = EXIT_BROKEN;
    losses_watch(&stage->losses, node, stage->ranks);
    int result = board_open(&stage->board, node, stage->options.backups);
    if (result != BELAY_OK)
        goto close_progress;
    result = crew_open(&stage->board, &stage->losses, stage->progress ? watch : NULL, stage->progress,
                       &stage->crew);
    if (result != BELAY_OK)
        goto close_board;
    status = run_and_report(stage, node);
    crew_close(stage->crew);
close_board:
    board_close(&stage->board);
close_progress:
    losses_ignore(&stage->losses);
    progress_close(stage->progress);
    return status;
}

static int run_job(struct stage *stage)
{
    belay_node *node = NULL;
    int status = mpi_begin(stage);
    if (status == EXIT_INTACT)
        status = prepare(stage);
    if (status == EXIT_INTACT)
        status = open_node(stage, &node);
    MPI_Finalize(); /* while all ranks are there: it would wait for one that is lost */
    if (status == EXIT_INTACT) {
        status = work(stage, node);
        if (belay_close(node) != BELAY_OK && status == EXIT_INTACT)
            status = EXIT_BROKEN;
    }
    if (stage->directory >= 0)
        close(stage->directory);
    tree_free(&stage->tree);
    return status;
}

int command_stage(int argc, char **argv)
{
    const struct argp table = {option_table, parse_option, "DIR", doc, NULL, NULL, NULL};
    struct arguments arguments = {
        .options = {.limit = UINT64_MAX,
                    .piece_size = BELAY_VALUE_MAX,
                    .backups = 1,
                    .jobs = 1,
                    .modes = ALL_MODES,
                    .style = (int)progress_choose()},
    };
    switch (options_parse(&table, argc, argv, &arguments)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    struct stage *stage = calloc(1, sizeof *stage);
    if (!stage) {
        message("out of memory");
        return EXIT_BROKEN;
    }
    stage->options = arguments.options;
    stage->directory_name = arguments.directory;
    stage->json_name = arguments.json;
    stage->directory = -1;
    int status = run_job(stage);
    free(stage);
    return status;
}
