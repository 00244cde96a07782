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
    struct crew_done done; /* of the step */
    int64_t result;        /* not BELAY_OK: the rank has failed */
};

struct crew_member { /* another rank as seen from here */
    uint64_t beat;
    uint64_t heard_at;
};

struct stage_crew {
    struct stage_board *board;
    unsigned rank, ranks;
    crew_watcher watch;
    void *context;
    atomic_uint_fast64_t step, files, bytes;
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
        if ((crew->watch || crew->beat % BEATS_PER_LOOK == 0) && look(crew))
            judge(crew);
        if (crew->watch) {
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

static void nap(unsigned *microseconds)
{
    struct timespec time = {.tv_nsec = *microseconds * 1000l};
    nanosleep(&time, NULL);
    if (*microseconds < NAP_LONGEST_US)
        *microseconds *= 2;
}

static int wait_for_all(stage_crew *crew, struct notice arrived)
{
    unsigned pause = NAP_SHORTEST_US;
    for (;;) {
        uint64_t count;
        int result = board_taken(crew->board, arrived, &count);
        if (result != BELAY_OK)
            return result;
        if (count >= crew->ranks)
            return BELAY_OK;
        if (crew_stopped(crew))
            return crew_result(crew);
        nap(&pause);
    }
}

int crew_meet(stage_crew *crew)
{
    struct notice arrived = {"arrived", 0, (uint32_t)atomic_load(&crew->step)};
    uint64_t number;
    int result = crew_stopped(crew) ? crew_result(crew) : board_take(crew->board, arrived, &number);
    if (result == BELAY_OK)
        result = wait_for_all(crew, arrived);
    if (result != BELAY_OK)
        return crew_fail(crew, result);
    atomic_store(&crew->files, 0);
    atomic_store(&crew->bytes, 0);
    atomic_fetch_add(&crew->step, 1);
    return BELAY_OK;
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

int crew_open(struct stage_board *board, unsigned rank, unsigned ranks, crew_watcher watch, void *context,
              stage_crew **out)
{
    stage_crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return BELAY_ERR_NO_MEMORY;
    crew->board = board;
    crew->rank = rank;
    crew->ranks = ranks;
    crew->watch = watch;
    crew->context = context;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&crew->lock, NULL);
    crew->records = calloc(ranks, sizeof *crew->records);
    crew->statuses = calloc(ranks, sizeof *crew->statuses);
    crew->members = calloc(ranks, sizeof *crew->members);
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
