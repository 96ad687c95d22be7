/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_REQUANTIZE_H
#define RNNC_REQUANTIZE_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const rnnc_scale1 *scale; /* [scales]: y = x m / 2^p, m of 15 bits */
    uint16_t size, scales;    /* scales: 1, or size */
    uint8_t x_bits, y_bits;
    int16_t x_zero, y_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_requantize_params;

/* The same value in another format.  x: [size], 8 or 16 bits, or 32 with 14 more fraction bits.  y: [size].
 * |x m| <= 2^16 * 2^15 by certificate. */
static inline void rnnc_requantize(const rnnc_requantize_params *p, const void *x, void *y)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        const rnnc_scale1 *s = &p->scale[p->scales > 1 ? i : 0];
        int32_t v = p->x_bits == 32 ? (((const int32_t *)x)[i] + 8192) >> 14
                                    : rnnc_get(x, p->x_bits, i) - p->x_zero;
        uint8_t shift = rnnc_rom_u8(&s->p);
        v *= (int32_t)rnnc_rom_u16(&s->m);
        v = (v + ((int32_t)1 << shift >> 1)) >> shift;
        rnnc_put(y, p->y_bits, i, rnnc_clip(v + p->y_zero, p->lo, p->hi));
    }
}

#endif
