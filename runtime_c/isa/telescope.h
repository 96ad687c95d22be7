/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_TELESCOPE_H
#define RNNC_ISA_TELESCOPE_H
/* Four rows a word, two where they are wide, for cores that multiply 32 bits by 32 and have no other products.
 *
 * A word is one column of a block: V = w3 << 24 | u2 << 16 | u1 << 8 | u0 with u = w + 128. With t_k = sum of (V >> 8 k) x,
 * all modulo 2^32 and t_0 without any unpacking:
 *     A_3 = t_3,   A_k = t_k - 256 t_(k+1) - 128 sum of x   for k < 3
 * A column of a block of wide rows is two words, V = w1 << 16 | (w0 + 32768) and the same of w3 and w2. With t_0 = sum of V x
 * and t_1 = sum of (V >> 16) x, modulo 2^32:  A_1 = t_1,   A_0 = t_0 - 65536 t_1 - 32768 sum of x
 *
 * A prepared operand: [0] bytes to skip in the first turn of the unrolled loop, [1] 128 sum of x, [2] bytes of activations, then
 * these, int32, padded with zeros to a multiple of RNNC_TELESCOPE_COLUMNS.
 * The core's own header defines that, RNNC_TELESCOPE_TURN (columns of a turn) and RNNC_TELESCOPE_BYTES (of the code for
 * RNNC_TELESCOPE_COLUMNS). */
#include <stddef.h>
#include <stdint.h>

#include "../rom.h"

#define RNNC_GROUP 4
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 1
#define RNNC_TELESCOPE_PADDED(columns) \
    (((columns) + RNNC_TELESCOPE_COLUMNS - 1) / RNNC_TELESCOPE_COLUMNS * RNNC_TELESCOPE_COLUMNS)
#define RNNC_OPERAND_BYTES(columns, bits) (4 * (3 + RNNC_TELESCOPE_PADDED(columns)))

#ifndef RNNC_TELESCOPE_BLOCK
/* acc[0 .. 3] of one block; returns the address behind its weights. */
static inline const int8_t *rnnc_telescope_block(int32_t *acc, const int8_t *w, const int32_t *v)
{
    const int32_t *x = v + 3, *end = x + v[2] / 4;
    acc[0] = acc[1] = acc[2] = acc[3] = 0;
    for (; x < end; x++, w += 4) {
        acc[0] += (w[0] + (w[0] < 0 ? 128 : -128)) * *x;
        acc[1] += (w[1] + (w[1] < 0 ? 128 : -128)) * *x;
        acc[2] += (w[2] + (w[2] < 0 ? 128 : -128)) * *x;
        acc[3] += w[3] * *x;
    }
    return w;
}

/* Of wide rows. */
static inline const int8_t *rnnc_telescope_wide(int32_t *acc, const int8_t *w, const int32_t *v)
{
    const int32_t *x = v + 3, *end = x + v[2] / 4;
    int r;
    acc[0] = acc[1] = acc[2] = acc[3] = 0;
    for (; x < end; x++) {
        for (r = 0; r < 4; r++, w += 2) {
            int32_t weight = rnnc_rom_wide(w);
            acc[r] += (r % 2 ? weight : weight + (weight < 0 ? 32768 : -32768)) * *x;
        }
    }
    return w;
}
#endif

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int32_t *v = (int32_t *)operand;
    uint16_t padded = (uint16_t)RNNC_TELESCOPE_PADDED(columns), j;
    uint32_t sum = 0;
    v[0] = (int32_t)((RNNC_TELESCOPE_TURN - padded % RNNC_TELESCOPE_TURN) % RNNC_TELESCOPE_TURN /
                     RNNC_TELESCOPE_COLUMNS * RNNC_TELESCOPE_BYTES);
    v[2] = padded * 4;
    for (j = 0; j < columns; j++) {
        int32_t value = bits == 8 ? ((const int8_t *)x)[j] : ((const int16_t *)x)[j];
        v[3 + j] = value;
        sum += (uint32_t)value;
    }
    for (; j < padded; j++) {
        v[3 + j] = 0;
    }
    v[1] = (int32_t)(sum << 7);
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    uint16_t r;
    (void)bits;
    (void)columns;
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        w = rnnc_telescope_block(&acc[r], w, (const int32_t *)v);
    }
    return w;
}

/* At most 16 rows, a number that the compiler knows: no loop. */
#define RNNC_PRODUCT_FEW
static inline const int8_t *rnnc_product_few(int32_t *acc, const int8_t *w, const void *v,
                                             uint8_t bits, uint16_t columns, uint16_t rows)
{
    const int32_t *x = (const int32_t *)v;
    (void)bits;
    (void)columns;
    w = rnnc_telescope_block(acc, w, x);
    w = rows > 4 ? rnnc_telescope_block(acc + 4, w, x) : w;
    w = rows > 8 ? rnnc_telescope_block(acc + 8, w, x) : w;
    return rows > 12 ? rnnc_telescope_block(acc + 12, w, x) : w;
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    uint16_t r;
    (void)bits;
    (void)columns;
    for (r = 0; r < rows; r = (uint16_t)(r + 4)) {
        w = rnnc_telescope_wide(&acc[r], w, (const int32_t *)v);
    }
    return w;
}

#endif
