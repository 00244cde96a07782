/* SPDX-License-Identifier: BSD-3-Clause */
/* Servers that hold caches for other jobs, until they are told to stop. */
#include "base/log.h"
#include "cache/registry.h"
#include "cluster/join_talk.h"
#include "cluster/node.h"
#include "cluster/settings_file.h"
#include "tool/attach.h"
#include "tool/command.h"
#include "tool/message.h"
#include "tool/options.h"
#include "tool/serve_board.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 100, GRACE_DEFAULT = 10, GRACE_MOST = 86400, ROOM_DEFAULT = 64, ROOM_MOST = 1024 };

struct arguments {
    const char *address_file;
    const char *caches[BELAY_CACHES_MAX];
    unsigned cache_count, grace, room;
    bool join;
};

static const struct argp_option option_table[] = {
    {"cache", 'n', "NAME", 0, "Open this cache from the beginning, with the settings of file and variables",
     0},
    {"grace", 'g', "SECONDS", 0, "When told to stop, wait so long for attached processes to leave (10)", 0},
    {"room", 'r', "N", 0, "How many processes can attach in all (64)", 0},
    {"join", 'J', NULL, 0, "Be one more server of the service that wrote FILE, in place of one that died", 0},
    {0},
};

static const char doc[] =
    "Hold caches for programs of other jobs, which attach by belay_join() with the address file, and outlive each of "
    "them."
    "\vRun by mpirun with as many processes as there shall be servers, or as one process without. FILE is the address "
    "file to write (BELAY_ADDRESS_FILE without): programs that may read it can attach. Caches are those that the "
    "configuration file (BELAY_CONFIG_FILE) and --cache name, and any other that a program that has attached opens.\n\n"
    "SIGTERM or SIGINT to any of the servers, or to mpirun, ends all of them: the address file is removed, processes that are still "
    "attached have some time to leave. A second signal ends it at once.\n\n"
    "Exit status: 0 stopped in good order, 1 processes were still attached, or this server was left out, 2 wrong usage, 3 Belay, MPI "
    "or the system failed.";

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'n':
        if (strlen(text) < 1 || strlen(text) > BELAY_CACHE_NAME_MAX)
            return options_wrong(state, "--cache=%s: a name has 1 to %u characters", text,
                                 BELAY_CACHE_NAME_MAX);
        if (arguments->cache_count == BELAY_CACHES_MAX)
            return options_wrong(state, "--cache=%s: there can be %u caches", text, BELAY_CACHES_MAX);
        arguments->caches[arguments->cache_count++] = text;
        return 0;
    case 'g': return options_number(state, "--grace", text, 0, GRACE_MOST, &arguments->grace);
    case 'r': return options_number(state, "--room", text, 1, ROOM_MOST, &arguments->room);
    case 'J': arguments->join = true; return 0;
    case ARGP_KEY_ARG: return attach_argument(state, text, &arguments->address_file);
    case ARGP_KEY_END: return attach_argument_end(state, &arguments->address_file);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Opening ---- */

static int open_job(const struct arguments *arguments, const belay_config *config, belay_node **node)
{
    int level, rank = 0, used = 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS) {
        message("MPI cannot be initialised");
        return EXIT_BROKEN;
    }
    if (rank == 0 && access(arguments->address_file, F_OK) == 0) {
        struct ask_question question = {.kind = OBSERVE_JOB};
        used = ask_answers(arguments->address_file, &question);
    }
    int status = EXIT_BROKEN;
    if (MPI_Bcast(&used, 1, MPI_INT, 0, MPI_COMM_WORLD) == MPI_SUCCESS && used) {
        message_error("%s: a running job wrote it, or it is something else: choose another file",
                      arguments->address_file);
        status = EXIT_USAGE;
    } else if (belay_open(MPI_COMM_WORLD, config, node) == BELAY_OK) {
        status = EXIT_INTACT;
    }
    MPI_Finalize(); /* while all ranks are there: it would wait for one that is lost */
    return status;
}

static int open_node(const struct arguments *arguments, belay_node **node)
{
    const belay_config config = {.role = BELAY_ROLE_SERVER,
                                 .address_file = arguments->address_file,
                                 .join_room = arguments->join ? 0 : arguments->room};
    if (arguments->join)
        return belay_join(arguments->address_file, &config, node) == BELAY_OK ? EXIT_INTACT : EXIT_BROKEN;
    return open_job(arguments, &config, node);
}

static int open_named(belay_node *node, const char *name)
{
    const belay_cache_config config = {.name = name};
    belay_cache *cache;
    return belay_cache_open(node, &config, &cache);
}

static int open_caches(const struct arguments *arguments, belay_node *node, struct serve_board *board)
{
    int result = serve_board_open(board, node);
    if (arguments->join) /* it has them */
        return result;
    for (size_t i = 0; result == BELAY_OK && i < settings_file_cache_count(node->config_file); ++i)
        result = open_named(node, settings_file_cache_name(node->config_file, i));
    for (unsigned i = 0; result == BELAY_OK && i < arguments->cache_count; ++i)
        result = open_named(node, arguments->caches[i]);
    return result;
}

/* ---- Serving ---- */

/* A program that attached wants a cache that nobody has opened: all servers open it, as it wants it. */
static void open_wanted(belay_node *node, struct serve_board *board)
{
    struct cache_settings wanted;
    if (coordinator_wanted(node, &wanted))
        serve_board_add(board, &wanted);
    while (serve_board_next(board, &wanted)) {
        const belay_cache_config config = {
            .name = wanted.name,
            .cache_mode = (belay_cache_mode)wanted.cache_mode,
            .backups = wanted.backups,
            .write_synchronization_mode = (belay_sync)wanted.write_synchronization_mode,
            .atomicity_mode = (belay_atomicity)wanted.atomicity_mode,
            .partition_loss_policy = (belay_loss_policy)wanted.partition_loss_policy,
            .partitions = wanted.partitions,
        };
        belay_cache *cache;
        if (belay_cache_open(node, &config, &cache) == BELAY_OK)
            log_info("cache %s was opened for a process that attached", wanted.name);
    }
}

static void serve(belay_node *node, struct serve_board *board, const sigset_t *ends)
{
    static const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    while (!serve_board_stopped(board)) {
        open_wanted(node, board);
        if (sigtimedwait(ends, NULL, &look) > 0)
            serve_board_stop(board);
        if (node_excluded(node))
            return;
    }
}

/* ---- Stopping ---- */

/* Unless another job has written its own meanwhile. */
static void remove_file(const belay_node *node)
{
    struct join_address address;
    const char *path = node->settings.address_file;
    if (access(path, R_OK) == 0 && join_read_file(path, &address) == BELAY_OK &&
        memcmp(address.secret, node->secret, sizeof address.secret) == 0)
        unlink(path);
}

struct end {
    sigset_t signals;
    unsigned grace;
};

static void *end_at_last(void *context)
{
    const struct end *end = context;
    const struct timespec grace = {.tv_sec = end->grace};
    sigtimedwait(&end->signals, NULL, &grace);
    message("processes are attached still: they lose the caches");
    _exit(EXIT_DIFFERS);
}

static int stop(belay_node *node, struct end *end)
{
    pthread_t watcher;
    bool excluded = node_excluded(node);
    int error = pthread_create(&watcher, NULL, end_at_last, end);
    if (error) {
        message("cannot start a thread: %s", strerror(error));
        return EXIT_BROKEN;
    }
    int result = belay_close(node);
    pthread_cancel(watcher);
    pthread_join(watcher, NULL);
    return excluded ? EXIT_DIFFERS : result == BELAY_OK ? EXIT_INTACT : EXIT_BROKEN;
}

static int run(const struct arguments *arguments)
{
    struct end end = {.grace = arguments->grace};
    struct serve_board board = {0};
    belay_node *node = NULL;
    sigemptyset(&end.signals);
    sigaddset(&end.signals, SIGTERM);
    sigaddset(&end.signals, SIGINT);
    sigprocmask(SIG_BLOCK, &end.signals, NULL); /* in all threads to come */
    int status = open_node(arguments, &node);
    if (status != EXIT_INTACT)
        return status;
    status = open_caches(arguments, node, &board) == BELAY_OK ? EXIT_INTACT : EXIT_BROKEN;
    if (status == EXIT_INTACT) {
        if (belay_node_id(node) == 0 || arguments->join)
            message("serving with %d nodes; address file: %s", belay_node_count(node),
                    node->settings.address_file);
        serve(node, &board, &end.signals);
    }
    remove_file(node);
    int stopped = stop(node, &end);
    return status != EXIT_INTACT ? status : stopped;
}

int command_serve(int argc, char **argv)
{
    const struct argp table = {option_table, parse_option, "[FILE]", doc, NULL, NULL, NULL};
    struct arguments arguments = {.grace = GRACE_DEFAULT, .room = ROOM_DEFAULT};
    switch (options_parse(&table, argc, argv, &arguments)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    return run(&arguments);
}
