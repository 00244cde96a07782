/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_crew.h"

#include "base/clock.h"
#include "tool/message.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BEAT_MS = 250,
    NAP_SHORTEST_US = 50,
    NAP_LONGEST_US = 2000,
    BEATS_PER_LOOK = 8 /* with n ranks a look at the others costs n gets */
};

struct crew_record {
    uint64_t beat;
    uint64_t step;
    uint64_t meetings;     /* that the rank has come to */
    struct crew_done done; /* of the step */
    int64_t result;        /* not BELAY_OK: the rank has failed */
};

struct crew_member { /* another rank as seen from here */
    uint64_t beat;
    uint64_t heard_at;
};

struct stage_crew {
    struct stage_board *board;
    const struct stage_losses *losses;
    unsigned rank, ranks;
    crew_watcher watch;
    void *context;
    atomic_uint_fast64_t step, meetings, files, bytes;
    atomic_int result;

    pthread_t beater;
    pthread_mutex_t lock; /* of closing and beat */
    pthread_cond_t wake;
    bool closing;
    uint64_t beat;
    /* Of the beating thread: what the ranks told last. */
    struct crew_record *records;
    int *statuses;
    struct crew_member *members;
};

/* ---- What this rank tells ---- */

static void tell(stage_crew *crew)
{
    struct crew_record record = {
        .beat = ++crew->beat,
        .step = atomic_load(&crew->step),
        .meetings = atomic_load(&crew->meetings),
        .done = {atomic_load(&crew->files), atomic_load(&crew->bytes)},
        .result = atomic_load(&crew->result),
    };
    int result = board_put(crew->board, (struct notice){"crew", 0, crew->rank}, &record, sizeof record);
    int none = BELAY_OK;
    if (result != BELAY_OK && atomic_compare_exchange_strong(&crew->result, &none, result))
        message("cannot reach the others: %s", belay_last_error());
}

static void tell_now(stage_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    tell(crew);
    pthread_mutex_unlock(&crew->lock);
}

int crew_fail(stage_crew *crew, int result)
{
    int none = BELAY_OK;
    if (atomic_compare_exchange_strong(&crew->result, &none, result))
        tell_now(crew);
    return result;
}

void crew_did(stage_crew *crew, uint64_t files, uint64_t bytes)
{
    atomic_fetch_add_explicit(&crew->files, files, memory_order_relaxed);
    atomic_fetch_add_explicit(&crew->bytes, bytes, memory_order_relaxed);
}

bool crew_stopped(const stage_crew *crew)
{
    return atomic_load_explicit(&crew->result, memory_order_relaxed) != BELAY_OK;
}

int crew_result(const stage_crew *crew)
{
    return atomic_load(&crew->result);
}

/* ---- What the others tell ---- */

/* Read all records. */
static bool look(stage_crew *crew)
{
    return board_get_range(crew->board, "crew", 0, crew->ranks, crew->records, sizeof *crew->records,
                           crew->statuses) == BELAY_OK;
}

/* Note who lives; a rank that failed or fell silent stops this one too. */
static void judge(stage_crew *crew)
{
    uint64_t now = clock_now();
    for (unsigned r = 0; r < crew->ranks; ++r) {
        if (losses_has(crew->losses, r))
            continue;
        const struct crew_record *record = &crew->records[r];
        struct crew_member *member = &crew->members[r];
        bool told = crew->statuses[r] == BELAY_OK;
        int failed = told ? (int)record->result : BELAY_OK;
        if (told && record->beat != member->beat)
            *member = (struct crew_member){record->beat, now};
        if (failed == BELAY_OK && now - member->heard_at > CREW_SILENCE_SECONDS * 1000 * NANOSECONDS_PER_MS) {
            message("rank %u has not been heard of for %d s", r, CREW_SILENCE_SECONDS);
            failed = BELAY_ERR_NODE_FAILED;
        }
        int none = BELAY_OK;
        if (failed != BELAY_OK)
            atomic_compare_exchange_strong(&crew->result, &none, failed);
    }
}

static struct crew_done sum_up(const stage_crew *crew)
{
    struct crew_done sum = {0};
    for (unsigned r = 0; r < crew->ranks; ++r) {
        if (crew->statuses[r] != BELAY_OK || crew->records[r].step != atomic_load(&crew->step))
            continue;
        sum.files += crew->records[r].done.files;
        sum.bytes += crew->records[r].done.bytes;
    }
    return sum;
}

/* ---- The beat ---- */

static struct timespec after_ms(unsigned ms)
{
    uint64_t then = clock_deadline(ms);
    return (struct timespec){.tv_sec = (time_t)(then / 1000000000u), .tv_nsec = (long)(then % 1000000000u)};
}

static void *beat(void *argument)
{
    stage_crew *crew = argument;
    for (unsigned r = 0; r < crew->ranks; ++r)
        crew->members[r].heard_at = clock_now();
    pthread_mutex_lock(&crew->lock);
    while (!crew->closing) {
        tell(crew);
        bool watching = crew->watch && losses_is_first(crew->losses);
        if ((watching || crew->beat % BEATS_PER_LOOK == 0) && look(crew))
            judge(crew);
        if (watching) {
            struct crew_done sum = sum_up(crew);
            crew->watch(&sum, crew->context);
        }
        struct timespec next = after_ms(BEAT_MS);
        pthread_cond_timedwait(&crew->wake, &crew->lock, &next);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* ---- Meeting ---- */

void crew_nap(unsigned *microseconds)
{
    *microseconds = *microseconds == 0 ? NAP_SHORTEST_US : *microseconds * 2;
    if (*microseconds > NAP_LONGEST_US)
        *microseconds = NAP_LONGEST_US;
    struct timespec time = {.tv_nsec = *microseconds * 1000l};
    nanosleep(&time, NULL);
}

/* Wait until a rank has come to so many meetings, or is lost. */
static int await(stage_crew *crew, unsigned rank, uint64_t meetings)
{
    unsigned pause = 0;
    while (!losses_has(crew->losses, rank)) {
        struct crew_record record;
        int result = board_get(crew->board, (struct notice){"crew", 0, rank}, &record, sizeof record);
        if (result == BELAY_OK && (record.meetings >= meetings || record.result != BELAY_OK))
            return (int)record.result;
        if (result != BELAY_OK && result != BELAY_ERR_NOT_FOUND)
            return result;
        if (crew_stopped(crew))
            return crew_result(crew);
        crew_nap(&pause);
    }
    return BELAY_OK;
}

int crew_meet(stage_crew *crew)
{
    uint64_t meetings = atomic_fetch_add(&crew->meetings, 1) + 1;
    if (!crew_stopped(crew))
        tell_now(crew);
    int result = crew_result(crew);
    for (unsigned r = 0; r < crew->ranks && result == BELAY_OK; ++r)
        if (r != crew->rank)
            result = await(crew, r, meetings);
    if (result != BELAY_OK)
        return crew_fail(crew, result);
    atomic_store(&crew->files, 0);
    atomic_store(&crew->bytes, 0);
    atomic_fetch_add(&crew->step, 1);
    return BELAY_OK;
}

int crew_let_first(stage_crew *crew, struct notice done, crew_errand errand, void *context, void *value,
                   size_t length)
{
    unsigned pause = 0;
    for (;;) {
        bool first = losses_is_first(
            crew->losses); /* asked before: what who was first has pinned is seen below */
        int result = board_get(crew->board, done, value, length);
        if (result != BELAY_ERR_NOT_FOUND)
            return result;
        if (crew_stopped(crew))
            return crew_result(crew);
        if (first) {
            result = errand(value, context);
            return result == BELAY_OK ? board_put(crew->board, done, value, length) : result;
        }
        crew_nap(&pause);
    }
}

/* ---- Life ---- */

static void release(stage_crew *crew)
{
    pthread_cond_destroy(&crew->wake);
    pthread_mutex_destroy(&crew->lock);
    free(crew->records);
    free(crew->statuses);
    free(crew->members);
    free(crew);
}

int crew_open(struct stage_board *board, const struct stage_losses *losses, crew_watcher watch, void *context,
              stage_crew **out)
{
    stage_crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return BELAY_ERR_NO_MEMORY;
    crew->board = board;
    crew->losses = losses;
    crew->rank = losses->rank;
    crew->ranks = losses->ranks;
    crew->watch = watch;
    crew->context = context;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&crew->lock, NULL);
    crew->records = calloc(crew->ranks, sizeof *crew->records);
    crew->statuses = calloc(crew->ranks, sizeof *crew->statuses);
    crew->members = calloc(crew->ranks, sizeof *crew->members);
    if (!crew->records || !crew->statuses || !crew->members) {
        release(crew);
        return BELAY_ERR_NO_MEMORY;
    }
    int error = pthread_create(&crew->beater, NULL, beat, crew);
    if (error) {
        message("cannot start a thread: %s", strerror(error));
        release(crew);
        return BELAY_ERR_SYSTEM;
    }
    *out = crew;
    return BELAY_OK;
}

void crew_close(stage_crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->closing = true;
    pthread_cond_signal(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    pthread_join(crew->beater, NULL);
    release(crew);
}
