/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_RNN_H
#define RNNC_RNN_H
/* Written by "make golden" from rnnc/ops/cells.py; do not edit. */
#include "cell.h"

/* One step. x: [columns]. h: [width], the operand, and where the new one goes. vx, vh: scratch, x and h as
 * rnnc_product reads them. out: [units] int16, or 0 where h itself is the output. */

/* RNN. */
static inline void rnnc_rnn_each(const int32_t *b, const uint32_t *x, const uint32_t *y,
                                 const int32_t *ax, const int32_t *ah, int16_t *h, uint16_t batch,
                                 uint16_t n, uint8_t activation)
{
    uint16_t k;
    (void)batch;
    for (k = 0; k < n; k++) {
        /* h: -32767 .. 32767, LSB 2^-15, -0.999969 .. 0.999969 */
        int32_t out = rnnc_activate(activation, rnnc_gate(&b[k], &x[k], &y[k], ax[k], ah[k]));
        h[k] = (int16_t)out;
    }
}

static inline void rnnc_rnn(const rnnc_cell_params *p, const void *x, void *h, void *vx, void *vh,
                            int16_t *out, uint8_t activation)
{
    enum { UNITS = RNNC_BATCH(1), ROWS = UNITS };
    const int8_t *w = p->weights;
    const void *taken = rnnc_taken(vx, x, p->x_bits, p->columns);
    uint16_t u;
    rnnc_take(vh, h, p->h_bits, p->units);
    for (u = 0; u < p->units; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        int16_t narrow[UNITS], *value = rnnc_units_at(h, p->h_bits, u, narrow);
        uint16_t n = rnnc_batch(UNITS, (uint16_t)(p->units - u));
        w = rnnc_product(ax, w, taken, p->x_bits, p->columns, ROWS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->units, ROWS);
        rnnc_rnn_each(&p->bias[u], &p->scale_x[u], &p->scale_h[u], ax, ah, value, UNITS, n,
                      activation);
        rnnc_put_units(h, p->h_bits, out, u, value, n);
    }
}

#endif
