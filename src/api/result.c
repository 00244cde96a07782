/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "belay.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

static const char *const texts[] = {
    "BELAY_OK: success",
    "BELAY_ERR_INVALID: an argument is out of its range",
    "BELAY_ERR_NOT_FOUND: no such key",
    "BELAY_ERR_EXISTS: the key is there already",
    "BELAY_ERR_CONFLICT: the entry's version differs",
    "BELAY_ERR_TRUNCATED: the value is longer than the buffer",
    "BELAY_ERR_NO_SPACE: an arena has no room for this write",
    "BELAY_ERR_TOO_LARGE: key or value over the limit",
    "BELAY_ERR_TIMEOUT: not answered within the operation timeout",
    "BELAY_ERR_NODE_FAILED: the node that had to answer is gone",
    "BELAY_ERR_PARTITION_LOST: all copies of the partition are gone",
    "BELAY_ERR_CONFIG: bad configuration value",
    "BELAY_ERR_MISMATCH: nodes have unequal configurations",
    "BELAY_ERR_NOT_SUPPORTED: not available in this build or for this object",
    "BELAY_ERR_NO_MEMORY: out of memory",
    "BELAY_ERR_MEMLOCK: the locked-memory limit is too low",
    "BELAY_ERR_NO_DEVICE: no usable RDMA device",
    "BELAY_ERR_REFUSED: a peer refused the connection",
    "BELAY_ERR_PROTOCOL: a peer sent something malformed",
    "BELAY_ERR_CLOSED: the node or cache is closing",
    "BELAY_ERR_TYPE: the value is not an 8-byte integer",
    "BELAY_ERR_MPI: an MPI call failed",
    "BELAY_ERR_SYSTEM: a system call failed",
    "BELAY_ERR_DIFFERS: copies differ",
    "BELAY_ERR_EXCLUDED: this node was left out of the job",
    "BELAY_ERR_NO_FUNCTION: no function of this name at the key's primary",
};

const char *belay_strerror(int result)
{
    unsigned index = result <= 0 ? 0u - (unsigned)result : ~0u;
    return index < sizeof texts / sizeof texts[0] ? texts[index] : "not a Belay result";
}

const char *belay_last_error(void)
{
    return log_last_error();
}

#ifdef HAVE_VERBS
#define TRANSPORTS "shm verbs"
#else
#define TRANSPORTS "shm"
#endif

const char *belay_version(void)
{
    return "Belay " PACKAGE_VERSION ", protocol 1, transports: " TRANSPORTS;
}
