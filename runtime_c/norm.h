/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_NORM_H
#define RNNC_NORM_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"
#include "functions.h"
#include "loops.h"

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

/* Element j of a vector, less x_zero, or times count less the sum.  count <= 2^14: |d| <= 2^30. */
static inline int32_t rnnc_distance(const rnnc_norm_params *p, const void *x, uint16_t at,
                                    int32_t sum)
{
    int32_t v = rnnc_get(x, p->x_bits, at) - p->x_zero;
    return p->centred ? v * p->along.count - sum : v;
}

/* d / 2^shift, rounded. */
static inline int32_t rnnc_shifted(int32_t d, uint8_t shift)
{
    return (d + ((int32_t)1 << shift >> 1)) >> shift;
}

static inline uint8_t rnnc_shift_below(uint32_t peak, uint32_t limit)
{
    uint8_t shift = 0;
    while (peak >> shift >= limit) {
        shift++;
    }
    return shift;
}

/* One vector.  shifted d <= limit: its squares' sum <= 2^31, with epsilon < 2^32.
 * narrow d <= 2^15, root <= 2^15: z <= 2^30. */
static inline void rnnc_norm_vector(const rnnc_norm_params *p, const void *x, void *y,
                                    uint16_t first, const rnnc_line *lines)
{
    uint16_t j, at, n = p->along.count, step = p->along.inner;
    int32_t sum = 0, root;
    uint32_t peak = 0, squares = 0, rest;
    uint8_t shift, narrow, up, k;
    if (p->centred) {
        for (j = 0, at = first; j < n; j++, at = (uint16_t)(at + step)) {
            sum += rnnc_get(x, p->x_bits, at);
        }
    }
    for (j = 0, at = first; j < n; j++, at = (uint16_t)(at + step)) {
        int32_t d = rnnc_distance(p, x, at, sum);
        uint32_t size = (uint32_t)(d < 0 ? -d : d);
        peak = size > peak ? size : peak;
    }
    narrow = rnnc_shift_below(peak, 32768u);
    shift = rnnc_shift_below(peak, p->limit);
    shift = shift > p->least_shift ? shift : p->least_shift;
    for (j = 0, at = first; j < n; j++, at = (uint16_t)(at + step)) {
        int32_t d = rnnc_shifted(rnnc_distance(p, x, at, sum), shift);
        squares += (uint32_t)(d * d);
    }
    k = (uint8_t)(shift - p->least_shift);
    rest = k > 15 ? 0 : p->epsilon >> (2 * k);
    squares = p->floor ? (squares > rest ? squares : rest) : squares + rest;
    up = rnnc_leading_zeros(squares) & 0xfeu;
    squares <<= up;
    root = (int32_t)((rnnc_rsqrt(squares < 0x40000000u ? 0x40000000u : squares) + 1) >> 1);
    k = (uint8_t)(15 + shift - narrow - up / 2);
    for (j = 0, at = first; j < n; j++, at = (uint16_t)(at + step)) {
        int32_t z = rnnc_shifted(rnnc_distance(p, x, at, sum), narrow) * root;
        z = k > 30 ? 0 : rnnc_clip(rnnc_shifted(z, k), -32768, 32768);
        z = rnnc_on_line(&lines[j * p->element_step], z);
        rnnc_put(y, p->y_bits, at, rnnc_clip(z, p->lo, p->hi));
    }
}

/* y = gain (x - mean) / sqrt(squares + epsilon) + offset for each vector. */
static inline void rnnc_norm(const rnnc_norm_params *p, const void *x, void *y)
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
