/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MATMUL_H
#define RNNC_MATMUL_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    uint16_t groups, rows, inner, columns;
    uint16_t a_group, a_row, a_inner; /* steps in a: [groups][rows][inner], 0 where it is shared */
    uint16_t b_group, b_inner, b_column; /* steps in b: [groups][inner][columns] */
    uint8_t a_bits, b_bits, y_bits;      /* 8 or 16; y also 32 */
    uint8_t a_shift, b_shift;            /* 1 where |a - a_zero| can pass 2^15 */
    uint8_t down, up;                    /* of each product, and of their sum */
    int16_t a_zero, b_zero, y_zero;
    uint16_t m; /* y = sum m / 2^(15 + p), m of 15 bits */
    uint8_t p;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_matmul_params;

/* The sum over k of a[k] b[k].  |sum 2^up| <= 2^30 by certificate "sum". */
static inline int32_t rnnc_matmul_sum(const rnnc_matmul_params *p, const void *a, uint16_t at_a,
                                      const void *b, uint16_t at_b)
{
    int32_t sum = 0;
    uint16_t k;
    for (k = 0; k < p->inner; k++) {
        int32_t u = (rnnc_get(a, p->a_bits, at_a) - p->a_zero) >> p->a_shift;
        int32_t v = (rnnc_get(b, p->b_bits, at_b) - p->b_zero) >> p->b_shift;
        sum += (u * v) >> p->down;
        at_a = (uint16_t)(at_a + p->a_inner);
        at_b = (uint16_t)(at_b + p->b_inner);
    }
    return sum * ((int32_t)1 << p->up);
}

/* y = a b, matrices.  y: [groups][rows][columns]. */
static inline void rnnc_matmul(const rnnc_matmul_params *p, const void *a, const void *b, void *y)
{
    uint16_t g, i, j, n = 0;
    for (g = 0; g < p->groups; g++) {
        for (i = 0; i < p->rows; i++) {
            uint16_t at_a = (uint16_t)(g * p->a_group + i * p->a_row);
            for (j = 0; j < p->columns; j++) {
                uint16_t at_b = (uint16_t)(g * p->b_group + j * p->b_column);
                int32_t sum = rnnc_mul15(p->m, rnnc_matmul_sum(p, a, at_a, b, at_b));
                sum = (sum + ((int32_t)1 << p->p >> 1)) >> p->p;
                rnnc_put(y, p->y_bits, n++, rnnc_clip(sum + p->y_zero, p->lo, p->hi));
            }
        }
    }
}

#endif
