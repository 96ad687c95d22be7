/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_RNN_H
#define RNNC_RNN_H
#include <stdint.h>

#include "fixed.h"
#include "lut.h"
#include "rows.h"

typedef struct {
    const int8_t *weights; /* for each batch of units: over x, then over h; packed by the target */
    const int32_t *bias;   /* [hidden] */
    const uint32_t *scale_x; /* [hidden], m << 16 | p */
    const uint32_t *scale_h; /* [hidden] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits;
} rnnc_rnn_params;

/* One step.  x: [columns].  h: [hidden], the operand.  vx, vh: scratch, x and h as the kernel takes them.
 * y: [hidden] int16, or 0 where h itself is the output.  activation: RNNC_TANH, RNNC_RELU or RNNC_SIGMOID. */
static inline void rnnc_rnn(const rnnc_rnn_params *p, const void *x, void *h, void *vx, void *vh,
                            int16_t *y, uint8_t activation)
{
    enum { UNITS = RNNC_BATCH(1) };
    const int8_t *w = p->weights;
    uint16_t u, k;
    rnnc_take(vx, x, p->x_bits, p->columns);
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[UNITS], ah[UNITS];
        w = rnnc_product(ax, w, vx, p->x_bits, p->columns, UNITS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, UNITS);
        for (k = u; k < u + UNITS && k < p->hidden; k++) {
            int32_t a =
                (rnnc_scaled(ax[k - u] + rnnc_rom_i32(&p->bias[k]), rnnc_rom_u32(&p->scale_x[k])) +
                 rnnc_scaled(ah[k - u], rnnc_rom_u32(&p->scale_h[k]))) >>
                8;
            int16_t value = (int16_t)rnnc_activate(activation, a);
            rnnc_put_hidden(h, p->h_bits, k, value);
            if (y) {
                y[k] = value;
            }
        }
    }
}

#endif
