/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_POOL_MAX_H
#define RNNC_POOL_MAX_H
#include <stdint.h>

#include "fixed.h"
#include "window.h"

typedef struct {
    rnnc_window window;
    uint8_t bits;   /* 8, 16 or 32 */
    int32_t lowest; /* the least integer of that width: padding */
} rnnc_pool_max_params;

/* The largest element of channel c at one position. */
RNNC_KERNEL int32_t rnnc_pool_max_at(const rnnc_pool_max_params *p, const void *x, uint16_t c,
                                     uint16_t row, uint16_t column)
{
    const rnnc_window *w = &p->window;
    int32_t best = p->lowest;
    uint16_t t, i, j;
    for (t = 0; t < w->taps; t++) {
        const void *frame = rnnc_window_tap(w, x, p->bits, t);
        for (i = 0; i < w->kernel_height; i++) {
            for (j = 0; j < w->kernel_width; j++) {
                int32_t v = rnnc_window_get(frame, p->bits, rnnc_window_at(w, c, row, column, i, j),
                                            p->lowest);
                best = v > best ? v : best;
            }
        }
    }
    return best;
}

/* x: frames, oldest first.  y: [channels][out_height][out_width]. */
RNNC_KERNEL void rnnc_pool_max(const rnnc_pool_max_params *p, const void *x, void *y)
{
    const rnnc_window *w = &p->window;
    uint16_t c, row, column, n = 0;
    for (c = 0; c < w->channels; c++) {
        for (row = 0; row < w->out_height; row++) {
            for (column = 0; column < w->out_width; column++) {
                rnnc_put(y, p->bits, n++, rnnc_pool_max_at(p, x, c, row, column));
            }
        }
    }
}

#endif
