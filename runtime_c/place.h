/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_PLACE_H
#define RNNC_PLACE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint16_t outer, count, inner; /* x: [outer][count][inner] */
    uint16_t places;              /* that are read; 1 where an entry is set */
    uint8_t bits;                 /* 8, 16 or 32 */
} rnnc_place_params;

/* y: x, its entry at a place set.  entry: [outer][inner].  place: 0 .. count - 1.  x and y do not overlap. */
static inline void rnnc_put_at(const rnnc_place_params *p, const void *x, const void *entry,
                               const uint16_t *place, void *y)
{
    const size_t bytes = (size_t)p->inner * (p->bits / 8u);
    const uint8_t *from = (const uint8_t *)entry;
    uint8_t *to = (uint8_t *)y + *place * bytes;
    uint16_t i;
    memcpy(y, x, p->outer * p->count * bytes);
    for (i = 0; i < p->outer; i++, from += bytes, to += p->count * bytes) {
        memcpy(to, from, bytes);
    }
}

/* y: [outer][places][inner], entries of x.  places: [places], each 0 .. count - 1. */
static inline void rnnc_pick_at(const rnnc_place_params *p, const void *x, const uint16_t *places,
                                void *y)
{
    const size_t bytes = (size_t)p->inner * (p->bits / 8u);
    const uint8_t *from = (const uint8_t *)x;
    uint8_t *to = (uint8_t *)y;
    uint16_t i, k;
    for (i = 0; i < p->outer; i++, from += p->count * bytes) {
        for (k = 0; k < p->places; k++, to += bytes) {
            memcpy(to, from + places[k] * bytes, bytes);
        }
    }
}

#endif
