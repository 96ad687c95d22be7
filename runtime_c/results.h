/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_RESULTS_H
#define RNNC_RESULTS_H
/* From the accumulators of rows to their results. */
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"
#include "vector.h"

typedef struct {
    const int32_t *bias;      /* [rows] */
    const rnnc_scale1 *scale; /* [rows] */
    uint16_t rows;
    uint8_t y_bits;     /* 8, 16 or 32 */
    int16_t zero_point; /* of y */
    int32_t lo, hi;     /* y is clipped to lo .. hi */
} rnnc_results;

/* Those of one vector of rows from `row` on, a: sums with bias, to element `at` of y and each `step` further.  |a| <= worst of certificate
 * "accumulator". */
RNNC_KERNEL void rnnc_put_results(const rnnc_results *p, rnnc_vector a, size_t row, void *y,
                                  size_t at, size_t step, size_t left)
{
    const rnnc_v_scale s = rnnc_v_scales(p->scale, row, 1, left);
    a = rnnc_v_requantize1(a, s.m, s.p);
    a = rnnc_v_clip(rnnc_v_plus(a, p->zero_point), p->lo, p->hi);
    rnnc_v_put(y, p->y_bits, at, step, a, left);
}

/* Those of n accumulators, a multiple of RNNC_VECTOR where that of all rows is. */
RNNC_KERNEL void rnnc_put_row_results(const rnnc_results *p, const int32_t *acc, size_t n,
                                      size_t row, void *y, size_t at, size_t step)
{
    size_t k;
    RNNC_BY_TWO
    for (k = 0; k < n; k += RNNC_VECTOR) {
        const size_t left = p->rows % RNNC_VECTOR ? n - k : RNNC_VECTOR;
        rnnc_vector a = rnnc_v_get(acc, 32, k, 1, left);
        a = rnnc_v_add(a, rnnc_v_constants(p->bias, row + k, 1, left));
        rnnc_put_results(p, a, row + k, y, at + k * step, step, left);
    }
}

#endif
