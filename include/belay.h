/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file belay.h
 * Belay: a replicated in-memory key-value cache for the processes of an MPI job.
 *
 * The processes of a job join with belay_open(); each is a *node*. Servers hold copies of partitions, clients only
 * call. A cache is a named map from keys to values (both byte ranges), cut into partitions by key hash. Every
 * partition has one primary copy and `backups` backup copies on other nodes, on other hosts first. Primaries push
 * updates to backups with one-sided writes; the write synchronization mode says what a write waits for.
 *
 * Results: 0 (BELAY_OK) or a negative BELAY_ERR_* code. Outputs are set only on success, except where a call says
 * otherwise. What went wrong, where, and what to do about it is logged to standard error by the node that found out
 * (see BELAY_LOG) and kept for the calling thread: belay_last_error().
 *
 * Threads: any thread may make any call on an open node or cache, at any time, unless a call says otherwise. A node
 * must not be used after belay_close() has begun, nor a cache after belay_cache_close(). MPI is used inside
 * belay_open() only, by the calling thread: MPI_THREAD_FUNNELED is enough whatever the number of calling threads.
 *
 * Memory: key and value buffers belong to the caller and may be reused as soon as a call returns; for the `_nb`
 * calls, when the request has completed.
 *
 * Consistency: see doc/consistency.md. In short: every copy of a key applies the same updates in the same order, in
 * every mode. FULL_SYNC and PRIMARY_SYNC are linearizable; FULL_ASYNC lets a process read its own writes and
 * applies its writes to one key in program order.
 */
#ifndef BELAY_H
#define BELAY_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define BELAY_VERSION_MAJOR 0
#define BELAY_VERSION_MINOR 1

/* ---- Limits -------------------------------------------------------------------------------------------------- */

#define BELAY_KEY_MAX             4096u                 /**< bytes of the longest key; the shortest has 1 */
#define BELAY_VALUE_MAX           (1024u * 1024 * 1024) /**< bytes of the longest value; the shortest has 0 */
#define BELAY_CACHE_NAME_MAX      63u                   /**< characters of the longest cache name */
#define BELAY_CACHES_MAX          64u      /**< caches of one job, those that were closed included */
#define BELAY_PARTITIONS_MAX      65536u   /**< partitions of one cache */
#define BELAY_BACKUPS_MAX         15u      /**< backup copies of a PARTITIONED cache */
#define BELAY_NODES_MAX           4096u    /**< nodes of one job */
#define BELAY_TX_KEYS_MAX         4096u    /**< keys that one transaction reads or writes */
#define BELAY_TX_BYTES_MAX        1048576u /**< bytes of keys and values that one transaction writes */
#define BELAY_FUNCTION_NAME_MAX   63u      /**< characters of the longest name of a function */
#define BELAY_INVOKE_VALUE_MAX    65536u   /**< bytes of the longest value that functions work on */
#define BELAY_INVOKE_ARGUMENT_MAX 3072u    /**< bytes of the longest argument of a function */
#define BELAY_INVOKE_RESULT_MAX   4096u    /**< bytes of the longest result of a function */

/* ---- Results ------------------------------------------------------------------------------------------------- */

enum belay_result {
    BELAY_OK = 0,
    BELAY_ERR_INVALID = -1,   /**< an argument is out of its range; nothing was done */
    BELAY_ERR_NOT_FOUND = -2, /**< no such key */
    BELAY_ERR_EXISTS = -3,    /**< put_if_absent: the key is there already */
    BELAY_ERR_CONFLICT = -4,  /**< compare_and_set: the version differs; a transaction met another */
    BELAY_ERR_TRUNCATED = -5, /**< the value is longer than the buffer; its length is reported */
    BELAY_ERR_NO_SPACE = -6,  /**< an arena has no room for this write; nothing was changed */
    BELAY_ERR_TOO_LARGE = -7, /**< key or value over the limit */
    BELAY_ERR_TIMEOUT = -8,   /**< not answered within the operation timeout; a write may or may not apply */
    BELAY_ERR_NODE_FAILED =
        -9, /**< the node that had to answer is gone; a write may or may not have applied */
    BELAY_ERR_PARTITION_LOST = -10, /**< all copies of the key's partition are gone */
    BELAY_ERR_CONFIG = -11,         /**< bad configuration value; the message names field, value, origin */
    BELAY_ERR_MISMATCH = -12,       /**< nodes have unequal configurations; the message names the field */
    BELAY_ERR_NOT_SUPPORTED = -13,  /**< known, but not available in this build or for this object */
    BELAY_ERR_NO_MEMORY = -14,      /**< the process or the host is out of memory */
    BELAY_ERR_MEMLOCK = -15,   /**< the locked-memory limit is too low; the message has limit, need, fix */
    BELAY_ERR_NO_DEVICE = -16, /**< no usable RDMA device; the message says how to get one */
    BELAY_ERR_REFUSED = -17,   /**< a peer refused us: other job, wrong secret, other protocol version */
    BELAY_ERR_PROTOCOL = -18,  /**< a peer sent something malformed and was cut off */
    BELAY_ERR_CLOSED = -19,    /**< the node or cache is closing */
    BELAY_ERR_TYPE = -20,      /**< fetch_add: the value is not an 8-byte integer */
    BELAY_ERR_MPI = -21,       /**< an MPI call failed during belay_open() */
    BELAY_ERR_SYSTEM = -22,    /**< a system call failed; the message has its name and errno */
    BELAY_ERR_DIFFERS = -23,   /**< belay_verify: copies differ; the report lists where */
    BELAY_ERR_EXCLUDED = -24,  /**< this node was left out of the job: the others took it for dead */
    BELAY_ERR_NO_FUNCTION =
        -25 /**< belay_invoke: no function of this name is registered at the key's primary */
};

/** The constant text of a result code, for example "BELAY_ERR_NO_SPACE: an arena is full". Never NULL. */
const char *belay_strerror(int result);

/** The message of the last failed call of this thread ("" if none). Valid until this thread's next Belay call. */
const char *belay_last_error(void);

/** Library version "major.minor.patch", the protocol version and the transports built in; constant. */
const char *belay_version(void);

/* ---- Node ---------------------------------------------------------------------------------------------------- */

typedef struct belay_node belay_node;       /**< this process as a member of the job's cache */
typedef struct belay_cache belay_cache;     /**< an open cache at this node */
typedef struct belay_request belay_request; /**< an operation begun by an `_nb` call */

typedef enum belay_role {
    BELAY_ROLE_DEFAULT = 0, /**< server */
    BELAY_ROLE_SERVER,      /**< holds copies */
    BELAY_ROLE_CLIENT,      /**< holds none; calls only */
    BELAY_ROLE_SPARE        /**< a server that holds none at first: it takes the place of one that dies */
} belay_role;

typedef enum belay_transport {
    BELAY_TRANSPORT_DEFAULT = 0, /**< auto */
    BELAY_TRANSPORT_AUTO,        /**< shared memory between nodes of one host, verbs between hosts */
    BELAY_TRANSPORT_SHM,         /**< shared memory only: every node must be on one host */
    BELAY_TRANSPORT_VERBS        /**< verbs everywhere, also between nodes of one host */
} belay_transport;

typedef enum belay_progress_mode {
    BELAY_PROGRESS_DEFAULT = 0, /**< thread */
    BELAY_PROGRESS_THREAD,      /**< one progress thread per node answers peers; sleeps when idle */
    BELAY_PROGRESS_MANUAL /**< no thread: peers wait until this process calls Belay or belay_progress() */
} belay_progress_mode;

/**
 * Settings of a node. Zero (or NULL) in a field means its default, so `{0}` is a valid configuration. Every field has
 * an environment variable which wins over the struct and over the configuration file: `BELAY_` and the field's name
 * in upper case (BELAY_TRANSPORT=verbs, BELAY_ARENA_SIZE=512M, ...).
 */
typedef struct belay_config {
    belay_role role;
    belay_transport transport;
    belay_progress_mode progress;
    size_t arena_size; /**< bytes of this node's memory for copies and staging; default: half of the host's
                                    available memory shared among the nodes of the host. With verbs it is pinned, and
                                    the default is at most 1 GiB and within the locked-memory limit */
    size_t
        segment_size; /**< bytes, a power of two from 16 KiB to 4 MiB; equal on all nodes; default 64 KiB */
    unsigned operation_timeout_ms; /**< the longest a call waits for a peer; default 30000 */
    unsigned failure_timeout_ms; /**< a node that does not answer for so long is taken for dead and left out;
                                    equal on all nodes; default 1500 */
    int progress_core;  /**< 0: chosen by hwloc; n > 0: the progress thread is bound to logical core n - 1 */
    const char *device; /**< RDMA device name; NULL: the first that passes a test */
    const char *
        address_file; /**< where to write how processes of other jobs can join this one (belay_join()); readable by
                                    this user only; NULL: none can */
    unsigned join_room; /**< how many processes can join in all; default 16 with an address file, else none */
    const char *config_file; /**< an XML file with node settings and caches; NULL: none */
} belay_config;

/**
 * Join the processes of @p communicator into one in-memory cache. Collective over the communicator; the only call
 * that uses MPI (a duplicate of @p communicator, freed before returning).
 *
 * @param config NULL for all defaults. Copied.
 * @param[out] node to be released with belay_close().
 * @return BELAY_OK on every process, or on every process the error of the first process that failed.
 * Errors: CONFIG, MISMATCH, MEMLOCK, NO_DEVICE, NO_MEMORY, MPI, SYSTEM, NOT_SUPPORTED.
 */
int belay_open(MPI_Comm communicator, const belay_config *config, belay_node **node);

/**
 * Leave. Waits until every other live node has called belay_close() too (its copies are needed until then), serving
 * peers meanwhile; uses no MPI, so a job that lost a rank closes cleanly. All caches of the node are closed; no other
 * call may be in progress or follow. @p node may be NULL. Always releases the node; a non-zero result reports
 * asynchronous writes that were lost.
 */
int belay_close(belay_node *node);

/** Answer peers once, without waiting. For BELAY_PROGRESS_MANUAL. @return number of events handled, or an error. */
int belay_progress(belay_node *node);

/**
 * Join a job that runs already, as a further node: a replacement for one that died (a server or spare; it gets a share of the
 * copies), or a client. Not collective; uses no MPI. The settings that must be equal on all nodes are taken from the job.
 * @param address_file as the job wrote it (belay_config.address_file).
 * Errors: as belay_open(), REFUSED (wrong secret, other version, no room), TIMEOUT (nobody there answers), NODE_FAILED.
 */
int belay_join(const char *address_file, const belay_config *config, belay_node **node);

int belay_node_id(
    const belay_node *node); /**< this node's id: its rank in the communicator of belay_open() */
int belay_node_count(const belay_node *node); /**< nodes in the current view, clients included */

/* ---- Caches -------------------------------------------------------------------------------------------------- */

typedef enum belay_cache_mode {
    BELAY_CACHE_DEFAULT = 0, /**< partitioned */
    BELAY_CACHE_PARTITIONED, /**< every partition has 1 + backups copies */
    BELAY_CACHE_REPLICATED   /**< every server holds a copy of every partition */
} belay_cache_mode;

/** What a write (or a transaction's commit) waits for. In every mode all copies apply the same updates in order. */
typedef enum belay_sync {
    BELAY_SYNC_DEFAULT = 0, /**< in a cache's configuration: FULL_ASYNC; in a call: the cache's mode */
    BELAY_FULL_SYNC,        /**< the primary and every backup have the update */
    BELAY_PRIMARY_SYNC,     /**< the primary has it; backups follow */
    BELAY_FULL_ASYNC        /**< nobody: the request is on its way; belay_flush() reports failures */
} belay_sync;

typedef enum belay_atomicity {
    BELAY_ATOMICITY_DEFAULT = 0, /**< atomic */
    BELAY_ATOMIC,                /**< each operation by itself */
    BELAY_TRANSACTIONAL          /**< the cache may take part in transactions */
} belay_atomicity;

typedef enum belay_loss_policy {
    BELAY_LOSS_DEFAULT = 0, /**< ignore */
    BELAY_LOSS_IGNORE,
    BELAY_LOSS_READ_ONLY_SAFE,
    BELAY_LOSS_READ_WRITE_SAFE
} belay_loss_policy;

/** Is something done? */
typedef enum belay_switch { BELAY_SWITCH_DEFAULT, BELAY_OFF, BELAY_ON } belay_switch;

/** Which end an update gives an entry that is there, in a cache (or with an entry) that has a time to live. */
typedef enum belay_expiry {
    BELAY_EXPIRY_DEFAULT = 0, /**< modified */
    BELAY_EXPIRY_MODIFIED,    /**< a new one: its time begins again with every update */
    BELAY_EXPIRY_CREATED      /**< the one it has, unless the update brings its own time to live */
} belay_expiry;

/** What happens when an arena is full. */
typedef enum belay_eviction {
    BELAY_EVICTION_DEFAULT = 0, /**< none */
    BELAY_EVICTION_NONE,        /**< writes that need room fail: BELAY_ERR_NO_SPACE */
    BELAY_EVICTION_FIFO /**< the entries of this cache that were written first are removed, until there is room */
} belay_eviction;

#define BELAY_TIME_TO_LIVE_MAX_MS 3153600000000u /**< the longest time to live: 100 years */

/** Settings of a cache, equal on all nodes. Zero in a field means its default; only the name is required. */
typedef struct belay_cache_config {
    const char *name; /**< 1 to BELAY_CACHE_NAME_MAX characters */
    belay_cache_mode cache_mode;
    unsigned backups; /**< backup copies; more than servers - 1 means as many as there are; default 0 */
    belay_sync write_synchronization_mode;
    belay_atomicity atomicity_mode;
    belay_loss_policy partition_loss_policy;
    unsigned partitions; /**< a power of two up to BELAY_PARTITIONS_MAX; default 256 */
    /** BELAY_ON: belay_get() may take a value from a backup on its own host when the primary is on another. It may be older than
     * the newest one, also than a write of this process that was not flushed, or newer than what others read yet and lost
     * with the primary; it is never a mixture. So with the other calls that read. Of no effect in TRANSACTIONAL caches. Default BELAY_OFF. */
    belay_switch read_from_backup;
    size_t
        near_cache_size; /**< bytes at every process for values read from other hosts, from 64 KiB on; default 0: none */
    belay_expiry expiry_policy;
    uint64_t
        time_to_live_ms; /**< milliseconds after which an entry is gone, by the clock (CLOCK_REALTIME) of its primary;
                                    default 0: never. See belay_write_options.time_to_live_ms */
    belay_eviction eviction_policy;
} belay_cache_config;

/**
 * Open a cache. The first open of a name creates the cache. Collective over the *servers*: returns when every live
 * server has opened the name (or after the operation timeout); clients may open it at any time. The configurations
 * must be equal: else every waiting node gets BELAY_ERR_MISMATCH naming the field and both values.
 * Errors: INVALID, CONFIG, MISMATCH, NO_SPACE, TOO_LARGE (more than BELAY_CACHES_MAX), TIMEOUT, NODE_FAILED, NOT_SUPPORTED.
 */
int belay_cache_open(belay_node *node, const belay_cache_config *config, belay_cache **cache);

/** Release this node's handle. The data stays, and so do the copies this node holds. @p cache may be NULL. */
int belay_cache_close(belay_cache *cache);

/** Number of entries: the sum over all primaries, each counted at a moment within the call. Entries whose time to live has
 * passed count until they are removed, about a second later. */
int belay_size(belay_cache *cache, uint64_t *entries);

/** Remove every entry written before the call; entries written meanwhile may survive. Waits for all copies, and until transactions
 * have unlocked their keys (else TIMEOUT). It is no transaction: others may see some entries gone and some not. */
int belay_clear(belay_cache *cache);

/* ---- One key ------------------------------------------------------------------------------------------------- */

/** Options of one write; NULL or zero fields mean the cache's settings. */
typedef struct belay_write_options {
    belay_sync sync; /**< overrides the cache's write synchronization mode for this call */
    uint64_t
        time_to_live_ms; /**< milliseconds until the entry written is gone; 0: as the cache's configuration says;
                                    BELAY_NEVER_EXPIRES; of a remove: without meaning. At most BELAY_TIME_TO_LIVE_MAX_MS, else
                                    INVALID */
} belay_write_options;

/** Time to live of an entry that stays, whatever its cache's is. */
#define BELAY_NEVER_EXPIRES UINT64_MAX

/** *old_length of belay_get_and_put() when there was no old value. */
#define BELAY_NO_VALUE SIZE_MAX

/*
 * Errors common to all calls below: INVALID, TOO_LARGE, TIMEOUT, NODE_FAILED, PARTITION_LOST, CLOSED; of writes also
 * NO_SPACE. A FULL_ASYNC put or remove returns BELAY_OK once queued: what fails later is reported by belay_flush(), what is
 * known to fail at once (this node is the primary, or a large value finds no room) is returned.
 * Writes of keys that the library needs for itself give INVALID: those that begin with the 16 bytes "\0belay\0transact\0".
 * An operation whose result depends on the old value (put_if_absent, replace, get_and_put, compare_and_set,
 * fetch_add) always waits for the primary's answer: with FULL_ASYNC it behaves as with PRIMARY_SYNC.
 */

/** Set the value of a key. */
int belay_put(belay_cache *cache, const void *key, size_t key_length, const void *value, size_t value_length,
              const belay_write_options *options);

/**
 * Copy the value of a key into @p buffer. BELAY_ERR_NOT_FOUND if the key is not there.
 * With any other result than BELAY_OK the buffer is unspecified: also with NOT_FOUND it may hold what was removed just then.
 * @param[out] value_length its length. BELAY_ERR_TRUNCATED sets it too.
 */
int belay_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
              size_t *value_length);

/** belay_get() that also tells the entry's version, for belay_compare_and_set(). TRUNCATED sets both outputs. */
int belay_get_versioned(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                        size_t *value_length, uint64_t *version);

/** Remove a key. NOT_FOUND if it was not there (FULL_ASYNC: BELAY_OK once queued). */
int belay_remove(belay_cache *cache, const void *key, size_t key_length, const belay_write_options *options);

/** BELAY_OK if the key is there, BELAY_ERR_NOT_FOUND if not. */
int belay_contains(belay_cache *cache, const void *key, size_t key_length);

/** Set the value unless the key is there: BELAY_ERR_EXISTS. */
int belay_put_if_absent(belay_cache *cache, const void *key, size_t key_length, const void *value,
                        size_t value_length, const belay_write_options *options);

/** Set the value only if the key is there: else BELAY_ERR_NOT_FOUND. */
int belay_replace(belay_cache *cache, const void *key, size_t key_length, const void *value,
                  size_t value_length, const belay_write_options *options);

/**
 * Set the value and give the old one, atomically.
 * @param[out] old_length length of the old value, BELAY_NO_VALUE if there was none. BELAY_ERR_TRUNCATED sets it, and
 * then nothing was written.
 */
int belay_get_and_put(belay_cache *cache, const void *key, size_t key_length, const void *value,
                      size_t value_length, const belay_write_options *options, void *old, size_t capacity,
                      size_t *old_length);

/**
 * Set the value if the entry's version is @p expected (0: if the key is not there); else BELAY_ERR_CONFLICT.
 * @param[out] version of the new entry; may be NULL.
 */
int belay_compare_and_set(belay_cache *cache, const void *key, size_t key_length, uint64_t expected,
                          const void *value, size_t value_length, const belay_write_options *options,
                          uint64_t *version);

/**
 * Add to a 64-bit integer (8 bytes, host order, wrapping around); an absent key counts as 0.
 * @param[out] old the value before; may be NULL. BELAY_ERR_TYPE if the value has not 8 bytes.
 */
int belay_fetch_add(belay_cache *cache, const void *key, size_t key_length, int64_t delta,
                    const belay_write_options *options, int64_t *old);

/** Some bytes. */
typedef struct belay_bytes {
    const void *data;
    size_t length;
} belay_bytes;

/* ---- Functions at the primary -------------------------------------------------------------------------------- */

/** What a function wants done with the entry. */
typedef enum belay_action {
    BELAY_ACTION_KEEP = 0, /**< nothing */
    BELAY_ACTION_SET,      /**< make what lies in `value` the new value */
    BELAY_ACTION_REMOVE    /**< remove the key, if it is there */
} belay_action;

/** One application of a function to one key. What the pointers point to is valid during the call. */
typedef struct belay_invocation {
    belay_bytes key, argument; /**< not aligned */
    void *
        value; /**< a copy of the value, aligned for any type, to be changed in place; room for BELAY_INVOKE_VALUE_MAX bytes */
    size_t value_length; /**< of the value; BELAY_NO_VALUE: there is none. With SET: of the new one */
    void *
        result; /**< room for BELAY_INVOKE_RESULT_MAX bytes, aligned for any type, whatever the caller takes */
    size_t
        result_capacity; /**< what the caller takes: with a longer result it gets TRUNCATED, and nothing is changed */
    size_t result_length; /**< 0 before; set it to the length of the result */
} belay_invocation;

/**
 * Applied at the primary, with nothing else done to the partition meanwhile: it must be short (other keys wait), and must not call
 * Belay (its calls give BELAY_ERR_INVALID). What it does must follow from key, value and argument alone: it may be called more than
 * once for one belay_invoke(), in which case the last call counts, and it must have no other effect. It may run in any thread.
 * @return a belay_action; anything else is INVALID.
 */
typedef int (*belay_function)(belay_invocation *invocation, void *context);

/**
 * Give a function a name, under which belay_invoke() finds it. To be done on every server that may be a key's primary, best right
 * after belay_open(): a primary without it answers NO_FUNCTION. It stays until belay_close(). That a name means the same function on
 * every node is not checked. Not collective.
 * @param name 1 to BELAY_FUNCTION_NAME_MAX characters. @param context passed to it. Errors: INVALID, EXISTS (the name), NO_MEMORY.
 */
int belay_function_register(belay_node *node, const char *name, belay_function function, void *context);

/**
 * Apply a function to a key where its primary is: read, change and answer are one operation, replicated like a put in the cache's
 * mode, applied once whoever dies. A function that keeps the entry costs its backups nothing.
 * @param buffer for the function's result; may be NULL if @p capacity is 0.
 * @param[out] result_length length of the result; may be NULL. BELAY_ERR_TRUNCATED sets it too: then nothing was changed.
 * Errors: those of writes, NO_FUNCTION, TOO_LARGE (also a value over BELAY_INVOKE_VALUE_MAX), INVALID (also what the function said).
 */
int belay_invoke(belay_cache *cache, const void *key, size_t key_length, const char *function,
                 const void *argument, size_t argument_length, const belay_write_options *options,
                 void *buffer, size_t capacity, size_t *result_length);

/* ---- Subscriptions ------------------------------------------------------------------------------------------- */

typedef struct belay_subscription belay_subscription; /**< changes told to one handler */

typedef enum belay_change_kind {
    BELAY_CHANGE_PUT = 1, /**< `key` has `value` now */
    BELAY_CHANGE_REMOVED, /**< `key` was removed, or its time was over */
    BELAY_CHANGE_CLEARED, /**< all keys of `partition` were removed, by belay_clear() */
    BELAY_CHANGE_GAP      /**< changes in `partition` may have been missed: see belay_subscribe() */
} belay_change_kind;

/** One change. What the pointers point to is valid during the handler's call. */
typedef struct belay_change {
    belay_change_kind kind;
    int partition;
    uint64_t
        version; /**< of the entry, as belay_get_versioned() tells it; removals have one too. GAP: the last that was told */
    belay_bytes key;
    belay_bytes
        value; /**< data NULL: key and value have more than some 8000 bytes together; its length is told */
} belay_change;

/** Called for every change by a thread that makes progress; it may call Belay, but must not wait long. */
typedef void (*belay_change_handler)(belay_cache *cache, const belay_change *change, void *context);

/**
 * Be told of changes of keys that begin with @p prefix, whoever makes them, once others may read them. Those of one key come in the
 * order in which its primary made them. What happens after the call has returned is told.
 *
 * Nothing is missed silently. When a primary dies, or a handler is slower than changes come (4096 changes or 16 MiB wait; nobody else
 * ever waits for it), a GAP is told for the partition, and then every key of the prefix that has changed since, with the value it has
 * now: values in between are left out, others may be told again, and removals are left out. Who keeps a copy of what it is told
 * should then look which of its keys in the partition are gone.
 * @param prefix may be NULL if @p prefix_length is 0: every key. @param context passed to the handler.
 * @param[out] subscription to be ended by belay_unsubscribe(), or by belay_close().
 * Errors: INVALID, TOO_LARGE, NO_MEMORY, TIMEOUT, EXCLUDED.
 */
int belay_subscribe(belay_cache *cache, const void *prefix, size_t prefix_length,
                    belay_change_handler handler, void *context, belay_subscription **subscription);

/** End it and set it to NULL. When this returns, the handler does not run, and will not (but it may itself call this). */
int belay_unsubscribe(belay_subscription **subscription);

/* ---- Many keys ----------------------------------------------------------------------------------------------- */

/** One key of belay_get_all(): the caller sets key, buffer and capacity; the call sets length and status. */
typedef struct belay_get_item {
    belay_bytes key;
    void *buffer;
    size_t capacity;
    size_t length; /**< of the value, when status is BELAY_OK or BELAY_ERR_TRUNCATED */
    int status;    /**< as of belay_get() */
} belay_get_item;

/** One key of belay_put_all(): the caller sets key and value; the call sets status. */
typedef struct belay_put_item {
    belay_bytes key;
    belay_bytes value;
    int status; /**< as of belay_put() */
} belay_put_item;

/** Get many keys at once, their reads overlapped. @return BELAY_OK if every status is BELAY_OK or NOT_FOUND, else
 * the first other status. */
int belay_get_all(belay_cache *cache, belay_get_item *items, size_t count);

/** Put many keys at once; not atomic as a whole. @return BELAY_OK if every status is, else the first other. */
int belay_put_all(belay_cache *cache, belay_put_item *items, size_t count,
                  const belay_write_options *options);

/** Called for one entry; key and value are valid during the call, which must not call Belay on the same cache.
 * @return 0 to go on, anything else to stop: belay_iterate() then returns that number. */
typedef int (*belay_visitor)(belay_bytes key, belay_bytes value, void *context);

/**
 * Visit the entries of all partitions, or only of those whose primary is this node. An entry that is there during
 * the whole call is visited exactly once; one written or removed meanwhile, at most once.
 */
int belay_iterate(belay_cache *cache, int local_only, belay_visitor visit, void *context);

/* ---- Loading ------------------------------------------------------------------------------------------------- */

/*
 * A loader puts many entries fast: some dozens of them are on their way at once, each to all copies whatever the cache's mode,
 * while the caller makes the next. Of one thread at a time (else INVALID); several loaders may work side by side.
 */

typedef struct belay_loader belay_loader; /**< a stream of puts to one cache */

/** Begin to load. @param[out] loader to be released by belay_loader_close(), before the cache. Errors: INVALID, NO_MEMORY. */
int belay_loader_open(belay_cache *cache, belay_loader **loader);

/**
 * Set the value of a key, in a while. Key and value may be reused at once. Of several values of one key the last one counts.
 * @return BELAY_OK: it was taken; else it was not: INVALID, TOO_LARGE, NO_MEMORY, or the error of an entry before, as of
 * belay_put(), until belay_loader_flush() has told it.
 */
int belay_loader_add(belay_loader *loader, const void *key, size_t key_length, const void *value,
                     size_t value_length);

/** Wait until all entries added are on every copy. @return the first failure since the last flush, else BELAY_OK. */
int belay_loader_flush(belay_loader *loader);

/** Entries, and bytes of their keys and values. */
typedef struct belay_load_progress {
    uint64_t added, added_bytes; /**< taken by belay_loader_add() */
    uint64_t done, done_bytes;   /**< of these, known to be on every copy */
    uint64_t failed;             /**< entries that could not be put */
} belay_load_progress;

/** How far it is. Any thread may ask, also while another one is in a call. */
int belay_loader_progress(const belay_loader *loader, belay_load_progress *progress);

/** Flush and release. @p loader may be NULL. @return as belay_loader_flush(); it is released also then, but not if INVALID. */
int belay_loader_close(belay_loader *loader);

/* ---- Asynchronous forms -------------------------------------------------------------------------------------- */

/* The buffers and *value_length must stay valid until the request completes. On failure to begin, no request. */
int belay_put_nb(belay_cache *cache, const void *key, size_t key_length, const void *value,
                 size_t value_length, const belay_write_options *options, belay_request **request);
int belay_get_nb(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                 size_t *value_length, belay_request **request);
int belay_remove_nb(belay_cache *cache, const void *key, size_t key_length,
                    const belay_write_options *options, belay_request **request);
int belay_fetch_add_nb(belay_cache *cache, const void *key, size_t key_length, int64_t delta,
                       const belay_write_options *options, int64_t *old, belay_request **request);
int belay_invoke_nb(belay_cache *cache, const void *key, size_t key_length, const char *function,
                    const void *argument, size_t argument_length, const belay_write_options *options,
                    void *buffer, size_t capacity, size_t *result_length, belay_request **request);

/** Make progress and tell whether the request has completed. It still has to be released by belay_wait(). */
int belay_test(belay_request *request, int *completed);

/** Wait for the operation, release the request and set it to NULL. @return the operation's result. */
int belay_wait(belay_request **request);

/** belay_wait() for each of many. @param[out] results one per request; may be NULL. @return the first failure. */
int belay_wait_all(belay_request **requests, size_t count, int *results);

/**
 * Wait until all writes that this process began before are on every copy. Flushes all caches of the node.
 * @return the first failure of an asynchronous write since the last flush (each is also logged), else BELAY_OK.
 */
int belay_flush(belay_node *node);

/* ---- Transactions -------------------------------------------------------------------------------------------- */

/*
 * A transaction reads and writes keys of any number of TRANSACTIONAL caches of one node, and takes effect as a whole or not
 * at all, whoever dies. Writes are seen by its own reads at once, and by all others when it commits. What each kind of
 * transaction promises is a table in doc/transactions.md. Plain calls on a TRANSACTIONAL cache are transactions of one
 * operation: writes wait for locks (TIMEOUT names who has one), and those in FULL_ASYNC mode wait for the primary.
 *
 * Threads: a transaction belongs to one thread at a time; INVALID if two are in its calls at once.
 */

typedef struct belay_tx belay_tx; /**< a transaction */

typedef enum belay_concurrency {
    BELAY_PESSIMISTIC =
        1, /**< keys are locked when they are used; a deadlock is found and one of it gets CONFLICT */
    BELAY_OPTIMISTIC /**< nothing is locked before the commit */
} belay_concurrency;

typedef enum belay_isolation {
    BELAY_READ_COMMITTED = 1, /**< what is read was committed */
    BELAY_REPEATABLE_READ, /**< and is the same when read again; a key that is read and written is not changed in between */
    BELAY_SERIALIZABLE /**< as if transactions came one after the other */
} belay_isolation;

typedef enum belay_tx_status {
    BELAY_TX_ACTIVE = 1,
    BELAY_TX_ROLLBACK_ONLY, /**< by belay_tx_set_rollback_only(), or since a call failed: it cannot commit */
    BELAY_TX_COMMITTED,
    BELAY_TX_ROLLED_BACK,
    BELAY_TX_UNKNOWN /**< this node was left out of the job while it committed: the others know the outcome */
} belay_tx_status;

/**
 * Begin a transaction.
 * @param timeout_ms the longest it may wait for locks in all; 0: the node's operation timeout.
 * @param[out] tx to be ended by belay_tx_commit() or belay_tx_rollback(), and released by belay_tx_close().
 */
int belay_tx_begin(belay_node *node, belay_concurrency concurrency, belay_isolation isolation,
                   unsigned timeout_ms, belay_tx **tx);

/*
 * Errors common to the calls below: INVALID (an argument, a cache that is not TRANSACTIONAL or of another node, a transaction
 * that is over or used by two threads), NO_MEMORY, TOO_LARGE (BELAY_TX_KEYS_MAX, BELAY_TX_BYTES_MAX). A pessimistic one also
 * gets TIMEOUT (names the key and who has locked it) or CONFLICT (names the deadlock), and can then only be rolled back.
 */

/** belay_get() within a transaction. The buffer stays as it is unless the result is BELAY_OK. */
int belay_tx_get(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length, void *buffer,
                 size_t capacity, size_t *value_length);

/** belay_get_all() within a transaction. */
int belay_tx_get_all(belay_tx *tx, belay_cache *cache, belay_get_item *items, size_t count);

/** Set the value of a key when the transaction commits. */
int belay_tx_put(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length, const void *value,
                 size_t value_length);

/** Remove a key when the transaction commits, if it is there then. */
int belay_tx_remove(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length);

/**
 * End it. Returns as the strictest write synchronization mode of the caches written says: FULL_SYNC when all copies have
 * applied it, PRIMARY_SYNC when the primaries have, FULL_ASYNC when it is decided. Once begun, the outcome is always told.
 * @return BELAY_OK: committed. CONFLICT, TIMEOUT (both name what was in the way), NO_SPACE, PARTITION_LOST, the error since
 * which it was ROLLBACK_ONLY, ...: rolled back. EXCLUDED: unknown. INVALID: it was over already.
 */
int belay_tx_commit(belay_tx *tx);

/** End it without any effect. */
int belay_tx_rollback(belay_tx *tx);

/** It can only be rolled back from now on: belay_tx_commit() will do so, and return CONFLICT. */
int belay_tx_set_rollback_only(belay_tx *tx);

/** @return its state (belay_tx_status), or INVALID. */
int belay_tx_state(const belay_tx *tx);

/** Release it, rolled back if it was not over. @p tx may be NULL. Before belay_close(). */
int belay_tx_close(belay_tx *tx);

/* ---- Placement ----------------------------------------------------------------------------------------------- */

int belay_partition_count(const belay_cache *cache); /**< partitions of the cache */
int belay_partition_of(const belay_cache *cache, const void *key,
                       size_t key_length); /**< the key's partition, or BELAY_ERR_INVALID */
int belay_primary_of(const belay_cache *cache, int partition); /**< id of the primary's node, or an error */
/** @param[out] nodes room for @p capacity ids. @return how many backups the partition has, or an error. */
int belay_backups_of(const belay_cache *cache, int partition, int *nodes, int capacity);
int belay_is_primary(const belay_cache *cache, const void *key,
                     size_t key_length); /**< 1 if this node is the key's primary, 0 if not, or an error */

/* ---- Failures ------------------------------------------------------------------------------------------------ */

/*
 * When a node dies, the others agree on a new *view* without it. Of every partition that had its primary there, a backup becomes
 * the primary; other servers take the free places of backups and get their copies while the job goes on. Calls in flight
 * wait for that and are repeated by the library, none is applied twice. See doc/failover.md.
 */

typedef enum belay_event_kind {
    BELAY_EVENT_NODE_LEFT = 1,      /**< `node` is not in the view any more */
    BELAY_EVENT_NODE_JOINED,        /**< `node` is in the view now */
    BELAY_EVENT_VIEW_CHANGED,       /**< a new view holds here: `view` */
    BELAY_EVENT_PARTITION_PROMOTED, /**< this node is the primary of `partition` of `cache` now, and serves it */
    BELAY_EVENT_PARTITION_LOST,     /**< no copy of `partition` of `cache` is left */
    BELAY_EVENT_PARTITION_RESTORED, /**< a copy of `partition` of `cache` is complete on `node` */
    BELAY_EVENT_EXCLUDED,           /**< this node has been left out of the job */
    BELAY_EVENT_NODE_SUSPECTED /**< `node` is taken for dead: the others begin to agree on a view without it */
} belay_event_kind;

typedef struct belay_event {
    belay_event_kind kind;
    uint32_t view;    /**< number of the view it belongs to */
    uint64_t time_ns; /**< when it happened, CLOCK_MONOTONIC of this host */
    int node, partition;
    char cache[BELAY_CACHE_NAME_MAX + 1];
} belay_event;

/** Called for every event, in order, by a thread that makes progress; it may call Belay, but must not wait long. */
typedef void (*belay_event_handler)(belay_node *node, const belay_event *event, void *context);

/** Be told of events from now on; one handler per node, NULL for none. Events of before are not told. */
int belay_on_event(belay_node *node, belay_event_handler handler, void *context);

/** Number of the view that holds at this node; the first is 1. */
int belay_view_number(const belay_node *node);

typedef struct belay_partition_state {
    int primary;               /**< node id; -1: lost */
    unsigned copies_wanted;    /**< as configured, as far as there were servers when the cache was opened */
    unsigned copies_complete;  /**< whole and up to date, the primary's included */
    unsigned copies_restoring; /**< being filled now */
    int lost;                  /**< no copy was left */
} belay_partition_state;

/** The state of a partition, asked of its primary. Waits while it changes over. Errors: INVALID, TIMEOUT, EXCLUDED. */
int belay_partition_state_of(belay_cache *cache, int partition, belay_partition_state *state);

/** Wait until every partition that is not lost has all its copies, or @p timeout_ms milliseconds are over: TIMEOUT. */
int belay_await_copies(belay_cache *cache, unsigned timeout_ms);

/** @param[out] partitions room for @p capacity numbers. @return how many partitions are lost, or an error. */
int belay_lost_partitions(belay_cache *cache, int *partitions, int capacity);

/** Begin all lost partitions anew, empty. Returns when they serve. */
int belay_reset_lost_partitions(belay_cache *cache);

/* ---- Proof and figures --------------------------------------------------------------------------------------- */

/** One difference found by belay_verify(). */
typedef struct belay_difference {
    int partition;
    int node;         /**< the backup whose copy differs from the primary's */
    uint32_t segment; /**< logical segment of the copy; UINT32_MAX: the copy's root */
    uint64_t primary_digest, backup_digest;
} belay_difference;

typedef struct belay_verify_report {
    uint64_t partitions;  /**< compared */
    uint64_t copies;      /**< compared, primaries included */
    uint64_t bytes;       /**< compared, over all copies */
    uint64_t entries;     /**< found valid in the primaries: slot, key hash, lengths and checksum agree */
    uint64_t damaged;     /**< entries or slots found invalid in a primary */
    uint64_t differences; /**< found in all; the first of them are listed */
    size_t listed;
    belay_difference list[16];
} belay_verify_report;

/**
 * Compare every copy of every partition with its primary's, byte by byte (by 64-bit digests of each segment). Call it
 * when writes have ended and been flushed: copies legitimately differ while updates are on their way.
 * @param[out] report set also with BELAY_ERR_DIFFERS. @return BELAY_OK, BELAY_ERR_DIFFERS, or another error.
 */
int belay_verify(belay_cache *cache, belay_verify_report *report);

/** Counters of this node for one cache, since it was opened. */
typedef struct belay_cache_stats {
    uint64_t gets, hits, misses;
    uint64_t gets_local, gets_one_sided, gets_requested, gets_from_backup; /**< how gets were served */
    uint64_t gets_near;       /**< of gets_one_sided: the value was in the near cache */
    uint64_t read_retries;    /**< torn or recycled one-sided reads that were repeated */
    uint64_t puts, removes;   /**< begun by this node, all kinds of writes */
    uint64_t updates_applied; /**< applied here as primary */
    uint64_t expired;         /**< entries removed here as primary because their time to live had passed */
    uint64_t evicted;         /**< entries removed here as primary to make room */
    uint64_t pushes;          /**< to backups, one per update and backup */
    uint64_t push_bytes;
    uint64_t entries;    /**< now in partitions whose primary is this node */
    uint64_t bytes_live; /**< of these entries, keys and values and headers */
    uint64_t bytes_held; /**< segments held by this node's copies, primaries and backups */
} belay_cache_stats;

/** Counters of this node for one cache. Cheap; each counter is read by itself. */
int belay_stats(belay_cache *cache, belay_cache_stats *stats);

/** Calls of which times are taken. */
typedef enum belay_timed {
    BELAY_TIMED_GETS = 1, /**< belay_get(), belay_get_versioned(), belay_contains() */
    BELAY_TIMED_WRITES /**< belay_put() and the other calls that write one key, as long as they wait in their mode */
} belay_timed;

#define BELAY_LATENCY_BUCKETS 256u /**< buckets of a histogram of durations */

/** Durations of about one in 64 of the calls of every thread, clock included (some 20 ns), since the cache was opened. */
typedef struct belay_latencies {
    uint64_t count; /**< calls that were timed */
    uint64_t sum_ns, longest_ns;
    uint64_t buckets
        [BELAY_LATENCY_BUCKETS]; /**< how many, by duration: the first 16 are one nanosecond wide, then every power of two is cut
                                    into 8 equal ones; the last also takes all above 17 s */
} belay_latencies;

/** Durations of calls of this node on one cache. Cheap; each number is read by itself. Errors: INVALID. */
int belay_latency(belay_cache *cache, belay_timed calls, belay_latencies *latencies);

/** @return the nanoseconds that @p percent (0 to 100) of the durations do not exceed, to an eighth; 0 if there are none. */
uint64_t belay_latency_percentile(const belay_latencies *latencies, double percent);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
