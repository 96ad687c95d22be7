/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_HISTORY_H
#define RNNC_HISTORY_H
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

typedef struct {
    uint16_t frames, size; /* frames >= 1 of size elements */
    uint8_t bits;          /* 8, 16 or 32 */
    int32_t outside;       /* what comes past the end of the input, in every element */
} rnnc_history_params;

/* The oldest frame leaves, x comes in as the newest.  x: [size], or 0 once the input has ended.
 * history: [frames][size], oldest first. */
RNNC_KERNEL void rnnc_history(const rnnc_history_params *p, const void *x, void *history)
{
    const size_t bytes = (size_t)p->size * (p->bits / 8u);
    uint8_t *to = (uint8_t *)history;
    uint16_t k;
    for (k = 1; k < p->frames; k++, to += bytes) {
        rnnc_copy(to, to + bytes, bytes);
    }
    if (x != NULL) {
        rnnc_copy(to, x, bytes);
        return;
    }
    for (k = 0; k < p->size; k++) {
        rnnc_put(to, p->bits, k, p->outside);
    }
}

#endif
