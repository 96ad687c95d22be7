/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ROWS_H
#define RNNC_ROWS_H
/* The seam between layers and instruction sets: rows of int8 weights times a vector, exact in int32.
 *
 * A target replaces rnnc_rows16 and rnnc_rows8 together with the packing of the weights (rnnc/backend/pack.py). RNNC_GROUP
 * is the number of rows that its packing takes together; a layer computes as many units at once as fill whole groups. */
#include <stdint.h>

#include "rom.h"

#ifndef RNNC_GROUP
#define RNNC_GROUP 1

/* acc[r] = sum of w[r][j] x[j], r = 0 .. rows - 1, j = 0 .. columns - 1, |acc| < 2^31 by certificate.
 * w: int8 [rows][columns].  Returns the address behind the last weight. */
static inline const int8_t *rnnc_rows16(int32_t *acc, const int8_t *w, const int16_t *x, uint16_t columns, uint16_t rows)
{
    uint16_t r, j;
    for (r = 0; r < rows; r++) {
        int32_t sum = 0;
        for (j = 0; j < columns; j++) {
            sum += (int32_t)rnnc_rom_i8(&w[j]) * x[j];
        }
        acc[r] = sum;
        w += columns;
    }
    return w;
}

static inline const int8_t *rnnc_rows8(int32_t *acc, const int8_t *w, const int8_t *x, uint16_t columns, uint16_t rows)
{
    uint16_t r, j;
    for (r = 0; r < rows; r++) {
        int32_t sum = 0;
        for (j = 0; j < columns; j++) {
            sum += (int32_t)rnnc_rom_i8(&w[j]) * x[j];
        }
        acc[r] = sum;
        w += columns;
    }
    return w;
}
#endif

/* Units of 1 to 4 rows each that fill whole groups. */
#define RNNC_COMMON(rows) ((rows) % 2 ? 1 : (rows) % 4 ? (RNNC_GROUP < 2 ? RNNC_GROUP : 2) : (RNNC_GROUP < 4 ? RNNC_GROUP : 4))
#define RNNC_UNITS(rows) (RNNC_GROUP / RNNC_COMMON(rows))

static inline const int8_t *
rnnc_rows(int32_t *acc, const int8_t *w, const void *x, uint8_t bits, uint16_t columns, uint16_t rows)
{
    return bits == 8 ? rnnc_rows8(acc, w, (const int8_t *)x, columns, rows)
                     : rnnc_rows16(acc, w, (const int16_t *)x, columns, rows);
}

#endif
