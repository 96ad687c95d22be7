/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_RUNNING_MEAN_H
#define RNNC_RUNNING_MEAN_H
#include <stdint.h>

#include "fixed.h"

#define RNNC_MEAN_MOST 65535 /* values that a mean counts; it is leaky from there */

typedef struct {
    uint16_t size;
    uint8_t x_bits; /* 8 or 16 */
    uint8_t finer;  /* fraction bits that the mean has more than x */
    int32_t limit;  /* |sum|, 65533 * 2^(x_bits - 1) */
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_running_mean_params;

/* 1 / count: 2^n <= count < 2^(n+1), n <= 15, u = 2^(15+n) / count, 16384 .. 32768. */
typedef struct {
    int32_t u;
    uint8_t n;
} rnnc_reciprocal;

static inline rnnc_reciprocal rnnc_reciprocal_of(int32_t count)
{
    rnnc_reciprocal r;
    uint32_t many = count > 0 ? (uint32_t)count : 1u;
    r.n = 15;
    while (many < (uint32_t)1 << r.n) {
        r.n--;
    }
    r.u = (int32_t)((((uint32_t)1 << (16 + r.n)) / many + 1) >> 1);
    return r;
}

/* sum / count * 2^finer.  |sum| <= count * 2^15, halved where count >= 2^15. Any sum within the limit is safe: mul15 gives
 * at most 2^31 - 2^16 of it. */
static inline int32_t rnnc_mean_of(int32_t sum, const rnnc_reciprocal *r, uint8_t finer)
{
    uint8_t halved = (uint8_t)(r->n == 15);
    int32_t v = rnnc_mul15(r->u, sum >> halved);
    int8_t down = (int8_t)(r->n - halved - finer);
    if (down >= 0) {
        return (v + ((int32_t)1 << down >> 1)) >> down;
    }
    return rnnc_clip(v, -((int32_t)1 << 22), (int32_t)1 << 22) *
           ((int32_t)1 << -down); /* -down <= 8 */
}

/* x: [size].  sum: [size], LSB of x.  count: [1], 0 .. 65535.  y: [size], the mean with x. */
static inline void rnnc_running_mean(const rnnc_running_mean_params *p, const void *x, int32_t *sum,
                                     int32_t *count, int16_t *y)
{
    rnnc_reciprocal r;
    int full = *count == RNNC_MEAN_MOST;
    uint16_t i;
    *count += !full;
    r = rnnc_reciprocal_of(*count);
    for (i = 0; i < p->size; i++) {
        int32_t leak = full ? rnnc_mean_of(sum[i], &r, 0) : 0;
        sum[i] = rnnc_clip(sum[i] - leak + rnnc_get(x, p->x_bits, i), -p->limit, p->limit);
        y[i] = (int16_t)rnnc_clip(rnnc_mean_of(sum[i], &r, p->finer), p->lo, p->hi);
    }
}

#endif
