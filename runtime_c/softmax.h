/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_SOFTMAX_H
#define RNNC_SOFTMAX_H
#include <stdint.h>

#include "along.h"
#include "functions.h"

typedef struct {
    rnnc_along along;
    uint8_t term_bits; /* 16 .. 30, count 2^term_bits <= 2^32 */
} rnnc_softmax_params;

/* The largest of a vector of logits. */
static inline int32_t rnnc_largest(const rnnc_along *a, const int32_t *x)
{
    int32_t largest = x[0];
    uint16_t j;
    for (j = 1; j < a->count; j++) {
        int32_t v = x[j * a->inner];
        largest = v > largest ? v : largest;
    }
    return largest;
}

/* 2^term_bits e^-d, d with 12 fraction bits.  RNNC_FARTHEST RNNC_LOG2_E < 2^32. */
static inline uint32_t rnnc_term(uint32_t d, uint8_t term_bits)
{
    uint32_t t, halvings;
    if (d >= RNNC_FARTHEST) {
        return 0;
    }
    t = (d * RNNC_LOG2_E + 1024u) >> 11;
    halvings = t >> 16;
    return ((rnnc_exp2(t & 65535u) << (term_bits - 16)) + ((uint32_t)1 << halvings >> 1)) >>
           halvings;
}

/* The sum of a vector's terms: 2^(term_bits - 1) .. 2^32 - 1. */
static inline uint32_t rnnc_sum_of_terms(const rnnc_along *a, const int32_t *x, int32_t largest,
                                         uint8_t term_bits)
{
    uint32_t sum = 0;
    uint16_t j;
    for (j = 0; j < a->count; j++) {
        sum += rnnc_term((uint32_t)largest - (uint32_t)x[j * a->inner], term_bits);
    }
    return sum;
}

/* x: logits, 12 fraction bits.  y: Q0.15.  One division a vector.
 * share <= divisor, so share reciprocal <= 2^31 + 2^15. */
RNNC_KERNEL void rnnc_softmax(const rnnc_softmax_params *p, const int32_t *x, int16_t *y)
{
    const rnnc_along *a = &p->along;
    uint16_t i, j, k;
    for (i = 0; i < a->outer; i++) {
        for (k = 0; k < a->inner; k++) {
            uint16_t at = rnnc_first(a, i, k);
            int32_t largest;
            uint32_t sum, divisor, reciprocal;
            uint8_t n;
#ifdef RNNC_SOFTMAX_ROW /* a target's own */
            if (a->inner == 1) {
                rnnc_softmax_row(&x[at], &y[at], a->count, p->term_bits);
                continue;
            }
#endif
            largest = rnnc_largest(a, &x[at]);
            sum = rnnc_sum_of_terms(a, &x[at], largest, p->term_bits);
            n = rnnc_leading_zeros(sum);
            divisor = (sum << n) >> 16;
            reciprocal = (0x80000000u + (divisor >> 1)) / divisor;
            for (j = 0; j < a->count; j++, at = (uint16_t)(at + a->inner)) {
                uint32_t term = rnnc_term((uint32_t)largest - (uint32_t)x[at], p->term_bits);
                uint32_t share = (((term << n) >> 15) + 1) >> 1;
                share = (share * reciprocal + 32768u) >> 16;
                y[at] = (int16_t)(share > 32767u ? 32767u : share);
            }
        }
    }
}

#endif
