/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_WINDOW_H
#define RNNC_WINDOW_H
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

/* Where a convolution or pool looks: frames [channels][height][width], oldest first. */
typedef struct {
    uint16_t channels, height, width;
    uint16_t taps, kernel_height, kernel_width;
    uint16_t dilation, dilation_height,
        dilation_width; /* dilation: frames from one tap to the next */
    uint16_t stride_height, stride_width;
    uint16_t top, left; /* padding of a frame */
    uint16_t out_height, out_width;
} rnnc_window;

/* Elements of a frame, at most 65535. */
RNNC_KERNEL uint16_t rnnc_window_frame(const rnnc_window *w)
{
    return (uint16_t)(w->channels * w->height * w->width);
}

/* The index in a frame of the element under tap (i, j) of channel c at position (row, column), -1 where it is padding. */
RNNC_KERNEL int32_t rnnc_window_at(const rnnc_window *w, uint16_t c, uint16_t row, uint16_t column,
                                   uint16_t i, uint16_t j)
{
    int32_t h = (int32_t)row * w->stride_height + (int32_t)i * w->dilation_height - w->top;
    int32_t v = (int32_t)column * w->stride_width + (int32_t)j * w->dilation_width - w->left;
    if (h < 0 || h >= w->height || v < 0 || v >= w->width) {
        return -1;
    }
    return ((int32_t)c * w->height + h) * w->width + v;
}

/* Frame t taps above the oldest. */
RNNC_KERNEL const void *rnnc_window_tap(const rnnc_window *w, const void *x, uint8_t bits,
                                        uint16_t t)
{
    return (const uint8_t *)x + (size_t)t * w->dilation * rnnc_window_frame(w) * (bits / 8u);
}

/* The first element of the line of a frame that row i of the kernel lies on in channel c, -1 where it is padding. */
RNNC_KERNEL int32_t rnnc_window_line(const rnnc_window *w, uint16_t c, uint16_t row, uint16_t i)
{
    int32_t h = (int32_t)row * w->stride_height + (int32_t)i * w->dilation_height - w->top;
    return h < 0 || h >= w->height ? -1 : ((int32_t)c * w->height + h) * w->width;
}

/* Whether a line of the kernel lies in the frame as a whole, from column `at` of it on. */
RNNC_KERNEL int rnnc_window_whole(const rnnc_window *w, int32_t at)
{
    return at >= 0 && at + (int32_t)(w->kernel_width - 1) * w->dilation_width < w->width;
}

/* Element i of a frame of 8, 16 or 32-bit integers, or what lies outside. */
RNNC_KERNEL int32_t rnnc_window_get(const void *frame, uint8_t bits, int32_t i, int32_t outside)
{
    if (i < 0) {
        return outside;
    }
    return bits == 32 ? ((const int32_t *)frame)[i] : rnnc_get(frame, bits, (uint16_t)i);
}

#endif
