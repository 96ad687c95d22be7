/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_GRU_H
#define RNNC_GRU_H
#include <stdint.h>
#include <string.h>

#include "fixed.h"
#include "lut.h"
#include "rows.h"

/* linear_before_reset = 1: the reset gate multiplies the recurrent part of the candidate. */
typedef struct {
    const int8_t *weights;    /* for each unit: gates z r n over x, then over h; packed by the target */
    const int32_t *bias;      /* [hidden][z, r, n over x, n over h] */
    const rnnc_scale2 *scale; /* [hidden][3] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits, activation;
} rnnc_gru_after_params;

/* linear_before_reset = 0: the reset gate multiplies h. */
typedef struct {
    const int8_t *zr_weights;    /* for each unit: gates z r over x, then over h */
    const int32_t *zr_bias;      /* [hidden][2] */
    const rnnc_scale2 *zr_scale; /* [hidden][2] */
    const int8_t *n_weights;     /* for each unit: n over x, then over r h */
    const int32_t *n_bias;       /* [hidden] */
    const rnnc_scale2 *n_scale;  /* [hidden] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits, activation;
} rnnc_gru_before_params;

/* s += (1 - z) (n - s).  z: 0 .. 32768, n: int16, s: 14 more fraction bits; |s| <= 32767 * 2^14 stays true. */
static inline int16_t rnnc_gru_update(int32_t z, int32_t n, int32_t *s)
{
    *s += rnnc_mul15(32768 - z, n * 16384 - *s);
    return rnnc_upper(*s);
}

/* One step.  x: [columns].  h: [hidden], the operand, replaced at the end.  s: [hidden].  next: [hidden], scratch.
 * y: [hidden] int16, or 0 where h itself is the output. */
static inline void
rnnc_gru_after(const rnnc_gru_after_params *p, const void *x, void *h, int32_t *s, void *next, int16_t *y)
{
    enum { UNITS = RNNC_UNITS(3), ROWS = 3 * UNITS };
    const int8_t *w = p->weights;
    uint16_t u, k;
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        w = rnnc_rows(ax, w, x, p->x_bits, p->columns, ROWS);
        w = rnnc_rows(ah, w, h, p->h_bits, p->hidden, ROWS);
        for (k = u; k < u + UNITS && k < p->hidden; k++) {
            const int32_t *b = &p->bias[4 * k], *px = &ax[3 * (k - u)], *ph = &ah[3 * (k - u)];
            const rnnc_scale2 *m = &p->scale[3 * k];
            int32_t z = rnnc_sigmoid(rnnc_rescale2(px[0] + rnnc_rom_i32(&b[0]), ph[0], &m[0]));
            int32_t r = rnnc_sigmoid(rnnc_rescale2(px[1] + rnnc_rom_i32(&b[1]), ph[1], &m[1]));
            int32_t nx = ((px[2] + rnnc_rom_i32(&b[2])) >> rnnc_rom_u8(&m[2].px)) * (int32_t)rnnc_rom_u16(&m[2].mx) >> 8;
            int32_t nh = ((ph[2] + rnnc_rom_i32(&b[3])) >> rnnc_rom_u8(&m[2].ph)) * (int32_t)rnnc_rom_u16(&m[2].mh) >> 8;
            int16_t value;
            /* r nh + 16384 <= 32768 * 65535 + 16384 < 2^31 */
            nh = (r * rnnc_clip(nh, -RNNC_GATE_LIMIT, RNNC_GATE_LIMIT) + 16384) >> 15;
            value = rnnc_gru_update(z, rnnc_activate(p->activation, nx + nh), &s[k]);
            rnnc_put_hidden(next, p->h_bits, k, value);
            if (y) {
                y[k] = value;
            }
        }
    }
    memcpy(h, next, (size_t)p->hidden * (p->h_bits / 8u));
}

/* As rnnc_gru_after.  next: [hidden], scratch, holds r h.  z: [hidden], scratch, 0 .. 32768. */
static inline void
rnnc_gru_before(const rnnc_gru_before_params *p, const void *x, void *h, int32_t *s, void *next, uint16_t *z, int16_t *y)
{
    enum { UNITS2 = RNNC_UNITS(2), ROWS2 = 2 * UNITS2, UNITS1 = RNNC_UNITS(1) };
    const int8_t *w = p->zr_weights;
    uint16_t u, k;
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS2)) {
        int32_t ax[ROWS2], ah[ROWS2];
        w = rnnc_rows(ax, w, x, p->x_bits, p->columns, ROWS2);
        w = rnnc_rows(ah, w, h, p->h_bits, p->hidden, ROWS2);
        for (k = u; k < u + UNITS2 && k < p->hidden; k++) {
            const int32_t *b = &p->zr_bias[2 * k], *px = &ax[2 * (k - u)], *ph = &ah[2 * (k - u)];
            const rnnc_scale2 *m = &p->zr_scale[2 * k];
            int32_t r = rnnc_sigmoid(rnnc_rescale2(px[1] + rnnc_rom_i32(&b[1]), ph[1], &m[1]));
            z[k] = (uint16_t)rnnc_sigmoid(rnnc_rescale2(px[0] + rnnc_rom_i32(&b[0]), ph[0], &m[0]));
            rnnc_put_hidden(next, p->h_bits, k, (r * rnnc_upper(s[k]) + 16384) >> 15);
        }
    }
    w = p->n_weights;
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS1)) {
        int32_t ax[UNITS1], ah[UNITS1];
        w = rnnc_rows(ax, w, x, p->x_bits, p->columns, UNITS1);
        w = rnnc_rows(ah, w, next, p->h_bits, p->hidden, UNITS1);
        for (k = u; k < u + UNITS1 && k < p->hidden; k++) {
            int32_t n = rnnc_rescale2(ax[k - u] + rnnc_rom_i32(&p->n_bias[k]), ah[k - u], &p->n_scale[k]);
            int16_t value = rnnc_gru_update(z[k], rnnc_activate(p->activation, n), &s[k]);
            rnnc_put_hidden(h, p->h_bits, k, value);
            if (y) {
                y[k] = value;
            }
        }
    }
}

#endif
