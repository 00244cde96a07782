/* SPDX-License-Identifier: BSD-3-Clause */
#include "array.h"

#include "belay.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum direction { PACK, UNPACK };

/* Number of elements, or -1: the last extent of an assumed-size array is not known. */
static ptrdiff_t count_elements(const CFI_cdesc_t *variable)
{
    ptrdiff_t count = 1;
    for (int dimension = 0; dimension < variable->rank; ++dimension) {
        if (variable->dim[dimension].extent < 0)
            return -1;
        count *= variable->dim[dimension].extent;
    }
    return count;
}

static bool has_gaps(const CFI_cdesc_t *variable)
{
    ptrdiff_t step = (ptrdiff_t)variable->elem_len;
    for (int dimension = 0; dimension < variable->rank; ++dimension) {
        if (variable->dim[dimension].sm != step && variable->dim[dimension].extent > 1)
            return true;
        step *= variable->dim[dimension].extent;
    }
    return false;
}

/* Copy all elements between the variable and packed bytes, in array element order. */
static void copy_elements(enum direction direction, const CFI_cdesc_t *variable, char *packed)
{
    CFI_index_t index[CFI_MAX_RANK] = {0};
    for (ptrdiff_t left = count_elements(variable); left > 0; --left, packed += variable->elem_len) {
        char *element = variable->base_addr;
        for (int dimension = 0; dimension < variable->rank; ++dimension)
            element += index[dimension] * variable->dim[dimension].sm;
        if (direction == PACK)
            memcpy(packed, element, variable->elem_len);
        else
            memcpy(element, packed, variable->elem_len);
        for (int dimension = 0; dimension < variable->rank; ++dimension) {
            if (++index[dimension] < variable->dim[dimension].extent)
                break;
            index[dimension] = 0;
        }
    }
}

int array_open(const CFI_cdesc_t *variable, struct array *array)
{
    ptrdiff_t count = count_elements(variable);
    if (count < 0) {
        fprintf(stderr, "belay: an assumed-size array has no known length: give a section, a(1:n)\n");
        return BELAY_ERR_INVALID;
    }
    size_t length = (size_t)count * variable->elem_len;
    void *copy = NULL;
    if (length > 0 && has_gaps(variable)) {
        copy = malloc(length);
        if (!copy)
            return BELAY_ERR_NO_MEMORY;
        copy_elements(PACK, variable, copy);
    }
    *array = (struct array){copy ? copy : variable->base_addr, length, copy};
    return BELAY_OK;
}

int array_in_place(const char *call, const CFI_cdesc_t *variable, struct array *array)
{
    int result = array_open(variable, array);
    if (result == BELAY_OK && array->copy) {
        array_release(array);
        fprintf(stderr, "belay: %s: the array is not contiguous; give a contiguous copy of it\n", call);
        result = BELAY_ERR_INVALID;
    }
    return result;
}

void array_write_back(const CFI_cdesc_t *variable, const struct array *array)
{
    if (array->copy)
        copy_elements(UNPACK, variable, array->copy);
}

void array_release(struct array *array)
{
    free(array->copy);
}
