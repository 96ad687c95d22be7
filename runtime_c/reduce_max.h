/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_REDUCE_MAX_H
#define RNNC_REDUCE_MAX_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"

typedef struct {
    rnnc_along along;
    uint8_t x_bits;   /* of x and y: 8 or 16 */
    uint8_t smallest; /* 1: the smallest of each vector, 0: the largest */
} rnnc_reduce_max_params;

/* y: [outer][inner], the largest or smallest element of each vector. */
RNNC_KERNEL void rnnc_reduce_max(const rnnc_reduce_max_params *p, const void *x, void *y)
{
    const rnnc_along *a = &p->along;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < a->outer; i++) {
        for (k = 0; k < a->inner; k++) {
            uint16_t at = rnnc_first(a, i, k);
            int32_t best = rnnc_get(x, p->x_bits, at);
            for (j = 1; j < a->count; j++) {
                int32_t v = rnnc_get(x, p->x_bits, at = (uint16_t)(at + a->inner));
                best = (v < best) == p->smallest ? v : best;
            }
            rnnc_put(y, p->x_bits, n++, best);
        }
    }
}

#endif
