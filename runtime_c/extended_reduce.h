/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EXTENDED_REDUCE_H
#define RNNC_EXTENDED_REDUCE_H
#include <stdint.h>

#include "along.h"
#include "extended.h"

typedef struct {
    rnnc_along along;
    int32_t gain; /* y = (gain sum / 2^30) 2^shift */
    int8_t shift;
    uint8_t down;  /* elements are divided by 2^down */
    uint8_t sizes; /* 1: |x| is summed up */
    uint8_t x_bits, y_bits;
    int16_t x_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_extended_reduce_params;

/* y: [outer][inner], a multiple of the sum of each vector.  |sum| <= 2^30 by certificate "sum". */
static inline void rnnc_extended_reduce(const rnnc_extended_reduce_params *p, const void *x,
                                        void *y)
{
    const rnnc_along *a = &p->along;
    int32_t half = (int32_t)1 << p->down >> 1;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < a->outer; i++) {
        for (k = 0; k < a->inner; k++) {
            uint16_t at = rnnc_first(a, i, k);
            int32_t sum = 0;
            for (j = 0; j < a->count; j++, at = (uint16_t)(at + a->inner)) {
                int32_t v = rnnc_lifted(x, p->x_bits, p->x_zero, at);
                sum += ((p->sizes && v < 0 ? -v : v) + half) >> p->down;
            }
            sum = rnnc_by_power(rnnc_mul30(p->gain, sum), p->shift);
            rnnc_put(y, p->y_bits, n++, rnnc_clip(sum, p->lo, p->hi));
        }
    }
}

#endif
