/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file ask.h
 * Questions from outside: a process that is no node asks one member of a running job, by the address file, as those do that
 * join. It becomes no member: no view changes, no id is used up. What the questions mean, an upper layer knows.
 *
 * A member answers one question per connection, in the thread that also talks with processes that join.
 */
#ifndef BELAY_ASK_H
#define BELAY_ASK_H

#include "cluster/node.h"

struct ask_question {
    uint32_t kind;
    uint32_t cache, first, count;
};

/* What an answerer returns when it is not the one to ask: another member will be. */
enum { ASK_ELSEWHERE = 1 };

/* The job's side: the node's `answer_question` is asked, its answer sent. */
void ask_answer(belay_node *node, int socket);

/**
 * Outside: ask whichever member answers first.
 * @param[out] answer to be freed.
 * Errors: CONFIG (the file), REFUSED, TIMEOUT (nobody there answers), NO_MEMORY, or what the member says; all logged.
 */
int ask_job(const char *path, const struct ask_question *question, void **answer, size_t *length);

/* Is the file in use? Not if it is an address file whose job has ended. */
bool ask_answers(const char *path, const struct ask_question *question);

#endif
