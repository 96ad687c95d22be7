/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EXTENDED_ROUND_H
#define RNNC_EXTENDED_ROUND_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    uint16_t size;
    int32_t add;      /* 0: down, 2^fraction - 1: up, half of it: to the nearest */
    uint8_t fraction; /* bits of x below 1: 0 .. 30 */
    int16_t lo, hi;
} rnnc_extended_round_params;

/* y: x, within +-2^29, as whole numbers of 16 bits, or row numbers.  |x + add| < 2^31 by certificate "sum". */
static inline void rnnc_extended_round(const rnnc_extended_round_params *p, const int32_t *x,
                                       void *y)
{
    int16_t *to = (int16_t *)y;
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        to[i] = (int16_t)rnnc_clip((x[i] + p->add) >> p->fraction, p->lo, p->hi);
    }
}

#endif
