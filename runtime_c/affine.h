/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_AFFINE_H
#define RNNC_AFFINE_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"
#include "vector.h"

typedef struct {
    rnnc_loops loops;       /* a: x, scale: lines */
    const rnnc_line *lines; /* rounding and zero points in the offset */
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_affine_params;

/* y = gain x + offset, elementwise. */
RNNC_KERNEL void rnnc_affine(const rnnc_affine_params *p, const void *x, void *y)
{
    const rnnc_loops *l = &p->loops;
    size_t i, j, k, n = l->count[2], at_y = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++, at_y += n) {
            size_t at_x = rnnc_offset(l->a, i, j, 0), at = rnnc_offset(l->scale, i, j, 0);
            rnnc_v_line s = rnnc_v_lines(p->lines, at, l->scale[2], RNNC_LEFT(n, 0));
            RNNC_BY_TWO
            for (k = 0; k < n; k += RNNC_VECTOR) {
                const size_t left = RNNC_LEFT(n, k);
                rnnc_vector v = rnnc_v_get(x, p->x_bits, at_x + k * l->a[2], l->a[2], left);
                if (l->scale[2] != 0) {
                    s = rnnc_v_lines(p->lines, at + k * l->scale[2], l->scale[2], left);
                }
                v = rnnc_v_clip(rnnc_v_on_line(s, v), p->lo, p->hi);
                rnnc_v_put(y, p->y_bits, at_y + k, 1, v, left);
            }
        }
    }
}

#endif
