/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_POOL_AVERAGE_H
#define RNNC_POOL_AVERAGE_H
#include <stdint.h>

#include "fixed.h"
#include "window.h"

typedef struct {
    rnnc_window window;
    uint16_t frames;          /* of the history */
    const uint16_t *places;   /* elements of a frame that count, at each position or at all */
    uint8_t place_step;       /* 1, or 0 where it is one number */
    const rnnc_scale1 *scale; /* [n - least] for n elements counted: m of 15 bits, p 0 .. 30 */
    uint16_t least;
    uint8_t up; /* |sum| << up <= 2^30 */
    uint8_t x_bits, y_bits;
    int16_t x_zero, y_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_pool_average_params;

typedef struct {
    uint16_t frames;
} rnnc_pool_count_params;

/* One more push into the history.  x: 0 once the input has ended.  seen: [0] frames, [1] pushes past the end, each up to
 * the length of the history. */
RNNC_KERNEL void rnnc_pool_count(const rnnc_pool_count_params *p, const void *x, int16_t *seen)
{
    int16_t *count = &seen[x ? 0 : 1];
    *count = (int16_t)(*count < (int16_t)p->frames ? *count + 1 : *count);
}

/* How many of the taps in time lie on frames, and not before the first or past the last. */
RNNC_KERNEL uint16_t rnnc_pool_taps(const rnnc_pool_average_params *p, const int16_t *seen)
{
    int32_t end = (int32_t)p->frames - seen[1];
    uint16_t t, n = 0;
    for (t = 0; t < p->window.taps; t++) {
        int32_t at = (int32_t)t * p->window.dilation;
        n = (uint16_t)(n + (at >= end - seen[0] && at < end));
    }
    return n;
}

/* The sum of channel c at one position.  |sum| < 2^31 by certificate. */
RNNC_KERNEL int32_t rnnc_pool_sum(const rnnc_pool_average_params *p, const void *x, uint16_t c,
                                  uint16_t row, uint16_t column)
{
    const rnnc_window *w = &p->window;
    int32_t sum = 0;
    uint16_t t, i, j;
    for (t = 0; t < w->taps; t++) {
        const void *frame = rnnc_window_tap(w, x, p->x_bits, t);
        for (i = 0; i < w->kernel_height; i++) {
            for (j = 0; j < w->kernel_width; j++) {
                int32_t at = rnnc_window_at(w, c, row, column, i, j);
                sum += rnnc_window_get(frame, p->x_bits, at, p->x_zero) - p->x_zero;
            }
        }
    }
    return sum;
}

/* x: frames, oldest first.  seen: [2], or 0 where every tap counts.  y: [channels][out_height][out_width]. */
RNNC_KERNEL void rnnc_pool_average(const rnnc_pool_average_params *p, const void *x,
                                   const int16_t *seen, void *y)
{
    const rnnc_window *w = &p->window;
    uint16_t taps = seen ? rnnc_pool_taps(p, seen) : w->taps;
    uint16_t c, row, column, n = 0;
    for (c = 0; c < w->channels; c++) {
        uint16_t at = 0;
        for (row = 0; row < w->out_height; row++) {
            for (column = 0; column < w->out_width; column++) {
                uint16_t count = (uint16_t)(taps * rnnc_rom_u16(&p->places[at]));
                const rnnc_scale1 *s = &p->scale[count > p->least ? count - p->least : 0];
                uint8_t shift = rnnc_rom_u8(&s->p);
                int32_t sum = rnnc_pool_sum(p, x, c, row, column) * ((int32_t)1 << p->up);
                int32_t v = rnnc_mul15((int32_t)rnnc_rom_u16(&s->m), sum);
                v = (v + ((int32_t)1 << shift >> 1)) >> shift;
                rnnc_put(y, p->y_bits, n++, rnnc_clip(v + p->y_zero, p->lo, p->hi));
                at = (uint16_t)(at + p->place_step);
            }
        }
    }
}

#endif
