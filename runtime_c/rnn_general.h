/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_RNN_GENERAL_H
#define RNNC_RNN_GENERAL_H
/* An RNN that clips, has another activation, a state beyond +-1, or wide preactivations. */
#include <stdint.h>
#include <string.h>

#include "activation.h"
#include "fixed.h"
#include "rows.h"

typedef struct {
    const int8_t *weights;    /* for each unit: over x, then over h; packed by the target */
    const int32_t *bias;      /* [hidden] */
    const rnnc_scale2 *scale; /* [hidden] */
    uint16_t columns, hidden;
    uint8_t x_bits, h_bits;
    uint8_t shift; /* after the multiplication of a row, 0 .. 8 */
    int32_t clip;  /* of what goes into f, 12 fraction bits */
    rnnc_activation f;
} rnnc_rnn_general_params;

/* One step.  x: [columns].  h: [hidden], the operand.  vx, vh: scratch, x and h as the kernel takes them.
 * y: [hidden] int16, or 0 where h itself is the output. */
static inline void rnnc_rnn_general(const rnnc_rnn_general_params *p, const void *x, void *h,
                                    void *vx, void *vh, int16_t *y)
{
    enum { UNITS = RNNC_UNITS(1) };
    const int8_t *w = p->weights;
    const void *taken = rnnc_taken(vx, x, p->x_bits, p->columns);
    uint16_t u, k;
    rnnc_take(vh, h, p->h_bits, p->hidden);
    for (u = 0; u < p->hidden; u = (uint16_t)(u + UNITS)) {
        int32_t ax[UNITS], ah[UNITS];
        w = rnnc_product(ax, w, taken, p->x_bits, p->columns, UNITS);
        w = rnnc_product(ah, w, vh, p->h_bits, p->hidden, UNITS);
        for (k = u; k < u + UNITS && k < p->hidden; k++) {
            int32_t a = rnnc_rescale2_by(ax[k - u] + rnnc_rom_i32(&p->bias[k]), ah[k - u],
                                         &p->scale[k], p->shift);
            int32_t value =
                rnnc_clip(rnnc_apply(&p->f, rnnc_clip(a, -p->clip, p->clip)), -32767, 32767);
            rnnc_put_hidden(h, p->h_bits, k, value);
            if (y) {
                y[k] = (int16_t)value;
            }
        }
    }
}

#endif
