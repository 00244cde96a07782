/* SPDX-License-Identifier: BSD-3-Clause */
#include "api/check.h"
#include "base/clock.h"
#include "cache/async.h"
#include "cache/cache.h"
#include "cluster/assemble.h"
#include "cluster/bootstrap.h"
#include "cluster/join.h"

#include <stdlib.h>

int belay_open(MPI_Comm communicator, const belay_config *config, belay_node **node)
{
    belay_node *opened;
    int result = check_output("belay_open", node, "node");
    if (result != BELAY_OK)
        return result;
    result = bootstrap_node(communicator, config, &opened, registry_create);
    if (result != BELAY_OK)
        return result;
    node_register_leave(opened);
    if (opened->settings.progress == BELAY_PROGRESS_THREAD)
        result = node_start_thread(opened);
    if (result == BELAY_OK)
        result = join_start(opened);
    if (result != BELAY_OK) {
        assemble_destroy(opened);
        return result;
    }
    *node = opened;
    return BELAY_OK;
}

int belay_join(const char *address_file, const belay_config *config, belay_node **node)
{
    belay_node *joined;
    void *bytes;
    size_t length;
    int result = check_output("belay_join", node, "node");
    if (result == BELAY_OK)
        result = check_output("belay_join", address_file, "address_file");
    if (result == BELAY_OK)
        result = join_node(address_file, config, registry_create, &joined, &bytes, &length);
    if (result != BELAY_OK)
        return result;
    node_register_leave(joined);
    result = registry_adopt(joined, bytes, length);
    free(bytes);
    if (result == BELAY_OK && joined->settings.progress == BELAY_PROGRESS_THREAD)
        result = node_start_thread(joined);
    if (result != BELAY_OK) {
        assemble_destroy(joined);
        return result;
    }
    *node = joined;
    return BELAY_OK;
}

/* A client that joined is needed by nobody. */
static bool leaves_alone(const belay_node *node)
{
    return node->joined && !node_is_server(node);
}

int belay_close(belay_node *node)
{
    int result = check_outside("belay_close");
    if (!node || result != BELAY_OK)
        return result;
    result = async_flush(node, node_deadline(node));
    atomic_store(&node->closing, true);
    int left = leaves_alone(node) ? join_leave(node) : node_leave(node);
    join_stop(node);
    node_stop_thread(node);
    node_drain(node);
    assemble_destroy(node);
    return result != BELAY_OK ? result : left;
}

int belay_progress(belay_node *node)
{
    int result = check_output("belay_progress", node, "node");
    return result == BELAY_OK ? node_progress(node) : result;
}

int belay_node_id(const belay_node *node)
{
    return node ? node->id : BELAY_ERR_INVALID;
}

int belay_node_count(const belay_node *node)
{
    return node ? view_live_count(node->view) : BELAY_ERR_INVALID;
}

int belay_flush(belay_node *node)
{
    int result = check_output("belay_flush", node, "node");
    if (result != BELAY_OK)
        return result;
    result = async_flush(node, node_deadline(node));
    return node_excluded(node) ? node_refuse(node) : result; /* also where nothing was left to flush */
}
