/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_SOFTMAX_POOL_H
#define RNNC_SOFTMAX_POOL_H
#include <stdint.h>

#include "fixed.h"
#include "softmax.h"

#define RNNC_POOL_TERM 24                  /* fraction bits of a term */
#define RNNC_POOL_TOTAL ((int32_t)1 << 30) /* a sum above that is halved */
#define RNNC_POOL_HALVED 10                /* at most so often: the weight of 65,536 steps */
#define RNNC_POOL_REACH ((int32_t)1 << 29) /* of a mean */

typedef struct {
    const rnnc_scale1 *scale; /* [scales] y = mean m / 2^(15 + p), m of 15 bits */
    uint16_t scores, size;    /* size: values of each score */
    uint16_t scale_step;      /* 0 for one scale, 1 for one each */
    uint8_t x_bits, y_bits;   /* 8 or 16 */
    uint8_t up;               /* |x - x_zero| 2^up <= 2^29 */
    int16_t x_zero, y_zero;
    int32_t lo, hi; /* y is clipped to lo .. hi */
} rnnc_softmax_pool_params;

/* A share: a / 2^(15 + z), a 0 .. 32768, z 0 .. 28. */
typedef struct {
    int32_t a;
    uint8_t z;
} rnnc_share;

/* total e^-d, total 0 .. 2^30, d with 12 fraction bits. */
static inline int32_t rnnc_pool_faded(int32_t total, uint32_t d)
{
    uint32_t t;
    if (d >= RNNC_FARTHEST) {
        return 0;
    }
    t = (d * RNNC_LOG2_E + 1024u) >> 11;
    return rnnc_mul15((int32_t)(rnnc_exp2(t & 65535u) >> 1), total) >> (t >> 16);
}

/* term / total, 0 <= term <= total, 0 < total < 2^31.  One division. */
static inline rnnc_share rnnc_pool_share(int32_t term, int32_t total)
{
    rnnc_share share = {32768, 0};
    uint8_t n = rnnc_leading_zeros((uint32_t)total);
    uint32_t divisor = ((uint32_t)total << n) >> 16;
    uint32_t reciprocal = (0x80000000u + (divisor >> 1)) / divisor;
    int32_t q29 =
        rnnc_mul15((int32_t)((reciprocal + 1) >> 1), (int32_t)(((uint32_t)term << n) >> 2));
    if (q29 < (int32_t)1 << 29) {
        share.z = (uint8_t)(rnnc_leading_zeros((uint32_t)q29) - 3);
        share.a = (q29 << share.z) >> 14;
    }
    return share;
}

/* What a new score weighs beside those before it.  best: the largest score so far.  total: the sum of e^(score - best),
 * 24 fraction bits less halved; 0 before the first.  halved: 0 .. 10. */
static inline rnnc_share rnnc_pool_weigh(int32_t score, int32_t *best, int32_t *total,
                                         int16_t *halved)
{
    rnnc_share share;
    int32_t sum = rnnc_clip(*total, 0, RNNC_POOL_TOTAL);
    int16_t h = (int16_t)rnnc_clip(*halved, 0, RNNC_POOL_HALVED);
    int32_t term;
    if (sum == 0 || score > *best) {
        sum = sum == 0 ? 0 : rnnc_pool_faded(sum, (uint32_t)score - (uint32_t)*best);
        *best = score;
        for (; h > 0 && sum < RNNC_POOL_TOTAL / 2; h--) {
            sum *= 2;
        }
    }
    term = (int32_t)(rnnc_term((uint32_t)*best - (uint32_t)score, RNNC_POOL_TERM) >> h);
    sum += term;
    share = rnnc_pool_share(term, sum);
    if (sum > RNNC_POOL_TOTAL && h < RNNC_POOL_HALVED) {
        sum >>= 1;
        h++;
    }
    *total = sum > RNNC_POOL_TOTAL ? RNNC_POOL_TOTAL : sum;
    *halved = h;
    return share;
}

/* The mean of x so far, weighted by a softmax of the scores so far.
 * score: [scores], 12 fraction bits.  x, y: [scores][size].  mean: [scores][size], up fraction bits more than x.
 * |x 2^up - mean| <= 2^30, and so is the result of rnnc_mul15. */
static inline void rnnc_softmax_pool(const rnnc_softmax_pool_params *p, const int32_t *score,
                                     const void *x, int32_t *best, int32_t *total, int16_t *halved,
                                     int32_t *mean, void *y)
{
    uint16_t j, k, n = 0, at = 0;
    for (j = 0; j < p->scores; j++) {
        rnnc_share share = rnnc_pool_weigh(score[j], &best[j], &total[j], &halved[j]);
        for (k = 0; k < p->size; k++, n++) {
            const rnnc_scale1 *s = &p->scale[at];
            uint8_t shift = rnnc_rom_u8(&s->p);
            int32_t v = (rnnc_get(x, p->x_bits, n) - p->x_zero) * ((int32_t)1 << p->up);
            int32_t m = rnnc_clip(mean[n], -RNNC_POOL_REACH, RNNC_POOL_REACH);
            v = rnnc_mul15(share.a, v - m) + ((int32_t)1 << share.z >> 1);
            m = rnnc_clip(m + (v >> share.z), -RNNC_POOL_REACH, RNNC_POOL_REACH);
            mean[n] = m;
            v = (rnnc_mul15(rnnc_rom_u16(&s->m), m) + ((int32_t)1 << shift >> 1)) >> shift;
            rnnc_put(y, p->y_bits, n, rnnc_clip(v + p->y_zero, p->lo, p->hi));
            at = (uint16_t)(at + p->scale_step);
        }
    }
}

#endif
