/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CLIP_H
#define RNNC_CLIP_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const int16_t *limits; /* [1 or size][lo, hi] */
    uint16_t size;
    uint8_t step; /* from one element's limits to the next: 0 or 2 */
    uint8_t bits; /* of x and y: 8 or 16 */
} rnnc_clip_params;

/* y = min(max(x, lo), hi), elementwise.  x, y: [size]. */
RNNC_KERNEL void rnnc_limit(const rnnc_clip_params *p, const void *x, void *y)
{
    const int16_t *limits = p->limits;
    uint16_t i;
    for (i = 0; i < p->size; i++, limits += p->step) {
        int32_t lo = rnnc_rom_i16(limits), hi = rnnc_rom_i16(limits + 1);
        rnnc_put(y, p->bits, i, rnnc_clip(rnnc_get(x, p->bits, i), lo, hi));
    }
}

#endif
