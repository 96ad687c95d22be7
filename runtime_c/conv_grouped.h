/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CONV_GROUPED_H
#define RNNC_CONV_GROUPED_H
#include <stdint.h>

#include "fixed.h"
#include "results.h"
#include "window.h"

typedef struct {
    rnnc_window window;
    /* [rows][taps][channels of a group][kernel_height][kernel_width], int8 or int16; where each channel has a row of its
     * own, rows are the last axis */
    const void *weights;
    const int32_t *bias;      /* [rows] */
    const rnnc_scale1 *scale; /* [rows] */
    uint16_t rows, rows_of_group, channels_of_group;
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int16_t outside;        /* zero point of x */
    int16_t zero_point;     /* of y */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_conv_grouped_params;

/* Rows that follow one another see channels that do: as many as a vector holds are computed together. */
#define RNNC_IS_DEPTHWISE(p) ((p)->rows_of_group == 1 && (p)->channels_of_group == 1)

/* Bias and products of one vector of rows at one position, `row` of them and the channels that they see from `channel` on: `step`
 * channels further for each row.  |sum| < 2^31 by certificate. */
RNNC_KERNEL rnnc_vector rnnc_conv_grouped_sum(const rnnc_conv_grouped_params *p, const void *x,
                                              uint8_t bits, size_t row, size_t channel, size_t step,
                                              uint16_t line, uint16_t column, size_t left)
{
    const rnnc_window *g = &p->window;
    const size_t columns =
        (size_t)g->taps * p->channels_of_group * g->kernel_height * g->kernel_width;
    const size_t plane = (size_t)g->height * g->width;
    const size_t row_step = RNNC_IS_DEPTHWISE(p) ? 1 : columns;
    const size_t tap_step = RNNC_IS_DEPTHWISE(p) ? p->rows : 1;
    rnnc_vector sum = rnnc_v_constants(p->bias, row, 1, left);
    size_t n = row * row_step;
    uint16_t t, c, i, j;
    RNNC_UNROLL
    for (t = 0; t < g->taps; t++) {
        const void *frame = rnnc_window_tap(g, x, p->x_bits, t);
        for (c = 0; c < p->channels_of_group; c++) {
            RNNC_UNROLL
            for (i = 0; i < g->kernel_height; i++) {
                RNNC_UNROLL
                for (j = 0; j < g->kernel_width; j++, n += tap_step) {
                    int32_t at = rnnc_window_at(g, c, line, column, i, j);
                    rnnc_vector w = rnnc_v_weights(p->weights, bits, n, row_step, left);
                    rnnc_vector v = at < 0
                                        ? rnnc_v_of(p->outside)
                                        : rnnc_v_get(frame, p->x_bits, channel * plane + (size_t)at,
                                                     step * plane, left);
                    sum = rnnc_v_add(sum, rnnc_v_mul(w, v));
                }
            }
        }
    }
    return sum;
}

/* Of int8 weights, or of int16. */
RNNC_KERNEL void rnnc_conv_grouped_rows(const rnnc_conv_grouped_params *p, const void *x, void *y,
                                        uint8_t bits)
{
    const rnnc_window *g = &p->window;
    const rnnc_results results = {p->bias,       p->scale, p->rows, p->y_bits,
                                  p->zero_point, p->lo,    p->hi};
    const size_t positions = (size_t)g->out_height * g->out_width;
    const size_t vector = RNNC_IS_DEPTHWISE(p) ? RNNC_VECTOR : 1;
    size_t k, at;
    uint16_t row, column;
    for (k = 0; k < p->rows; k += vector) {
        const size_t left = RNNC_IS_DEPTHWISE(p) ? RNNC_LEFT(p->rows, k) : 1;
        size_t first = k / p->rows_of_group * p->channels_of_group;
        at = k * positions;
        for (row = 0; row < g->out_height; row++) {
            for (column = 0; column < g->out_width; column++, at++) {
                rnnc_vector a = rnnc_conv_grouped_sum(p, x, bits, k, first, p->channels_of_group,
                                                      row, column, left);
                rnnc_put_results(&results, a, k, y, at, positions, left);
            }
        }
    }
}

/* A convolution whose output channels each see a group of the input's: depthwise where a group is one channel.
 * x: frames, oldest first.  y: [rows][out_height][out_width]. */
RNNC_KERNEL void rnnc_conv_grouped(const rnnc_conv_grouped_params *p, const void *x, void *y)
{
    rnnc_conv_grouped_rows(p, x, y, 8);
}

/* The same of int16 weights. */
RNNC_KERNEL void rnnc_conv_grouped_wide(const rnnc_conv_grouped_params *p, const void *x, void *y)
{
    rnnc_conv_grouped_rows(p, x, y, 16);
}

#endif
