/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_REDUCE_SUM_H
#define RNNC_REDUCE_SUM_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"

typedef struct {
    rnnc_along along;
    uint8_t x_bits;
    int16_t x_zero;
    uint16_t m; /* y = sum 2^up m / 2^(15 + p), m of 15 bits */
    uint8_t p, up;
    uint8_t sizes;  /* 1: |x| is summed up */
    uint8_t y_bits; /* 8, 16 or 32 */
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_reduce_sum_params;

/* y: [outer][inner], a multiple of the sum of each vector.  |sum 2^up| <= 2^30 by certificate "sum". */
RNNC_KERNEL void rnnc_reduce_sum(const rnnc_reduce_sum_params *p, const void *x, void *y)
{
    const rnnc_along *a = &p->along;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < a->outer; i++) {
        for (k = 0; k < a->inner; k++) {
            uint16_t at = rnnc_first(a, i, k);
            int32_t sum = 0;
            for (j = 0; j < a->count; j++, at = (uint16_t)(at + a->inner)) {
                int32_t v = rnnc_get(x, p->x_bits, at) - p->x_zero;
                sum += p->sizes && v < 0 ? -v : v;
            }
            sum = rnnc_mul15(p->m, sum * ((int32_t)1 << p->up));
            sum = (sum + ((int32_t)1 << p->p >> 1)) >> p->p;
            rnnc_put(y, p->y_bits, n++, rnnc_clip(sum, p->lo, p->hi));
        }
    }
}

#endif
