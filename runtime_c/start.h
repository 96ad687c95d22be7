/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_START_H
#define RNNC_START_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const rnnc_scale1 *scale; /* [scales]: y = 2^up x m / 2^p 2^left, m of 15 bits */
    uint16_t size, scales;    /* scales: 1, or size */
    uint8_t x_bits, y_bits;
    uint8_t h_bits; /* of what follows y, else 0 */
    uint8_t up;     /* 0 .. 8: shifts x of 8 bits to 15 */
    int16_t x_zero;
    uint8_t left;   /* 0 .. 14 */
    int32_t lo, hi; /* y / 2^left is clipped to lo .. hi, one of 8 bits before it is narrowed */
} rnnc_start_params;

/* Set the state y [size] of a layer to x [size], 8 or 16 bits, unless *started (started is 0 where that is done at every step);
 * where h is not 0 it becomes the upper part of y, which has 32 bits then.  |2^up x m| + 2^(p - 1) < 2^31 by certificate "start". */
static inline void rnnc_start(const rnnc_start_params *p, const void *x, int8_t *started, void *y,
                              void *h)
{
    uint16_t i;
    if (started != NULL) {
        if (*started != 0) {
            return;
        }
        *started = 1;
    }
    for (i = 0; i < p->size; i++) {
        const rnnc_scale1 *s = &p->scale[p->scales > 1 ? i : 0];
        const uint8_t shift = rnnc_rom_u8(&s->p);
        int32_t v = (rnnc_get(x, p->x_bits, i) - p->x_zero) * ((int32_t)1 << p->up);
        v *= (int32_t)rnnc_rom_u16(&s->m);
        v = rnnc_clip((v + ((int32_t)1 << shift >> 1)) >> shift, p->lo, p->hi);
        v *= (int32_t)1 << p->left;
        if (p->y_bits != 32) {
            rnnc_put_hidden(y, p->y_bits, i, v);
            continue;
        }
        ((int32_t *)y)[i] = v;
        if (p->h_bits != 0) {
            rnnc_put_hidden(h, p->h_bits, i, rnnc_upper(v));
        }
    }
}

#endif
