/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_REDUCE_SQUARES_H
#define RNNC_REDUCE_SQUARES_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"
#include "functions.h"

typedef struct {
    rnnc_along along;
    uint8_t x_bits;
    int16_t x_zero;
    uint16_t m; /* from x^2, or x, to y: m / 2^p, m of 15 bits */
    uint8_t p;
    uint8_t root;     /* 1: the root of the sum and epsilon */
    uint32_t epsilon; /* <= 2^31, in units of x^2 */
    uint16_t limit;   /* count limit^2 <= 2^31 */
    int32_t hi;       /* y <= hi */
} rnnc_reduce_squares_params;

/* squares 2^doublings m / 2^p, rounded: 0 .. 2^31 - 1, saturated.  m < 2^15: the product < 2^31. */
static inline int32_t rnnc_scaled_squares(uint32_t squares, uint8_t doublings, uint16_t m,
                                          uint8_t p)
{
    uint8_t n = rnnc_leading_zeros(squares);
    uint32_t product = ((squares << n) >> 16) * m;
    int shift = p + n - 16 - doublings;
    if (shift > 31) {
        return 0;
    }
    if (shift >= 0) {
        return (int32_t)((product + ((uint32_t)1 << shift >> 1)) >> shift);
    }
    shift = -shift;
    return shift > 31 || product > 0x7fffffffu >> shift ? 0x7fffffff : (int32_t)(product << shift);
}

/* The sum of a vector's squares over 4^shift, <= 2^31: each element is shifted to at most limit. */
RNNC_KERNEL uint32_t rnnc_sum_of_squares(const rnnc_reduce_squares_params *p, const void *x,
                                         uint16_t first, uint8_t *shift)
{
    uint16_t j, at;
    uint32_t peak = 0, squares = 0;
    for (j = 0, at = first; j < p->along.count; j++, at = (uint16_t)(at + p->along.inner)) {
        int32_t d = rnnc_get(x, p->x_bits, at) - p->x_zero;
        uint32_t size = (uint32_t)(d < 0 ? -d : d);
        peak = size > peak ? size : peak;
    }
    *shift = 0;
    while (peak >> *shift >= p->limit) {
        ++*shift;
    }
    for (j = 0, at = first; j < p->along.count; j++, at = (uint16_t)(at + p->along.inner)) {
        int32_t d = rnnc_get(x, p->x_bits, at) - p->x_zero;
        d = (d + ((int32_t)1 << *shift >> 1)) >> *shift;
        squares += (uint32_t)(d * d);
    }
    return squares;
}

/* y: [outer][inner], a multiple of the sum of each vector's squares, or its root. */
RNNC_KERNEL void rnnc_reduce_squares(const rnnc_reduce_squares_params *p, const void *x, int16_t *y)
{
    uint16_t i, k, n = 0;
    for (i = 0; i < p->along.outer; i++) {
        for (k = 0; k < p->along.inner; k++) {
            uint8_t shift;
            uint32_t squares = rnnc_sum_of_squares(p, x, rnnc_first(&p->along, i, k), &shift);
            int32_t v;
            if (p->root != 0) {
                v = rnnc_scaled_root(squares + (p->epsilon >> (2 * shift)), shift, p->m, p->p);
            } else {
                v = rnnc_scaled_squares(squares, (uint8_t)(2 * shift), p->m, p->p);
            }
            y[n++] = (int16_t)(v < p->hi ? v : p->hi);
        }
    }
}

#endif
