/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LSTM_H
#define RNNC_LSTM_H
#include <stdint.h>
#include <string.h>

#include "fixed.h"
#include "lut.h"
#include "rows.h"

typedef struct {
    const int8_t *weights;    /* for each unit: gates i o f c over x, then over h; packed by the target */
    const int32_t *bias;      /* [hidden][4] */
    const rnnc_scale2 *scale; /* [hidden][4] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits; /* of the operands: 8 or 16 */
} rnnc_lstm_params;

/* One unit.  p[0..3]: gates i o f c, 12 fraction bits.  c: Q8.23, |c| <= 2^30.  Returns h, Q0.15.
 * |i g|, |o tanh c| <= 2^30; the cell's sum <= 2^30 + 2^15 + 2^23. */
static inline int32_t rnnc_lstm_unit(const int32_t p[4], int32_t *c)
{
    int32_t ig = rnnc_sigmoid(p[0]) * rnnc_tanh(p[3]);
    *c = rnnc_clip(rnnc_mul15(rnnc_sigmoid(p[2]), *c) + ((ig + 64) >> 7), -1073741824, 1073741824);
    return (rnnc_sigmoid(p[1]) * rnnc_tanh((*c + 1024) >> 11) + 16384) >> 15;
}

/* One step.  x: [columns].  h: [hidden], the operand, replaced at the end.  c: [hidden].  next: [hidden], scratch.
 * y: [hidden] Q0.15, or 0 where h itself is the output. */
static inline void rnnc_lstm(const rnnc_lstm_params *p, const void *x, void *h, int32_t *c, void *next, int16_t *y)
{
    enum { UNITS = RNNC_UNITS(4), ROWS = 4 * UNITS };
    const int8_t *w = p->weights;
    uint16_t u, k, g;
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        w = rnnc_rows(ax, w, x, p->x_bits, p->columns, ROWS);
        w = rnnc_rows(ah, w, h, p->h_bits, p->hidden, ROWS);
        for (k = u; k < u + UNITS && k < p->hidden; k++) {
            int32_t gate[4], value;
            for (g = 0; g < 4; g++) {
                uint16_t a = (uint16_t)(4 * (k - u) + g), r = (uint16_t)(4 * k + g);
                gate[g] = rnnc_rescale2(ax[a] + rnnc_rom_i32(&p->bias[r]), ah[a], &p->scale[r]);
            }
            value = rnnc_lstm_unit(gate, &c[k]);
            rnnc_put_hidden(next, p->h_bits, k, value);
            if (y) {
                y[k] = (int16_t)value;
            }
        }
    }
    memcpy(h, next, (size_t)p->hidden * (p->h_bits / 8u));
}

#endif
