/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CONV_H
#define RNNC_CONV_H
#include <stdint.h>

#include "fixed.h"
#include "results.h"
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

/* The kernel_width elements under a line of the kernel, from column `at` of a frame's line on; outside it is padding. */
static inline void rnnc_conv_line16(const rnnc_window *w, const int16_t *line, int32_t at,
                                    int16_t outside, int16_t *to)
{
    const int whole = line && rnnc_window_whole(w, at);
    uint16_t j;
    for (j = 0; whole && j < w->kernel_width; j++) {
        to[j] = line[at];
        at += w->dilation_width;
    }
    for (; j < w->kernel_width; j++) {
        to[j] = line && at >= 0 && at < w->width ? line[at] : outside;
        at += w->dilation_width;
    }
}

static inline void rnnc_conv_line8(const rnnc_window *w, const int8_t *line, int32_t at,
                                   int16_t outside, int8_t *to)
{
    const int whole = line && rnnc_window_whole(w, at);
    uint16_t j;
    for (j = 0; whole && j < w->kernel_width; j++) {
        to[j] = line[at];
        at += w->dilation_width;
    }
    for (; j < w->kernel_width; j++) {
        to[j] = line && at >= 0 && at < w->width ? line[at] : (int8_t)outside;
        at += w->dilation_width;
    }
}

/* The operand of one position.  x: frames, oldest first.  patch: [columns]. */
RNNC_KERNEL void rnnc_conv_patch(const rnnc_conv_params *p, const void *x, void *patch,
                                 uint16_t row, uint16_t column)
{
    const rnnc_window *w = &p->window;
    const int32_t first = (int32_t)column * w->stride_width - w->left;
    uint16_t t, c, i, n = 0;
    for (t = 0; t < w->taps; t++) {
        const void *frame = rnnc_window_tap(w, x, p->x_bits, t);
        for (c = 0; c < w->channels; c++) {
            for (i = 0; i < w->kernel_height; i++) {
                int32_t line = rnnc_window_line(w, c, row, i);
                if (p->x_bits == 8) {
                    rnnc_conv_line8(w, line < 0 ? 0 : (const int8_t *)frame + line, first,
                                    p->outside, (int8_t *)patch + n);
                } else {
                    rnnc_conv_line16(w, line < 0 ? 0 : (const int16_t *)frame + line, first,
                                     p->outside, (int16_t *)patch + n);
                }
                n = (uint16_t)(n + w->kernel_width);
            }
        }
    }
}

RNNC_KERNEL void rnnc_conv_rows(const rnnc_conv_params *p, const void *x, void *patch, void *v,
                                void *y, int wide)
{
    enum { block = RNNC_CALL_ROWS };
    const rnnc_results results = {p->bias,       p->scale, p->rows, p->y_bits,
                                  p->zero_point, p->lo,    p->hi};
    const size_t positions = (size_t)p->window.out_height * p->window.out_width;
    uint16_t row, column;
    size_t at = 0, r;
    for (row = 0; row < p->window.out_height; row++) {
        for (column = 0; column < p->window.out_width; column++, at++) {
            const int8_t *w = p->weights;
            const void *operand;
            rnnc_conv_patch(p, x, patch, row, column);
            operand = rnnc_prepared(v, patch, p->x_bits, p->columns);
            for (r = 0; r < p->rows; r += block) {
                int32_t a[block];
                size_t left = p->rows - r;
                size_t n = p->rows % block && left < block ? left : block;
                uint16_t filled = (uint16_t)RNNC_FILLED(n);
                w = wide ? rnnc_product_wide(a, w, operand, p->x_bits, p->columns, filled)
                         : rnnc_product(a, w, operand, p->x_bits, p->columns, filled);
                rnnc_put_row_results(&results, a, n, r, y, r * positions + at, positions);
            }
        }
    }
}

/* y = W patch + b at each position.  x: frames, oldest first.  patch: [columns], scratch.  v: scratch, the patch as the kernel
 * takes it.  y: [rows][out_height][out_width]. */
RNNC_KERNEL void rnnc_conv(const rnnc_conv_params *p, const void *x, void *patch, void *v, void *y)
{
    rnnc_conv_rows(p, x, patch, v, y, 0);
}

/* The same of wide rows. */
RNNC_KERNEL void rnnc_conv_wide(const rnnc_conv_params *p, const void *x, void *patch, void *v,
                                void *y)
{
    rnnc_conv_rows(p, x, patch, v, y, 1);
}

#endif
