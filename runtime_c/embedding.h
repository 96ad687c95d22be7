/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EMBEDDING_H
#define RNNC_EMBEDDING_H
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const void *rows;      /* [last + 1][columns] of int8 or int16 */
    uint32_t last;         /* the last row */
    uint16_t columns, ids; /* ids: row numbers in a step */
    uint8_t id_bits;       /* 16 or 32, unsigned */
    uint8_t row_bits;      /* 8 or 16 */
    uint8_t y_bits;        /* 8, or 16 with a row of 8 bits in the upper ones */
} rnnc_embedding_params;

/* Rows of a table.  ids: [ids], past the end means the last row.  y: [ids][columns]. */
static inline void rnnc_embedding(const rnnc_embedding_params *p, const void *ids, void *y)
{
    uint16_t i, j, n = 0;
    for (i = 0; i < p->ids; i++) {
        uint32_t id = p->id_bits == 16 ? ((const uint16_t *)ids)[i] : ((const uint32_t *)ids)[i];
        size_t at = (size_t)(id < p->last ? id : p->last) * p->columns;
        for (j = 0; j < p->columns; j++, n++, at++) {
            int32_t v;
            if (p->row_bits == 16) {
                v = rnnc_rom_i16((const int16_t *)p->rows + at);
            } else {
                v = rnnc_rom_i8((const int8_t *)p->rows + at) * (p->y_bits == 8 ? 1 : 256);
            }
            rnnc_put(y, p->y_bits, n, v);
        }
    }
}

#endif
