/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_FILL_H
#define RNNC_FILL_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    uint16_t size;
    uint8_t bits; /* 8, 16 or 32 */
    int32_t value;
} rnnc_fill_params;

/* y: [size], each element the value. */
static inline void rnnc_fill(const rnnc_fill_params *p, void *y)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        rnnc_put(y, p->bits, i, p->value);
    }
}

#endif
