/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file zipf.h
 * Zipfian numbers as YCSB draws them: the method of Gray et al. (Quickly generating billion-record synthetic databases,
 * SIGMOD 1994). Number 0 is the most popular; zipf_scattered() spreads the popular ones over the range.
 */
#ifndef BENCH_ZIPF_H
#define BENCH_ZIPF_H

#include <stdint.h>

#define ZIPF_SKEW 0.99

struct zipf {
    uint64_t count;
    double zeta, zeta2, alpha, eta;
};

void zipf_init(struct zipf *zipf, uint64_t count);

/* The range has grown: extends the sum instead of beginning anew. */
void zipf_grow(struct zipf *zipf, uint64_t count);

uint64_t zipf_next(const struct zipf *zipf, uint64_t *random);
uint64_t zipf_scattered(const struct zipf *zipf, uint64_t *random);

#endif
