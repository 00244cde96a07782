/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file partition.h
 * One partition at one node: the copy it holds, and if it is the primary, its backups.
 *
 * An update's way: the cache layer stages a change in the copy and calls partition_push(): the effects go to every backup in
 * order. A FULL_SYNC change then waits in the queue of pending updates until every backup has its entry; only then is it
 * published and answered. All other changes are published at once, and overtake.
 *
 * Threads: `lock` guards everything here and the copy's private state; readers of the copy's bytes need no lock. Never wait,
 * make progress or call upwards (but for update->published) while holding it.
 */
#ifndef BELAY_PARTITION_H
#define BELAY_PARTITION_H

#include "base/spin.h"
#include "cluster/node.h"
#include "copy/copy.h"

enum { PARTITION_BACKUPS_MAX = 63 };

enum backup_state {
    BACKUP_NONE,
    BACKUP_WAITING,   /* for its copy; nothing is sent */
    BACKUP_ATTACHING, /* it takes the segments; the list of them is not complete */
    BACKUP_RECEIVING, /* it gets every push; what was there before is being written */
    BACKUP_FINISHING, /* all has arrived; it is being told that its copy is complete */
    BACKUP_COMPLETE   /* a mirror: acknowledgements wait for it */
};

/* Where a backup keeps the partition's segments. */
struct backup {
    int node; /* -1: none */
    enum backup_state state;
    bool
        blank; /* chosen by the view in which this node became, or was, the primary: it knows nothing of the partition */
    bool failed; /* a push to it failed: it counts as not done until the next view leaves it out */
    uint64_t descriptor_offset; /* in its region; known with its first segments */
    fabric_ticket unsettled; /* while partition.unsettled: of the last push that still reads changing bytes */
    uint32_t map_end;        /* logical segments known in `physical` */
    uint32_t *physical;      /* by logical segment; ARENA_NO_SEGMENT: not attached */
};

static inline bool backup_takes_pushes(const struct backup *backup)
{
    return backup->state >= BACKUP_RECEIVING;
}

/* Does it keep the partition's segments, or begins to? */
static inline bool backup_has_segments(const struct backup *backup)
{
    return backup->state >= BACKUP_ATTACHING;
}

/* One update in flight. Memory of the caller until `published` is called, or partition_push() says it is done. */
struct update {
    struct copy_change change;
    bool abandoned;  /* this node was left out of the job before all backups had it: it is not published */
    bool has_change; /* false: nothing to publish, only to be answered after earlier updates */
    fabric_ticket tickets[PARTITION_BACKUPS_MAX]; /* of the entry, by backup */
    struct update *next;
    void (*published)(struct update *update); /* under the partition's lock: must be quick */
};

struct provision_call {
    struct call call;
    struct partition *partition;
    int backup;
    bool attached;
};

#define PROVISION_NEVER_FAILED UINT32_MAX

/* What room is wanted for. Removes and sweeps, which clean under pressure, may use segments that arenas hold back. A failure
 * for cleaning starts no sweep, which would clean again. */
enum room_purpose { ROOM_FOR_PUT, ROOM_FOR_REMOVE, ROOM_FOR_CLEANING, ROOM_FOR_TIDYING };

/* Room that is being asked for at the backups. */
struct provision {
    uint32_t first, count;
    uint32_t *physical;           /* own segments, attached when every backup has its own */
    struct provision_call *calls; /* by backup */
    unsigned missing;             /* answers */
    int result;                   /* of the answers so far */
    bool running;
    enum room_purpose purpose;
    uint32_t wanted;      /* segments, before any of them failed */
    uint32_t vain;        /* provisions for puts that failed, since the last that did not */
    uint32_t failures;    /* provisions that failed for want of room, ever */
    unsigned retry_after; /* a failure: that many sweeps of this node have ended */
    uint64_t retry_at;    /* when a backup was not ready; clock_now() */
};

/* An operation that cannot go on yet waits here; the cache layer knows what it is. */
struct parked {
    struct parked *next;
    bool (*attempt)(struct parked *parked); /* false: it has to wait on. The partition's lock is held */
};

/* A segment without live entries, to be reused when all pushes that may still read from it are done, and all answers sent before
 * have arrived: its entries are what tells a repeated request from a new one. Answers that a former primary owed are another
 * matter: see partition_let_go(). */
struct freed_segment {
    struct freed_segment *next;
    uint32_t logical;
    fabric_ticket fences[]; /* by backup, then by node */
};

struct promotion;

struct partition {
    _Alignas(64) spin_lock lock;
    bool ready;        /* this node is the primary, and serves */
    bool abandoned;    /* this node is left out of the job */
    bool complete;     /* the copy here is whole: it was a mirror in the view before, or was filled since */
    struct copy *copy; /* NULL: this node holds none */
    belay_node *node;
    uint16_t cache;
    uint32_t number;
    uint64_t descriptor_offset; /* of the copy here, in this node's region */
    uint64_t spare_offset;      /* for a descriptor of the copy that will replace it */
    int primary;                /* node id; -1: the partition is lost */
    int backup_count;           /* places for backups */
    struct backup *backups;

    struct update *pending_first, **pending_last;
    struct parked *parked_first, **parked_last;
    struct freed_segment *freed;
    struct provision provision;

    struct copy *incoming;       /* filled by another node to replace the copy here; NULL: none */
    int source;                  /* node that fills it, or the copy; -1: none */
    struct promotion *promotion; /* while this node becomes the primary */
    /* Of the copy when this node became the primary: versions in between that others have seen are lost. */
    uint64_t found_version, raised_version;
    uint32_t raised_in;   /* view */
    uint32_t promoted_in; /* view; until all are settled in it, the log that was there then is kept; 0: not */
    unsigned switching;   /* backups in BACKUP_FINISHING: no pushes meanwhile */

    bool cleaning; /* a sweep is in the middle of a segment: other changes wait */
    bool unsettled;
    bool active; /* in the node's list of partitions that progress must look at */
    struct partition *active_next;
    bool lost; /* no copy is left, and the policy forbids to begin with an empty one */

    /* Of the cache layer: */
    void (*unpark)(struct partition *partition); /* retries parked operations, oldest first */
    bool (*promoted)(
        struct partition *partition); /* it is about to serve here, rebuilt; false: not yet. NULL: nothing */
    /* An update was published, or (without one) this node is about to serve; NULL: nobody wants to know. Under the lock. */
    void (*changed)(struct partition *partition, const struct copy_change *change);
    struct transactions *transactions;                      /* of a transactional cache, else NULL */
    bool (*begin_empty)(const struct partition *partition); /* the last copy is lost: may it begin anew? */
    void (*name_cache)(const struct partition *partition, char *name); /* BELAY_CACHE_NAME_MAX + 1 */

    uint64_t time_to_live_ms; /* of entries written without another one; 0: they do not end */
    bool keeps_end;           /* an update leaves it as it was */
    bool evicts;              /* its oldest entries give way when there is no room */
    bool evicting;            /* they do, as a part of a sweep */
    unsigned evictions_pending, eviction_parks;
    uint64_t
        quiet_until; /* nothing is removed for that by progress: copies are being compared; clock_now() */

    uint64_t updates, pushes, push_bytes, expired, evicted;
};

/* @p nodes: the holders, the primary first; -1: nobody. @p fresh: all copies are empty, and complete; else the one here is still to
 * be filled. */
int partition_init(struct partition *partition, belay_node *node, uint16_t cache, uint32_t number,
                   const int *nodes, unsigned copies, uint64_t descriptor_offset, uint64_t spare_offset,
                   bool fresh);
void partition_destroy(struct partition *partition);

static inline bool partition_is_primary(const struct partition *partition)
{
    return partition->primary == partition->node->id;
}

/* Do not begin a change now: this node does not serve yet, a backup's queue is full, or an index page is still on its
 * way from this copy's bytes. */
bool partition_pushes_wait(struct partition *partition);

/* The same for changes other than a sweep's, which it may have to finish first. */
static inline bool partition_must_wait(struct partition *partition)
{
    return partition->cleaning || partition_pushes_wait(partition);
}

/* Push the effects of a change to all backups. @p tickets (by backup) of its last effect before the slot; NULL: nobody
 * will wait. */
void partition_push(struct partition *partition, const struct copy_change *change, fabric_ticket *tickets);

/* Count an update and its pushes; structural changes are not counted. */
void partition_count_update(struct partition *partition);

/* Push and publish a change that nobody waits for: structural ones, and updates in the asynchronous modes. */
void partition_push_now(struct partition *partition, struct copy_change *change);

/*
 * Push an update; publish it now if every backup has it already and nothing is before it in the queue, else queue it.
 * @return true: published now, update->published is not called.
 */
bool partition_push_sync(struct partition *partition, struct update *update);

/* Queue an answer behind all pending updates. @return true: there are none. */
bool partition_after_pending(struct partition *partition, struct update *update);

/*
 * Get room for an entry of @p bytes (0: an index page): at once where there are no backups, else by asking them.
 * @return BELAY_OK: try again now; FABRIC_AGAIN: park, it will come; BELAY_ERR_NO_SPACE.
 * @p failures_seen: the operation's memory of failed provisions, PROVISION_NEVER_FAILED at first.
 */
int partition_provision(struct partition *partition, size_t bytes, enum room_purpose purpose,
                        uint32_t *failures_seen);

/* Clean and release after an update, in small steps. */
void partition_tidy(struct partition *partition);
/* The same as far as it goes: an arena is full. @return true if something was freed. */
bool partition_sweep(struct partition *partition);

void partition_park(struct partition *partition, struct parked *parked);
struct parked *partition_take_parked(struct partition *partition);             /* the oldest, or NULL */
void partition_park_first(struct partition *partition, struct parked *parked); /* put it back */
/* Progress must look at this partition. The lock is held. */
void partition_activate(struct partition *partition);

/*
 * Other holders in a new view, of which the first @p kept held the partition before. @p fresh: all former ones are gone, and these
 * begin with empty copies. Dropped backups are waited for no more; a new primary prepares to serve; new backups get their copies in
 * the background.
 */
void partition_reassign(struct partition *partition, const int *nodes, int kept, bool fresh);

/* If no complete copy was left and this node should be the primary: begin with an empty one after all. */
void partition_begin_anew(struct partition *partition);

/* This node serves nobody any more. */
void partition_abandon(struct partition *partition);

/* The cache was not opened after all: nothing is served, whatever is under way ends. @p empty: nobody writes to the copy here, and it is
 * given up. */
void partition_retire(struct partition *partition, bool empty);

/* Copies of which this node, the primary, knows. */
void partition_count_copies(struct partition *partition, unsigned *complete, unsigned *restoring);

#endif
