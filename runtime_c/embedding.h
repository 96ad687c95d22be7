/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_EMBEDDING_H
#define RNNC_EMBEDDING_H
#include <stddef.h>
#include <stdint.h>

#include "fixed.h"

typedef struct {
    const int8_t *rows;    /* [last + 1][columns] */
    uint32_t last;         /* the last row */
    uint16_t columns, ids; /* ids: row numbers in a step */
    uint8_t id_bits,
        y_bits; /* ids: 16 or 32, unsigned; y: 8, or 16 with the row in its upper 8 bits */
} rnnc_embedding_params;

/* Rows of a table.  ids: [ids], past the end means the last row.  y: [ids][columns]. */
static inline void rnnc_embedding(const rnnc_embedding_params *p, const void *ids, void *y)
{
    uint16_t i, j, n = 0;
    for (i = 0; i < p->ids; i++) {
        uint32_t id = p->id_bits == 16 ? ((const uint16_t *)ids)[i] : ((const uint32_t *)ids)[i];
        const int8_t *row = p->rows + (size_t)(id < p->last ? id : p->last) * p->columns;
        for (j = 0; j < p->columns; j++, n++) {
            int32_t v = rnnc_rom_i8(&row[j]);
            rnnc_put(y, p->y_bits, n, p->y_bits == 8 ? v : v * 256);
        }
    }
}

#endif
