/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file bootstrap.c
 * Every step is: do it locally, then agree on the outcome, so that either all processes have a node or none has, and nobody
 * waits in MPI for one that has given up.
 */
#include "cluster/bootstrap.h"

#include "base/fault.h"
#include "base/log.h"
#include "cluster/dispatch.h"
#include "cluster/liveness.h"
#include "cluster/membership.h"
#include "cluster/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { ARENA_DEFAULT_PINNED_MAX = 1 << 30 };

/* What each process tells all others first. */
struct introduction {
    struct node_settings settings;
    struct process process;
    unsigned char host[FABRIC_HOST_SIZE];
};

struct bootstrap {
    MPI_Comm communicator;
    int rank, size;
    struct introduction *all; /* by rank */
    settings_file *file;
    int nodes_on_host, index_on_host, hosts;
    unsigned char secret[FABRIC_SECRET_SIZE];
    belay_node *node;
    int (*prepare)(belay_node *node);
};

static int mpi_failed(const char *call, int error)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(error, text, &length);
    return log_error(BELAY_ERR_MPI, "%s failed in belay_open: %s", call, text);
}

/* All processes learn the result of the first process (by rank) that failed. */
static int agree(struct bootstrap *b, int result)
{
    struct {
        int rank, result;
    } mine = {result == BELAY_OK ? b->size : b->rank, result};
    int first;
    int error = MPI_Allreduce(&mine.rank, &first, 1, MPI_INT, MPI_MIN, b->communicator);
    if (error != MPI_SUCCESS)
        return mpi_failed("MPI_Allreduce", error);
    if (first == b->size)
        return BELAY_OK;
    int agreed = result;
    error = MPI_Bcast(&agreed, 1, MPI_INT, first, b->communicator);
    if (error != MPI_SUCCESS)
        return mpi_failed("MPI_Bcast", error);
    if (result == BELAY_OK)
        log_quiet(agreed, "belay_open failed on node %d: %s", first, belay_strerror(agreed));
    return agreed;
}

static int duplicate_communicator(struct bootstrap *b, MPI_Comm communicator)
{
    int initialized = 0, finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (!initialized || finalized)
        return log_error(BELAY_ERR_MPI,
                         "belay_open needs MPI: call MPI_Init first, and open before MPI_Finalize");
    if (communicator == MPI_COMM_NULL)
        return log_error(BELAY_ERR_INVALID, "belay_open: the communicator is MPI_COMM_NULL");
    int error = MPI_Comm_dup(communicator, &b->communicator);
    if (error != MPI_SUCCESS)
        return mpi_failed("MPI_Comm_dup", error);
    MPI_Comm_set_errhandler(b->communicator, MPI_ERRORS_RETURN);
    MPI_Comm_rank(b->communicator, &b->rank);
    MPI_Comm_size(b->communicator, &b->size);
    return BELAY_OK;
}

static int check_size(const struct bootstrap *b)
{
    if (b->size > (int)BELAY_NODES_MAX)
        return log_error(BELAY_ERR_NOT_SUPPORTED, "%d processes: at most %u can share a cache", b->size,
                         BELAY_NODES_MAX);
    return BELAY_OK;
}

static int introduce(struct bootstrap *b, const struct node_settings *settings)
{
    struct introduction mine = {.settings = *settings};
    int result = fabric_host_identity(mine.host);
    if (result == BELAY_OK)
        result = process_self(&mine.process);
    b->all = calloc((size_t)b->size, sizeof *b->all);
    if (!b->all)
        result = log_error(BELAY_ERR_NO_MEMORY, "no memory for %d introductions", b->size);
    result = agree(b, result);
    if (result != BELAY_OK)
        return result;
    int error = MPI_Allgather(&mine, sizeof mine, MPI_BYTE, b->all, sizeof mine, MPI_BYTE, b->communicator);
    return error == MPI_SUCCESS ? BELAY_OK : mpi_failed("MPI_Allgather", error);
}

/* Every process compares all settings with the first one's, so every process names the same field. */
static int compare_settings(const struct bootstrap *b)
{
    for (int i = 0; i < b->size; ++i) {
        struct settings_difference difference;
        int result = settings_check_node(&b->all[i].settings);
        if (result != BELAY_OK)
            return result;
        if (settings_compare_node(&b->all[0].settings, &b->all[i].settings, &difference) != BELAY_OK)
            return log_error(BELAY_ERR_MISMATCH, "belay_open: %s differs: node 0 has %s, node %d has %s",
                             difference.field, difference.left, i, difference.right);
    }
    for (int i = 0; i < b->size; ++i)
        if (b->all[i].settings.role == BELAY_ROLE_SERVER)
            return BELAY_OK;
    return log_error(BELAY_ERR_CONFIG, "belay_open: none of the %d nodes is a server: at least one must be",
                     b->size);
}

static bool same_host(const struct bootstrap *b, int i, int j)
{
    return memcmp(b->all[i].host, b->all[j].host, FABRIC_HOST_SIZE) == 0;
}

static void count_hosts(struct bootstrap *b)
{
    for (int i = 0; i < b->size; ++i) {
        int first = 0;
        while (!same_host(b, first, i))
            ++first;
        b->hosts += first == i;
        if (same_host(b, i, b->rank)) {
            b->nodes_on_host++;
            b->index_on_host += i < b->rank;
        }
    }
}

static int share_secret(struct bootstrap *b)
{
    int result = BELAY_OK;
    if (b->rank == 0 && getrandom(b->secret, sizeof b->secret, 0) != sizeof b->secret)
        result = log_error(BELAY_ERR_SYSTEM, "getrandom gave no secret for the job");
    result = agree(b, result);
    if (result != BELAY_OK)
        return result;
    int error = MPI_Bcast(b->secret, sizeof b->secret, MPI_BYTE, 0, b->communicator);
    return error == MPI_SUCCESS ? BELAY_OK : mpi_failed("MPI_Bcast", error);
}

/* ---- The node ---- */

static bool wants_verbs(const struct bootstrap *b, const struct node_settings *settings)
{
    return settings->transport == BELAY_TRANSPORT_VERBS ||
           (settings->transport == BELAY_TRANSPORT_AUTO && b->hosts > 1);
}

static int check_transport(const struct bootstrap *b, const struct node_settings *settings)
{
    if (settings->transport == BELAY_TRANSPORT_SHM && b->hosts > 1)
        return log_error(
            BELAY_ERR_CONFIG,
            "transport is shm, but the nodes are on %d hosts: set BELAY_TRANSPORT=auto to use verbs between them",
            b->hosts);
    return BELAY_OK;
}

/* Half of what the host has available, shared among its nodes. */
static size_t default_arena_size(const struct bootstrap *b, bool pinned)
{
    size_t available = (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    char line[128];
    unsigned long kib;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
            available = (size_t)kib * 1024;
    if (file)
        fclose(file);
    size_t size = available / 2 / (size_t)b->nodes_on_host;
    if (pinned && size > ARENA_DEFAULT_PINNED_MAX)
        size = ARENA_DEFAULT_PINNED_MAX;
    return size;
}

static size_t arena_size_for(const struct bootstrap *b, const struct node_settings *settings, bool pinned)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = settings->arena_size ? (size_t)settings->arena_size : default_arena_size(b, pinned);
    return size / page * page;
}

static int make_view(struct bootstrap *b)
{
    belay_node *node = b->node;
    node->view = view_make(b->size, b->size);
    node->close_wanted = calloc((size_t)b->size, sizeof *node->close_wanted);
    node->close_calls = calloc((size_t)b->size, sizeof *node->close_calls);
    if (!node->view || !node->close_wanted || !node->close_calls)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a view of %d nodes", b->size);
    for (int i = 0; i < b->size; ++i) {
        memcpy(&node->view->members[i].host, b->all[i].host, sizeof node->view->members[i].host);
        view_set_role(node->view, i, b->all[i].settings.role);
        node->view->servers += b->all[i].settings.role == BELAY_ROLE_SERVER;
    }
    return BELAY_OK;
}

static int make_liveness(struct bootstrap *b)
{
    struct process *processes = malloc((size_t)b->size * sizeof *processes);
    bool *manual = malloc((size_t)b->size * sizeof *manual);
    int result = BELAY_OK;
    if (!processes || !manual)
        result = log_error(BELAY_ERR_NO_MEMORY, "no memory to watch %d nodes", b->size);
    for (int i = 0; i < b->size && result == BELAY_OK; ++i) {
        processes[i] = b->all[i].process;
        manual[i] = b->all[i].settings.progress == BELAY_PROGRESS_MANUAL;
    }
    if (result == BELAY_OK)
        result = liveness_create(b->node, processes, manual);
    free(processes);
    free(manual);
    return result;
}

static int make_fabric(struct bootstrap *b)
{
    belay_node *node = b->node;
    const struct node_settings *settings = &node->settings;
    bool verbs = wants_verbs(b, settings);
    struct fabric_options options = {
        .node = b->rank,
        .peers_max = b->size,
        .shm = settings->transport != BELAY_TRANSPORT_VERBS,
        .verbs = verbs,
        .device = settings->device[0] ? settings->device : NULL,
        .region_size = arena_size_for(b, settings, verbs),
        .timeout_ms = settings->operation_timeout_ms,
        .handler = {.message = dispatch_message, .lost = dispatch_lost, .context = node},
    };
    memcpy(options.secret, b->secret, sizeof options.secret);
    node->verbs = verbs;
    int result = fabric_create(&options, &node->fabric);
    if (result != BELAY_OK)
        return result;
    return arena_create(fabric_region(node->fabric), fabric_region_size(node->fabric),
                        (size_t)settings->segment_size, &node->arena);
}

static int make_node(struct bootstrap *b, const struct node_settings *settings)
{
    int result = check_transport(b, settings);
    if (result != BELAY_OK)
        return result;
    result = node_create(settings, &b->node);
    if (result != BELAY_OK)
        return result;
    b->node->id = b->rank;
    FAULT_INIT(b->rank);
    result = make_view(b);
    if (result == BELAY_OK)
        result = make_liveness(b);
    if (result == BELAY_OK)
        result = make_fabric(b);
    membership_register(b->node);
    liveness_register(b->node);
    if (result == BELAY_OK)
        result = b->prepare(b->node);
    return result;
}

static int add_peers(struct bootstrap *b, const struct fabric_address *addresses)
{
    for (int i = 0; i < b->size; ++i) {
        if (i == b->rank)
            continue;
        int result = fabric_add_peer(b->node->fabric, i, &addresses[i]);
        if (result != BELAY_OK)
            return result;
    }
    /* A star from the coordinator: it notices the death of nodes that nobody else talks to. */
    return b->rank == 0 ? BELAY_OK : fabric_connect(b->node->fabric, 0);
}

static int exchange_addresses(struct bootstrap *b)
{
    struct fabric_address mine;
    struct fabric_address *all = malloc((size_t)b->size * sizeof *all);
    int result = agree(b, all ? BELAY_OK
                              : log_error(BELAY_ERR_NO_MEMORY, "no memory for %d addresses", b->size));
    if (result != BELAY_OK)
        goto free_addresses;
    fabric_local_address(b->node->fabric, &mine);
    int error = MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, b->communicator);
    result = error == MPI_SUCCESS ? add_peers(b, all) : mpi_failed("MPI_Allgather", error);
    result = agree(b, result);
free_addresses:
    free(all);
    return result;
}

static int run_steps(struct bootstrap *b, const belay_config *config)
{
    struct node_settings settings;
    log_init(b->rank);
    int result = settings_resolve_node(config, &settings, &b->file);
    if (result == BELAY_OK)
        result = check_size(b);
    if ((result = agree(b, result)) != BELAY_OK)
        return result;
    if ((result = introduce(b, &settings)) != BELAY_OK)
        return result;
    if ((result = agree(b, compare_settings(b))) != BELAY_OK)
        return result;
    count_hosts(b);
    if ((result = share_secret(b)) != BELAY_OK)
        return result;
    if ((result = agree(b, make_node(b, &settings))) != BELAY_OK)
        return result;
    b->node->progress_cpu = placement_choose(settings.progress_core, b->nodes_on_host, b->index_on_host,
                                             settings.device[0] ? settings.device : NULL);
    return exchange_addresses(b);
}

void bootstrap_destroy(belay_node *node)
{
    if (node->release)
        node->release(node);
    if (node->arena)
        arena_destroy(node->arena);
    if (node->fabric)
        fabric_destroy(node->fabric);
    node_destroy(node);
}

int bootstrap_node(MPI_Comm communicator, const belay_config *config, belay_node **node,
                   int (*prepare)(belay_node *node))
{
    struct bootstrap b = {.prepare = prepare};
    int result = duplicate_communicator(&b, communicator);
    if (result != BELAY_OK)
        return result;
    result = run_steps(&b, config);
    MPI_Comm_free(&b.communicator);
    free(b.all);
    if (result != BELAY_OK) {
        settings_file_free(b.file);
        if (b.node)
            bootstrap_destroy(b.node);
        return result;
    }
    b.node->config_file = b.file;
    *node = b.node;
    return BELAY_OK;
}
