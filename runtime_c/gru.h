/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_GRU_H
#define RNNC_GRU_H
#include <stdint.h>

#include "fixed.h"
#include "lut.h"
#include "rows.h"

/* linear_before_reset = 1: the reset gate multiplies the recurrent part of the candidate. */
typedef struct {
    const int8_t *
        weights; /* for each batch of units: gates z r n over x, then over h; packed by the target */
    const int32_t *bias;     /* [batch][z, r, n over x, n over h][units of a batch] */
    const uint32_t *scale_x; /* [batch][3 gates][units of a batch], m << 16 | p */
    const uint32_t *scale_h; /* the same */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits;
} rnnc_gru_after_params;

/* linear_before_reset = 0: the reset gate multiplies h. */
typedef struct {
    const int8_t *zr_weights;   /* for each batch of units: gates z r over x, then over h */
    const int32_t *zr_bias;     /* [batch][2 gates][units of a batch] */
    const uint32_t *zr_scale_x; /* the same */
    const uint32_t *zr_scale_h; /* the same */
    const int8_t *n_weights;    /* for each batch of units: n over x, then over r h */
    const int32_t *n_bias;      /* [hidden] */
    const uint32_t *n_scale_x;  /* [hidden] */
    const uint32_t *n_scale_h;  /* [hidden] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits;
} rnnc_gru_before_params;

/* s += (1 - z) (n - s).  z: 0 .. 32768, n: int16, s: 14 more fraction bits; |s| <= 32767 * 2^14 stays true. */
static inline int16_t rnnc_gru_update(int32_t z, int32_t n, int32_t *s)
{
    int32_t sum = *s + rnnc_mul15(32768 - z, n * 16384 - *s);
    *s = sum;
    return rnnc_upper(sum);
}

#ifndef RNNC_GRU_UNITS
#define rnnc_gru_units rnnc_gru_each
#endif

/* n <= batch units of a batch.  b: bias, [z, r, n over x, n over h][batch].  mx, mh: scales, [3 gates][batch].
 * ax, ah: sums of the rows, the same.  s, h: [n]. */
static inline void rnnc_gru_each(const int32_t *b, const uint32_t *mx, const uint32_t *mh,
                                 const int32_t *ax, const int32_t *ah, int32_t *s, int16_t *h,
                                 uint16_t batch, uint16_t n, uint8_t activation)
{
    uint16_t k;
    for (k = 0; k < n; k++) {
        uint16_t kz = k, kr = (uint16_t)(k + batch), kn = (uint16_t)(k + 2 * batch),
                 kb = (uint16_t)(k + 3 * batch);
        int32_t z = rnnc_sigmoid(rnnc_gate(&b[kz], &mx[kz], &mh[kz], ax[kz], ah[kz]));
        int32_t r = rnnc_sigmoid(rnnc_gate(&b[kr], &mx[kr], &mh[kr], ax[kr], ah[kr]));
        int32_t nx = rnnc_scaled(ax[kn] + rnnc_rom_i32(&b[kn]), rnnc_rom_u32(&mx[kn])) >> 8;
        int32_t nh = rnnc_scaled(ah[kn] + rnnc_rom_i32(&b[kb]), rnnc_rom_u32(&mh[kn])) >> 8;
        /* r nh + 16384 <= 32768 * 65535 + 16384 < 2^31 */
        nh = (r * rnnc_clip(nh, -RNNC_GATE_LIMIT, RNNC_GATE_LIMIT) + 16384) >> 15;
        h[k] = rnnc_gru_update(z, rnnc_activate(activation, nx + nh), &s[k]);
    }
}

/* One step.  x: [columns].  h: [hidden], the operand.  s: [hidden].  vx, vh: scratch, x and h as the kernel takes them.
 * y: [hidden] int16, or 0 where h itself is the output.  activation: the candidate's, RNNC_TANH or RNNC_RELU. */
static inline void rnnc_gru_after(const rnnc_gru_after_params *p, const void *x, void *h,
                                  int32_t *s, void *vx, void *vh, int16_t *y, uint8_t activation)
{
    enum { UNITS = RNNC_BATCH(3), ROWS = 3 * UNITS };
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
        rnnc_gru_units(&p->bias[4 * u], &p->scale_x[3 * u], &p->scale_h[3 * u], ax, ah, &s[u],
                       value, UNITS, n, activation);
        rnnc_put_units(h, p->h_bits, y, u, value, n);
    }
}

/* As rnnc_gru_after.  h ends as the new operand, in between it holds r h.  z: [hidden], scratch, 0 .. 32768. */
static inline void rnnc_gru_before(const rnnc_gru_before_params *p, const void *x, void *h,
                                   int32_t *s, void *vx, void *vh, uint16_t *z, int16_t *y,
                                   uint8_t activation)
{
    enum { UNITS2 = RNNC_BATCH(2), ROWS2 = 2 * UNITS2, UNITS1 = RNNC_BATCH(1) };
    const int8_t *w = p->zr_weights;
    uint16_t u, k;
    rnnc_take(vx, x, p->x_bits, p->columns);
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS2)) {
        int32_t ax[ROWS2], ah[ROWS2];
        w = rnnc_product(ax, w, vx, p->x_bits, p->columns, ROWS2);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, ROWS2);
        for (k = 0; k < UNITS2 && u + k < p->hidden; k++) {
            uint16_t a = (uint16_t)(2 * u + k), b = (uint16_t)(a + UNITS2);
            int32_t gz =
                rnnc_gate(&p->zr_bias[a], &p->zr_scale_x[a], &p->zr_scale_h[a], ax[k], ah[k]);
            int32_t gr = rnnc_gate(&p->zr_bias[b], &p->zr_scale_x[b], &p->zr_scale_h[b],
                                   ax[k + UNITS2], ah[k + UNITS2]);
            int32_t rh = (rnnc_sigmoid(gr) * rnnc_upper(s[u + k]) + 16384) >> 15;
            z[u + k] = (uint16_t)rnnc_sigmoid(gz);
            rnnc_put_hidden(h, p->h_bits, (uint16_t)(u + k), rh);
        }
    }
    rnnc_take(vh, h, p->h_bits, p->hidden);
    w = p->n_weights;
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS1)) {
        int32_t ax[UNITS1], ah[UNITS1];
        w = rnnc_product(ax, w, vx, p->x_bits, p->columns, UNITS1);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, UNITS1);
        for (k = u; k < u + UNITS1 && k < p->hidden; k++) {
            int32_t n =
                rnnc_gate(&p->n_bias[k], &p->n_scale_x[k], &p->n_scale_h[k], ax[k - u], ah[k - u]);
            int16_t value = rnnc_gru_update(z[k], rnnc_activate(activation, n), &s[k]);
            rnnc_put_hidden(h, p->h_bits, k, value);
            if (y) {
                y[k] = value;
            }
        }
    }
}

#endif
