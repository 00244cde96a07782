/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One transaction over two partitions, and what the survivors make of it: src/cache/transaction_*.c. What is modelled and what is not:
 * doc/model.md.
 *
 * A coordinator and two participants, each with one backup that takes over if the primary dies. A copy is what its log says. A reader
 * reads both keys one-sided, and checks before it believes what it saw. Views change at once, with their fence.
 */
#ifndef DEATHS
#define DEATHS 2
#endif
#define EACH(step) step(0) step(1)
#define OTHER(p) (1 - (p))

/* Entries of a copy's log. LATER: the record of the coordinator's next transaction in the same lane. */
mtype = { PREPARED, CHANGE, COMMITTED, ABORTED, LATER };
typedef log { mtype at[5]; byte length; byte landed }; /* landed: so many are in the backup's copy as well */
log logs[2];
bool replaced[2];               /* the backup is the primary now, and alone */
bool dead[2];                   /* the first primary; the view may not know it yet */
byte deaths;

mtype = { NONE, PREPARING, READY, COMMITTING, ABORTING }; /* participants: what their primary knows besides */
mtype participant[2] = NONE;
bool marked[2];
bool owes[2];                   /* an answer to the coordinator's message in work */
bool recovered[2];              /* it was found in the copy of a backup */

mtype = { PREPARE, COMMIT, ABORT, OVER, FAILED }; /* the coordinator's phases; its messages; FAILED: an answer */
mtype phase = PREPARE;
bool gone, left_out;            /* the coordinator is dead; and the view says so */
bool told;                      /* its caller knows that it was committed */
mtype = { TO_SEND, SENT, ANSWERED };
mtype call[2] = TO_SEND;
bool refused;
chan message[2] = [2] of { mtype };   /* in order */
chan answer[2] = [2] of { mtype };

mtype = { OPEN, DONE, UNKNOWN }; /* what one who recovers is told */
mtype reply[2] = NONE;

/* The reader: sees, then checks */
byte seen[2] = 2, step;
bool checked_mark[2], checked_value[2];
bool replaced_then[2];          /* the primary whose mark it was */
bool read_ends;
bool lost;                      /* a change that was shown died with its primary */

#define L(p) logs[p]
#define HAS_BACKUP(p) (!replaced[p])
#define ALIVE(p) (replaced[p] || !dead[p])
#define IS(p, i, what) (L(p).length > i && L(p).at[i] == what)
#define IN(p, what) (IS(p, 0, what) || IS(p, 1, what) || IS(p, 2, what) || IS(p, 3, what) || IS(p, 4, what))
#define LAST(p, what) (L(p).length > 0 && L(p).at[L(p).length - 1] == what)
#define APPEND(p, what) L(p).at[L(p).length] = what; L(p).length++
#define ALL_LANDED(p) (!HAS_BACKUP(p) || L(p).landed == L(p).length)
#ifdef RELAXED /* PRIMARY_SYNC, FULL_ASYNC */
#define APPLIED(p) true
#define SHOWN(p) IN(p, CHANGE)
#define MAY_BE_LOST (lost && gone)
#else
#define MAY_BE_LOST false
#define APPLIED(p) ALL_LANDED(p)
#define SHOWN(p) (IS(p, 1, CHANGE) && (replaced[p] || L(p).landed > 1))
#endif

/* ---- The coordinator ---- */

#define NEXT_PHASE(what) phase = what; call[0] = TO_SEND; call[1] = TO_SEND
#define IN_PHASE(what) (!gone && phase == what)
#ifdef DECIDE_EARLY
#define MAY_COMMIT ((call[0] == ANSWERED || call[1] == ANSWERED) && !refused)
#else
#define MAY_COMMIT (call[0] == ANSWERED && call[1] == ANSWERED && !refused)
#endif

#define COORDINATE(p)                                                                                                \
    :: d_step { !gone && phase != OVER && call[p] == TO_SEND && ALIVE(p) && len(message[p]) < 2 ->                   \
        message[p]!phase; call[p] = SENT }                                                                           \
    :: d_step { !gone && call[p] == SENT && nempty(answer[p]) ->                                                     \
        if                                                                                                           \
        :: answer[p]?FAILED -> refused = true                                                                        \
        :: answer[p]?PREPARE -> skip                                                                                 \
        :: answer[p]?COMMIT -> skip                                                                                  \
        :: answer[p]?ABORT -> skip                                                                                   \
        fi;                                                                                                          \
        call[p] = ANSWERED }

/* ---- A participant ---- */

#ifdef ANSWER_PREPARE_EARLY
#define RECORDED(p) true
#else
#define RECORDED(p) ALL_LANDED(p)
#endif
#ifdef ANSWER_ABORT_EARLY
#define UNDONE(p) true
#else
#define UNDONE(p) ALL_LANDED(p)
#endif
#ifdef NO_FENCE
#define HEARD true
#else
#define HEARD !left_out
#endif
#ifdef NO_MARKS
#define MARK(p) skip
#else
#define MARK(p) marked[p] = true
#endif
#ifdef UNMARK_EARLY
#define UNMARK_FIRST(p) marked[p] = false
#else
#define UNMARK_FIRST(p) skip
#endif

#define ANSWER(p, what)                                                                                              \
    if                                                                                                               \
    :: owes[p] && !gone -> answer[p]!what                                                                            \
    :: else                                                                                                          \
    fi;                                                                                                              \
    owes[p] = false
#define RESOLVED(p) (IN(p, COMMITTED) || IN(p, ABORTED))

#define PARTICIPATE(p)                                                                                               \
    :: d_step { HEARD && ALIVE(p) && message[p]?[PREPARE] ->                                                         \
        message[p]?PREPARE; owes[p] = true;                                                                          \
        if                                                                                                           \
        :: participant[p] == READY -> ANSWER(p, PREPARE)  /* repeated */                                             \
        :: participant[p] == NONE -> APPEND(p, PREPARED); participant[p] = PREPARING; MARK(p)                        \
        :: else                                                                                                      \
        fi }                                                                                                         \
    :: d_step { HEARD && ALIVE(p) && message[p]?[PREPARE] && participant[p] == NONE ->                               \
        message[p]?PREPARE; owes[p] = true; ANSWER(p, FAILED) }  /* a lock, or a version */                          \
    :: d_step { ALIVE(p) && participant[p] == PREPARING && RECORDED(p) ->                                            \
        participant[p] = READY; ANSWER(p, PREPARE) }                                                                 \
    :: d_step { HEARD && ALIVE(p) && message[p]?[COMMIT] && participant[p] != PREPARING && participant[p] != ABORTING -> \
        message[p]?COMMIT; owes[p] = true;                                                                           \
        if                                                                                                           \
        :: participant[p] == READY -> participant[p] = COMMITTING; UNMARK_FIRST(p)                                   \
        :: participant[p] == COMMITTING                                                                              \
        :: else -> assert(IN(p, CHANGE)); ANSWER(p, COMMIT)                                                          \
        fi }                                                                                                         \
    :: d_step { HEARD && ALIVE(p) && message[p]?[ABORT] && participant[p] != PREPARING ->                            \
        message[p]?ABORT; owes[p] = true;                                                                            \
        if                                                                                                           \
        :: participant[p] == READY -> participant[p] = ABORTING; APPEND(p, ABORTED)                                  \
        :: participant[p] == ABORTING                                                                                \
        :: else -> assert(!IN(p, CHANGE)); ANSWER(p, ABORT)                                                          \
        fi }                                                                                                         \
    :: d_step { ALIVE(p) && participant[p] == COMMITTING && !IN(p, CHANGE) -> APPEND(p, CHANGE) }                    \
    :: d_step { ALIVE(p) && participant[p] == COMMITTING && LAST(p, CHANGE) -> APPEND(p, COMMITTED) }                \
    :: d_step { ALIVE(p) && participant[p] == COMMITTING && LAST(p, COMMITTED) && APPLIED(p) ->                      \
        participant[p] = NONE; marked[p] = false; ANSWER(p, COMMIT) }                                                \
    :: d_step { ALIVE(p) && participant[p] == ABORTING && UNDONE(p) ->                                               \
        participant[p] = NONE; marked[p] = false; ANSWER(p, ABORT) }                                                 \
    /* The next transaction of this lane, of no further interest. */                                                 \
    :: d_step { IN_PHASE(OVER) && ALIVE(p) && participant[p] == NONE && !IN(p, LATER) && L(p).length < 5 ->           \
        APPEND(p, LATER) }                                                                                           \
    :: d_step { HAS_BACKUP(p) && L(p).landed < L(p).length -> L(p).landed++ } /* also after its death, until the fence */

/* ---- Deaths ---- */

/* A new primary finds what had landed. A message to the old one, or its answer if it has not arrived, is lost. */
#define TAKE_OVER(p)                                                                                                 \
    :: d_step { deaths < DEATHS && !dead[p] -> dead[p] = true; deaths++ }                                            \
    :: d_step { dead[p] && !replaced[p] ->                                                                           \
        lost = lost || (IN(p, CHANGE) && L(p).landed < 2);                                                           \
        replaced[p] = true; L(p).length = L(p).landed; owes[p] = false;                                              \
        do                                                                                                           \
        :: nempty(message[p]) ->                                                                                     \
            if                                                                                                       \
            :: message[p]?PREPARE                                                                                    \
            :: message[p]?COMMIT                                                                                     \
            :: message[p]?ABORT                                                                                      \
            fi                                                                                                       \
        :: empty(message[p]) -> break                                                                                \
        od;                                                                                                          \
        participant[p] = NONE; marked[p] = false; reply[p] = NONE;                                                   \
        reply[OTHER(p)] = NONE;                                                                                      \
        if                                                                                                           \
        :: LAST(p, PREPARED) -> participant[p] = READY; marked[p] = true; recovered[p] = true                        \
        :: LAST(p, CHANGE) -> participant[p] = COMMITTING; marked[p] = true                                          \
        :: else                                                                                                      \
        fi;                                                                                                          \
        REPEAT(p) }
#ifdef NOT_REPEATED
#define REPEAT(p) skip
#else
#define REPEAT(p)                                                                                                    \
    if                                                                                                               \
    :: !gone && call[p] == SENT && len(answer[p]) == 0 -> call[p] = TO_SEND                                          \
    :: gone || call[p] != SENT || len(answer[p]) > 0                                                                 \
    fi
#endif

/* ---- Recovery ---- */

#ifdef NO_SEQUENCE
#define GONE_ON(p) false
#else
#define GONE_ON(p) IN(p, LATER)
#endif
#define IS_COMMITTED(p) (participant[p] == COMMITTING || LAST(p, COMMITTED) || LAST(p, CHANGE) || GONE_ON(p))
#define IS_OPEN(p) (participant[p] == PREPARING || participant[p] == READY)
#ifdef PRESUME_ABORT
#define FORGOTTEN UNKNOWN
#else
#define FORGOTTEN DONE
#endif

#define RECOVER(p)                                                                                                   \
    :: d_step { left_out && ALIVE(p) && participant[p] == READY && reply[p] == NONE && ALIVE(OTHER(p)) ->            \
        reply[p] = (IS_COMMITTED(OTHER(p)) -> DONE : (IS_OPEN(OTHER(p)) -> OPEN : UNKNOWN)) }                        \
    :: d_step { left_out && ALIVE(p) && participant[p] == READY && reply[p] == DONE -> participant[p] = COMMITTING } \
    :: d_step { left_out && ALIVE(p) && participant[p] == READY && (reply[p] == OPEN || reply[p] == UNKNOWN) ->      \
        participant[p] = ABORTING; APPEND(p, ABORTED) }                                                              \
    :: d_step { !gone && recovered[p] && ALIVE(p) && participant[p] == READY && phase == OVER && FORGOTTEN == DONE -> \
        participant[p] = COMMITTING }                                                                                \
    :: d_step { !gone && recovered[p] && ALIVE(p) && participant[p] == READY && phase == OVER && FORGOTTEN == UNKNOWN -> \
        participant[p] = ABORTING; APPEND(p, ABORTED) }

/* ---- The reader ---- */

#ifdef VALUE_FIRST
#define MAY_CHECK_MARK(p) checked_value[p]
#define MAY_CHECK_VALUE(p) true
#else
#define MAY_CHECK_MARK(p) true
#define MAY_CHECK_VALUE(p) checked_mark[p]
#endif
#ifdef ACROSS_VIEWS
#define OTHER_PRIMARY(p) false
#else
#define OTHER_PRIMARY(p) (checked_mark[p] && replaced[p] != replaced_then[p])
#endif
#define READS (!read_ends)
#define READ(p)                                                                                                      \
    :: d_step { READS && ALIVE(p) && seen[p] == 2 -> seen[p] = SHOWN(p) }                                            \
    :: d_step { READS && ALIVE(p) && seen[0] != 2 && seen[1] != 2 && !checked_mark[p] && MAY_CHECK_MARK(p) ->        \
        if                                                                                                           \
        :: marked[p] -> read_ends = true /* the primary is asked, and says no */                                     \
        :: else -> checked_mark[p] = true; replaced_then[p] = replaced[p]                                            \
        fi }                                                                                                         \
    :: d_step { READS && ALIVE(p) && seen[0] != 2 && seen[1] != 2 && !checked_value[p] && MAY_CHECK_VALUE(p) ->      \
        if                                                                                                           \
        :: seen[p] != SHOWN(p) || OTHER_PRIMARY(p) -> read_ends = true                                               \
        :: else -> checked_value[p] = true                                                                           \
        fi }

#define SETTLED(p) (ALIVE(p) && participant[p] == NONE && empty(message[p]))

active proctype transaction() {
    do
    EACH(COORDINATE)
    :: d_step { IN_PHASE(PREPARE) && MAY_COMMIT -> NEXT_PHASE(COMMIT) }
    /* What it read elsewhere was changed; or time is up. */
    :: d_step { IN_PHASE(PREPARE) && call[0] != TO_SEND && call[1] != TO_SEND && empty(answer[0]) && empty(answer[1]) &&
        (call[0] == ANSWERED && call[1] == ANSWERED) -> NEXT_PHASE(ABORT) }
    :: d_step { IN_PHASE(COMMIT) && call[0] == ANSWERED && call[1] == ANSWERED -> phase = OVER; told = true }
    :: d_step { IN_PHASE(ABORT) && call[0] == ANSWERED && call[1] == ANSWERED -> phase = OVER }
    :: d_step { deaths < DEATHS && !gone -> gone = true; deaths++ }
    :: d_step { gone && !left_out -> left_out = true }
#ifndef NO_FENCE
    :: d_step { left_out && nempty(message[0]) -> if :: message[0]?PREPARE :: message[0]?COMMIT :: message[0]?ABORT fi }
    :: d_step { left_out && nempty(message[1]) -> if :: message[1]?PREPARE :: message[1]?COMMIT :: message[1]?ABORT fi }
#endif
    EACH(PARTICIPATE)
    EACH(TAKE_OVER)
    EACH(RECOVER)
    EACH(READ)
    /* What it has seen and checked is of one moment; other modes than FULL_SYNC may lose the whole with a primary and the
     * coordinator, also when it was seen. */
    :: d_step { READS && checked_mark[0] && checked_value[0] && checked_mark[1] && checked_value[1] ->
        read_ends = true; assert(seen[0] == seen[1] || MAY_BE_LOST) }
    /* All or nothing, and nobody is left waiting: else Spin reports an invalid end state. */
    :: d_step { (phase == OVER || left_out) && SETTLED(0) && SETTLED(1) ->
        assert(IN(0, CHANGE) == IN(1, CHANGE));
#ifndef RELAXED
        assert(!told || IN(0, CHANGE));
#endif
        } -> break
    od
}
