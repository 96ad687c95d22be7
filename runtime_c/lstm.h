/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LSTM_H
#define RNNC_LSTM_H
#include <stdint.h>

#include "fixed.h"
#include "lut.h"
#include "rows.h"

typedef struct {
    const int8_t *
        weights; /* for each batch of units: gates i o f c over x, then over h; packed by the target */
    const int32_t *bias;     /* [batch][4 gates][units of a batch] */
    const uint32_t *scale_x; /* the same, m << 16 | p */
    const uint32_t *scale_h; /* the same */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits; /* of the operands: 8 or 16 */
} rnnc_lstm_params;

#ifndef RNNC_LSTM_UNITS
#define rnnc_lstm_units rnnc_lstm_each
#endif

/* n <= batch units of a batch.  b, x, y: bias and scales, [4 gates][batch].  ax, ah: sums of the rows, the same.
 * c: [n] Q8.23, |c| <= 2^30.  h: [n] Q0.15.  |i g|, |o tanh c| <= 2^30; the cell's sum <= 2^30 + 2^15 + 2^23. */
static inline void rnnc_lstm_each(const int32_t *b, const uint32_t *x, const uint32_t *y,
                                  const int32_t *ax, const int32_t *ah, int32_t *c, int16_t *h,
                                  uint16_t batch, uint16_t n)
{
    uint16_t k;
    for (k = 0; k < n; k++) {
        uint16_t ki = k, ko = (uint16_t)(k + batch), kf = (uint16_t)(k + 2 * batch),
                 kg = (uint16_t)(k + 3 * batch);
        int32_t i = rnnc_sigmoid(rnnc_gate(&b[ki], &x[ki], &y[ki], ax[ki], ah[ki]));
        int32_t g = rnnc_tanh(rnnc_gate(&b[kg], &x[kg], &y[kg], ax[kg], ah[kg]));
        int32_t f = rnnc_sigmoid(rnnc_gate(&b[kf], &x[kf], &y[kf], ax[kf], ah[kf]));
        int32_t cell =
            rnnc_clip(rnnc_mul15(f, c[k]) + ((i * g + 64) >> 7), -1073741824, 1073741824);
        int32_t o = rnnc_sigmoid(rnnc_gate(&b[ko], &x[ko], &y[ko], ax[ko], ah[ko]));
        c[k] = cell;
        h[k] = (int16_t)((o * rnnc_tanh((cell + 1024) >> 11) + 16384) >> 15);
    }
}

/* One step.  x: [columns].  h: [hidden], the operand.  c: [hidden].  vx, vh: scratch, x and h as the kernel takes them.
 * y: [hidden] Q0.15, or 0 where h itself is the output. */
static inline void rnnc_lstm(const rnnc_lstm_params *p, const void *x, void *h, int32_t *c,
                             void *vx, void *vh, int16_t *y)
{
    enum { UNITS = RNNC_BATCH(4), ROWS = 4 * UNITS };
    const int8_t *w = p->weights;
    uint16_t u;
    rnnc_take(vx, x, p->x_bits, p->columns);
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        int16_t narrow[UNITS], *value = rnnc_units_at(h, p->h_bits, u, narrow);
        uint16_t n = rnnc_batch(UNITS, (uint16_t)(p->hidden - u));
        w = rnnc_product(ax, w, vx, p->x_bits, p->columns, ROWS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, ROWS);
        rnnc_lstm_units(&p->bias[4 * u], &p->scale_x[4 * u], &p->scale_h[4 * u], ax, ah, &c[u],
                        value, UNITS, n);
        rnnc_put_units(h, p->h_bits, y, u, value, n);
    }
}

#endif
