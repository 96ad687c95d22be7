/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_LAYOUT_H
#define RNNC_LAYOUT_H
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

/* y[to + i0 to0 + .. + i3 to3] = x[from + i0 from0 + .. + i3 from3] - zero for all ik = 0 .. nk - 1; strides in elements. */
typedef struct {
    uint16_t n0, n1, n2, n3;
    int16_t from0, from1, from2, from3;
    uint16_t to0, to1, to2, to3;
    uint16_t from, to;
    int16_t zero; /* what x - zero makes fits y */
    uint8_t x_bits, y_bits;
} rnnc_layout_params;

/* One row along the last axis. */
RNNC_KERNEL void rnnc_layout_row(const rnnc_layout_params *p, const void *x, void *y, uint16_t from,
                                 uint16_t to)
{
    uint16_t i;
    if (p->from3 == 1 && p->to3 == 1 && p->zero == 0 && p->x_bits == p->y_bits) {
        const size_t bytes = p->x_bits / 8u;
        rnnc_copy((int8_t *)y + to * bytes, (const int8_t *)x + from * bytes, p->n3 * bytes);
        return;
    }
    for (i = 0; i < p->n3; i++) {
        int32_t v = p->x_bits == 32 ? ((const int32_t *)x)[from] : rnnc_get(x, p->x_bits, from);
        rnnc_put(y, p->y_bits, to, v - p->zero);
        from = (uint16_t)(from + (uint16_t)p->from3);
        to = (uint16_t)(to + p->to3);
    }
}

/* Moves elements; x and y do not overlap.  Indices of both are below 65536. */
RNNC_KERNEL void rnnc_layout(const rnnc_layout_params *p, const void *x, void *y)
{
    uint16_t i, j, k;
    for (i = 0; i < p->n0; i++) {
        for (j = 0; j < p->n1; j++) {
            uint16_t from = (uint16_t)(p->from + (int32_t)i * p->from0 + (int32_t)j * p->from1);
            uint16_t to = (uint16_t)(p->to + i * p->to0 + j * p->to1);
            for (k = 0; k < p->n2; k++) {
                rnnc_layout_row(p, x, y, from, to);
                from = (uint16_t)(from + (uint16_t)p->from2);
                to = (uint16_t)(to + p->to2);
            }
        }
    }
}

#endif
