/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_GRU_H
#define RNNC_GRU_H
/* GRU, linear_before_reset = 1: rows z r, n over x and over h. Written by "make golden" from rnnc/ops/cells.py; do not edit. */
#include "cell.h"

#ifndef RNNC_GRU_UNITS
#define rnnc_gru_units rnnc_gru_each
#endif

/* The n <= batch units of a batch. b: constants, x, y: scales of rows over x and h, ax, ah: their sums, [each][batch].
 * s, h: [n]. */
static inline void rnnc_gru_each(const int32_t *b, const uint32_t *x, const uint32_t *y,
                                 const int32_t *ax, const int32_t *ah, int32_t *s, int16_t *h,
                                 uint16_t batch, uint16_t n, uint8_t activation)
{
    uint16_t k;
    for (k = 0; k < n; k++) {
        uint16_t k1 = (uint16_t)(k + batch), k2 = (uint16_t)(k + 2 * batch),
                 k3 = (uint16_t)(k + 3 * batch);
        /* update gate: 0 .. 32768, LSB 2^-15, 0 .. 1 */
        int32_t z = rnnc_sigmoid(rnnc_gate(&b[k], &x[k], &y[k], ax[k], ah[k]));
        /* reset gate: 0 .. 32768, LSB 2^-15, 0 .. 1 */
        int32_t r = rnnc_sigmoid(rnnc_gate(&b[k1], &x[k1], &y[k1], ax[k1], ah[k1]));
        /* r times the recurrent part: -65535 .. 65535, LSB 2^-12, -15.9998 .. 15.9998 */
        int32_t reset = rnnc_right(
            r * rnnc_clip(rnnc_row(&b[k3], &y[k2], ah[k2], 8), -65535, 65535) + 16384, 15);
        /* the candidate's preactivation: -8454143 .. 8454143, LSB 2^-12, -2064 .. 2064 */
        int32_t a = rnnc_row(&b[k2], &x[k2], ax[k2], 8) + reset;
        /* candidate: -32767 .. 32767, LSB 2^-15, -0.999969 .. 0.999969 */
        int32_t candidate = rnnc_activate(activation, a);
        /* 1 - z: 0 .. 32768, LSB 2^-15, 0 .. 1 */
        int32_t share = 32768 - z;
        /* the new state: -536854528 .. 536854528, LSB 2^-29, -0.999969 .. 0.999969 */
        int32_t state = s[k] + rnnc_mul15(share, (candidate * 16384) - s[k]);
        /* h: -32767 .. 32767, LSB 2^-15, -0.999969 .. 0.999969 */
        int32_t out = rnnc_right(state + 8192, 14);
        s[k] = state;
        h[k] = (int16_t)out;
    }
}

#ifdef rnnc_gru_after /* a target's own, which falls back on this one */
#define RNNC_GRU_AFTER_GENERIC rnnc_gru_after_generic
#else
#define RNNC_GRU_AFTER_GENERIC rnnc_gru_after
#endif
/* One step. h: [units], the operand, and where the new one goes. vx, vh: scratch.
 * out: [units] int16, or 0 where h is the output. */
RNNC_CELL void RNNC_GRU_AFTER_GENERIC(const rnnc_cell_params *p, const void *x, void *h, int32_t *s,
                                      void *vx, void *vh, int16_t *out, uint8_t activation)
{
    enum { batch = RNNC_BATCH(3), block = 3 * batch };
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
        rnnc_gru_units(&p->bias[4 * u], &p->scale_x[3 * u], &p->scale_h[3 * u], ax, ah, &s[u],
                       value, batch, n, activation);
        rnnc_put_units(h, p->h_bits, out, u, value, n);
    }
}

#endif
