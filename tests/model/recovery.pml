/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What three participants of one transaction make of the death of its coordinator: src/cache/transaction_recover.c. What is modelled
 * and what is not: doc/model.md.
 *
 * Every participant has prepared, and the coordinator has decided to commit. Each primary has one backup that takes over if it dies.
 * A view is agreed at one moment and learned by each participant at a later one.
 */
#ifndef DEATHS
#define DEATHS 3 /* of primaries; the coordinator's comes on top */
#endif
#define EACH(step) step(0) step(1) step(2)
#define EACH_OTHER(step) step(0, 1) step(0, 2) step(1, 0) step(1, 2) step(2, 0) step(2, 1)
#define BIT(p) (1 << (p))
#define OTHERS(p) (7 - BIT(p))
#define NOBODY 3

mtype = { PREPARED, COMMITTED, ABORTED };
mtype state[3] = PREPARED;      /* what the primary of a partition says */
bool landed[3];                 /* that is in the backup's copy as well */
bool dead[3], replaced[3];      /* the first primary; the backup is the primary now, and alone */
byte deaths;

byte agreed, view[3];           /* the number of the latest view, and of the one each primary is in */
byte left_out_in = 255;         /* the first view without the coordinator */
byte replaced_in[3] = 255;      /* ... without the first primary */
bool gone;                      /* the coordinator is dead */
bool told[3] = true;            /* its message is on its way, or will be */

/* An inquiry. */
byte asked[3] = NOBODY;         /* a question is on its way, or its answer */
mtype answer[3];                /* has arrived, but was not looked at */
byte open[3];                   /* those that have told that they know no outcome */

#define ALIVE(p) (replaced[p] || !dead[p])
#define INQUIRES(p) (ALIVE(p) && state[p] == PREPARED && view[p] >= left_out_in)
#define LEARN(p, outcome) state[p] = outcome; landed[p] = replaced[p]; FORGET(p)
#define FORGET(p) asked[p] = NOBODY; answer[p] = 0; open[p] = 0

#ifdef OPEN_ACROSS_VIEWS
#define ANEW(p) skip
#else
#define ANEW(p) open[p] = 0
#endif
#ifdef ANSWERS_ACROSS_VIEWS
#define UNASKED(p) skip
#else
#define UNASKED(p) asked[p] = NOBODY; answer[p] = 0
#endif
#ifdef ANSWER_BEHIND
#define KEEPS_UP(q, p) true
#else
#define KEEPS_UP(q, p) (view[q] >= view[p])
#endif

/* ---- The coordinator, and those that hear it ---- */

#define HEAR(p)                                                                                                      \
    :: d_step { told[p] && ALIVE(p) && view[p] < left_out_in ->                                                      \
        told[p] = false;                                                                                             \
        if                                                                                                           \
        :: state[p] == PREPARED -> LEARN(p, COMMITTED)                                                               \
        :: else -> assert(state[p] == COMMITTED)                                                                     \
        fi }                                                                                                         \
    :: d_step { !replaced[p] && state[p] != PREPARED && !landed[p] -> landed[p] = true } /* also after its death */

/* ---- Deaths and views ---- */

#define DIE(p)                                                                                                       \
    :: d_step { deaths < DEATHS && !dead[p] -> dead[p] = true; deaths++ }                                            \
    :: d_step { dead[p] && !replaced[p] ->                                                                           \
        replaced[p] = true; agreed++; view[p] = agreed; replaced_in[p] = agreed; FORGET(p);                          \
        told[p] = !gone; /* repeated */                                                                              \
        if                                                                                                           \
        :: !landed[p] -> state[p] = PREPARED                                                                         \
        :: else                                                                                                      \
        fi;                                                                                                          \
        landed[p] = true }                                                                                           \
    :: d_step { ALIVE(p) && view[p] < agreed -> view[p]++; ANEW(p); UNASKED(p) }

/* ---- Recovery ---- */

/* Whom the asker takes for the primary is there. */
#define REACHES(p, q) (replaced[q] -> view[p] >= replaced_in[q] : !dead[q])

#define ASK(p, q)                                                                                                    \
    :: d_step { INQUIRES(p) && asked[p] == NOBODY && !(open[p] & BIT(q)) && REACHES(p, q) -> asked[p] = q }          \
    :: d_step { asked[p] == q && answer[p] == 0 && INQUIRES(p) && REACHES(p, q) && KEEPS_UP(q, p) ->                 \
        answer[p] = state[q] }                                                                                       \
    :: d_step { asked[p] == q && answer[p] == 0 && INQUIRES(p) && !REACHES(p, q) -> asked[p] = NOBODY }
#define INQUIRE(p)                                                                                                   \
    :: d_step { INQUIRES(p) && answer[p] == PREPARED -> open[p] = open[p] | BIT(asked[p]); asked[p] = NOBODY; answer[p] = 0 } \
    :: d_step { INQUIRES(p) && answer[p] != 0 && answer[p] != PREPARED -> LEARN(p, answer[p]) }                      \
    :: d_step { INQUIRES(p) && open[p] == OTHERS(p) -> LEARN(p, ABORTED) }

#define SETTLED(p) (ALIVE(p) && state[p] != PREPARED)

active proctype recovery() {
    do
    :: d_step { !gone -> gone = true }
    :: d_step { gone && left_out_in == 255 -> agreed++; left_out_in = agreed }
    EACH(HEAR)
    EACH(DIE)
    EACH_OTHER(ASK)
    EACH(INQUIRE)
    /* All or nothing, and nobody is left waiting: else Spin reports an invalid end state. */
    :: d_step { SETTLED(0) && SETTLED(1) && SETTLED(2) -> assert(state[0] == state[1] && state[1] == state[2]) } -> break
    od
}
