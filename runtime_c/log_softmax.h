/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LOG_SOFTMAX_H
#define RNNC_LOG_SOFTMAX_H
#include <stdint.h>

#include "along.h"
#include "fixed.h"
#include "functions.h"
#include "softmax.h"

#define RNNC_LN_2 22713       /* round(2^15 ln 2) */
#define RNNC_LOWEST 67108864u /* 2^26: no result is lower than that many LSBs of a logit */

typedef struct {
    rnnc_along along;
    uint8_t term_bits; /* 16 .. 30, count 2^term_bits <= 2^32 */
    uint8_t shift;     /* from 16 fraction bits to those of y */
    int32_t lo;        /* y is clipped to lo .. 0 */
} rnnc_log_softmax_params;

/* x: logits, 12 fraction bits.  y: Qm.n.  |v| <= 2^30 + 12 2^16 + 2^15. */
static inline void rnnc_log_softmax(const rnnc_log_softmax_params *p, const int32_t *x, int16_t *y)
{
    const rnnc_along *a = &p->along;
    int32_t half = (int32_t)1 << p->shift >> 1;
    uint16_t i, j, k;
    for (i = 0; i < a->outer; i++) {
        for (k = 0; k < a->inner; k++) {
            uint16_t at = rnnc_first(a, i, k);
            int32_t largest = rnnc_largest(a, &x[at]);
            uint32_t sum = rnnc_sum_of_terms(a, &x[at], largest, p->term_bits);
            int32_t log_sum = rnnc_mul15(RNNC_LN_2, rnnc_log2(sum) - p->term_bits * (int32_t)65536);
            for (j = 0; j < a->count; j++, at = (uint16_t)(at + a->inner)) {
                uint32_t d = (uint32_t)largest - (uint32_t)x[at];
                int32_t v = (int32_t)((d < RNNC_LOWEST ? d : RNNC_LOWEST) << 4) + log_sum + half;
                y[at] = (int16_t)rnnc_clip(-(v >> p->shift), p->lo, 0);
            }
        }
    }
}

#endif
