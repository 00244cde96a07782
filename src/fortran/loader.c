/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"
#include "keyed.h"

int belay_fortran_loader_add(belay_loader *loader, const CFI_cdesc_t *key, const CFI_cdesc_t *value)
{
    struct keyed bytes;
    int result = keyed_open(key, value, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_loader_add(loader, bytes.key.data, bytes.key.length, bytes.value.data, bytes.value.length);
    keyed_release(&bytes);
    return result;
}
