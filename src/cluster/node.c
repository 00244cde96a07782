/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/node.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/dispatch.h"

#include <stdlib.h>
#include <string.h>

int node_create(const struct node_settings *settings, belay_node **out)
{
    belay_node *node = calloc(1, sizeof *node);
    if (!node)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the node");
    node->settings = *settings;
    node->progress_cpu = -1;
    node->self_last = &node->self_first;
    events_init(&node->event_queue);
    int result = calls_create(&node->calls);
    if (result != BELAY_OK) {
        free(node);
        return log_error(result, "no memory for the table of calls");
    }
    *out = node;
    return BELAY_OK;
}

void node_destroy(belay_node *node)
{
    calls_destroy(&node->calls);
    dispatch_destroy(node);
    liveness_destroy(node);
    settlement_destroy(node);
    events_free(&node->event_queue);
    settings_file_free(node->config_file);
    view_free(node->view);
    free(node->introductions);
    free(node->addresses);
    free(node->close_wanted);
    free(node->close_calls);
    free(node);
}

void node_handle(belay_node *node, enum message_type type, message_handler handler)
{
    node->handlers[type] = handler;
}

void node_add_progress_hook(belay_node *node, progress_hook hook)
{
    node->progress_hooks[node->progress_hook_count++] = hook;
}

void node_add_lost_hook(belay_node *node, lost_hook hook)
{
    node->lost_hooks[node->lost_hook_count++] = hook;
}

void node_add_view_hook(belay_node *node, view_hook hook)
{
    node->view_hooks[node->view_hook_count++] = hook;
}

int node_refuse(const belay_node *node)
{
    return log_quiet(BELAY_ERR_EXCLUDED,
                     "node %d has been left out of the job: close it; a new process may take its place",
                     node->id);
}

uint64_t node_deadline(const belay_node *node)
{
    return clock_deadline(node->settings.operation_timeout_ms);
}
