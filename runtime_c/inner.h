/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_INNER_H
#define RNNC_INNER_H
/* A recurrent layer along an axis of the frame: what it starts from, and what each step gives. */
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const int32_t *initial; /* [size], or 0 */
    uint16_t size;
    uint8_t bits; /* 8, 16 or 32 */
} rnnc_inner_params;

/* state: [size], set to the initial values. */
static inline void rnnc_inner_start(const rnnc_inner_params *p, void *state)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        rnnc_put(state, p->bits, i, rnnc_rom_i32(&p->initial[i]));
    }
}

/* h, y: [size]. The state h is the step's result y. */
static inline void rnnc_inner_give(const rnnc_inner_params *p, const void *h, void *y)
{
    rnnc_copy(y, h, (size_t)p->size * (p->bits / 8u));
}

#endif
