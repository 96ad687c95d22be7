/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_GRU_GENERAL_H
#define RNNC_GRU_GENERAL_H
/* A GRU that clips, has other activations, a state beyond +-1, or wide preactivations. */
#include <stdint.h>
#include <string.h>

#include "activation.h"
#include "fixed.h"
#include "rows.h"

/* linear_before_reset = 1. */
typedef struct {
    const int8_t
        *weights;        /* for each unit: gates z r n over x, then over h; packed by the target */
    const int32_t *bias; /* [hidden][z, r, n over x, n over h] */
    const rnnc_scale2 *scale; /* [hidden][3] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits;
    uint8_t zr_shift, nx_shift, nh_shift; /* after the multiplication of a row, 0 .. 8 */
    int32_t clip;                         /* of what goes into f and g, 12 fraction bits */
    rnnc_activation f, g;
} rnnc_gru_after_general_params;

/* linear_before_reset = 0. */
typedef struct {
    const int8_t *zr_weights;    /* for each unit: gates z r over x, then over h */
    const int32_t *zr_bias;      /* [hidden][2] */
    const rnnc_scale2 *zr_scale; /* [hidden][2] */
    const int8_t *n_weights;     /* for each unit: n over x, then over r h */
    const int32_t *n_bias;       /* [hidden] */
    const rnnc_scale2 *n_scale;  /* [hidden] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits;
    uint8_t zr_shift, nx_shift, nh_shift;
    int32_t clip;
    rnnc_activation f, g;
} rnnc_gru_before_general_params;

/* s += (1 - z) (n - s), saturated.  z: LSB 2^(e - 15), |1 - z| <= 2^e.  p: the candidate's preactivation. */
static inline int16_t rnnc_gru_general_update(const rnnc_activation *f, const rnnc_activation *g,
                                              int32_t clip, int32_t z, int32_t p, int32_t *s)
{
    const int32_t room = (int32_t)1073741824 >> f->exponent;
    int32_t n = rnnc_clip(rnnc_apply(g, rnnc_clip(p, -clip, clip)), -32767, 32767);
    int32_t step = rnnc_mul15(((int32_t)32768 >> f->exponent) - z, n * 16384 - *s);
    *s +=
        rnnc_clip(step, -room, room) * ((int32_t)1 << f->exponent); /* |s| <= 32767 * 2^14 + 2^30 */
    *s = rnnc_clip(*s, -536854528, 536854528);
    return rnnc_upper(*s);
}

/* One step.  x: [columns].  h: [hidden], the operand.  s: [hidden].  vx, vh: scratch, x and h as the kernel takes them.
 * y: [hidden] int16, or 0 where h itself is the output. */
static inline void rnnc_gru_after_general(const rnnc_gru_after_general_params *p, const void *x,
                                          void *h, int32_t *s, void *vx, void *vh, int16_t *y)
{
    enum { UNITS = RNNC_UNITS(3), ROWS = 3 * UNITS };
    const int32_t room = (int32_t)1073741824 >> p->f.exponent;
    const int8_t *w = p->weights;
    const void *taken = rnnc_taken(vx, x, p->x_bits, p->columns);
    uint16_t u, k;
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        w = rnnc_product(ax, w, taken, p->x_bits, p->columns, ROWS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, ROWS);
        for (k = u; k < u + UNITS && k < p->hidden; k++) {
            const int32_t *b = &p->bias[4 * k], *px = &ax[3 * (k - u)], *ph = &ah[3 * (k - u)];
            const rnnc_scale2 *m = &p->scale[3 * k];
            int32_t z = rnnc_rescale2_by(px[0] + rnnc_rom_i32(&b[0]), ph[0], &m[0], p->zr_shift);
            int32_t r = rnnc_rescale2_by(px[1] + rnnc_rom_i32(&b[1]), ph[1], &m[1], p->zr_shift);
            int32_t nx = (px[2] + rnnc_rom_i32(&b[2])) >> rnnc_rom_u8(&m[2].px);
            int32_t nh = (ph[2] + rnnc_rom_i32(&b[3])) >> rnnc_rom_u8(&m[2].ph);
            int16_t value;
            nx = (nx * (int32_t)rnnc_rom_u16(&m[2].mx)) >> p->nx_shift;
            nh = (nh * (int32_t)rnnc_rom_u16(&m[2].mh)) >> p->nh_shift;
            z = rnnc_apply(&p->f, rnnc_clip(z, -p->clip, p->clip));
            r = rnnc_apply(&p->f, rnnc_clip(r, -p->clip, p->clip));
            nh = rnnc_mul15(r, rnnc_clip(nh, -room, room)) * ((int32_t)1 << p->f.exponent);
            value = rnnc_gru_general_update(&p->f, &p->g, p->clip, z, nx + nh, &s[k]);
            rnnc_put_hidden(h, p->h_bits, k, value);
            if (y) {
                y[k] = value;
            }
        }
    }
}

/* As rnnc_gru_after_general.  h ends as the new operand, in between it holds r h.  z: [hidden], scratch. */
static inline void rnnc_gru_before_general(const rnnc_gru_before_general_params *p, const void *x,
                                           void *h, int32_t *s, void *vx, void *vh, int32_t *z,
                                           int16_t *y)
{
    enum { UNITS2 = RNNC_UNITS(2), ROWS2 = 2 * UNITS2, UNITS1 = RNNC_UNITS(1) };
    const int8_t *w = p->zr_weights;
    const void *taken = rnnc_taken(vx, x, p->x_bits, p->columns);
    uint16_t u, k;
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS2)) {
        int32_t ax[ROWS2], ah[ROWS2];
        w = rnnc_product(ax, w, taken, p->x_bits, p->columns, ROWS2);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, ROWS2);
        for (k = u; k < u + UNITS2 && k < p->hidden; k++) {
            const int32_t *b = &p->zr_bias[2 * k], *px = &ax[2 * (k - u)], *ph = &ah[2 * (k - u)];
            const rnnc_scale2 *m = &p->zr_scale[2 * k];
            int32_t a = rnnc_rescale2_by(px[0] + rnnc_rom_i32(&b[0]), ph[0], &m[0], p->zr_shift);
            int32_t r = rnnc_rescale2_by(px[1] + rnnc_rom_i32(&b[1]), ph[1], &m[1], p->zr_shift);
            z[k] = rnnc_apply(&p->f, rnnc_clip(a, -p->clip, p->clip));
            r = rnnc_apply(&p->f, rnnc_clip(r, -p->clip, p->clip));
            r = ((r * rnnc_upper(s[k]) + 16384) >> 15) *
                ((int32_t)1 << p->f.exponent); /* |r h| <= 2^22 */
            rnnc_put_hidden(h, p->h_bits, k, rnnc_clip(r, -32767, 32767));
        }
    }
    rnnc_take(vh, h, p->h_bits, p->hidden);
    w = p->n_weights;
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS1)) {
        int32_t ax[UNITS1], ah[UNITS1];
        w = rnnc_product(ax, w, taken, p->x_bits, p->columns, UNITS1);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, UNITS1);
        for (k = u; k < u + UNITS1 && k < p->hidden; k++) {
            int32_t a = rnnc_rescale2_by(ax[k - u] + rnnc_rom_i32(&p->n_bias[k]), ah[k - u],
                                         &p->n_scale[k], p->nx_shift);
            int16_t value = rnnc_gru_general_update(&p->f, &p->g, p->clip, z[k], a, &s[k]);
            rnnc_put_hidden(h, p->h_bits, k, value);
            if (y) {
                y[k] = value;
            }
        }
    }
}

#endif
