/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Agreement on the view that follows view 1, leases, and reads of the primary's memory: src/cluster/membership.c and
 * liveness.c. What is modelled and what is not: doc/model.md.
 *
 * A set of nodes is a bit mask. Node n has the weight Wn in a majority: one node stands for Wn that act and fail as one.
 * Time is what is left of each term: a tick takes one from every term that runs, so its length is not bounded.
 * Messages: a ballot's request can be received at any time by whoever did not cut off its owner, or never. An answer
 * counts at once: later it is worth less.
 */
#ifndef N
#define N 3
#endif
#ifndef W0
#define W0 1
#endif
#ifndef W1
#define W1 1
#endif
#ifndef W2
#define W2 1
#endif
#ifndef W3
#define W3 1
#endif
#ifndef OLD
#define OLD 0 /* the primary in view 1 */
#endif
#ifndef BACKUP
#define BACKUP 1 /* the primary in every view without OLD */
#endif
#ifdef ONE_HOST /* no leases */
#define HOSTED 15
#endif
#ifndef HOSTED
#define HOSTED 0 /* the nodes that share a host; each other one has its own */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef DOUBTS
#define DOUBTS 2 /* how often somebody takes a node for lost that may live */
#endif
#ifndef T
#define T 2 /* the failure timeout, in ticks */
#endif

#ifdef SILENCE_FROM_OWN_START
#define SILENCE_AT_START (T - 1)
#else
#define SILENCE_AT_START T
#endif

#define ALL ((1 << N) - 1)
#define BIT(x) (1 << (x))
#define HAS(set, x) (((set) >> (x)) & 1)
#define MAX(x, y) ((x) > (y) -> (x) : (y))
#define MIN(x, y) ((x) < (y) -> (x) : (y))
#define FIRST(set) (HAS(set, 0) -> 0 : (HAS(set, 1) -> 1 : (HAS(set, 2) -> 2 : 3)))
#if N == 3
#define EACH(step) step(0) step(1) step(2)
#define WEIGHT(set) (HAS(set, 0) * W0 + HAS(set, 1) * W1 + HAS(set, 2) * W2)
#define EACH_BALLOT(step) step(0) step(1) step(2) step(3)
#else
#define EACH(step) step(0) step(1) step(2) step(3)
#define WEIGHT(set) (HAS(set, 0) * W0 + HAS(set, 1) * W1 + HAS(set, 2) * W2 + HAS(set, 3) * W3)
#define EACH_BALLOT(step) step(0) step(1) step(2) step(3) step(4)
#endif
#define BALLOTS (N + 1)
#define OWNER(b) ((b) == 0 -> 0 : (b) - 1) /* ballot 0 and one with a first phase for node 0, one for each other */

byte dead, excluded, installed, chosen;
byte deaths, doubts;
bool newer; /* BACKUP has acknowledged a write that OLD does not have */

/* What a node knows. */
byte cut[N], suspects[N], certain[N];
byte promised[N]; /* a ballot */
byte accepted[N]; /* a ballot + 1; 0: none */
byte lease[N];
typedef terms { byte at[N] };
terms heard[N];  /* T from when two nodes last exchanged beats, as BEAT(a, b) */
#ifdef LEASE_FROM_ARRIVAL
byte coming[N], coming_cap[N]; /* a lease under way: what it had left when it was sent, and T from the beat it answers */
#endif

/* What a ballot's owner knows of it. */
byte promises[BALLOTS], told[BALLOTS];
byte proposal[BALLOTS], acceptances[BALLOTS];
bool lapsed[BALLOTS];      /* an answer came from a node without a lease */
byte leases_end[BALLOTS];  /* for nodes left out: until then they may hold one */
byte quorum_since[BALLOTS]; /* 0: no quorum; T + 1 at first, 1: it was T ago */

#define LIVE(x) (!HAS(dead | excluded, x))
#define UNCUT(a, b) (!HAS(cut[a], b) && !HAS(cut[b], a))
#define LINK(a, b) (LIVE(a) && LIVE(b) && UNCUT(a, b))
#define IN_VIEW_2(x) HAS(installed, x)
#define COORDINATOR(x) FIRST((IN_VIEW_2(x) -> chosen : ALL) & ~cut[x])
#define MAJORITY(set) (2 * WEIGHT(set) > WEIGHT(ALL))

/* Nodes of one host have each other's memory mapped until they have ended. */
#define SAME_HOST(a, b) (HAS(HOSTED, a) && HAS(HOSTED, b))
#define REACHES(a, b) ((a) == (b) || LINK(a, b) || (SAME_HOST(a, b) && LIVE(a) && !HAS(dead, b)))
#ifdef NO_KILL
#define FENCED(me, set) true
#else
#define FENCED(me, set) (!HAS(HOSTED, me) || (HOSTED & ~(set) & ~dead) == 0)
#endif
#ifdef ONE_HOST
#define LEASED(x) true
#else
#define LEASED(x) (lease[x] > 0)
#endif

#ifdef QUORUM_OF_ANY
#define QUORUM(p, set, b) true
#else
#ifdef QUORUM_WITHOUT_LEASE
#define UNLAPSED(p, b) true
#else
#define UNLAPSED(p, b) (!lapsed[b] && LEASED(p))
#endif
#define QUORUM(p, set, b) (MAJORITY(set) || (UNLAPSED(p, b) && (ALL & ~(set) & ~certain[p]) == 0))
#endif

/* ---- Beats and leases ---- */

/* Order of (view, ballot) that a node has accepted. */
#ifdef INSTALLED_AS_BALLOT_0
#define FAR(x) (IN_VIEW_2(x) -> 1 : accepted[x])
#else
#define FAR(x) (IN_VIEW_2(x) -> BALLOTS + 1 : accepted[x])
#endif
#ifdef RENEW_FOR_ALL
#define RENEWS(me, x) true
#else
#ifdef RENEW_FOR_ANY_BALLOT
#define RENEWS(me, x) (FAR(me) == 0 || FAR(x) > 0)
#else
#define RENEWS(me, x) (FAR(x) >= FAR(me))
#endif
#endif

#define BEAT(a, b) heard[MIN(a, b)].at[MAX(a, b)]
#define COORDINATES(c, x) (LINK(c, x) && COORDINATOR(c) == c && COORDINATOR(x) == c)

/* Beats go back and forth at once; the coordinator's lease, that answers its beat; the lease it has for others. Neither is
 * worth more if its message is late: what it says counts from the beat it answers. */
#define BEATS(x)                                                                                                     \
    :: d_step { x != me && COORDINATES(me, x) && BEAT(me, x) < T && BEATS_MATTER -> BEAT(me, x) = T }                \
    :: d_step { x != me && COORDINATES(me, x) && MAJORITY(BIT(me) | BIT(x)) && RENEWS(x, me) &&                      \
        BEAT(me, x) > lease[me] -> lease[me] = BEAT(me, x) }                                                         \
    :: d_step { x != me && COORDINATES(me, x) && RENEWS(me, x) && !IN_VIEW_2(x) && LEASE_SENT(x) }

#ifdef LEASE_FROM_ARRIVAL
#define LEASE_SENT(x) coming[x] == 0 && lease[me] > lease[x] -> coming[x] = lease[me]; coming_cap[x] = BEAT(me, x)
#else
#define LEASE_SENT(x) MIN(BEAT(me, x), lease[me]) > lease[x] -> lease[x] = MIN(BEAT(me, x), lease[me])
#endif
#ifdef INSTALLED_AS_BALLOT_0
#define BEATS_MATTER true
#else
#define BEATS_MATTER !IN_VIEW_2(me)
#endif

/* ---- Agreement ---- */

#define MAY_PROPOSE(me) (LIVE(me) && !IN_VIEW_2(me) && FIRST(ALL & ~suspects[me]) == me)
#ifdef RESET
#define WANTED true /* a view may also be wanted to let nodes in or to reset caches */
#else
#define WANTED (suspects[me] != 0)
#endif
#define HEARS(me, b) (LIVE(me) && !IN_VIEW_2(me) && (OWNER(b) == me || !HAS(cut[me], OWNER(b))))

#define PROMISE(b)                                                                                                   \
    :: d_step { b > 0 && OWNER(b) != me && promises[b] && !HAS(promises[b], me) && HEARS(me, b) &&                   \
        proposal[b] == 0 && promised[me] < b ->                                                                      \
        promised[me] = b; promises[b] = promises[b] | BIT(me); lapsed[b] = lapsed[b] || !LEASED(me);                 \
        told[b] = (accepted[me] > told[b] -> accepted[me] : told[b]) }

#ifdef SKIP_CERTAIN
#define COUNTS(x) (!HAS(certain[me], x))
#else
#define COUNTS(x) true
#endif

inline silence(b) {
    x = 0;
    do
    :: x < N ->
        if
        :: x != me && !HAS(proposal[b], x) && COUNTS(x) && BEAT(me, x) > leases_end[b] -> leases_end[b] = BEAT(me, x)
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0
}

#ifdef NO_FENCE
#define FENCE(me, set)
#else
#define FENCE(me, set) cut[me] = cut[me] | (ALL & ~(set));
#endif

#define ACCEPT(b)                                                                                                    \
    :: d_step { proposal[b] && HEARS(me, b) && promised[me] <= b && !HAS(acceptances[b], me) &&                      \
        HAS(proposal[b], me) && FENCED(me, proposal[b]) ->                                                               \
        FENCE(me, proposal[b])                                                                                       \
        promised[me] = b; accepted[me] = b + 1; acceptances[b] = acceptances[b] | BIT(me);                           \
        lapsed[b] = lapsed[b] || !LEASED(me); silence(b) }                                                           \
    :: d_step { proposal[b] && HEARS(me, b) && promised[me] <= b && !HAS(proposal[b], me) ->                         \
        excluded = excluded | BIT(me) }

/* May x go on in view 1 no more? Ask the owner p of ballot b. */
#ifdef DEAD_STAYS_IGNORED
#define DEAD_STAYS(p, b) false
#else
#define DEAD_STAYS(p, b) ((proposal[b] & certain[p]) != 0)
#endif
#ifdef ONE_HOST
#define RUN_OUT(p, b, x) false
#else
#define RUN_OUT(p, b, x)                                                                                             \
    (!SAME_HOST(p, x) && (quorum_since[b] == 1 || (!HAS(proposal[b], x) && !DEAD_STAYS(p, b) && leases_end[b] == 0)))
#endif
#ifdef ONLY_LEFT_OUT
#define MUST_SETTLE(b) (ALL & ~proposal[b])
#else
#define MUST_SETTLE(b) ALL
#endif
#ifdef NO_LEASE_WAIT
#define SETTLED(p, b, x) true
#else
#define SETTLED(p, b, x) (HAS(acceptances[b] | certain[p] | (ALL & ~MUST_SETTLE(b)), x) || RUN_OUT(p, b, x))
#endif
#if N == 3
#define ALL_SETTLED(p, b) (SETTLED(p, b, 0) && SETTLED(p, b, 1) && SETTLED(p, b, 2))
#else
#define ALL_SETTLED(p, b) (SETTLED(p, b, 0) && SETTLED(p, b, 1) && SETTLED(p, b, 2) && SETTLED(p, b, 3))
#endif

/* What has no meaning any more would only make states differ. */
#define FORGET_BALLOT(b) told[b] = 0; acceptances[b] = 0; lapsed[b] = 0; leases_end[b] = 0; quorum_since[b] = 0
#define FORGET(x)                                                                                                    \
    promised[x] = 0; suspects[x] = 0; certain[x] = 0; lease[x] = 0; FORGET_BALLOT(x + 1);                            \
    if                                                                                                               \
    :: x == 0 -> FORGET_BALLOT(0)                                                                                    \
    :: else                                                                                                          \
    fi

#define INSTALL(me, set)                                                                                             \
    assert(chosen == 0 || chosen == (set)); /* one view 2 only (C6) */                                               \
    chosen = set; installed = installed | BIT(me); cut[me] = cut[me] | (ALL & ~chosen); FORGET(me)

#define ROUND_GOES_ON(b) (LIVE(me) && !IN_VIEW_2(me) && OWNER(b) == me && proposal[b] && (b > 0 || promised[0] == 0))
#define COMMIT(b)                                                                                                    \
    :: d_step { ROUND_GOES_ON(b) && quorum_since[b] == 0 && QUORUM(me, acceptances[b], b) ->                         \
        quorum_since[b] = T + 1 }                                                                                    \
    :: d_step { ROUND_GOES_ON(b) && quorum_since[b] != 0 && QUORUM(me, acceptances[b], b) &&                         \
        HAS(acceptances[b], me) && ALL_SETTLED(me, b) ->                                                             \
        INSTALL(me, proposal[b]) }

#define LEARN(x)                                                                                                     \
    :: d_step { x != me && LIVE(me) && IN_VIEW_2(x) && !IN_VIEW_2(me) && HAS(chosen, me) && !HAS(cut[me], x) &&      \
        FENCED(me, chosen) ->                                                                                            \
        INSTALL(me, chosen) }

/* ---- Losses ---- */

#define LOSE(x)                                                                                                      \
    :: d_step { x != me && LIVE(me) && !IN_VIEW_2(me) && !HAS(suspects[me], x) && doubts < DOUBTS ->                 \
        doubts++; suspects[me] = suspects[me] | BIT(x); cut[me] = cut[me] | BIT(x) }                                 \
    :: d_step { x != me && LIVE(me) && !IN_VIEW_2(me) && HAS(dead, x) && !HAS(certain[me], x) ->                     \
        certain[me] = certain[me] | BIT(x); suspects[me] = suspects[me] | BIT(x); cut[me] = cut[me] | BIT(x) }

/* ---- Writes ---- */

#define ACCEPTED(x, set) (accepted[x] > 0 && proposal[accepted[x] - 1] == (set))
#define PUSH(x)                                                                                                      \
    :: d_step { me == OLD && x != me && chosen && !HAS(chosen, OLD) && LIVE(OLD) && !IN_VIEW_2(OLD) &&               \
        (IN_VIEW_2(x) || ACCEPTED(x, chosen)) && !HAS(cut[OLD], x) && REACHES(OLD, x) ->                             \
        assert(!REACHES(OLD, x)) }

proctype node(byte me) {
    byte x;
end:
    do
    EACH(LOSE)
#ifndef ONE_HOST
    EACH(BEATS)
    :: d_step { LIVE(me) && COORDINATOR(me) == me && MAJORITY(BIT(me)) && lease[me] < T && BEATS_MATTER ->
        lease[me] = T }
#ifdef LEASE_FROM_ARRIVAL
    :: d_step { coming[me] > 0 ->
        if
        :: LIVE(me) && MIN(coming[me], coming_cap[me]) > lease[me] -> lease[me] = MIN(coming[me], coming_cap[me])
        :: else
        fi;
        coming[me] = 0; coming_cap[me] = 0 }
#endif
#endif

    /* propose: ballot 0; another one's first phase; its second phase */
    :: d_step { me == 0 && MAY_PROPOSE(me) && WANTED && proposal[0] == 0 && promised[0] == 0 ->
        proposal[0] = ALL & ~suspects[0] }
    :: d_step { MAY_PROPOSE(me) && suspects[me] && promises[me + 1] == 0 && promised[me] < me + 1 ->
        promised[me] = me + 1; promises[me + 1] = BIT(me); told[me + 1] = accepted[me];
        lapsed[me + 1] = !LEASED(me) }
    :: d_step { MAY_PROPOSE(me) && promises[me + 1] && proposal[me + 1] == 0 && promised[me] <= me + 1 &&
        QUORUM(me, promises[me + 1], me + 1) ->
        lapsed[me + 1] = false;
        if
#ifndef IGNORE_TOLD
        :: told[me + 1] && HAS(proposal[told[me + 1] - 1], me) -> proposal[me + 1] = proposal[told[me + 1] - 1]
        :: told[me + 1] && !HAS(proposal[told[me + 1] - 1], me) -> excluded = excluded | BIT(me)
#endif
        :: else -> proposal[me + 1] = ALL & ~suspects[me]
        fi }
    EACH_BALLOT(PROMISE)
    EACH_BALLOT(ACCEPT)
    EACH_BALLOT(COMMIT)
    EACH(LEARN)

    /* The primary of view 1 writes into the copies of others. A view 2 without it may already count on those that have
     * accepted (C1, C6). */
    EACH(PUSH)
    /* The primary of view 2 writes. */
    :: d_step { me == BACKUP && LIVE(me) && IN_VIEW_2(me) && !HAS(chosen, OLD) && !newer -> newer = true }
    /* A read in view 1, of the old primary's memory, must not miss it (C3). */
    :: d_step { newer && LIVE(me) && !IN_VIEW_2(me) && LEASED(me) && REACHES(me, OLD) && !HAS(cut[me], OLD) ->
        assert(!newer) }
    od
}

#define RUN_DOWN(term) term = (term > 0 -> term - 1 : 0)

proctype world() {
    byte i, j;
#define DIE(x) :: d_step { deaths < DEATHS && !HAS(dead, x) ->                                          \
        dead = dead | BIT(x); deaths++; \
        FORGET(x); cut[x] = 0 }
end:
    do
    EACH(DIE)
#ifndef ONE_HOST
    :: d_step {
        i = 0;
        do
        :: i < N ->
            RUN_DOWN(lease[i]);
#ifdef LEASE_FROM_ARRIVAL
            RUN_DOWN(coming_cap[i]);
#endif
            j = 0;
            do
            :: j < N -> RUN_DOWN(heard[i].at[j]); j++
            :: else -> break
            od;
            i++
        :: else -> break
        od;
        i = 0; j = 0;
        do
        :: i < BALLOTS ->
            RUN_DOWN(leases_end[i]);
            quorum_since[i] = (quorum_since[i] > 1 -> quorum_since[i] - 1 : quorum_since[i]);
            i++
        :: else -> break
        od;
        i = 0 }
#endif
    od
}

init {
    byte i, j;
    d_step {
        do
        :: i < N ->
            lease[i] = T; /* the last one begins now; the silence of others counts from now, not from one's own start */
            j = 0;
            do
            :: j < N -> heard[i].at[j] = (i < j -> SILENCE_AT_START : 0); j++
            :: else -> break
            od;
            i++
        :: else -> break
        od;
        i = 0; j = 0
    }
    atomic { run node(0); run node(1); run node(2);
#if N == 4
        run node(3);
#endif
        run world() }
}
