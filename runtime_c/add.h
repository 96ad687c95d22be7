/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ADD_H
#define RNNC_ADD_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"
#include "vector.h"

typedef struct {
    rnnc_loops loops; /* scale: sums */
    const rnnc_sum *sums;
    uint8_t a_bits, b_bits, y_bits; /* 8 or 16; y also 32 */
    int32_t lo, hi;                 /* y is clipped to lo .. hi */
} rnnc_add_params;

/* One line of elements: of operands from a and b on, of sums from `at` on. */
RNNC_KERNEL void rnnc_add_line(const rnnc_add_params *p, const void *a, const void *b, size_t at,
                               void *y)
{
    const rnnc_loops *l = &p->loops;
    const size_t n = l->count[2], step = l->scale[2];
    rnnc_v_sum s = rnnc_v_sums(p->sums, at, step, RNNC_LEFT(n, 0));
    size_t k;
    RNNC_BY_TWO
    for (k = 0; k < n; k += RNNC_VECTOR) {
        const size_t left = RNNC_LEFT(n, k);
        rnnc_vector u = rnnc_v_get(a, p->a_bits, 0, l->a[2], left);
        rnnc_vector v = rnnc_v_get(b, p->b_bits, 0, l->b[2], left);
        if (step != 0) {
            s = rnnc_v_sums(p->sums, at, step, left);
        }
        u = rnnc_v_add(rnnc_v_mul(u, s.factor_a), rnnc_v_mul(v, s.factor_b));
        u = rnnc_v_shift(rnnc_v_add(u, s.offset), s.shift);
        rnnc_v_put(y, p->y_bits, 0, 1, rnnc_v_clip(u, p->lo, p->hi), left);
        a = rnnc_v_next(a, p->a_bits, l->a[2]);
        b = rnnc_v_next(b, p->b_bits, l->b[2]);
        at += RNNC_PAST(step);
        y = rnnc_v_behind(y, p->y_bits);
    }
}

/* y = a + b or a - b, elementwise.  |a factor_a| + |b factor_b| + |offset| < 2^31 by certificate "sum". */
RNNC_KERNEL void rnnc_add(const rnnc_add_params *p, const void *a, const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    size_t i, j;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            const void *from_a = rnnc_v_from(a, p->a_bits, rnnc_offset(l->a, i, j, 0));
            const void *from_b = rnnc_v_from(b, p->b_bits, rnnc_offset(l->b, i, j, 0));
            rnnc_add_line(p, from_a, from_b, rnnc_offset(l->scale, i, j, 0),
                          rnnc_v_to(y, p->y_bits, (i * l->count[1] + j) * l->count[2]));
        }
    }
}

#endif
