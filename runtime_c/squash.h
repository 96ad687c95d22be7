/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_SQUASH_H
#define RNNC_SQUASH_H
#include <stdint.h>

#include "lut.h"

typedef struct {
    uint16_t size;
    uint8_t activation; /* RNNC_TANH or RNNC_SIGMOID */
} rnnc_squash_params;

/* x: [size], 12 fraction bits, +-65535.  y: [size], Q0.15. */
static inline void rnnc_squash(const rnnc_squash_params *p, const int32_t *x, int16_t *y)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        y[i] = (int16_t)rnnc_activate(p->activation, x[i]);
    }
}

#endif
