! SPDX-License-Identifier: BSD-3-Clause
!> Constants and types of belay.h. Users say `use belay`, which passes all of this on.
!!
!! Names, values and components are those of belay.h, whose comments say what they mean; unsigned integers are the
!! signed ones of the same size. A new constant or component is added here; tests/script/fortran compares.
module belay_types
    use, intrinsic :: iso_c_binding, only: c_char, c_int, c_int32_t, c_int64_t, c_null_char, c_null_ptr, c_ptr, &
        c_size_t
    implicit none
    private :: c_char, c_int, c_int32_t, c_int64_t, c_null_char, c_null_ptr, c_ptr, c_size_t

    integer(c_int), parameter :: BELAY_VERSION_MAJOR = 0
    integer(c_int), parameter :: BELAY_VERSION_MINOR = 1

    ! ---- Limits

    integer(c_int), parameter :: BELAY_KEY_MAX = 4096
    integer(c_int), parameter :: BELAY_VALUE_MAX = 1024 * 1024 * 1024
    integer(c_int), parameter :: BELAY_CACHE_NAME_MAX = 63
    integer(c_int), parameter :: BELAY_CACHES_MAX = 64
    integer(c_int), parameter :: BELAY_PARTITIONS_MAX = 65536
    integer(c_int), parameter :: BELAY_BACKUPS_MAX = 15
    integer(c_int), parameter :: BELAY_NODES_MAX = 4096
    integer(c_int), parameter :: BELAY_TX_KEYS_MAX = 4096
    integer(c_int), parameter :: BELAY_TX_BYTES_MAX = 1048576
    integer(c_int), parameter :: BELAY_FUNCTION_NAME_MAX = 63
    integer(c_int), parameter :: BELAY_INVOKE_VALUE_MAX = 65536
    integer(c_int), parameter :: BELAY_INVOKE_ARGUMENT_MAX = 3072
    integer(c_int), parameter :: BELAY_INVOKE_RESULT_MAX = 4096

    !> The old length of belay_get_and_put() when there was no old value.
    integer(c_size_t), parameter :: BELAY_NO_VALUE = -1_c_size_t

    ! ---- Results

    integer(c_int), parameter :: BELAY_OK = 0
    integer(c_int), parameter :: BELAY_ERR_INVALID = -1
    integer(c_int), parameter :: BELAY_ERR_NOT_FOUND = -2
    integer(c_int), parameter :: BELAY_ERR_EXISTS = -3
    integer(c_int), parameter :: BELAY_ERR_CONFLICT = -4
    integer(c_int), parameter :: BELAY_ERR_TRUNCATED = -5
    integer(c_int), parameter :: BELAY_ERR_NO_SPACE = -6
    integer(c_int), parameter :: BELAY_ERR_TOO_LARGE = -7
    integer(c_int), parameter :: BELAY_ERR_TIMEOUT = -8
    integer(c_int), parameter :: BELAY_ERR_NODE_FAILED = -9
    integer(c_int), parameter :: BELAY_ERR_PARTITION_LOST = -10
    integer(c_int), parameter :: BELAY_ERR_CONFIG = -11
    integer(c_int), parameter :: BELAY_ERR_MISMATCH = -12
    integer(c_int), parameter :: BELAY_ERR_NOT_SUPPORTED = -13
    integer(c_int), parameter :: BELAY_ERR_NO_MEMORY = -14
    integer(c_int), parameter :: BELAY_ERR_MEMLOCK = -15
    integer(c_int), parameter :: BELAY_ERR_NO_DEVICE = -16
    integer(c_int), parameter :: BELAY_ERR_REFUSED = -17
    integer(c_int), parameter :: BELAY_ERR_PROTOCOL = -18
    integer(c_int), parameter :: BELAY_ERR_CLOSED = -19
    integer(c_int), parameter :: BELAY_ERR_TYPE = -20
    integer(c_int), parameter :: BELAY_ERR_MPI = -21
    integer(c_int), parameter :: BELAY_ERR_SYSTEM = -22
    integer(c_int), parameter :: BELAY_ERR_DIFFERS = -23
    integer(c_int), parameter :: BELAY_ERR_EXCLUDED = -24
    integer(c_int), parameter :: BELAY_ERR_NO_FUNCTION = -25

    ! ---- Handles: what C passes as a pointer. A handle that no call has set may be given nowhere but to a close.

    type, bind(C) :: belay_node
        private
        type(c_ptr) :: handle = c_null_ptr
    end type

    type, bind(C) :: belay_cache
        private
        type(c_ptr) :: handle = c_null_ptr
    end type

    type, bind(C) :: belay_request
        private
        type(c_ptr) :: handle = c_null_ptr
    end type

    type, bind(C) :: belay_loader
        private
        type(c_ptr) :: handle = c_null_ptr
    end type

    type, bind(C) :: belay_tx
        private
        type(c_ptr) :: handle = c_null_ptr
    end type

    ! ---- Settings of a node

    integer(c_int), parameter :: BELAY_ROLE_DEFAULT = 0
    integer(c_int), parameter :: BELAY_ROLE_SERVER = 1
    integer(c_int), parameter :: BELAY_ROLE_CLIENT = 2
    integer(c_int), parameter :: BELAY_ROLE_SPARE = 3

    integer(c_int), parameter :: BELAY_TRANSPORT_DEFAULT = 0
    integer(c_int), parameter :: BELAY_TRANSPORT_AUTO = 1
    integer(c_int), parameter :: BELAY_TRANSPORT_SHM = 2
    integer(c_int), parameter :: BELAY_TRANSPORT_VERBS = 3

    integer(c_int), parameter :: BELAY_PROGRESS_DEFAULT = 0
    integer(c_int), parameter :: BELAY_PROGRESS_THREAD = 1
    integer(c_int), parameter :: BELAY_PROGRESS_MANUAL = 2

    !> Texts have one character more than the longest that is allowed: so what is too long is refused, not cut off.
    type :: belay_config
        integer(c_int) :: role = BELAY_ROLE_DEFAULT
        integer(c_int) :: transport = BELAY_TRANSPORT_DEFAULT
        integer(c_int) :: progress = BELAY_PROGRESS_DEFAULT
        integer(c_size_t) :: arena_size = 0
        integer(c_size_t) :: segment_size = 0
        integer(c_int) :: operation_timeout_ms = 0
        integer(c_int) :: failure_timeout_ms = 0
        integer(c_int) :: progress_core = 0
        character(len=64, kind=c_char) :: device = ''
        character(len=1024, kind=c_char) :: address_file = ''
        integer(c_int) :: join_room = 0
        character(len=1024, kind=c_char) :: config_file = ''
    end type

    ! ---- Settings of a cache

    integer(c_int), parameter :: BELAY_CACHE_DEFAULT = 0
    integer(c_int), parameter :: BELAY_CACHE_PARTITIONED = 1
    integer(c_int), parameter :: BELAY_CACHE_REPLICATED = 2

    integer(c_int), parameter :: BELAY_SYNC_DEFAULT = 0
    integer(c_int), parameter :: BELAY_FULL_SYNC = 1
    integer(c_int), parameter :: BELAY_PRIMARY_SYNC = 2
    integer(c_int), parameter :: BELAY_FULL_ASYNC = 3

    integer(c_int), parameter :: BELAY_ATOMICITY_DEFAULT = 0
    integer(c_int), parameter :: BELAY_ATOMIC = 1
    integer(c_int), parameter :: BELAY_TRANSACTIONAL = 2

    integer(c_int), parameter :: BELAY_LOSS_DEFAULT = 0
    integer(c_int), parameter :: BELAY_LOSS_IGNORE = 1
    integer(c_int), parameter :: BELAY_LOSS_READ_ONLY_SAFE = 2
    integer(c_int), parameter :: BELAY_LOSS_READ_WRITE_SAFE = 3

    integer(c_int), parameter :: BELAY_SWITCH_DEFAULT = 0
    integer(c_int), parameter :: BELAY_OFF = 1
    integer(c_int), parameter :: BELAY_ON = 2

    integer(c_int), parameter :: BELAY_EXPIRY_DEFAULT = 0
    integer(c_int), parameter :: BELAY_EXPIRY_MODIFIED = 1
    integer(c_int), parameter :: BELAY_EXPIRY_CREATED = 2

    integer(c_int), parameter :: BELAY_EVICTION_DEFAULT = 0
    integer(c_int), parameter :: BELAY_EVICTION_NONE = 1
    integer(c_int), parameter :: BELAY_EVICTION_FIFO = 2

    integer(c_int64_t), parameter :: BELAY_TIME_TO_LIVE_MAX_MS = 3153600000000_c_int64_t
    integer(c_int64_t), parameter :: BELAY_NEVER_EXPIRES = -1_c_int64_t

    type :: belay_cache_config
        character(len=BELAY_CACHE_NAME_MAX + 1, kind=c_char) :: name = ''
        integer(c_int) :: cache_mode = BELAY_CACHE_DEFAULT
        integer(c_int) :: backups = 0
        integer(c_int) :: write_synchronization_mode = BELAY_SYNC_DEFAULT
        integer(c_int) :: atomicity_mode = BELAY_ATOMICITY_DEFAULT
        integer(c_int) :: partition_loss_policy = BELAY_LOSS_DEFAULT
        integer(c_int) :: partitions = 0
        integer(c_int) :: read_from_backup = BELAY_SWITCH_DEFAULT
        integer(c_size_t) :: near_cache_size = 0
        integer(c_int) :: expiry_policy = BELAY_EXPIRY_DEFAULT
        integer(c_int64_t) :: time_to_live_ms = 0
        integer(c_int) :: eviction_policy = BELAY_EVICTION_DEFAULT
    end type

    ! ---- Functions at the primary

    integer(c_int), parameter :: BELAY_ACTION_KEEP = 0
    integer(c_int), parameter :: BELAY_ACTION_SET = 1
    integer(c_int), parameter :: BELAY_ACTION_REMOVE = 2

    ! ---- Subscriptions

    integer(c_int), parameter :: BELAY_CHANGE_PUT = 1
    integer(c_int), parameter :: BELAY_CHANGE_REMOVED = 2
    integer(c_int), parameter :: BELAY_CHANGE_CLEARED = 3
    integer(c_int), parameter :: BELAY_CHANGE_GAP = 4

    type, bind(C) :: belay_subscription
        private
        type(c_ptr) :: handle = c_null_ptr
    end type

    ! ---- Transactions

    integer(c_int), parameter :: BELAY_PESSIMISTIC = 1
    integer(c_int), parameter :: BELAY_OPTIMISTIC = 2

    integer(c_int), parameter :: BELAY_READ_COMMITTED = 1
    integer(c_int), parameter :: BELAY_REPEATABLE_READ = 2
    integer(c_int), parameter :: BELAY_SERIALIZABLE = 3

    integer(c_int), parameter :: BELAY_TX_ACTIVE = 1
    integer(c_int), parameter :: BELAY_TX_ROLLBACK_ONLY = 2
    integer(c_int), parameter :: BELAY_TX_COMMITTED = 3
    integer(c_int), parameter :: BELAY_TX_ROLLED_BACK = 4
    integer(c_int), parameter :: BELAY_TX_UNKNOWN = 5

    ! ---- Failures

    integer(c_int), parameter :: BELAY_EVENT_NODE_LEFT = 1
    integer(c_int), parameter :: BELAY_EVENT_NODE_JOINED = 2
    integer(c_int), parameter :: BELAY_EVENT_VIEW_CHANGED = 3
    integer(c_int), parameter :: BELAY_EVENT_PARTITION_PROMOTED = 4
    integer(c_int), parameter :: BELAY_EVENT_PARTITION_LOST = 5
    integer(c_int), parameter :: BELAY_EVENT_PARTITION_RESTORED = 6
    integer(c_int), parameter :: BELAY_EVENT_EXCLUDED = 7
    integer(c_int), parameter :: BELAY_EVENT_NODE_SUSPECTED = 8

    ! ---- Laid out in memory as in C

    type, bind(C) :: belay_write_options
        integer(c_int) :: sync = BELAY_SYNC_DEFAULT
        integer(c_int64_t) :: time_to_live_ms = 0
    end type

    type, bind(C) :: belay_bytes
        type(c_ptr) :: data = c_null_ptr
        integer(c_size_t) :: length = 0
    end type

    type, bind(C) :: belay_change
        integer(c_int) :: kind = 0
        integer(c_int) :: partition = 0
        integer(c_int64_t) :: version = 0
        type(belay_bytes) :: key
        type(belay_bytes) :: value
    end type

    type, bind(C) :: belay_invocation
        type(belay_bytes) :: key
        type(belay_bytes) :: argument
        type(c_ptr) :: value = c_null_ptr
        integer(c_size_t) :: value_length = 0
        type(c_ptr) :: result = c_null_ptr
        integer(c_size_t) :: result_capacity = 0
        integer(c_size_t) :: result_length = 0
    end type

    type, bind(C) :: belay_get_item
        type(belay_bytes) :: key
        type(c_ptr) :: buffer = c_null_ptr
        integer(c_size_t) :: capacity = 0
        integer(c_size_t) :: length = 0
        integer(c_int) :: status = BELAY_OK
    end type

    type, bind(C) :: belay_put_item
        type(belay_bytes) :: key
        type(belay_bytes) :: value
        integer(c_int) :: status = BELAY_OK
    end type

    !> cache ends with a null character, as in C.
    type, bind(C) :: belay_event
        integer(c_int) :: kind = 0
        integer(c_int32_t) :: view = 0
        integer(c_int64_t) :: time_ns = 0
        integer(c_int) :: node = 0
        integer(c_int) :: partition = 0
        character(kind=c_char) :: cache(BELAY_CACHE_NAME_MAX + 1) = c_null_char
    end type

    type, bind(C) :: belay_load_progress
        integer(c_int64_t) :: added = 0
        integer(c_int64_t) :: added_bytes = 0
        integer(c_int64_t) :: done = 0
        integer(c_int64_t) :: done_bytes = 0
        integer(c_int64_t) :: failed = 0
    end type

    type, bind(C) :: belay_partition_state
        integer(c_int) :: primary = 0
        integer(c_int) :: copies_wanted = 0
        integer(c_int) :: copies_complete = 0
        integer(c_int) :: copies_restoring = 0
        integer(c_int) :: lost = 0
    end type

    type, bind(C) :: belay_difference
        integer(c_int) :: partition = 0
        integer(c_int) :: node = 0
        integer(c_int32_t) :: segment = 0
        integer(c_int64_t) :: primary_digest = 0
        integer(c_int64_t) :: backup_digest = 0
    end type

    type, bind(C) :: belay_verify_report
        integer(c_int64_t) :: partitions = 0
        integer(c_int64_t) :: copies = 0
        integer(c_int64_t) :: bytes = 0
        integer(c_int64_t) :: entries = 0
        integer(c_int64_t) :: damaged = 0
        integer(c_int64_t) :: differences = 0
        integer(c_size_t) :: listed = 0
        type(belay_difference) :: list(16)
    end type

    type, bind(C) :: belay_cache_stats
        integer(c_int64_t) :: gets = 0
        integer(c_int64_t) :: hits = 0
        integer(c_int64_t) :: misses = 0
        integer(c_int64_t) :: gets_local = 0
        integer(c_int64_t) :: gets_one_sided = 0
        integer(c_int64_t) :: gets_requested = 0
        integer(c_int64_t) :: gets_from_backup = 0
        integer(c_int64_t) :: gets_near = 0
        integer(c_int64_t) :: read_retries = 0
        integer(c_int64_t) :: puts = 0
        integer(c_int64_t) :: removes = 0
        integer(c_int64_t) :: updates_applied = 0
        integer(c_int64_t) :: expired = 0
        integer(c_int64_t) :: evicted = 0
        integer(c_int64_t) :: pushes = 0
        integer(c_int64_t) :: push_bytes = 0
        integer(c_int64_t) :: entries = 0
        integer(c_int64_t) :: bytes_live = 0
        integer(c_int64_t) :: bytes_held = 0
    end type

    integer(c_int), parameter :: BELAY_TIMED_GETS = 1
    integer(c_int), parameter :: BELAY_TIMED_WRITES = 2
    integer(c_int), parameter :: BELAY_LATENCY_BUCKETS = 256

    type, bind(C) :: belay_latencies
        integer(c_int64_t) :: count = 0
        integer(c_int64_t) :: sum_ns = 0
        integer(c_int64_t) :: longest_ns = 0
        integer(c_int64_t) :: buckets(BELAY_LATENCY_BUCKETS) = 0
    end type
end module
