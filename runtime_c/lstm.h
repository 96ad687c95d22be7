/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LSTM_H
#define RNNC_LSTM_H
/* LSTM: rows i o f g. Written by "make golden" from rnnc/ops/cells.py; do not edit. */
#include "cell.h"

#ifndef RNNC_LSTM_UNITS
#define rnnc_lstm_units rnnc_lstm_each
#endif

/* The n <= batch units of a batch. b: constants, x, y: scales of rows over x and h, ax, ah: their sums, [each][batch].
 * c, h: [n]. */
static inline void rnnc_lstm_each(const int32_t *b, const uint32_t *x, const uint32_t *y,
                                  const int32_t *ax, const int32_t *ah, int32_t *c, int16_t *h,
                                  uint16_t batch, uint16_t n)
{
    uint16_t k;
    for (k = 0; k < n; k++) {
        uint16_t k1 = (uint16_t)(k + batch), k2 = (uint16_t)(k + 2 * batch),
                 k3 = (uint16_t)(k + 3 * batch);
        /* input gate: 0 .. 32768, LSB 2^-15, 0 .. 1 */
        int32_t i = rnnc_sigmoid(rnnc_gate(&b[k], &x[k], &y[k], ax[k], ah[k]));
        /* candidate: -32767 .. 32767, LSB 2^-15, -0.999969 .. 0.999969 */
        int32_t g = rnnc_tanh(rnnc_gate(&b[k3], &x[k3], &y[k3], ax[k3], ah[k3]));
        /* forget gate: 0 .. 32768, LSB 2^-15, 0 .. 1 */
        int32_t f = rnnc_sigmoid(rnnc_gate(&b[k2], &x[k2], &y[k2], ax[k2], ah[k2]));
        /* f c + i g: -1082130176 .. 1082130176, LSB 2^-23, -129 .. 129 */
        int32_t cell_sum = rnnc_mul15(f, c[k]) + rnnc_right(i * g + 64, 7);
        /* the new cell: -1073741824 .. 1073741824, LSB 2^-23, -128 .. 128 */
        int32_t cell = rnnc_clip(cell_sum, -1073741824, 1073741824);
        /* output gate: 0 .. 32768, LSB 2^-15, 0 .. 1 */
        int32_t o = rnnc_sigmoid(rnnc_gate(&b[k1], &x[k1], &y[k1], ax[k1], ah[k1]));
        /* o h(cell): -32767 .. 32767, LSB 2^-15, -0.999969 .. 0.999969 */
        int32_t out = rnnc_right(o * rnnc_tanh(rnnc_right(cell + 1024, 11)) + 16384, 15);
        c[k] = cell;
        h[k] = (int16_t)out;
    }
}

#ifdef rnnc_lstm /* a target's own, which falls back on this one */
#define RNNC_LSTM_GENERIC rnnc_lstm_generic
#else
#define RNNC_LSTM_GENERIC rnnc_lstm
#endif
/* One step. h: [units], the operand, and where the new one goes. vx, vh: scratch.
 * out: [units] int16, or 0 where h is the output. */
RNNC_CELL void RNNC_LSTM_GENERIC(const rnnc_cell_params *p, const void *x, void *h, int32_t *c,
                                 void *vx, void *vh, int16_t *out)
{
    enum { batch = RNNC_BATCH(4), block = 4 * batch };
    const int8_t *w = p->weights;
    const void *operand = rnnc_prepared(vx, x, p->x_bits, p->columns);
    uint16_t u;
    rnnc_prepare(vh, h, p->h_bits, p->units);
    for (u = 0; u < p->units; u = (uint16_t)(u + batch)) {
        int32_t ax[block], ah[block];
        int16_t narrow[batch], *value = rnnc_units_at(h, p->h_bits, u, narrow);
        uint16_t n = rnnc_batch(batch, (uint16_t)(p->units - u));
        w = rnnc_product(ax, w, operand, p->x_bits, p->columns, block);
        w = rnnc_product(ah, w, vh, p->h_bits, p->units, block);
        rnnc_lstm_units(&p->bias[4 * u], &p->scale_x[4 * u], &p->scale_h[4 * u], ax, ah, &c[u],
                        value, batch, n);
        rnnc_put_units(h, p->h_bits, out, u, value, n);
    }
}

#endif
