/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MUL_H
#define RNNC_MUL_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"
#include "vector.h"

typedef struct {
    rnnc_loops loops;               /* scale: scales */
    const rnnc_scale1 *scales;      /* y = a b m / 2^(15 + p), m of 15 bits */
    uint8_t a_bits, b_bits, y_bits; /* 8 or 16; y also 32 */
    uint8_t a_shift, b_shift;       /* 1 where |a - a_zero| can pass 2^15 */
    int16_t a_zero, b_zero, y_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_mul_params;

/* (x - zero) >> shift. */
RNNC_KERNEL rnnc_vector rnnc_v_less(rnnc_vector x, int32_t zero, uint8_t shift)
{
    x = rnnc_v_plus(x, -zero);
    return shift ? rnnc_v_shift(x, rnnc_v_of(shift)) : x;
}

/* One line of elements: of operands from a and b on, of scales from `at` on. */
RNNC_KERNEL void rnnc_mul_line(const rnnc_mul_params *p, const void *a, const void *b, size_t at,
                               void *y)
{
    const rnnc_loops *l = &p->loops;
    const size_t n = l->count[2], step = l->scale[2];
    rnnc_v_scale s = rnnc_v_scales(p->scales, at, step, RNNC_LEFT(n, 0));
    size_t k;
    RNNC_BY_TWO
    for (k = 0; k < n; k += RNNC_VECTOR) {
        const size_t left = RNNC_LEFT(n, k);
        rnnc_vector u =
            rnnc_v_less(rnnc_v_get(a, p->a_bits, 0, l->a[2], left), p->a_zero, p->a_shift);
        rnnc_vector v =
            rnnc_v_less(rnnc_v_get(b, p->b_bits, 0, l->b[2], left), p->b_zero, p->b_shift);
        if (step != 0) {
            s = rnnc_v_scales(p->scales, at, step, left);
        }
        v = rnnc_v_round(rnnc_v_mul15(s.m, rnnc_v_mul(u, v)), s.p);
        v = rnnc_v_clip(rnnc_v_plus(v, p->y_zero), p->lo, p->hi);
        rnnc_v_put(y, p->y_bits, 0, 1, v, left);
        a = rnnc_v_next(a, p->a_bits, l->a[2]);
        b = rnnc_v_next(b, p->b_bits, l->b[2]);
        at += RNNC_PAST(step);
        y = rnnc_v_behind(y, p->y_bits);
    }
}

/* y = a b, elementwise.  |a b| <= 2^30, and so is the result of rnnc_mul15. */
RNNC_KERNEL void rnnc_mul(const rnnc_mul_params *p, const void *a, const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    size_t i, j;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            const void *from_a = rnnc_v_from(a, p->a_bits, rnnc_offset(l->a, i, j, 0));
            const void *from_b = rnnc_v_from(b, p->b_bits, rnnc_offset(l->b, i, j, 0));
            rnnc_mul_line(p, from_a, from_b, rnnc_offset(l->scale, i, j, 0),
                          rnnc_v_to(y, p->y_bits, (i * l->count[1] + j) * l->count[2]));
        }
    }
}

#endif
