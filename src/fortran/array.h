/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file array.h
 * The bytes of a Fortran variable of any type and rank. Sections with gaps are packed into a copy.
 */
#ifndef BELAY_FORTRAN_ARRAY_H
#define BELAY_FORTRAN_ARRAY_H

#include <ISO_Fortran_binding.h>
#include <stddef.h>

struct array {
    void *data;
    size_t length; /* bytes */
    void *copy;    /* packed bytes, or NULL: data is the variable itself */
};

/* The functions below give BELAY_OK, BELAY_ERR_NO_MEMORY or BELAY_ERR_INVALID. Unless it fails, each is followed by
 * array_release() of the same variable. */
int array_open(const CFI_cdesc_t *variable, struct array *array);

/* For bytes that are used when the call has returned: no copy would do, so what has gaps is refused. */
int array_in_place(const char *call, const CFI_cdesc_t *variable, struct array *array);

/* Bring what was written to array->data to the variable. */
void array_write_back(const CFI_cdesc_t *variable, const struct array *array);

void array_release(struct array *array);

#endif
