/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_MAGNITUDE_H
#define RNNC_MAGNITUDE_H
#include <stdint.h>

#include "fixed.h"
#include "functions.h"
#include "loops.h"
#include "root.h"

typedef struct {
    rnnc_loops loops;                   /* scale: lines and roots */
    const rnnc_line *lines_a, *lines_b; /* to one LSB, |a|, |b| <= 32769 */
    const rnnc_root *roots;
    uint8_t a_bits, b_bits; /* 8 or 16 */
    int32_t hi;             /* y <= hi */
} rnnc_magnitude_params;

/* y = sqrt(a^2 + b^2 + epsilon), elementwise.  The sum < 2^32 by certificate "squares". */
static inline void rnnc_magnitude(const rnnc_magnitude_params *p, const void *a, const void *b,
                                  int16_t *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            for (k = 0; k < l->count[2]; k++) {
                uint16_t at = rnnc_offset(l->scale, i, j, k);
                const rnnc_root *r = &p->roots[at];
                int32_t u = rnnc_get(a, p->a_bits, rnnc_offset(l->a, i, j, k));
                int32_t v = rnnc_get(b, p->b_bits, rnnc_offset(l->b, i, j, k));
                uint32_t squares = rnnc_rom_u32(&r->epsilon);
                u = rnnc_on_line(&p->lines_a[at], u);
                v = rnnc_on_line(&p->lines_b[at], v);
                squares += (uint32_t)(u * u) + (uint32_t)(v * v);
                u = rnnc_scaled_root(squares, 0, rnnc_rom_u16(&r->m), rnnc_rom_u8(&r->p));
                y[n++] = (int16_t)(u < p->hi ? u : p->hi);
            }
        }
    }
}

#endif
