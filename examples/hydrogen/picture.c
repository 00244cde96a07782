/* SPDX-License-Identifier: BSD-3-Clause */
#include "picture.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>

struct picture {
    int columns, rows, pixels;
    png_bytep colours; /* 3 bytes for each pixel */
};

struct picture *picture_new(int columns, int rows, int pixels)
{
    struct picture *picture = malloc(sizeof *picture);
    if (!picture)
        return NULL;
    *picture = (struct picture){columns, rows, pixels, calloc((size_t)columns * rows * pixels * pixels, 3)};
    if (!picture->colours) {
        free(picture);
        return NULL;
    }
    return picture;
}

void picture_set(struct picture *picture, int column, int row, double value, double least, double most)
{
    double part = fmin(fmax((value - least) / (most - least), 0), 1);
    for (int y = 0; y < picture->pixels; ++y)
        for (int x = 0; x < picture->pixels; ++x) {
            size_t width = (size_t)picture->columns * picture->pixels;
            size_t pixel = ((size_t)row * picture->pixels + y) * width + (size_t)column * picture->pixels + x;
            for (int colour = 0; colour < 3; ++colour)
                picture->colours[3 * pixel + colour] = (png_byte)(255 * fmin(fmax(3 * part - colour, 0), 1));
        }
}

bool picture_write(const struct picture *picture, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)(picture->columns * picture->pixels),
                       .height = (png_uint_32)(picture->rows * picture->pixels),
                       .format = PNG_FORMAT_RGB};
    if (png_image_write_to_file(&image, path, 0, picture->colours, 0, NULL))
        return true;
    fprintf(stderr, "hydrogen: %s: %s\n", path, image.message);
    return false;
}

void picture_free(struct picture *picture)
{
    if (picture)
        free(picture->colours);
    free(picture);
}
