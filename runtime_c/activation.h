/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ACTIVATION_H
#define RNNC_ACTIVATION_H
/* The activations of ONNX's recurrent operators: 12 fraction bits in, LSB 2^(exponent - 15) out, clipped to lo .. hi. */
#include <stdint.h>

#include "fixed.h"
#include "lut.h"

#define RNNC_PIECES 3
#define RNNC_CURVE 4

/* y = (u p / 2^15) / 2^s + offset, |u| <= 32768; -10 <= s < 0 shifts left, after clipping to 2^20. */
typedef struct {
    int32_t u;
    int8_t s;
    int32_t offset;
} rnnc_piece;

/* Knots at first + k 2^step, 12 fraction bits; the first of them is knots[knot]. */
typedef struct {
    int32_t first;
    uint16_t knot;
    uint8_t step; /* 4 .. 14 */
} rnnc_segment;

typedef struct {
    uint8_t kind, exponent;
    int32_t lo, hi;    /* |lo|, |hi| <= 32768 */
    int32_t threshold; /* RNNC_PIECES: below it the first piece */
    rnnc_piece below, above;
    const rnnc_segment *segments; /* RNNC_CURVE: [n_segments] */
    const int32_t *knots;         /* [n_knots], |knot| <= 32768 */
    uint8_t n_segments;
    uint16_t n_knots;
} rnnc_activation;

/* x / 2^n rounded half up, 0 <= n <= 30. */
static inline int32_t rnnc_shift_round(int32_t x, uint8_t n)
{
    return (x + ((int32_t)1 << n >> 1)) >> n;
}

static inline int32_t rnnc_piece_at(const rnnc_piece *line, int32_t p)
{
    int32_t y = rnnc_mul15(line->u, p);
    if (line->s >= 0) {
        return rnnc_shift_round(y, (uint8_t)line->s) + line->offset;
    }
    return rnnc_clip(y, -1048576, 1048576) * ((int32_t)1 << -line->s) + line->offset;
}

/* A chord between the two knots around p; |difference of knots| <= 2^16, times 2^14, fits 31 bits. */
static inline int32_t rnnc_curve_at(const rnnc_activation *f, int32_t p)
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

/* |p| <= 2^30. Called several times a unit: not inline, for the sake of the code's size. */
static int32_t rnnc_apply(const rnnc_activation *f, int32_t p)
{
    int32_t y;
    if (f->kind == RNNC_TANH) {
        /* rnnc_tanh takes |p| < 2^30, and is constant long before */
        y = rnnc_shift_round(rnnc_tanh(rnnc_clip(p, -1073741823, 1073741823)), f->exponent);
    } else if (f->kind == RNNC_SIGMOID) {
        y = rnnc_shift_round(rnnc_sigmoid(p), f->exponent);
    } else if (f->kind == RNNC_PIECES) {
        y = rnnc_piece_at(p < f->threshold ? &f->below : &f->above, p);
    } else {
        y = rnnc_curve_at(f, p);
    }
    return rnnc_clip(y, f->lo, f->hi);
}

#endif
