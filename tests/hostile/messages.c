/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer says is not believed. Rank 0 hands messages of every type to its handlers, as if rank 1 had sent them: random bytes,
 * and such that nearly make sense (small numbers, lengths that fit). Each must be handled or called malformed, and touch no memory
 * it should not, which is for the sanitizers to see; what the cache holds afterwards is of no account.
 *
 * With "sent", in a job of its own, rank 1 really sends something malformed: rank 0 counts it and cuts rank 1 off.
 */
#include "../failover/board.h"
#include "cluster/node.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = FABRIC_MESSAGE_MAX - sizeof(struct message_header), PEER = 1 };

/* Small numbers of one width, half of them 0: like those that handlers expect, so that some get beyond the first check. */
static void fill_plausibly(struct random_source *random, unsigned char *body, size_t length)
{
    size_t width = (size_t)1 << random_below(random, 4);
    uint64_t bound = random_below(random, 2) ? 4 : 300;
    memset(body, 0, length);
    for (size_t i = 0; i + width <= length; i += width) {
        uint64_t number = random_below(random, 2) ? random_below(random, bound) : 0;
        memcpy(body + i, &number, width);
    }
}

static void fill(struct random_source *random, unsigned char *body, size_t length)
{
    if (random_below(random, 4)) {
        fill_plausibly(random, body, length);
        return;
    }
    for (size_t i = 0; i < length; ++i)
        body[i] = (unsigned char)random_next(random);
}

static size_t choose_length(struct random_source *random)
{
    switch (random_below(random, 4)) {
    case 0: return random_below(random, BODY_MAX);
    case 1: return 8 * random_below(random, 16);
    default: return random_below(random, 128);
    }
}

/* What changes who belongs to the job: members believe each other's well-formed ones, and would end this rank for what it seems to
 * say. So these are of a length that none has. */
static bool is_of_membership(unsigned type)
{
    return type >= MESSAGE_CLOSE && type <= MESSAGE_VIEW_COMMIT;
}

static void handle_one(belay_node *node, struct random_source *random, uint64_t *malformed)
{
    unsigned char body[BODY_MAX];
    size_t length = choose_length(random);
    struct message_header header = {.type = (uint8_t)random_below(random, MESSAGE_TYPES),
                                    .flags = (uint8_t)random_below(random, 4),
                                    .cache = (uint16_t)random_below(random, 3),
                                    .call = (uint32_t)random_below(random, 3),
                                    .status = -(int32_t)random_below(random, 30),
                                    .view = node->view->number + (uint32_t)random_below(random, 2)};
    if (!node->handlers[header.type])
        return;
    if (is_of_membership(header.type))
        length |= 1;
    at("type %u, %zu bytes", header.type, length);
    /* As large as the message and no larger: a read behind its end is seen. */
    unsigned char *exact = malloc(length ? length : 1);
    if (!exact)
        job_abort("no memory");
    fill(random, body, length);
    memcpy(exact, body, length);
    spin_acquire(&node->state_lock);
    *malformed += node->handlers[header.type](node, PEER, &header, exact, length) < 0;
    spin_release(&node->state_lock);
    free(exact);
}

/* Its names are bytes that plausible messages have. */
static int any_function(belay_invocation *in, void *context)
{
    const unsigned char *bytes = in->argument.data;
    (void)context;
    in->result_length = in->argument.length;
    if (in->argument.length <= in->result_capacity)
        memcpy(in->result, in->argument.data, in->argument.length);
    if (in->value_length == BELAY_NO_VALUE)
        in->value_length = 0;
    return in->argument.length ? bytes[0] : BELAY_ACTION_SET;
}

static void register_functions(belay_node *node)
{
    char name[2] = "";
    for (name[0] = 1; name[0] < 4; ++name[0])
        CHECK_OK(belay_function_register(node, name, any_function, NULL));
}

static void handle_many(belay_node *node, const struct job *job)
{
    struct random_source random = random_stream(job->seed, 0, 0);
    uint64_t ends = job_clock() + (uint64_t)(job->seconds * 1e9), messages = 0, malformed = 0;
    while (job_clock() < ends || messages < 1000) {
        handle_one(node, &random, &malformed);
        ++messages;
    }
    report_note("%llu messages, %llu malformed", (unsigned long long)messages, (unsigned long long)malformed);
    CHECK(malformed > messages / 2, "most of what makes no sense was taken for something");
}

/* Who is cut off on this host is ended, so that it is gone for certain. */
static void send_malformed(belay_node *node, const struct job *job)
{
    enum { WITHIN_S = 20 };
    static const unsigned char byte;
    struct message_header header = {.type = MESSAGE_UPDATE, .view = node->view->number};
    struct iovec part = {(void *)(uintptr_t)&byte, sizeof byte};
    uint64_t ends = job_clock() + WITHIN_S * 1000ull * 1000 * 1000;
    if (job->rank == PEER) {
        CHECK_OK(node_send(node, 0, &header, &part, 1, FABRIC_QUEUE));
        sleep(WITHIN_S);
        _exit(JOB_FAILED);
    }
    while (view_alive(node->view, PEER) && job_clock() < ends)
        usleep(1000);
    CHECK(!view_alive(node->view, PEER), "who sends malformed messages is not cut off");
    CHECK(atomic_load(&node->malformed) == 1, "%llu malformed messages",
          (unsigned long long)atomic_load(&node->malformed));
    board_verdict(job);
}

int main(int argc, char **argv)
{
    struct job job;
    job_begin(&argc, &argv, "messages", 3, &job);
    belay_node *node = job_open(&(belay_config){.arena_size = 16ull << 20});
    register_functions(node);
    job_cache(node, &(belay_cache_config){.name = "victim", .backups = 1, .partitions = 8});
    job_cache(node,
              &(belay_cache_config){.name = "tx", .atomicity_mode = BELAY_TRANSACTIONAL, .partitions = 8});
    if (argc > 1 && strcmp(argv[1], "sent") == 0)
        send_malformed(node, &job);
    else if (job.rank == 0)
        handle_many(node, &job);
    job_barrier();
    _exit(job_end(&job)); /* what rank 0 holds makes no sense any more: no leaving in good order */
}
