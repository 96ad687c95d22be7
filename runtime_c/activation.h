/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ACTIVATION_H
#define RNNC_ACTIVATION_H
/* Activations of ONNX's recurrent operators that have a table of their own: 12 fraction bits in. */
#include <stdint.h>

#include "fixed.h"

/* Knots at first + k 2^step, 12 fraction bits; the first of them is knots[knot]. */
typedef struct {
    int32_t first;
    uint16_t knot;
    uint8_t step; /* 4 .. 14 */
} rnnc_segment;

typedef struct {
    const rnnc_segment *segments; /* [n_segments] */
    const int32_t *knots;         /* [n_knots], |knot| <= 32768 */
    uint8_t n_segments;
    uint16_t n_knots;
} rnnc_chords;

/* x / 2^n rounded half up, 0 <= n <= 30. */
static inline int32_t rnnc_shift_round(int32_t x, uint8_t n)
{
    return (x + ((int32_t)1 << n >> 1)) >> n;
}

/* A chord between the two knots around p; |difference of knots| <= 2^16, times 2^14, fits 31 bits. */
static inline int32_t rnnc_chord(const rnnc_chords *f, int32_t p)
{
    uint8_t k = (uint8_t)(f->n_segments - 1), step;
    uint16_t knot;
    int32_t first = rnnc_rom_i32(&f->segments[0].first), end, left;
    end = rnnc_rom_i32(&f->segments[k].first);
    end += (int32_t)(f->n_knots - 1 - rnnc_rom_u16(&f->segments[k].knot)) *
           ((int32_t)1 << rnnc_rom_u8(&f->segments[k].step));
    p = rnnc_clip(p, first, end - 1);
    while (p < rnnc_rom_i32(&f->segments[k].first)) {
        k--;
    }
    step = rnnc_rom_u8(&f->segments[k].step);
    p -= rnnc_rom_i32(&f->segments[k].first);
    knot = (uint16_t)(rnnc_rom_u16(&f->segments[k].knot) + (p >> step));
    left = rnnc_rom_i32(&f->knots[knot]);
    return left +
           rnnc_shift_round(
               (rnnc_rom_i32(&f->knots[knot + 1]) - left) * (p & (((int32_t)1 << step) - 1)), step);
}

#endif
