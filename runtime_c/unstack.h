/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_UNSTACK_H
#define RNNC_UNSTACK_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint16_t count, size; /* count >= 1 frames of size elements */
    uint8_t bits;         /* 8, 16 or 32 */
} rnnc_unstack_params;

/* x: [count][size] is kept as frames, none of them given yet.  at: the next, 0 .. count - 1. */
static inline void rnnc_unstack_keep(const rnnc_unstack_params *p, const void *x, void *frames,
                                     int16_t *at)
{
    (void)memcpy(frames, x, (size_t)p->count * p->size * (p->bits / 8u));
    *at = 0;
}

/* The next frame, the last one again and again.  frames: [count][size].  y: [size]. */
static inline void rnnc_unstack_next(const rnnc_unstack_params *p, const void *frames, int16_t *at,
                                     void *y)
{
    size_t bytes = (size_t)p->size * (p->bits / 8u);
    (void)memcpy(y, (const uint8_t *)frames + (size_t)*at * bytes, bytes);
    if (*at + 1 < (int16_t)p->count) {
        ++*at;
    }
}

#endif
