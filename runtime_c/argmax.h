/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ARGMAX_H
#define RNNC_ARGMAX_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"

typedef struct {
    rnnc_along along;
    uint8_t x_bits; /* 8, 16 or 32 */
} rnnc_argmax_params;

/* y: [outer][inner], the index of the largest element of each vector, the lowest of equal ones. */
RNNC_KERNEL void rnnc_argmax(const rnnc_argmax_params *p, const void *x, uint16_t *y)
{
    const rnnc_along *a = &p->along;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < a->outer; i++) {
        for (k = 0; k < a->inner; k++) {
            uint16_t at = rnnc_first(a, i, k), best = 0;
            int32_t largest = 0;
            for (j = 0; j < a->count; j++, at = (uint16_t)(at + a->inner)) {
                int32_t v = p->x_bits == 32 ? ((const int32_t *)x)[at] : rnnc_get(x, p->x_bits, at);
                if (j == 0 || v > largest) {
                    largest = v;
                    best = j;
                }
            }
            y[n++] = best;
        }
    }
}

#endif
