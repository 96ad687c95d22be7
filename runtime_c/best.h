/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_BEST_H
#define RNNC_BEST_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    uint16_t size;
    uint8_t bits;     /* 8 or 16 */
    uint8_t smallest; /* the smallest is kept, not the largest */
} rnnc_best_params;

/* The largest element so far.  x: [size].  best: [size], what it was before, then with x. */
static inline void rnnc_best(const rnnc_best_params *p, const void *x, void *best)
{
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        int32_t a = rnnc_get(best, p->bits, i), b = rnnc_get(x, p->bits, i);
        rnnc_put(best, p->bits, i, (a < b) == !p->smallest ? b : a);
    }
}

#endif
