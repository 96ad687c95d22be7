/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CONV_GROUPED_H
#define RNNC_CONV_GROUPED_H
#include <stdint.h>

#include "fixed.h"
#include "window.h"

typedef struct {
    rnnc_window window;
    const void *
        weights; /* [rows][taps][channels of a group][kernel_height][kernel_width], int8 or int16 */
    const int32_t *bias;      /* [rows] */
    const rnnc_scale1 *scale; /* [rows] */
    uint16_t rows, rows_of_group, channels_of_group;
    uint8_t x_bits, y_bits; /* 8 or 16; y also 32 */
    int16_t outside;        /* zero point of x */
    int16_t zero_point;     /* of y */
    int32_t lo, hi;         /* y is clipped to lo .. hi */
} rnnc_conv_grouped_params;

/* The products of one line of the kernel, from column `at` of a frame's line on; line: its first element, -1 for padding. */
static inline int32_t rnnc_conv_grouped_line(const rnnc_conv_grouped_params *p, const int8_t *w,
                                             const void *frame, int32_t line, int32_t at)
{
    const rnnc_window *g = &p->window;
    const int whole = line >= 0 && rnnc_window_whole(g, at) && p->x_bits == 16;
    const int16_t *v = (const int16_t *)frame + (whole ? line + at : 0);
    int32_t sum = 0;
    uint16_t j;
    for (j = 0; whole && j < g->kernel_width; j++) {
        sum += (int32_t)rnnc_rom_i8(w++) * v[(size_t)j * g->dilation_width];
    }
    for (; j < g->kernel_width; j++) {
        int32_t value = line >= 0 && at >= 0 && at < g->width
                            ? rnnc_get(frame, p->x_bits, (uint16_t)(line + at))
                            : p->outside;
        sum += (int32_t)rnnc_rom_i8(w++) * value;
        at += g->dilation_width;
    }
    return sum;
}

/* The products of one row at one position; w: its weights.  |sum| < 2^31 by certificate. */
static inline int32_t rnnc_conv_grouped_sum(const rnnc_conv_grouped_params *p, const int8_t *w,
                                            const void *x, uint16_t first, uint16_t row,
                                            uint16_t column)
{
    const rnnc_window *g = &p->window;
    const int32_t first_column = (int32_t)column * g->stride_width - g->left;
    uint16_t t, c, i;
    int32_t sum = 0;
    for (t = 0; t < g->taps; t++) {
        const void *frame = rnnc_window_tap(g, x, p->x_bits, t);
        for (c = first; c < first + p->channels_of_group; c++) {
            for (i = 0; i < g->kernel_height; i++) {
                int32_t line = rnnc_window_line(g, c, row, i);
                sum += rnnc_conv_grouped_line(p, w, frame, line, first_column);
                w += g->kernel_width;
            }
        }
    }
    return sum;
}

/* A convolution whose output channels each see a group of the input's: depthwise where a group is one channel.
 * x: frames, oldest first.  y: [rows][out_height][out_width]. */
static inline void rnnc_conv_grouped(const rnnc_conv_grouped_params *p, const void *x, void *y)
{
    const rnnc_window *g = &p->window;
    uint16_t columns =
        (uint16_t)(g->taps * p->channels_of_group * g->kernel_height * g->kernel_width);
    uint16_t k, row, column, n = 0;
    for (k = 0; k < p->rows; k++) {
        uint16_t first = (uint16_t)(k / p->rows_of_group * p->channels_of_group);
        const int8_t *w = (const int8_t *)p->weights + (size_t)k * columns;
        for (row = 0; row < g->out_height; row++) {
            for (column = 0; column < g->out_width; column++) {
                int32_t a =
                    rnnc_conv_grouped_sum(p, w, x, first, row, column) + rnnc_rom_i32(&p->bias[k]);
                int32_t v = rnnc_requantize1(a, &p->scale[k]) + p->zero_point;
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

/* The same of int16 weights. */
static inline int32_t rnnc_conv_grouped_wide_line(const rnnc_conv_grouped_params *p,
                                                  const int16_t *w, const void *frame, int32_t line,
                                                  int32_t at)
{
    const rnnc_window *g = &p->window;
    const int whole = line >= 0 && rnnc_window_whole(g, at) && p->x_bits == 16;
    const int16_t *v = (const int16_t *)frame + (whole ? line + at : 0);
    int32_t sum = 0;
    uint16_t j;
    for (j = 0; whole && j < g->kernel_width; j++) {
        sum += (int32_t)rnnc_rom_i16(w++) * v[(size_t)j * g->dilation_width];
    }
    for (; j < g->kernel_width; j++) {
        int32_t value = line >= 0 && at >= 0 && at < g->width
                            ? rnnc_get(frame, p->x_bits, (uint16_t)(line + at))
                            : p->outside;
        sum += (int32_t)rnnc_rom_i16(w++) * value;
        at += g->dilation_width;
    }
    return sum;
}

static inline int32_t rnnc_conv_grouped_wide_sum(const rnnc_conv_grouped_params *p,
                                                 const int16_t *w, const void *x, uint16_t first,
                                                 uint16_t row, uint16_t column)
{
    const rnnc_window *g = &p->window;
    const int32_t first_column = (int32_t)column * g->stride_width - g->left;
    uint16_t t, c, i;
    int32_t sum = 0;
    for (t = 0; t < g->taps; t++) {
        const void *frame = rnnc_window_tap(g, x, p->x_bits, t);
        for (c = first; c < first + p->channels_of_group; c++) {
            for (i = 0; i < g->kernel_height; i++) {
                int32_t line = rnnc_window_line(g, c, row, i);
                sum += rnnc_conv_grouped_wide_line(p, w, frame, line, first_column);
                w += g->kernel_width;
            }
        }
    }
    return sum;
}

static inline void rnnc_conv_grouped_wide(const rnnc_conv_grouped_params *p, const void *x, void *y)
{
    const rnnc_window *g = &p->window;
    uint16_t columns =
        (uint16_t)(g->taps * p->channels_of_group * g->kernel_height * g->kernel_width);
    uint16_t k, row, column, n = 0;
    for (k = 0; k < p->rows; k++) {
        uint16_t first = (uint16_t)(k / p->rows_of_group * p->channels_of_group);
        const int16_t *w = (const int16_t *)p->weights + (size_t)k * columns;
        for (row = 0; row < g->out_height; row++) {
            for (column = 0; column < g->out_width; column++) {
                int32_t a = rnnc_conv_grouped_wide_sum(p, w, x, first, row, column) +
                            rnnc_rom_i32(&p->bias[k]);
                int32_t v = rnnc_requantize1(a, &p->scale[k]) + p->zero_point;
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v, p->lo, p->hi));
            }
        }
    }
}

#endif
