/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MAGNITUDE_H
#define RNNC_MAGNITUDE_H
#include <stdint.h>

#include "fixed.h"
#include "functions.h"
#include "loops.h"
#include "root.h"
#include "root_vector.h"

typedef struct {
    rnnc_loops loops;                   /* scale: lines and roots */
    const rnnc_line *lines_a, *lines_b; /* to one LSB, |a|, |b| <= 32769 */
    const rnnc_root *roots;
    uint8_t a_bits, b_bits; /* 8 or 16 */
    int32_t hi;             /* y <= hi */
} rnnc_magnitude_params;

/* One line of elements: of operands from a and b on, of lines and roots from `at` on. */
RNNC_KERNEL void rnnc_magnitude_line(const rnnc_magnitude_params *p, const void *a, const void *b,
                                     size_t at, int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    const size_t n = l->count[2], step = l->scale[2];
    size_t k;
    for (k = 0; k < n; k += RNNC_VECTOR, at += RNNC_PAST(step)) {
        const size_t left = RNNC_LEFT(n, k);
        const rnnc_v_root r = rnnc_v_roots(p->roots, at, step, left);
        rnnc_vector u = rnnc_v_get(a, p->a_bits, k * l->a[2], l->a[2], left);
        rnnc_vector v = rnnc_v_get(b, p->b_bits, k * l->b[2], l->b[2], left);
        u = rnnc_v_on_line(rnnc_v_lines(p->lines_a, at, step, left), u);
        v = rnnc_v_on_line(rnnc_v_lines(p->lines_b, at, step, left), v);
        u = rnnc_v_scaled_root(rnnc_v_squares_and(u, v, r.epsilon), r.m, r.p);
        rnnc_v_put(y, 16, k, 1, rnnc_v_clip(u, 0, p->hi), left);
    }
}

/* y = sqrt(a^2 + b^2 + epsilon), elementwise.  The sum < 2^32 by certificate "squares". */
RNNC_KERNEL void rnnc_magnitude(const rnnc_magnitude_params *p, const void *a, const void *b,
                                int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    size_t i, j;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++, y += l->count[2]) {
            const void *from_a = rnnc_v_from(a, p->a_bits, rnnc_offset(l->a, i, j, 0));
            const void *from_b = rnnc_v_from(b, p->b_bits, rnnc_offset(l->b, i, j, 0));
            rnnc_magnitude_line(p, from_a, from_b, rnnc_offset(l->scale, i, j, 0), y);
        }
    }
}

#endif
