/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"
#include "keyed.h"

int belay_fortran_partition_of(belay_cache *cache, const CFI_cdesc_t *key)
{
    struct keyed bytes;
    int result = keyed_open(key, NULL, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_partition_of(cache, bytes.key.data, bytes.key.length);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_is_primary(belay_cache *cache, const CFI_cdesc_t *key)
{
    struct keyed bytes;
    int result = keyed_open(key, NULL, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_is_primary(cache, bytes.key.data, bytes.key.length);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_backups_of(belay_cache *cache, int partition, const CFI_cdesc_t *nodes)
{
    struct array ids;
    int result = array_open(nodes, &ids);
    if (result != BELAY_OK)
        return result;
    result = belay_backups_of(cache, partition, ids.data, (int)(ids.length / sizeof(int)));
    array_write_back(nodes, &ids);
    array_release(&ids);
    return result;
}

int belay_fortran_lost_partitions(belay_cache *cache, const CFI_cdesc_t *partitions)
{
    struct array numbers;
    int result = array_open(partitions, &numbers);
    if (result != BELAY_OK)
        return result;
    result = belay_lost_partitions(cache, numbers.data, (int)(numbers.length / sizeof(int)));
    array_write_back(partitions, &numbers);
    array_release(&numbers);
    return result;
}
