/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MINMAX_H
#define RNNC_MINMAX_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

typedef struct {
    rnnc_loops loops;                   /* scale: lines_a and lines_b */
    const rnnc_line *lines_a, *lines_b; /* to the LSB of y */
    uint8_t a_bits, b_bits, y_bits;     /* 8 or 16 */
    uint8_t smaller;                    /* 1: the smaller of both, 0: the larger */
    int32_t lo, hi;                     /* y is clipped to lo .. hi */
} rnnc_minmax_params;

/* y = max(a, b) or min(a, b), elementwise. */
RNNC_KERNEL void rnnc_minmax(const rnnc_minmax_params *p, const void *a, const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                size_t at = rnnc_offset(l->scale, i, j, k);
                int32_t u = rnnc_get(a, p->a_bits, rnnc_offset(l->a, i, j, k));
                int32_t v = rnnc_get(b, p->b_bits, rnnc_offset(l->b, i, j, k));
                u = rnnc_on_line(&p->lines_a[at], u);
                v = rnnc_on_line(&p->lines_b[at], v);
                u = (u < v) == p->smaller ? u : v;
                rnnc_put(y, p->y_bits, n++, rnnc_clip(u, p->lo, p->hi));
            }
        }
    }
}

#endif
