/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_NORM_H
#define RNNC_NORM_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"
#include "functions.h"
#include "loops.h"
#include "vector.h"

typedef struct {
    rnnc_along along;
    const rnnc_line *lines; /* from the direction, Q0.15, to y */
    uint16_t group_step;    /* line of vector g, element j: g group_step + j element_step */
    uint8_t element_step;
    uint16_t limit;      /* count limit^2 <= 2^31, limit <= 2^15 */
    uint32_t epsilon;    /* <= 2^31, in units of (d / 2^least_shift)^2 */
    uint8_t least_shift; /* of d: 0 .. 30 */
    uint8_t centred;     /* 1: the mean is subtracted */
    uint8_t floor;       /* 1: the squares' sum is at least epsilon, 0: epsilon is added */
    uint8_t x_bits, y_bits;
    int16_t x_zero; /* 0 where centred */
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_norm_params;

/* The least shift after which peak is below limit. */
static inline uint8_t rnnc_shift_below(uint32_t peak, uint32_t limit)
{
    uint8_t bits = rnnc_leading_zeros(peak), most = rnnc_leading_zeros(limit);
    uint8_t shift = bits < most ? (uint8_t)(most - bits) : 0;
    return (uint8_t)(shift + (peak >> shift >= limit));
}

/* What a vector says of itself: d = x times - less, and the largest |d|. */
typedef struct {
    int32_t times, less;
    uint32_t peak;
} rnnc_norm_spread;

static inline uint32_t rnnc_norm_size(int32_t d)
{
    return (uint32_t)(d < 0 ? -d : d);
}

/* d is x less x_zero, or times count less the sum.  count <= 2^14: |d| <= 2^30. */
RNNC_KERNEL rnnc_norm_spread rnnc_norm_look(const rnnc_norm_params *p, const void *x, size_t first)
{
    const size_t n = p->along.count, step = p->along.inner;
    rnnc_vector most = rnnc_v_of(rnnc_get(x, p->x_bits, first)), least = most;
    rnnc_norm_spread s = {1, p->x_zero, 0};
    int32_t sum = 0;
    uint32_t other;
    size_t j;
    RNNC_BY_TWO
    for (j = 0; j < n; j += RNNC_VECTOR) {
        rnnc_vector v = rnnc_v_get(x, p->x_bits, first + j * step, step, RNNC_LEFT(n, j));
        most = rnnc_v_max(most, v, RNNC_LEFT(n, j));
        least = rnnc_v_min(least, v, RNNC_LEFT(n, j));
        sum = rnnc_v_total(sum, v);
    }
    if (p->centred != 0) {
        s.times = (int32_t)n;
        s.less = sum;
    }
    s.peak = rnnc_norm_size(rnnc_v_most(most) * s.times - s.less);
    other = rnnc_norm_size(rnnc_v_least(least) * s.times - s.less);
    s.peak = s.peak > other ? s.peak : other;
    return s;
}

/* d / 2^shift, rounded, of one vector of elements. */
RNNC_KERNEL rnnc_vector rnnc_norm_distance(const rnnc_norm_params *p, const rnnc_norm_spread *s,
                                           const void *x, size_t at, uint8_t shift, size_t left)
{
    rnnc_vector v = rnnc_v_get(x, p->x_bits, at, p->along.inner, left);
    v = p->centred ? rnnc_v_mul(v, rnnc_v_of(s->times)) : v;
    v = rnnc_v_add(v, rnnc_v_of(((int32_t)1 << shift >> 1) - s->less));
    return rnnc_v_shift(v, rnnc_v_of(shift));
}

/* One vector.  shifted d <= limit: its squares' sum <= 2^31, with epsilon < 2^32.
 * narrow d <= 2^15, root <= 2^15: z <= 2^30. */
RNNC_KERNEL void rnnc_norm_vector(const rnnc_norm_params *p, const void *x, void *y, size_t first,
                                  const rnnc_line *lines)
{
    const size_t n = p->along.count, step = p->along.inner;
    const rnnc_norm_spread s = rnnc_norm_look(p, x, first);
    uint8_t narrow = rnnc_shift_below(s.peak, 32768u), shift = rnnc_shift_below(s.peak, p->limit);
    uint32_t squares = 0, rest;
    int32_t root;
    uint8_t up, k;
    size_t j;
    shift = shift > p->least_shift ? shift : p->least_shift;
    RNNC_BY_TWO
    for (j = 0; j < n; j += RNNC_VECTOR) {
        const size_t left = RNNC_LEFT(n, j);
        rnnc_vector d = rnnc_norm_distance(p, &s, x, first + j * step, shift, left);
        squares = rnnc_v_squares(squares, d, left);
    }
    k = (uint8_t)(shift - p->least_shift);
    rest = k > 15 ? 0 : p->epsilon >> (2 * k);
    squares = p->floor ? (squares > rest ? squares : rest) : squares + rest;
    up = rnnc_leading_zeros(squares) & 0xfeu;
    squares <<= up;
    root = (int32_t)((rnnc_rsqrt(squares < 0x40000000u ? 0x40000000u : squares) + 1) >> 1);
    k = (uint8_t)(15 + shift - narrow - up / 2);
    root = k > 30 ? 0 : root;
    k = k > 30 ? 0 : k;
    RNNC_BY_TWO
    for (j = 0; j < n; j += RNNC_VECTOR) {
        const size_t left = RNNC_LEFT(n, j);
        rnnc_vector z = rnnc_norm_distance(p, &s, x, first + j * step, narrow, left);
        rnnc_v_line line = rnnc_v_lines(lines, j * p->element_step, p->element_step, left);
        z = rnnc_v_round(rnnc_v_mul(z, rnnc_v_of(root)), rnnc_v_of(k));
        z = rnnc_v_on_line(line, rnnc_v_clip(z, -32768, 32768));
        rnnc_v_put(y, p->y_bits, first + j * step, step, rnnc_v_clip(z, p->lo, p->hi), left);
    }
}

/* y = gain (x - mean) / sqrt(squares + epsilon) + offset for each vector. */
RNNC_KERNEL void rnnc_norm(const rnnc_norm_params *p, const void *x, void *y)
{
    const rnnc_line *lines = p->lines;
    uint16_t i, k;
    for (i = 0; i < p->along.outer; i++) {
        for (k = 0; k < p->along.inner; k++, lines += p->group_step) {
            rnnc_norm_vector(p, x, y, rnnc_first(&p->along, i, k), lines);
        }
    }
}

#endif
