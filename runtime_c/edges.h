/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EDGES_H
#define RNNC_EDGES_H
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const int16_t *starts; /* [before][size], by the steps so far; the last holds from then on */
    const int16_t *ends;   /* [tail][size], by the steps past the end; 0 where tail is 0 */
    uint16_t before, tail, size; /* before >= 1 */
} rnnc_edges_params;

/* One more step.  x: 0 once the input has ended.
 * count: [2], steps, 0 .. before, and those of them past the end, 0 .. tail; a restored one may hold more, none is left so. */
static inline void rnnc_edges_count(const rnnc_edges_params *p, const void *x, int16_t *count)
{
    const int16_t before = (int16_t)p->before, tail = (int16_t)p->tail;
    count[0] = (int16_t)(count[0] < before ? count[0] + 1 : before);
    if (!x || count[1] > tail) {
        count[1] = (int16_t)(count[1] < tail ? count[1] + 1 : tail);
    }
}

/* y = starts + ends, saturated.  count: as above, count[0] >= 1.  y: [size]. */
static inline void rnnc_edges(const rnnc_edges_params *p, const int16_t *count, int16_t *y)
{
    const int16_t *start = p->starts + (size_t)(count[0] - 1) * p->size;
    uint16_t i;
    for (i = 0; i < p->size; i++) {
        int32_t sum = rnnc_rom_i16(start + i);
        if (count[1] > 0) {
            sum += rnnc_rom_i16(p->ends + (size_t)(count[1] - 1) * p->size + i);
        }
        y[i] = (int16_t)rnnc_clip(sum, -32767, 32767);
    }
}

#endif
