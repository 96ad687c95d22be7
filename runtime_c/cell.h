/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_CELL_H
#define RNNC_CELL_H
/* What the kernels of recurrent layers take. Their loops over units are generated from the texts of rnnc/ops/cells.py. */
#include <stdint.h>

#include "activation.h"
#include "fixed.h"
#include "lut.h"
#include "rows.h"

#ifndef RNNC_CELL
#define RNNC_CELL static inline /* one kernel for all layers of a kind */
#endif

/* The rows of one kernel. A kernel with tables has rnnc_curved_cell_params, whose first fields are these. */
typedef struct {
    const int8_t
        *weights; /* for each batch of units: rows over x, then over h; packed by the target */
    const int32_t *bias; /* [batch][constants of a unit][units of a batch] */
    const uint32_t
        *scale_x; /* [batch][rows of a unit][units of a batch], m << 16 | p; 0 without x */
    const uint32_t *scale_h;           /* the same */
    uint16_t columns, width, units;    /* of x, of h, of what is computed */
    uint8_t x_bits, h_bits, next_bits; /* 8 or 16, of x, h and what is computed */
} rnnc_cell_params;

typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const uint32_t *scale_x, *scale_h;
    uint16_t columns, width, units;
    uint8_t x_bits, h_bits, next_bits;
    rnnc_chords curve0, curve1, curve2;
} rnnc_curved_cell_params;

#endif
