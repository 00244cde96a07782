/* SPDX-License-Identifier: BSD-3-Clause */
#include "zipf.h"

#include "random.h"

#include <math.h>

static double zeta_between(uint64_t from, uint64_t to)
{
    double sum = 0;
    for (uint64_t i = from; i < to; ++i)
        sum += pow(1.0 / (double)(i + 1), ZIPF_SKEW);
    return sum;
}

static void derive(struct zipf *zipf)
{
    zipf->alpha = 1 / (1 - ZIPF_SKEW);
    zipf->eta = (1 - pow(2.0 / (double)zipf->count, 1 - ZIPF_SKEW)) / (1 - zipf->zeta2 / zipf->zeta);
}

void zipf_init(struct zipf *zipf, uint64_t count)
{
    *zipf = (struct zipf){.count = count, .zeta = zeta_between(0, count), .zeta2 = zeta_between(0, 2)};
    derive(zipf);
}

void zipf_grow(struct zipf *zipf, uint64_t count)
{
    zipf->zeta += zeta_between(zipf->count, count);
    zipf->count = count;
    derive(zipf);
}

uint64_t zipf_next(const struct zipf *zipf, uint64_t *random)
{
    double u = random_unit(random), uz = u * zipf->zeta;
    if (uz < 1)
        return 0;
    if (uz < 1 + pow(0.5, ZIPF_SKEW))
        return 1;
    uint64_t drawn = (uint64_t)((double)zipf->count * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
    return drawn < zipf->count ? drawn : zipf->count - 1;
}

uint64_t zipf_scattered(const struct zipf *zipf, uint64_t *random)
{
    return random_mix(zipf_next(zipf, random) + 1) % zipf->count;
}
