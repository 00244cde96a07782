/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One partition: replication, promotion, restoring, and exactly-once: src/mirror/, src/copy/rebuild.c and applied.c,
 * dispatch_end_calls(). What is modelled and what is not: doc/model.md.
 *
 * Three holders; the first that remains is the primary. Two updates of one key, u1 and u2, each by a client of its own, or
 * with FULL_ASYNC both by one. Views change at once, with their fence: that this is right is for views.pml to show.
 */
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef COMPLETE
#define COMPLETE 7 /* the copies that are complete at first */
#endif
#define HAS(set, x) (((set) >> (x)) & 1)
#define BIT(x) (1 << (x))
#define FIRST(set) (HAS(set, 0) -> 0 : (HAS(set, 1) -> 1 : 2))
#define EACH(step) step(0) step(1) step(2)

/* A copy's log: at[] of its first and second entry names the update; a copy's value is the sum of its entries. */
typedef copy { byte at[2]; byte length; byte slots };
copy copies[3];
byte reused;                  /* entries whose place in the log was used again: nobody can learn of them any more */
byte holders = 7, dead, deaths;
byte complete = COMPLETE;
byte primary;
byte shown;                   /* entries that the primary shows to readers */
byte found;                   /* entries of its log that were there when it was promoted */
byte next[3];                 /* entries that have landed in a backup's copy */
byte attached, copied[3];     /* backups that are being restored, and how far */

/* Promotion */
bool serving = true;
byte answered, incoming;      /* holders that answered; those that get a new copy beside their old one */

/* Clients, by update */
mtype = { NEW, ASKED, TAKEN, SENT, ARRIVED, DONE, LOST_MAYBE };
mtype call[3] = NEW;          /* TAKEN: by the primary; SENT, ARRIVED: its answer */
byte asks[3];                 /* the primary that it calls */
bool repeated[3];

byte applied;                 /* what the log told the primary when it was promoted */
byte acknowledged, seen;      /* what callers were told: sets of updates */

#define P copies[primary]
#define IN_LOG(c, u) ((c.length > 0 && c.at[0] == u) || (c.length > 1 && c.at[1] == u))
#define KNOWN(c, u) ((c.length > 0 && c.at[0] == u && !HAS(reused, 0)) || (c.length > 1 && c.at[1] == u))
#define VALUE(c) ((c.length > 0) * BIT(c.at[0]) | (c.length > 1) * BIT(c.at[1]))
#ifdef SHOW_EARLY
#define SHOWN VALUE(P)
#else
#define SHOWN ((shown > 0) * BIT(P.at[0]) | (shown > 1) * BIT(P.at[1]))
#endif
#define SAME(c, d) (c.length == d.length && (c.length == 0 || c.at[0] == d.at[0]) && (c.length < 2 || c.at[1] == d.at[1]))
#define OTHER(b) ((b) != primary && HAS(holders, b))
#define COUNTS(b) (OTHER(b) && HAS(complete, b))
#define SERVES (serving && !HAS(dead, primary))

/* ---- Updates ---- */

#ifdef NO_APPLIED_TABLE
#define APPLIED(u) false
#else
#define APPLIED(u) (repeated[u] && HAS(applied, u))
#endif
#ifdef ACK_EARLY
#define ON_ALL true
#else
#define ON(b) (!COUNTS(b) || next[b] > shown)
#define ON_ALL (ON(0) && ON(1) && ON(2))
#endif

#ifdef FULL_ASYNC
#define MAY_ASK(u) (u == 1 || call[1] != NEW)
#ifdef OVERTAKE
#define IN_TURN(u) true
#else
#define IN_TURN(u) (u == 1 || call[1] != ASKED)
#endif
#define ANSWERS_AT(u) call[u] = DONE
#define LOST_CALL(u) call[u] = LOST_MAYBE /* not repeated, but reported by flush */
#else
#define MAY_ASK(u) true
#define IN_TURN(u) true
#ifdef PRIMARY_SYNC
#define ANSWERS_AT(u) call[u] = SENT
#else
#define ANSWERS_AT(u) skip
#endif
#define LOST_CALL(u) call[u] = ASKED; asks[u] = primary; repeated[u] = true
#endif

#define UPDATE(u)                                                                                                    \
    :: d_step { call[u] == NEW && MAY_ASK(u) -> call[u] = ASKED; asks[u] = primary }                                 \
    :: d_step { call[u] == ASKED && SERVES && asks[u] == primary && IN_TURN(u) && APPLIED(u) && shown == P.length -> \
        call[u] = SENT }                                                                                             \
    :: d_step { call[u] == ASKED && SERVES && asks[u] == primary && IN_TURN(u) && !APPLIED(u) ->                     \
        assert(!IN_LOG(P, u)); /* applied once (C7) */                                                               \
        assert(ORDERED(u));    /* in program order (C5) */                                                           \
        P.at[P.length] = u; P.length++; P.slots = P.length; call[u] = TAKEN; ANSWERS_AT(u); SHOW_AT_ONCE }                            \
    :: d_step { call[u] == SENT && asks[u] == primary -> call[u] = ARRIVED }                                         \
    :: d_step { call[u] == ARRIVED -> call[u] = DONE; ACKNOWLEDGE(u) }                         \
    /* the client learns that its primary is left out, and calls the next one */                                     \
    :: d_step { REPEATS && call[u] != NEW && call[u] != DONE && call[u] != LOST_MAYBE && asks[u] != primary ->       \
        if                                                                                                           \
        :: KEEPS_ARRIVED && call[u] == ARRIVED -> call[u] = DONE; ACKNOWLEDGE(u)                                    \
        :: else -> LOST_CALL(u)                                                                                      \
        fi }

#ifdef NOT_REPEATED
#define REPEATS false
#else
#define REPEATS true
#endif
#ifdef CUT_DROPS_ANSWERS
#define KEEPS_ARRIVED false
#else
#define KEEPS_ARRIVED true
#endif
#ifdef FULL_ASYNC
#define ORDERED(u) (u == 1 || IN_LOG(P, 1) || call[1] == LOST_MAYBE || lost)
#else
#define ORDERED(u) true
#endif
#if defined(PRIMARY_SYNC) || defined(FULL_ASYNC)
#define SHOW_AT_ONCE shown = P.length
#else
#define SHOW_AT_ONCE skip
#endif

/* Other modes than FULL_SYNC may lose with a primary what was done, and only then. */
#if defined(PRIMARY_SYNC) || defined(FULL_ASYNC)
bool lost;
#define ACKNOWLEDGE(u)                                                                                               \
    acknowledged = (serving && !IN_LOG(P, u) && asks[u] != primary -> acknowledged : acknowledged | BIT(u))
#else
#define ACKNOWLEDGE(u) acknowledged = acknowledged | BIT(u)
#endif

/* An entry lands in a backup's copy, then its slot: also when its primary has died meanwhile, until the fence. */
#define LAND(b)                                                                                                      \
    :: d_step { OTHER(b) && (HAS(complete, b) || HAS(attached, b)) && serving && next[b] < P.length ->               \
        copies[b].at[next[b]] = P.at[next[b]]; next[b]++;                                                            \
        copies[b].length = (HAS(complete, b) -> next[b] : copies[b].length) }                                        \
    :: d_step { COUNTS(b) && copies[b].slots < copies[b].length -> copies[b].slots++ }

/* ---- Restoring ---- */

#ifdef COMPLETE_EARLY
#define ALL_COPIED(b) true
#else
#define ALL_COPIED(b) (copied[b] == P.length && next[b] == P.length)
#endif
#define RESTORE(b)                                                                                                   \
    :: d_step { OTHER(b) && SERVES && !HAS(complete, b) && !HAS(attached, b) && !HAS(dead, b) ->                     \
        attached = attached | BIT(b); next[b] = P.length; copied[b] = 0 }                                            \
    :: d_step { OTHER(b) && SERVES && HAS(attached, b) && copied[b] < P.length ->                                    \
        copies[b].at[copied[b]] = P.at[copied[b]]; copied[b]++ }                                                     \
    :: d_step { OTHER(b) && SERVES && HAS(attached, b) && ALL_COPIED(b) ->                                           \
        attached = attached & ~BIT(b); complete = complete | BIT(b);                                                 \
        copies[b].length = copied[b]; copies[b].slots = copied[b] }

/* ---- Promotion ---- */

#ifdef NO_TAIL_SCAN
#define REBUILD(c) c.length = c.slots
#else
#define REBUILD(c) c.slots = c.length
#endif
#ifdef DROP_OLD_COPY
#define BEGIN_REPLACING(b) complete = complete & ~BIT(b)
#else
#define BEGIN_REPLACING(b) skip
#endif
#ifdef ADOPT_UNEQUAL
#define EQUAL(b) true
#else
#define EQUAL(b) SAME(copies[b], P)
#endif
#define TAKE(c, d) c.at[0] = d.at[0]; c.at[1] = d.at[1]; c.length = d.length; c.slots = d.length

#define ANSWER(b) :: d_step { !serving && OTHER(b) && !HAS(dead, b) && !HAS(answered, b) && HAS(answered, primary) -> \
        REBUILD(copies[b]); answered = answered | BIT(b) }
#define ASKED_ALL (!serving && !HAS(dead, primary) && answered == holders)
#define BETTER(b) (COUNTS(b) && (!HAS(complete, primary) || copies[b].length > P.length))
#define PULL(b)                                                                                                      \
    :: d_step { ASKED_ALL && BETTER(b) && !HAS(dead, b) -> TAKE(P, copies[b]); complete = complete | BIT(primary) }
#define NONE_BETTER (!BETTER(0) && !BETTER(1) && !BETTER(2))
#define REPLACE(b)                                                                                                   \
    :: d_step { ASKED_ALL && NONE_BETTER && COUNTS(b) && !EQUAL(b) && !HAS(incoming, b) ->                           \
        incoming = incoming | BIT(b); BEGIN_REPLACING(b) }                                                           \
    :: d_step { ASKED_ALL && NONE_BETTER && OTHER(b) && HAS(incoming, b) && !HAS(dead, b) ->                         \
        TAKE(copies[b], P); incoming = incoming & ~BIT(b); complete = complete | BIT(b) }
#define MIRROR(b) (!COUNTS(b) || EQUAL(b))

/* The holder x is dead: the next view is without it, and a promotion under way begins anew. */
#define VIEW(x)                                                                                                      \
    :: d_step { HAS(dead, x) && HAS(holders, x) && (holders & ~dead) != 0 ->                                         \
        holders = holders & ~BIT(x);                                                                                 \
        if                                                                                                           \
        :: x == primary ->                                                                                           \
            primary = FIRST(holders); serving = false; attached = 0                                                  \
        :: else                                                                                                      \
        fi;                                                                                                          \
        answered = 0; incoming = 0; attached = attached & ~BIT(x); complete = complete & ~BIT(x) }
#define DIE(x) :: d_step { deaths < DEATHS && !HAS(dead, x) -> dead = dead | BIT(x); deaths++ }

/* ---- Reuse of the log ---- */

/* An entry of this primary: its answer has arrived. One that it found: nobody may repeat a call any more. */
#define ARRIVED_OR_ENDED(u) (call[u] == ARRIVED || call[u] == DONE || call[u] == LOST_MAYBE)
#ifdef SETTLED_BY_VIEW
#define SETTLED(u) (call[u] == NEW || call[u] == DONE || call[u] == LOST_MAYBE || asks[u] == primary)
#else
#define SETTLED(u) (call[u] == NEW || call[u] == DONE || call[u] == LOST_MAYBE || (asks[u] == primary && !repeated[u]))
#endif
#ifdef REUSE_EARLY
#define MAY_REUSE(u) true
#elif defined(REUSE_BEFORE_REPEATED) /* this primary has sent no answer: the caller has not asked it yet */
#define MAY_REUSE(u) (ARRIVED_OR_ENDED(u) || asks[u] != primary)
#else
#define MAY_REUSE(u) (found == 0 -> ARRIVED_OR_ENDED(u) : SETTLED(1) && SETTLED(2))
#endif
#define LANDED(b) (!OTHER(b) || (next[b] == P.length && !HAS(attached, b)))

#define ENDED(u) (call[u] == DONE || call[u] == LOST_MAYBE)

active proctype partition() {
    do
    UPDATE(1)
    UPDATE(2)
    EACH(LAND)
    :: d_step { SERVES && shown < P.length && ON_ALL ->
        shown++; call[P.at[shown - 1]] = (call[P.at[shown - 1]] == TAKEN -> SENT : call[P.at[shown - 1]]) }
    /* A read; the old value is superseded, so its entry may go. */
    :: d_step { SERVES && (SHOWN & ~seen) != 0 -> seen = seen | SHOWN }
    :: d_step { SERVES && shown == 2 && !HAS(reused, 0) && LANDED(0) && LANDED(1) && LANDED(2) &&
        MAY_REUSE(P.at[0]) -> reused = 1 }
    EACH(RESTORE)

    EACH(DIE)
    EACH(VIEW)
    :: d_step { !serving && !HAS(dead, primary) && !HAS(answered, primary) ->
        REBUILD(P); answered = answered | BIT(primary) }
    EACH(ANSWER)
    EACH(PULL)
    EACH(REPLACE)
    :: d_step { ASKED_ALL && NONE_BETTER && incoming == 0 && MIRROR(0) && MIRROR(1) && MIRROR(2) ->
        assert(HAS(complete, primary));                  /* not lost while fewer died than had copies (C3) */
#if defined(PRIMARY_SYNC) || defined(FULL_ASYNC)
        lost = lost || (call[1] == DONE && !IN_LOG(P, 1)) || (call[2] == DONE && !IN_LOG(P, 2));
        seen = seen & VALUE(P); acknowledged = acknowledged & VALUE(P);
#else
        assert((acknowledged & ~VALUE(P)) == 0);         /* no acknowledged update is lost (C3) */
        assert((seen & ~VALUE(P)) == 0);                 /* nor one that was read (C3) */
#endif
        applied = (KNOWN(P, 1) -> BIT(1) : 0) | (KNOWN(P, 2) -> BIT(2) : 0);
        serving = true; shown = P.length; found = P.length; next[0] = shown; next[1] = shown; next[2] = shown }
    :: d_step { SERVES && ((acknowledged | seen) & ~VALUE(P)) != 0 ->
        assert(((acknowledged | seen) & ~VALUE(P)) == 0) } /* nor while it lives (C4) */
    /* Copies are prefixes of the primary's (C1) and the same when all has landed (C2, C6). */
#define DIFFERS(b)                                                                                                   \
    :: d_step { SERVES && COUNTS(b) && next[b] == P.length && !SAME(copies[b], P) ->                              \
        assert(SAME(copies[b], P)) }                 \
    :: d_step { SERVES && COUNTS(b) && copies[b].length > 0 && P.length > 0 && copies[b].at[0] != P.at[0] ->          \
        assert(copies[b].at[0] == P.at[0]) }
    EACH(DIFFERS)
    /* Every call ends (C7): where nothing is left to do before that, Spin reports an invalid end state. */
    :: ENDED(1) && ENDED(2) -> break
    od
}
