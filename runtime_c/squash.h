/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_SQUASH_H
#define RNNC_SQUASH_H
#include <stdint.h>

#include "lut.h"
#include "vector.h"

typedef struct {
    uint16_t size;
} rnnc_squash_params;

#ifndef RNNC_V_ACTIVATE
static inline rnnc_vector rnnc_v_activate(uint8_t activation, rnnc_vector p)
{
    return rnnc_activate(activation, p);
}
#endif

/* x: [size], 12 fraction bits, +-65535.  y: [size], Q0.15.  activation: RNNC_TANH or RNNC_SIGMOID. */
RNNC_KERNEL void rnnc_squash(const rnnc_squash_params *p, const int32_t *x, int16_t *y,
                             uint8_t activation)
{
    size_t i;
    RNNC_BY_TWO
    for (i = 0; i < p->size; i += RNNC_VECTOR) {
        const size_t left = RNNC_LEFT(p->size, i);
        rnnc_v_put(y, 16, i, 1, rnnc_v_activate(activation, rnnc_v_get(x, 32, i, 1, left)), left);
    }
}

#endif
