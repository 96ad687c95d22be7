/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LSTM_GENERAL_H
#define RNNC_LSTM_GENERAL_H
/* An LSTM with peepholes, coupled gates, clipping, other activations, a projection, or wide preactivations. */
#include <stdint.h>
#include <string.h>

#include "activation.h"
#include "fixed.h"
#include "rows.h"

typedef struct {
    const int8_t
        *weights; /* for each unit: gates i o f c over x, then over h; packed by the target */
    const int32_t *bias;             /* [hidden][4] */
    const rnnc_scale2 *scale;        /* [hidden][4] */
    const int16_t *peepholes;        /* [hidden][3], gates i o f, or 0 */
    uint16_t columns, hidden, width; /* width: of h */
    uint8_t x_bits, h_bits;
    uint8_t shift; /* after the multiplication of a row, 0 .. 8 */
    uint8_t coupled, projected;
    uint8_t peephole_shift, product_shift, cell_shift;
    int32_t clip; /* of what goes into f and g, 12 fraction bits */
    rnnc_activation f, g, squash;
} rnnc_lstm_general_params;

/* f of a gate's preactivation a, with the peephole u over c. */
static inline int32_t rnnc_lstm_gate(const rnnc_lstm_general_params *p, int32_t a, const int16_t *u,
                                     int32_t c)
{
    if (u) {
        a += rnnc_shift_round(rnnc_mul15(rnnc_rom_i16(u), c), p->peephole_shift);
    }
    return rnnc_apply(&p->f, rnnc_clip(a, -p->clip, p->clip));
}

/* One unit.  a[0..3]: preactivations i o f c.  c: |c| <= 2^30.  Returns o h(c), int16.
 * Each product of two activations <= 2^30; the cell's sum of two terms <= 2^31 - 2^7 in magnitude is clipped. */
static inline int32_t rnnc_lstm_general_unit(const rnnc_lstm_general_params *p, const int32_t a[4],
                                             const int16_t *peephole, int32_t *c)
{
    const int16_t *pi = peephole, *po = peephole ? peephole + 1 : 0,
                  *pf = peephole ? peephole + 2 : 0;
    const int32_t room = (int32_t)1073741824 >> p->f.exponent;
    int32_t i = rnnc_lstm_gate(p, a[0], pi, *c);
    int32_t f =
        p->coupled ? ((int32_t)32768 >> p->f.exponent) - i : rnnc_lstm_gate(p, a[2], pf, *c);
    int32_t g = rnnc_apply(&p->g, rnnc_clip(a[3], -p->clip, p->clip));
    int32_t kept = rnnc_clip(rnnc_mul15(f, *c), -room, room) * ((int32_t)1 << p->f.exponent), h;
    *c = rnnc_clip(kept + rnnc_shift_round(i * g, p->product_shift), -1073741824, 1073741824);
    h = rnnc_lstm_gate(p, a[1], po, *c) *
        rnnc_apply(&p->squash, rnnc_shift_round(*c, p->cell_shift));
    return rnnc_clip((h + 16384) >> 15, -32767, 32767);
}

/* One step.  x: [columns].  h: [width], the operand.  c: [hidden].  vx, vh: scratch, x and h as the kernel takes them.
 * next: where o h(c) goes, h or what is projected then.  y: [hidden] int16, or 0 where h itself is the output. */
static inline void rnnc_lstm_general(const rnnc_lstm_general_params *p, const void *x, void *h,
                                     int32_t *c, void *vx, void *vh, void *next, int16_t *y)
{
    enum { UNITS = RNNC_UNITS(4), ROWS = 4 * UNITS };
    const int8_t *w = p->weights;
    const void *taken = rnnc_taken(vx, x, p->x_bits, p->columns);
    uint16_t u, k, g;
    rnnc_take(vh, h, p->h_bits, p->width);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[ROWS], ah[ROWS];
        w = rnnc_product(ax, w, taken, p->x_bits, p->columns, ROWS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->width, ROWS);
        for (k = u; k < u + UNITS && k < p->hidden; k++) {
            int32_t gate[4], value;
            for (g = 0; g < 4; g++) {
                uint16_t a = (uint16_t)(4 * (k - u) + g), r = (uint16_t)(4 * k + g);
                gate[g] = rnnc_rescale2_by(ax[a] + rnnc_rom_i32(&p->bias[r]), ah[a], &p->scale[r],
                                           p->shift);
            }
            value = rnnc_lstm_general_unit(p, gate, p->peepholes ? &p->peepholes[3 * k] : 0, &c[k]);
            rnnc_put_hidden(next, p->projected ? 16 : p->h_bits, k, value);
            if (y) {
                y[k] = (int16_t)value;
            }
        }
    }
}

typedef struct {
    const int8_t *weights;    /* [rows][columns], packed by the target */
    const int32_t *bias;      /* [rows] */
    const rnnc_scale1 *scale; /* [rows] */
    uint16_t columns, rows;
    uint8_t shift;
} rnnc_lstm_project_params;

/* h = Wp m + bp.  m: [columns] int16.  vm: scratch, m as the kernel takes it.  h: [rows] int16. */
static inline void rnnc_lstm_project(const rnnc_lstm_project_params *p, const int16_t *m, void *vm,
                                     int16_t *h)
{
    enum { UNITS = RNNC_UNITS(1) };
    const int8_t *w = p->weights;
    const void *taken = rnnc_taken(vm, m, 16, p->columns);
    uint16_t u, k;
    for (u = 0; u < p->rows; u = (uint16_t)(u + UNITS)) {
        int32_t a[UNITS];
        w = rnnc_product(a, w, taken, 16, p->columns, UNITS);
        for (k = u; k < u + UNITS && k < p->rows; k++) {
            int32_t v =
                rnnc_rescale1_by(a[k - u] + rnnc_rom_i32(&p->bias[k]), &p->scale[k], p->shift);
            h[k] = (int16_t)rnnc_clip(v, -32767, 32767);
        }
    }
}

#endif
