/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each hello is proven by a keyed hash over all of it, so the job's secret never crosses the network. It names both nodes and
 * their lives (incarnations): it is worth nothing between other nodes or after a restart.
 */
#include "base/siphash.h"
#include "fabric/verbs.h"

#include <string.h>

#define HELLO_MAGIC  0x3148424cu
#define REJECT_MAGIC 0x3152424cu

static void prove(const fabric *f, const struct verbs_hello *hello, unsigned char proof[FABRIC_PROOF_SIZE])
{
    _Static_assert((int)FABRIC_PROOF_SIZE == (int)SIPHASH_SIZE &&
                       (int)FABRIC_SECRET_SIZE == (int)SIPHASH_KEY_SIZE,
                   "the secret is the key, the hash the proof");
    siphash(f->secret, hello, offsetof(struct verbs_hello, proof), proof);
}

void verbs_hello_make(const fabric *f, int peer, uint64_t incarnation, uint16_t credits, uint8_t mtu,
                      bool answer, struct verbs_hello *hello)
{
    memset(hello, 0, sizeof *hello);
    hello->magic = HELLO_MAGIC;
    hello->protocol = FABRIC_PROTOCOL;
    hello->credits = credits;
    hello->from = f->node;
    hello->to = peer;
    hello->from_incarnation = f->card.incarnation;
    hello->to_incarnation = incarnation;
    hello->mtu = mtu;
    hello->answer = answer;
    prove(f, hello, hello->proof);
}

/* rdma_cm pads private data with zeroes, so it may be longer. */
bool verbs_hello_check(const fabric *f, const void *data, size_t length, bool answer,
                       struct verbs_hello *hello, enum verbs_refusal *refusal)
{
    unsigned char proof[FABRIC_PROOF_SIZE];
    *refusal = REFUSED_PROTOCOL;
    if (!data || length < sizeof *hello)
        return false;
    memcpy(hello, data, sizeof *hello);
    if (hello->magic != HELLO_MAGIC || hello->protocol != FABRIC_PROTOCOL)
        return false;
    prove(f, hello, proof);
    *refusal = REFUSED_SECRET;
    if (!siphash_equal(proof, hello->proof))
        return false;
    *refusal = REFUSED_STRANGER;
    return hello->answer == answer && hello->to == f->node && hello->to_incarnation == f->card.incarnation &&
           hello->from >= 0 && hello->from < f->peers_max && hello->from != f->node && hello->credits > 0 &&
           hello->credits <= IMMEDIATE_CREDITS_MASK;
}

void verbs_reject_make(enum verbs_refusal refusal, struct verbs_reject *reject)
{
    *reject = (struct verbs_reject){REJECT_MAGIC, refusal};
}

enum verbs_refusal verbs_reject_parse(const void *data, size_t length)
{
    struct verbs_reject reject;
    if (!data || length < sizeof reject)
        return REFUSED_UNKNOWN;
    memcpy(&reject, data, sizeof reject);
    return reject.magic == REJECT_MAGIC && reject.refusal <= REFUSED_RESOURCES
               ? (enum verbs_refusal)reject.refusal
               : REFUSED_UNKNOWN;
}

const char *verbs_refusal_text(enum verbs_refusal refusal)
{
    switch (refusal) {
    case REFUSED_PROTOCOL: return "another protocol version: all nodes of a job must run the same Belay";
    case REFUSED_SECRET: return "no proof of this job's secret";
    case REFUSED_STRANGER: return "meant for another node or another life of this one";
    case REFUSED_CUT: return "the node was cut off before";
    case REFUSED_TIE: return "the other side's attempt counts";
    case REFUSED_MTU: return "an MTU that this side does not have";
    case REFUSED_RESOURCES: return "no queue pair could be made";
    case REFUSED_UNKNOWN: break;
    }
    return "no reason given";
}
