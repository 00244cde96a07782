/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file picture.h
 * A field of numbers as colours.
 */
#ifndef HYDROGEN_PICTURE_H
#define HYDROGEN_PICTURE_H

#include <stdbool.h>

/* Opaque. */
struct picture;

/* Squares of @p pixels pixels for each number. NULL if there is no memory. */
struct picture *picture_new(int columns, int rows, int pixels);

/* From black (@p least) by red and yellow to white (@p most). */
void picture_set(struct picture *picture, int column, int row, double value, double least, double most);

/* As a PNG file. False, with a message, on failure. */
bool picture_write(const struct picture *picture, const char *path);

void picture_free(struct picture *picture);

#endif
