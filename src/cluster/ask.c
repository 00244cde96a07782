/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/ask.h"

#include "base/log.h"
#include "cluster/join_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CONNECT_MS: a host that is gone says nothing. Once connected, a member that dies hangs up; the kernel notices if its host is
 * gone. */
enum { CONNECT_MS = 3000, ANSWER_MS = 120000 };
#define ANSWER_MAX (1u << 26)

struct ask_head {
    int32_t result;
    uint32_t reserved;
    uint64_t length;
    char text[JOIN_TEXT]; /* of an error */
};

void ask_answer(belay_node *node, int socket)
{
    struct ask_question question;
    struct ask_head head = {.result = BELAY_ERR_NOT_SUPPORTED};
    void *answer = NULL;
    size_t length = 0;
    if (join_receive(socket, &question, sizeof question) != BELAY_OK)
        return;
    if (node->answer_question)
        head.result = node->answer_question(node, &question, &answer, &length);
    head.length = length;
    if (head.result < 0)
        snprintf(head.text, sizeof head.text, "%.*s", (int)sizeof head.text - 1, belay_last_error());
    if (join_send(socket, &head, sizeof head) == BELAY_OK && length > 0)
        join_send(socket, answer, length);
    free(answer);
}

static int receive_answer(int socket, void **answer, size_t *length)
{
    struct ask_head head;
    int result = join_receive(socket, &head, sizeof head);
    if (result != BELAY_OK || head.result == ASK_ELSEWHERE)
        return result != BELAY_OK ? result : ASK_ELSEWHERE;
    head.text[JOIN_TEXT - 1] = '\0';
    if (head.result != BELAY_OK)
        return log_error(head.result, "the job answers: %s", head.text);
    if (head.length > ANSWER_MAX)
        return log_error(BELAY_ERR_PROTOCOL, "a malformed answer of the job");
    void *bytes = malloc(head.length + 1);
    if (!bytes)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for an answer of the job");
    result = join_receive(socket, bytes, head.length);
    if (result != BELAY_OK) {
        free(bytes);
        return result;
    }
    *answer = bytes;
    *length = head.length;
    return BELAY_OK;
}

static int ask_member(const struct join_contact *contact, const unsigned char *secret,
                      const struct ask_question *question, void **answer, size_t *length)
{
    enum join_purpose purpose = JOIN_TO_ASK;
    int socket = join_connect(contact, CONNECT_MS);
    if (socket < 0)
        return ASK_ELSEWHERE;
    join_set_timeouts(socket, ANSWER_MS);
    int result = join_prove(socket, secret, false, &purpose);
    if (result == BELAY_OK)
        result = join_send(socket, question, sizeof *question);
    if (result == BELAY_OK)
        result = receive_answer(socket, answer, length);
    close(socket);
    return result == BELAY_ERR_NODE_FAILED ? ASK_ELSEWHERE : result;
}

static int ask_members(const struct join_address *address, const struct ask_question *question, void **answer,
                       size_t *length)
{
    int result = ASK_ELSEWHERE;
    for (int i = 0; i < address->count && result == ASK_ELSEWHERE; ++i)
        result = ask_member(&address->contacts[i], address->secret, question, answer, length);
    return result;
}

bool ask_answers(const char *path, const struct ask_question *question)
{
    struct join_address address;
    void *answer = NULL;
    size_t length;
    bool answers = join_read_file(path, &address) != BELAY_OK ||
                   ask_members(&address, question, &answer, &length) != ASK_ELSEWHERE;
    free(answer);
    return answers;
}

int ask_job(const char *path, const struct ask_question *question, void **answer, size_t *length)
{
    struct join_address address;
    int result = join_read_file(path, &address);
    if (result == BELAY_OK)
        result = ask_members(&address, question, answer, length);
    if (result != ASK_ELSEWHERE)
        return result;
    return log_error(BELAY_ERR_TIMEOUT, "nobody of the job that wrote %s answers: has it ended?", path);
}
