/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_SQUASH_H
#define RNNC_SQUASH_H
#include <stdint.h>

#include "lut.h"

typedef struct {
    uint16_t size;
} rnnc_squash_params;

/* x: [size], 12 fraction bits, +-65535.  y: [size], Q0.15.  activation: RNNC_TANH or RNNC_SIGMOID. */
static inline void rnnc_squash(const rnnc_squash_params *p, const int32_t *x, int16_t *y,
                               uint8_t activation)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        y[i] = (int16_t)rnnc_activate(activation, x[i]);
    }
}

#endif
