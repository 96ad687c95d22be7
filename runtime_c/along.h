/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ALONG_H
#define RNNC_ALONG_H
/* Vectors within a value: [outer][count][inner], the elements of one vector are `inner` apart. */
#include <stdint.h>

typedef struct {
    uint16_t outer, count, inner;
} rnnc_along;

/* The first element of vector (i, k), i < outer, k < inner. */
static inline uint16_t rnnc_first(const rnnc_along *a, uint16_t i, uint16_t k)
{
    return (uint16_t)(i * a->count * a->inner + k);
}

#endif
