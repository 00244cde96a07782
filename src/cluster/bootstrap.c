/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file bootstrap.c
 * Every step is: do it locally, then agree on the outcome, so that either all processes have a node or none has, and nobody
 * waits in MPI for one that has given up.
 */
#include "cluster/bootstrap.h"

#include "base/log.h"
#include "cluster/assemble.h"
#include "cluster/join.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct bootstrap {
    MPI_Comm communicator;
    int rank, size;
    settings_file *file;
    struct assembly assembly;
    struct join_listener listener;
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

/* Ids beyond the job's processes are for those that join later. */
static int capacity_for(const struct bootstrap *b, const struct node_settings *settings)
{
    int room = settings->join_room         ? (int)settings->join_room
               : settings->address_file[0] ? JOIN_ROOM_DEFAULT
                                           : 0;
    int capacity = b->size + room;
    return capacity < (int)BELAY_NODES_MAX ? capacity : (int)BELAY_NODES_MAX;
}

static int introduce(struct bootstrap *b, const struct node_settings *settings)
{
    struct introduction mine;
    struct assembly *a = &b->assembly;
    a->id = b->rank;
    a->members = b->size;
    a->capacity = capacity_for(b, settings);
    int result = assemble_introduction(settings, &mine);
    if (result == BELAY_OK && settings->address_file[0] && settings->role != BELAY_ROLE_CLIENT)
        result = join_listen(&b->listener, &mine);
    a->all = calloc((size_t)a->capacity, sizeof *a->all);
    if (!a->all)
        result = log_error(BELAY_ERR_NO_MEMORY, "no memory for %d introductions", a->capacity);
    result = agree(b, result);
    if (result != BELAY_OK)
        return result;
    int error = MPI_Allgather(&mine, sizeof mine, MPI_BYTE, a->all, sizeof mine, MPI_BYTE, b->communicator);
    return error == MPI_SUCCESS ? BELAY_OK : mpi_failed("MPI_Allgather", error);
}

/* Every process compares all settings with the first one's, so every process names the same field. */
static int compare_settings(const struct bootstrap *b)
{
    for (int i = 0; i < b->size; ++i) {
        struct settings_difference difference;
        int result = settings_check_node(&b->assembly.all[i].settings);
        if (result != BELAY_OK)
            return result;
        if (settings_compare_node(&b->assembly.all[0].settings, &b->assembly.all[i].settings, &difference) !=
            BELAY_OK)
            return log_error(BELAY_ERR_MISMATCH, "belay_open: %s differs: node 0 has %s, node %d has %s",
                             difference.field, difference.left, i, difference.right);
    }
    for (int i = 0; i < b->size; ++i)
        if (b->assembly.all[i].settings.role == BELAY_ROLE_SERVER)
            return BELAY_OK;
    return log_error(BELAY_ERR_CONFIG, "belay_open: none of the %d nodes is a server: at least one must be",
                     b->size);
}

static int share_secret(struct bootstrap *b)
{
    int result = BELAY_OK;
    if (b->rank == 0 &&
        getrandom(b->assembly.secret, sizeof b->assembly.secret, 0) != sizeof b->assembly.secret)
        result = log_error(BELAY_ERR_SYSTEM, "getrandom gave no secret for the job");
    result = agree(b, result);
    if (result != BELAY_OK)
        return result;
    int error = MPI_Bcast(b->assembly.secret, sizeof b->assembly.secret, MPI_BYTE, 0, b->communicator);
    return error == MPI_SUCCESS ? BELAY_OK : mpi_failed("MPI_Bcast", error);
}

static int add_peers(struct bootstrap *b, const struct fabric_address *addresses)
{
    memcpy(b->assembly.node->addresses, addresses, (size_t)b->size * sizeof *addresses);
    for (int i = 0; i < b->size; ++i) {
        if (i == b->rank)
            continue;
        int result = fabric_add_peer(b->assembly.node->fabric, i, &addresses[i]);
        if (result != BELAY_OK)
            return result;
    }
    /* A star from the coordinator: it notices the death of nodes that nobody else talks to. */
    return b->rank == 0 ? BELAY_OK : fabric_connect(b->assembly.node->fabric, 0);
}

static int exchange_addresses(struct bootstrap *b)
{
    struct fabric_address mine;
    struct fabric_address *all = malloc((size_t)b->size * sizeof *all);
    int result = agree(b, all ? BELAY_OK
                              : log_error(BELAY_ERR_NO_MEMORY, "no memory for %d addresses", b->size));
    if (result != BELAY_OK || !all)
        goto free_addresses;
    fabric_local_address(b->assembly.node->fabric, &mine);
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
    if ((result = share_secret(b)) != BELAY_OK)
        return result;
    if ((result = agree(b, assemble_node(&b->assembly, &settings))) != BELAY_OK)
        return result;
    result = exchange_addresses(b);
    if (result == BELAY_OK)
        liveness_opened(b->assembly.node);
    if (result != BELAY_OK || !settings.address_file[0])
        return result;
    if (b->rank == 0)
        result = join_write_file(b->assembly.node);
    return agree(b, result);
}

int bootstrap_node(MPI_Comm communicator, const belay_config *config, belay_node **node,
                   int (*prepare)(belay_node *node))
{
    struct bootstrap b = {.assembly.prepare = prepare, .listener.socket = -1};
    int result = duplicate_communicator(&b, communicator);
    if (result != BELAY_OK)
        return result;
    result = run_steps(&b, config);
    MPI_Comm_free(&b.communicator);
    if (result != BELAY_OK) {
        join_close(&b.listener);
        settings_file_free(b.file);
        if (b.assembly.node)
            assemble_destroy(b.assembly.node);
        else
            free(b.assembly.all);
        return result;
    }
    b.assembly.node->config_file = b.file;
    b.assembly.node->listener = b.listener;
    *node = b.assembly.node;
    return BELAY_OK;
}
