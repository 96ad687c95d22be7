/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LSTM_H
#define RNNC_LSTM_H
#include <stdint.h>

#include "fixed.h"
#include "lut.h"
#include "rows.h"

typedef struct {
    const int8_t *weights;   /* for each batch of units: gates i o f c over x, then over h; packed by the target */
    const int32_t *bias;     /* [batch][4 gates][units of a batch] */
    const uint32_t *scale_x; /* the same, m << 16 | p */
    const uint32_t *scale_h; /* the same */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits; /* of the operands: 8 or 16 */
} rnnc_lstm_params;

/* One unit.  i, o, f, g: preactivations, 12 fraction bits.  c: Q8.23, |c| <= 2^30.  Returns h, Q0.15.
 * |i g|, |o tanh c| <= 2^30; the cell's sum <= 2^30 + 2^15 + 2^23. */
static inline int32_t rnnc_lstm_unit(int32_t i, int32_t o, int32_t f, int32_t g, int32_t *c)
{
    int32_t ig = rnnc_sigmoid(i) * rnnc_tanh(g);
    int32_t cell = rnnc_mul15(rnnc_sigmoid(f), *c) + ((ig + 64) >> 7);
    cell = rnnc_clip(cell, -1073741824, 1073741824);
    *c = cell;
    return (rnnc_sigmoid(o) * rnnc_tanh((cell + 1024) >> 11) + 16384) >> 15;
}

#ifndef RNNC_LSTM_UNITS
/* n <= batch units of a batch.  r: its first row.  ax, ah: [4 gates][batch].  c, h: [n]. */
static inline void rnnc_lstm_units(
    const rnnc_lstm_params *p, uint16_t r, const int32_t *ax, const int32_t *ah, int32_t *c, int16_t *h, uint16_t batch, uint16_t n)
{
    uint16_t k, g;
    for (k = 0; k < n; k++) {
        int32_t gate[4];
        for (g = 0; g < 4; g++) {
            uint16_t a = (uint16_t)(g * batch + k), row = (uint16_t)(r + a);
            gate[g] = (rnnc_scaled(ax[a] + rnnc_rom_i32(&p->bias[row]), rnnc_rom_u32(&p->scale_x[row])) +
                       rnnc_scaled(ah[a], rnnc_rom_u32(&p->scale_h[row]))) >>
                      8;
        }
        h[k] = (int16_t)rnnc_lstm_unit(gate[0], gate[1], gate[2], gate[3], &c[k]);
    }
}
#endif

/* One step.  x: [columns].  h: [hidden], the operand.  c: [hidden].  vx, vh: scratch, x and h as the kernel takes them.
 * y: [hidden] Q0.15, or 0 where h itself is the output. */
static inline void
rnnc_lstm(const rnnc_lstm_params *p, const void *x, void *h, int32_t *c, void *vx, void *vh, int16_t *y)
{
    enum { UNITS = RNNC_BATCH(4), ROWS = 4 * UNITS };
    const int8_t *w = p->weights;
    uint16_t u;
    rnnc_take(vx, x, p->x_bits, p->columns);
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        int16_t value[UNITS];
        uint16_t n = (uint16_t)(p->hidden - u < UNITS ? p->hidden - u : UNITS);
        w = rnnc_product(ax, w, vx, p->x_bits, p->columns, ROWS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, ROWS);
        rnnc_lstm_units(p, (uint16_t)(4 * u), ax, ah, &c[u], value, UNITS, n);
        rnnc_put_units(h, p->h_bits, y, u, value, n);
    }
}

#endif
