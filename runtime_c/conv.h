/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CONV_H
#define RNNC_CONV_H
#include <stdint.h>

#include "fixed.h"
#include "rows.h"
#include "window.h"

typedef struct {
    rnnc_window window;
    const int8_t
        *weights; /* [rows][taps][channels][kernel_height][kernel_width], packed by the target */
    const int32_t *bias;      /* [rows] */
    const rnnc_scale1 *scale; /* [rows] */
    uint16_t rows;
    uint16_t columns;       /* taps * channels * kernel_height * kernel_width */
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int16_t outside;        /* zero point of x */
    int16_t zero_point;     /* of y */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_conv_params;

/* The operand of one position.  x: frames, oldest first.  patch: [columns]. */
static inline void rnnc_conv_patch(const rnnc_conv_params *p, const void *x, void *patch,
                                   uint16_t row, uint16_t column)
{
    const rnnc_window *w = &p->window;
    uint16_t t, c, i, j, n = 0;
    for (t = 0; t < w->taps; t++) {
        const void *frame = rnnc_window_tap(w, x, p->x_bits, t);
        for (c = 0; c < w->channels; c++) {
            for (i = 0; i < w->kernel_height; i++) {
                for (j = 0; j < w->kernel_width; j++) {
                    int32_t at = rnnc_window_at(w, c, row, column, i, j);
                    rnnc_put(patch, p->x_bits, n++,
                             rnnc_window_get(frame, p->x_bits, at, p->outside));
                }
            }
        }
    }
}

/* y = W patch + b at each position.  x: frames, oldest first.  patch: [columns], scratch.  v: scratch, the patch as the kernel
 * takes it.  y: [rows][out_height][out_width]. */
static inline void rnnc_conv(const rnnc_conv_params *p, const void *x, void *patch, void *v,
                             void *y)
{
    enum { ROWS = RNNC_GROUP < 4 ? 4 : RNNC_GROUP };
    uint16_t positions = (uint16_t)(p->window.out_height * p->window.out_width);
    uint16_t row, column, at = 0, r, k;
    for (row = 0; row < p->window.out_height; row++) {
        for (column = 0; column < p->window.out_width; column++, at++) {
            const int8_t *w = p->weights;
            const void *taken;
            rnnc_conv_patch(p, x, patch, row, column);
            taken = rnnc_taken(v, patch, p->x_bits, p->columns);
            for (r = 0; r < p->rows; r = (uint16_t)(r + ROWS)) {
                int32_t a[ROWS];
                uint16_t left = (uint16_t)(p->rows - r), n = left < ROWS ? left : ROWS;
                w = rnnc_product(a, w, taken, p->x_bits, p->columns,
                                 (uint16_t)((n + RNNC_GROUP - 1) / RNNC_GROUP * RNNC_GROUP));
                for (k = 0; k < n; k++) {
                    int32_t value =
                        rnnc_rescale1(a[k] + rnnc_rom_i32(&p->bias[r + k]), &p->scale[r + k]) +
                        p->zero_point;
                    rnnc_put(y, p->y_bits, (uint16_t)((r + k) * positions + at),
                             rnnc_clip(value, p->lo, p->hi));
                }
            }
        }
    }
}

#endif
