/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ADD_H
#define RNNC_ADD_H
#include <stdint.h>

#include "fixed.h"
#include "loops.h"

/* y = (a factor_a + b factor_b + offset) >> shift. */
typedef struct {
    int32_t offset; /* rounding and zero points */
    int16_t factor_a, factor_b;
    uint8_t shift; /* 0 .. 30 */
} rnnc_sum;

typedef struct {
    rnnc_loops loops; /* scale: sums */
    const rnnc_sum *sums;
    uint8_t a_bits, b_bits, y_bits; /* 8 or 16; y also 32 */
    int32_t lo, hi;                 /* y is clipped to lo .. hi */
} rnnc_add_params;

/* y = a + b or a - b, elementwise.  |a factor_a| + |b factor_b| + |offset| < 2^31 by certificate "sum". */
static inline void rnnc_add(const rnnc_add_params *p, const void *a, const void *b, void *y)
{
    const rnnc_loops *l = &p->loops;
    uint16_t i, j, k, n = 0;
    for (i = 0; i < l->count[0]; i++) {
        for (j = 0; j < l->count[1]; j++) {
            uint16_t at_a = rnnc_offset(l->a, i, j, 0), at_b = rnnc_offset(l->b, i, j, 0),
                     at = rnnc_offset(l->scale, i, j, 0);
            for (k = 0; k < l->count[2]; k++) {
                const rnnc_sum *s = &p->sums[at];
                int32_t v = rnnc_rom_i32(&s->offset);
                v += rnnc_get(a, p->a_bits, at_a) * (int32_t)rnnc_rom_i16(&s->factor_a);
                v += rnnc_get(b, p->b_bits, at_b) * (int32_t)rnnc_rom_i16(&s->factor_b);
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v >> rnnc_rom_u8(&s->shift), p->lo, p->hi));
                at_a = (uint16_t)(at_a + l->a[2]);
                at_b = (uint16_t)(at_b + l->b[2]);
                at = (uint16_t)(at + l->scale[2]);
            }
        }
    }
}

#endif
