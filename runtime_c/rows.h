/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ROWS_H
#define RNNC_ROWS_H
/* The seam between layers and instruction sets: rows of weights times a vector, exact in int32. Weights are int8, those of wide
 * rows int16.
 *
 * A target replaces rnnc_prepare, rnnc_product and rnnc_product_wide together with the packing of the weights and the size of a
 * taken operand (rnnc/backend/targets.py). RNNC_GROUP is the number of rows that its packing takes together, RNNC_LANES the number of
 * units that its gates compute together; a layer computes as many units at once as fill whole groups and lanes.
 * RNNC_OPERAND_BYTES(columns, bits) is what rnnc_prepare writes. RNNC_CALL_ROWS is how many rows of a layer of one operand go into a
 * call: a group, or more where groups follow one another in the packing. contract.h checks all of it.
 * RNNC_MOST_COLUMNS, where it is defined, is at least the columns of each operand: a target may leave out what wider ones take. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rom.h"

#ifndef RNNC_GROUP
#if defined RNNC_LANES || defined RNNC_OPERAND_BYTES
#error "contract of a target: RNNC_GROUP, the rows that its packing takes together, is missing"
#endif
#define RNNC_GROUP 1
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 4 /* four rows at a time share the loads of v */
#define RNNC_DIRECT  /* an operand is read as it is */
#define RNNC_OPERAND_BYTES(columns, bits) ((columns) * ((bits) / 8))

/* v = x [columns] of 8 or 16 bits, as rnnc_product reads it. */
static inline void rnnc_prepare(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    (void)memcpy(v, x, (size_t)columns * ((size_t)bits / 8u));
}

static inline const int8_t *rnnc_product16(int32_t *acc, const int8_t *w, const int16_t *v,
                                           uint16_t columns, uint16_t rows)
{
    /* volatile: a count that the compiler knew would be short would be unrolled into scalars, not vectors */
    volatile uint16_t count = columns;
    size_t j, n = count;
    for (; rows >= 4; rows = (uint16_t)(rows - 4)) {
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (j = 0; j < n; j++) {
            int32_t x = v[j];
            a += rnnc_rom_i8(&w[j]) * x;
            b += rnnc_rom_i8(&w[n + j]) * x;
            c += rnnc_rom_i8(&w[2 * n + j]) * x;
            d += rnnc_rom_i8(&w[3 * n + j]) * x;
        }
        acc[0] = a;
        acc[1] = b;
        acc[2] = c;
        acc[3] = d;
        acc += 4;
        w += 4 * n;
    }
    for (; rows; rows--) {
        int32_t sum = 0;
        for (j = 0; j < n; j++) {
            sum += (int32_t)rnnc_rom_i8(&w[j]) * v[j];
        }
        *acc++ = sum;
        w += n;
    }
    return w;
}

static inline const int8_t *rnnc_product8(int32_t *acc, const int8_t *w, const int8_t *v,
                                          uint16_t columns, uint16_t rows)
{
    /* volatile: a count that the compiler knew would be short would be unrolled into scalars, not vectors */
    volatile uint16_t count = columns;
    size_t j, n = count;
    for (; rows >= 4; rows = (uint16_t)(rows - 4)) {
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (j = 0; j < n; j++) {
            int32_t x = v[j];
            a += rnnc_rom_i8(&w[j]) * x;
            b += rnnc_rom_i8(&w[n + j]) * x;
            c += rnnc_rom_i8(&w[2 * n + j]) * x;
            d += rnnc_rom_i8(&w[3 * n + j]) * x;
        }
        acc[0] = a;
        acc[1] = b;
        acc[2] = c;
        acc[3] = d;
        acc += 4;
        w += 4 * n;
    }
    for (; rows; rows--) {
        int32_t sum = 0;
        for (j = 0; j < n; j++) {
            sum += (int32_t)rnnc_rom_i8(&w[j]) * v[j];
        }
        *acc++ = sum;
        w += n;
    }
    return w;
}

/* acc[r] = sum of w[r][j] v[j], r = 0 .. rows - 1, j = 0 .. columns - 1, |acc| < 2^31 by certificate; rows is a multiple of
 * RNNC_GROUP.  w: as packed.  v: as prepared.  Returns the address behind the last weight. */
static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    return bits == 8 ? rnnc_product8(acc, w, (const int8_t *)v, columns, rows)
                     : rnnc_product16(acc, w, (const int16_t *)v, columns, rows);
}

static inline const int8_t *rnnc_wide16(int32_t *acc, const int8_t *w, const int16_t *v,
                                        uint16_t columns, uint16_t rows)
{
    /* volatile: a count that the compiler knew would be short would be unrolled into scalars, not vectors */
    volatile uint16_t count = columns;
    size_t j, n = count;
    for (; rows >= 4; rows = (uint16_t)(rows - 4)) {
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (j = 0; j < n; j++) {
            int32_t x = v[j];
            a += rnnc_rom_wide(&w[2 * j]) * x;
            b += rnnc_rom_wide(&w[2 * (n + j)]) * x;
            c += rnnc_rom_wide(&w[2 * (2 * n + j)]) * x;
            d += rnnc_rom_wide(&w[2 * (3 * n + j)]) * x;
        }
        acc[0] = a;
        acc[1] = b;
        acc[2] = c;
        acc[3] = d;
        acc += 4;
        w += 8 * n;
    }
    for (; rows; rows--) {
        int32_t sum = 0;
        for (j = 0; j < n; j++, w += 2) {
            sum += (int32_t)rnnc_rom_wide(w) * v[j];
        }
        *acc++ = sum;
    }
    return w;
}

static inline const int8_t *rnnc_wide8(int32_t *acc, const int8_t *w, const int8_t *v,
                                       uint16_t columns, uint16_t rows)
{
    uint16_t j;
    for (; rows; rows--) {
        int32_t sum = 0;
        for (j = 0; j < columns; j++, w += 2) {
            sum += (int32_t)rnnc_rom_wide(w) * v[j];
        }
        *acc++ = sum;
    }
    return w;
}

/* The same of wide rows. */
static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    return bits == 8 ? rnnc_wide8(acc, w, (const int8_t *)v, columns, rows)
                     : rnnc_wide16(acc, w, (const int16_t *)v, columns, rows);
}
#endif

#ifndef RNNC_CALL_ROWS
#define RNNC_CALL_ROWS (RNNC_GROUP < 4 ? 4 : RNNC_GROUP)
#endif

/* rnnc_product beside wide rows of the same batch of units. */
#ifndef RNNC_PRODUCT_FEW
#define rnnc_product_few rnnc_product
#endif

#include "contract.h"

/* Units of 1 to 4 rows each that fill whole groups. */
#define RNNC_COMMON(rows)                             \
    ((rows) % 2   ? 1                                 \
     : (rows) % 4 ? (RNNC_GROUP < 2 ? RNNC_GROUP : 2) \
                  : (RNNC_GROUP < 4 ? RNNC_GROUP : 4))
#define RNNC_UNITS(rows) (RNNC_GROUP / RNNC_COMMON(rows))
/* The same for layers whose gates work on RNNC_LANES units at once; their rows and constants are ordered gate by gate. */
#define RNNC_BATCH(rows) (RNNC_UNITS(rows) < RNNC_LANES ? RNNC_LANES : RNNC_UNITS(rows))

/* Rows that fill whole groups, at least n. */
#define RNNC_FILLED(n) (((n) + RNNC_GROUP - 1) / RNNC_GROUP * RNNC_GROUP)

/* Units of a batch of which `left` >= 1 remain. */
static inline uint16_t rnnc_batch(uint16_t units, uint16_t left)
{
    return units == 1 || left >= units ? units : left;
}

/* x as rnnc_product reads it, while x does not change: x itself, or v, which receives it. */
#ifdef RNNC_PREPARED
#elif defined RNNC_DIRECT
static inline const void *rnnc_prepared(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    (void)v;
    (void)bits;
    (void)columns;
    return x;
}
#else
static inline const void *rnnc_prepared(void *v, const void *x, uint8_t bits, uint16_t columns)
{
    rnnc_prepare(v, x, bits, columns);
    return v;
}
#endif

#endif
