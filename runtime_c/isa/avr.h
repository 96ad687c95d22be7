/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AVR_H
#define RNNC_ISA_AVR_H
/* AVR: constants stay in program memory. Two rows are a block, four of int8 rows over an operand of 8 bits, stored column by
 * column; those that are left come last.
 *
 * int8 rows are padded to an even number of columns and stored raised, u = w + 128, which is never 0. Of an operand
 * x = 256 h + l, l = 0 .. 255, and of 256 columns at most, so that L fits 24 bits, of which N are below 0:
 *     L = sum of u l,   H = sum of (u h modulo 2^16) = sum of u h + 2^16 N   modulo 2^24
 *     sum of w x = L + 256 H - 2^24 N - 128 sum of x   modulo 2^32
 * so that no product needs a sign. An operand of 8 bits has one sum, of u x modulo 2^16, which has 24 bits.
 * A prepared operand: of each 256 columns what is added to all rows, as above, then x, as wide as it was, padded with 0. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "avr_rom.h"
#ifndef __AVR__
#include "elsewhere.h"
#endif

#define RNNC_GROUP 1
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 1
#define RNNC_AVR_COLUMNS 256 /* whose sums fit */
#define RNNC_AVR_PARTS(columns) (((columns) + RNNC_AVR_COLUMNS - 1) / RNNC_AVR_COLUMNS)
#define RNNC_OPERAND_BYTES(columns, bits) \
    (4 * RNNC_AVR_PARTS(columns) + ((bits) == 8 ? ((columns) + 3) / 4 : ((columns) + 1) / 2) * 4)

/* Rows that are left in a block. */
static inline uint8_t rnnc_avr_block(uint8_t bits, uint16_t rows)
{
    uint8_t most = bits == 8 ? 4 : 2;
    return (uint8_t)(rows < most ? rows : most);
}

#if defined(__AVR_HAVE_MUL__)
#include "avr_gates.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type" /* naked functions return in assembly */

/* The rows' kernels, called by RNNC_AVR_CALL alone: what they are given and write is not as C has it.
 * r2 .. r4 L, r5 .. r7 H of a row, r8 .. r13 of the other; r14 turns; r16:r17 v; r18:r19 acc; r20:r21 x; r22 weight; r23 zero;
 * r24 turns left; r25 rows left; X in v, then in acc; Z weights. Two turns are one of the loop. */
#define RNNC_AVR_MAC16(l0, l1, l2, h0, h1, h2)                               \
    "lpm r22, Z+\n mul r22, r20\n add " l0 ", r0\n adc " l1 ", r1\n adc " l2 \
    ", r23\n mulsu r21, r22\n add " h0 ", r0\n adc " h1 ", r1\n adc " h2 ", r23\n"
#define RNNC_AVR_LOAD16 "ld r20, X+\n ld r21, X+\n"
#define RNNC_AVR_FIRST16 "ld r2, X+\n ld r5, X+\n ld r6, X+\n ld r7, X+\n clr r3\n clr r4\n"
#define RNNC_AVR_SECOND16 "mov r8, r2\n mov r11, r5\n movw r12, r6\n clr r9\n clr r10\n"
#define RNNC_AVR_PUT16(l0, l1, l2, h0, h1, h2)                                               \
    "add " l1 ", " h0 "\n adc " l2 ", " h1 "\n adc " h2 ", r23\n st X+, " l0 "\n st X+, " l1 \
    "\n st X+, " l2 "\n st X+, " h2 "\n"
#define RNNC_AVR_A(mac) mac("r2", "r3", "r4", "r5", "r6", "r7")
#define RNNC_AVR_B(mac) mac("r8", "r9", "r10", "r11", "r12", "r13")
#define RNNC_AVR_COLUMN16 RNNC_AVR_LOAD16 RNNC_AVR_A(RNNC_AVR_MAC16) RNNC_AVR_B(RNNC_AVR_MAC16)
#define RNNC_AVR_TURN16 RNNC_AVR_COLUMN16 RNNC_AVR_COLUMN16
#define RNNC_AVR_BEGIN " movw r18, r24\n movw r30, r22\n mov r25, r20\n clr r23\n"
#define RNNC_AVR_END "7: movw r24, r30\n clr r1\n ret\n"
__attribute__((naked, noinline, noclone, unused)) static void rnnc_avr_rows(void)
{
    __asm__ volatile(RNNC_AVR_BEGIN
                     "subi r25, 2\n brcc 1f\n rjmp 4f\n"
                     "1: movw r26, r16\n" RNNC_AVR_FIRST16 RNNC_AVR_SECOND16 " mov r24, r14\n"
                     " lsr r24\n brcc 2f\n inc r24\n rjmp 3f\n"
                     "2:\n" RNNC_AVR_TURN16 "3:\n" RNNC_AVR_TURN16 " dec r24\n breq 6f\n rjmp 2b\n"
                     "6: movw r26, r18\n" RNNC_AVR_A(RNNC_AVR_PUT16) RNNC_AVR_B(
                         RNNC_AVR_PUT16) " movw r18, r26\n subi r25, 2\n brcs 4f\n rjmp 1b\n"
                                         "4: sbrs r25, 0\n rjmp 7f\n"
                                         " movw r26, r16\n" RNNC_AVR_FIRST16 " mov r24, r14\n"
                                         "5:\n" RNNC_AVR_LOAD16 RNNC_AVR_A(RNNC_AVR_MAC16)
                                             RNNC_AVR_LOAD16 RNNC_AVR_A(
                                                 RNNC_AVR_MAC16) " dec r24\n brne 5b\n movw r26, "
                                                                 "r18\n" RNNC_AVR_A(RNNC_AVR_PUT16)
                                                                     RNNC_AVR_END);
}

/* The same of x of 8 bits, where four rows are a block: a row has one sum of 24 bits.
 * r2 .. r4, r5 .. r7, r8 .. r10, r11 .. r13 the sums; otherwise as above. */
#define RNNC_AVR_LOAD8 "ld r20, X+\n"
#define RNNC_AVR_MAC8(s0, s1, s2) \
    "lpm r22, Z+\n mulsu r20, r22\n add " s0 ", r0\n adc " s1 ", r1\n adc " s2 ", r23\n"
#define RNNC_AVR_PUT8(s0, s1, s2)                                                       \
    "mov r0, " s2 "\n lsl r0\n sbc r0, r0\n st X+, " s0 "\n st X+, " s1 "\n st X+, " s2 \
    "\n st X+, r0\n"
#define RNNC_AVR_OF1(each) each("r2", "r3", "r4")
#define RNNC_AVR_OF2(each) RNNC_AVR_OF1(each) each("r5", "r6", "r7")
#define RNNC_AVR_OF3(each) RNNC_AVR_OF2(each) each("r8", "r9", "r10")
#define RNNC_AVR_OF4(each) RNNC_AVR_OF3(each) each("r11", "r12", "r13")
#define RNNC_AVR_TURN8(of)           \
    RNNC_AVR_LOAD8 of(RNNC_AVR_MAC8) \
    RNNC_AVR_LOAD8 of(RNNC_AVR_MAC8)
/* `loop` counts in r24, and leaves by 6. */
#define RNNC_AVR_BLOCK8(of, loop)                                                        \
    " movw r26, r16\n ld r2, X+\n ld r3, X+\n ld r4, X+\n adiw r26, 1\n"                 \
    " mov r5, r2\n mov r6, r3\n mov r7, r4\n movw r8, r2\n mov r10, r4\n movw r12, r6\n" \
    " mov r11, r2\n mov r24, r14\n" loop(of) "6: movw r26, r18\n" of(                    \
        RNNC_AVR_PUT8) " movw r18, r26\n"
#define RNNC_AVR_BY1(of) "2:\n" RNNC_AVR_TURN8(of) " dec r24\n brne 2b\n"
#define RNNC_AVR_BY4(of)                                                                  \
    " subi r24, -3\n lsr r24\n lsr r24\n sbrc r14, 1\n rjmp 9f\n sbrc r14, 0\n rjmp 5f\n" \
    " rjmp 2f\n9: sbrc r14, 0\n rjmp 3f\n rjmp 4f\n"                                      \
    "2:\n" RNNC_AVR_TURN8(of) "3:\n" RNNC_AVR_TURN8(of) "4:\n" RNNC_AVR_TURN8(            \
        of) "5:\n" RNNC_AVR_TURN8(of) " dec r24\n breq 6f\n rjmp 2b\n"
__attribute__((naked, noinline, noclone, unused)) static void rnnc_avr_rows8(void)
{
    __asm__ volatile(
        RNNC_AVR_BEGIN
        "1: subi r25, 4\n brcc 8f\n rjmp 20f\n"
        "8:" RNNC_AVR_BLOCK8(
            RNNC_AVR_OF4,
            RNNC_AVR_BY4) " rjmp 1b\n"
                          "20: subi r25, -3\n brpl 8f\n rjmp 7f\n" /* rows left, less one */
                          "8: brne 8f\n rjmp 11f\n"
                          "8: cpi r25, 1\n brne 8f\n rjmp 12f\n"
                          "8:" RNNC_AVR_BLOCK8(
                              RNNC_AVR_OF3,
                              RNNC_AVR_BY1) " rjmp 7f\n"
                                            "12:" RNNC_AVR_BLOCK8(
                                                RNNC_AVR_OF2,
                                                RNNC_AVR_BY1) " rjmp 7f\n"
                                                              "11:" RNNC_AVR_BLOCK8(RNNC_AVR_OF1,
                                                                                    RNNC_AVR_BY1)
                                                                  RNNC_AVR_END);
}

/* acc[0 .. rows - 1] of 1 to 255 rows; returns the address behind their weights. v: as prepared, turns: of two columns, 1 .. 128.
 * The compiler saves what it needs once, around a loop over units, not at each call. */
#define RNNC_AVR_CALL(kernel, acc, w, rows, v, turns)                                           \
    do {                                                                                        \
        register const void *at_ __asm__("r24") = (acc);                                        \
        register const int8_t *weights_ __asm__("r22") = (w);                                   \
        register uint8_t rows_ __asm__("r20") = (rows);                                         \
        register const void *operand_ __asm__("r16") = (v);                                     \
        register uint8_t turns_ __asm__("r14") = (turns);                                       \
        __asm__ volatile("%~call %x[run]"                                                       \
                         : "+r"(at_), "+r"(weights_), "+r"(rows_)                               \
                         : [run] "i"(kernel), "r"(operand_), "r"(turns_)                        \
                         : "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", \
                           "r13", "r18", "r19", "r21", "r26", "r27", "r30", "r31", "memory");   \
        return (const int8_t *)at_;                                                             \
    } while (0)

#pragma GCC diagnostic pop

/* Of wide rows, 16 by 16 bits into 32: four 8-bit multiplications each, or two. Pushes 16 bytes.
 * r2 .. r5, r6 .. r9 sums; r12:r13 columns; r14:r15 v; r16:r17 blocks; r18 a product's sign; r19 zero; r20:r21 an element of v;
 * r22:r23 weight; r24:r25 columns left; T a row is left; X in v; Y acc; Z weights. */
#define RNNC_AVR_SIGNED(s1, s2, s3) \
    "sbc r18, r18\n add " s1 ", r0\n adc " s2 ", r1\n adc " s3 ", r18\n"
#define RNNC_AVR_WIDE16(s0, s1, s2, s3)                                                      \
    "lpm r22, Z+\n lpm r23, Z+\n mul r22, r20\n add " s0 ", r0\n adc " s1 ", r1\n adc " s2   \
    ", r19\n adc " s3 ", r19\n mulsu r23, r20\n" RNNC_AVR_SIGNED(                            \
        s1, s2, s3) "mulsu r21, r22\n" RNNC_AVR_SIGNED(s1, s2, s3) "muls r23, r21\n add " s2 \
                                                                   ", r0\n adc " s3 ", r1\n"
#define RNNC_AVR_WIDE8(s0, s1, s2, s3)                                                     \
    "lpm r22, Z+\n lpm r23, Z+\n mulsu r20, r22\n sbc r18, r18\n add " s0 ", r0\n adc " s1 \
    ", r1\n adc " s2 ", r18\n adc " s3 ", r18\n muls r23, r20\n" RNNC_AVR_SIGNED(s1, s2, s3)
#define RNNC_AVR_WIDE_ROWS(name, load, mac)                                                        \
    __attribute__((naked, noinline, noclone, unused)) static void name(                            \
        RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const void *v,          \
        RNNC_UNUSED uint16_t columns, RNNC_UNUSED uint16_t rows)                                   \
    {                                                                                              \
        __asm__ volatile(                                                                          \
            "push r2\n push r3\n push r4\n push r5\n push r6\n push r7\n"                          \
            " push r8\n push r9\n push r12\n push r13\n push r14\n push r15\n"                     \
            " push r16\n push r17\n push r28\n push r29\n"                                         \
            " movw r28, r24\n movw r30, r22\n movw r14, r20\n movw r12, r18\n clr r19\n"           \
            " bst r16, 0\n lsr r17\n ror r16\n mov r18, r16\n or r18, r17\n"                       \
            " brne 1f\n rjmp 3f\n"                                                                 \
            "1: clr r2\n clr r3\n movw r4, r2\n movw r6, r2\n movw r8, r2\n"                       \
            " movw r26, r14\n movw r24, r12\n"                                                     \
            "2:\n" load mac("r2", "r3", "r4", "r5")                                                \
                mac("r6", "r7", "r8",                                                              \
                    "r9") " sbiw r24, 1\n brne 2b\n"                                               \
                          " st Y+, r2\n st Y+, r3\n st Y+, r4\n st Y+, r5\n"                       \
                          " st Y+, r6\n st Y+, r7\n st Y+, r8\n st Y+, r9\n"                       \
                          " subi r16, 1\n sbci r17, 0\n brne 1b\n"                                 \
                          "3: brtc 5f\n clr r2\n clr r3\n movw r4, r2\n movw r26, r14\n movw "     \
                          "r24, r12\n"                                                             \
                          "4:\n" load mac("r2", "r3", "r4",                                        \
                                          "r5") " sbiw r24, 1\n brne 4b\n"                         \
                                                " st Y+, r2\n st Y+, r3\n st Y+, r4\n st Y+, r5\n" \
                                                "5: clr r1\n"                                      \
                                                " pop r29\n pop r28\n pop r17\n pop r16\n pop "    \
                                                "r15\n pop r14\n pop r13\n pop r12\n"              \
                                                " pop r9\n pop r8\n pop r7\n pop r6\n pop r5\n "   \
                                                "pop r4\n pop r3\n pop r2\n ret\n");               \
    }
RNNC_AVR_WIDE_ROWS(rnnc_avr_wide, RNNC_AVR_LOAD16, RNNC_AVR_WIDE16)
RNNC_AVR_WIDE_ROWS(rnnc_avr_wide8, RNNC_AVR_LOAD8, RNNC_AVR_WIDE8)
#else
static inline int32_t rnnc_avr_element(const void *v, uint8_t bits, uint16_t j)
{
    const int32_t *x = (const int32_t *)v + 1;
    return bits == 8 ? ((const int8_t *)x)[j] : ((const int16_t *)x)[j];
}

/* The rows of a block, one weight at a time. */
static inline const int8_t *rnnc_avr_plain(int32_t *acc, const int8_t *w, const void *v,
                                           uint8_t bits, uint16_t columns, uint8_t rows)
{
    uint16_t j;
    uint8_t r, block;
    for (; rows; rows = (uint8_t)(rows - block), acc += block) {
        block = rnnc_avr_block(bits, rows);
        memset(acc, 0, block * sizeof *acc);
        for (j = 0; j < columns; j++) {
            int32_t x = rnnc_avr_element(v, bits, j);
            for (r = 0; r < block; r++) {
                int8_t u = rnnc_rom_i8(w++);
                acc[r] += (u < 0 ? u + 128 : u - 128) * x;
            }
        }
        w += columns % 2 ? block : 0;
    }
    return w;
}

static inline const int8_t *rnnc_avr_plain_wide(int32_t *acc, const int8_t *w, const void *v,
                                                uint8_t bits, uint16_t columns, uint8_t rows)
{
    uint16_t j;
    uint8_t r, block;
    for (; rows; rows = (uint8_t)(rows - block), acc += block) {
        block = rows >= 2 ? 2 : 1;
        memset(acc, 0, block * sizeof *acc);
        for (j = 0; j < columns; j++) {
            for (r = 0; r < block; r++, w += 2) {
                acc[r] += rnnc_rom_wide(w) * rnnc_avr_element(v, bits, j);
            }
        }
    }
    return w;
}
#endif

/* A part of n columns, 1 .. 256; returns the address behind. What is added to all rows' sums: with S the sum of x taken as
 * unsigned, -128 S - 2^23 N, or of 8 bits -128 S - 2^15 N; shifts are by whole bytes and one bit. */
static RNNC_APART int8_t *rnnc_avr_prepare(int8_t *part, const void *x, uint8_t bits, uint16_t n)
{
    int32_t *correction = (int32_t *)part;
    uint16_t below = 0, few = 0;
    if (bits == 8) {
        const uint8_t *v = (const uint8_t *)x, *end = v + n;
        uint8_t *to = (uint8_t *)(correction + 1);
        while (v != end) {
            uint8_t value = *v++;
            *to++ = value;
            few = (uint16_t)(few + value);
            below = (uint16_t)(below + (value >> 7));
        }
        for (; n % 4; n++) {
            *to++ = 0;
        }
        *correction =
            (int32_t)(0u - (((uint32_t)few << 8) >> 1) - ((uint32_t)(uint16_t)(below << 7) << 8));
        return (int8_t *)to;
    } else {
        const uint16_t *v = (const uint16_t *)x, *end = v + n;
        uint16_t *to = (uint16_t *)(correction + 1);
        uint32_t sum = 0;
        while (v != end) {
            uint16_t value = *v++;
            *to++ = value;
            sum += value;
            below = (uint16_t)(below + (value >> 15));
        }
        if (n % 2) {
            *to++ = 0;
        }
        *correction = (int32_t)(0u - ((sum << 8) >> 1) - ((uint32_t)(uint16_t)(below << 7) << 16));
        return (int8_t *)to;
    }
}

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int8_t *v = (int8_t *)operand;
    const int8_t *from = (const int8_t *)x;
    while (columns > RNNC_AVR_COLUMNS) {
        v = rnnc_avr_prepare(v, from, bits, RNNC_AVR_COLUMNS);
        from += bits == 8 ? RNNC_AVR_COLUMNS : 2 * RNNC_AVR_COLUMNS;
        columns = (uint16_t)(columns - RNNC_AVR_COLUMNS);
    }
    rnnc_avr_prepare(v, from, bits, columns);
}

#if defined(__AVR_HAVE_MUL__)
static inline const int8_t *rnnc_avr_part(int32_t *acc, const int8_t *w, const void *v,
                                          uint8_t bits, uint16_t columns, uint8_t rows)
{
    uint8_t turns = (uint8_t)((columns + 1) / 2);
    if (bits == 8) {
        RNNC_AVR_CALL(rnnc_avr_rows8, acc, w, rows, v, turns);
    }
    RNNC_AVR_CALL(rnnc_avr_rows, acc, w, rows, v, turns);
}

static inline const int8_t *rnnc_avr_wide_part(int32_t *acc, const int8_t *w, const void *v,
                                               uint8_t bits, uint16_t columns, uint8_t rows)
{
    const void *x = (const int32_t *)v + 1;
    if (bits == 8) {
        rnnc_avr_wide8(acc, w, x, columns, rows);
    } else {
        rnnc_avr_wide(acc, w, x, columns, rows);
    }
    return w + (size_t)rows * columns * 2;
}
#else
#define rnnc_avr_part rnnc_avr_plain
#define rnnc_avr_wide_part rnnc_avr_plain_wide
#endif

#if defined RNNC_MOST_COLUMNS && RNNC_MOST_COLUMNS <= RNNC_AVR_COLUMNS
/* No operand has a second part, and a call has a unit's rows or RNNC_CALL_ROWS. */
static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    return rnnc_avr_part(acc, w, v, bits, columns, (uint8_t)rows);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    return rnnc_avr_wide_part(acc, w, v, bits, columns, (uint8_t)rows);
}
#else
/* Of any number of columns and rows: a block of rows, part by part. */
static RNNC_APART const int8_t *rnnc_avr_long(int32_t *acc, const int8_t *w, const int8_t *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows,
                                              uint8_t wide)
{
    while (rows) {
        uint8_t k, block = rnnc_avr_block(wide ? 16 : bits, rows);
        const int8_t *x = v;
        uint16_t left = columns;
        memset(acc, 0, block * sizeof *acc);
        while (left) {
            uint16_t part = left < RNNC_AVR_COLUMNS ? left : RNNC_AVR_COLUMNS;
            int32_t sum[4];
            w = wide ? rnnc_avr_wide_part(sum, w, x, bits, part, block)
                     : rnnc_avr_part(sum, w, x, bits, part, block);
            for (k = 0; k < block; k++) {
                acc[k] += sum[k];
            }
            x += 4 + (bits == 8 ? part : 2 * part);
            left = (uint16_t)(left - part);
        }
        acc += block;
        rows = (uint16_t)(rows - block);
    }
    return w;
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    return columns <= RNNC_AVR_COLUMNS && rows < 256
               ? rnnc_avr_part(acc, w, v, bits, columns, (uint8_t)rows)
               : rnnc_avr_long(acc, w, (const int8_t *)v, bits, columns, rows, 0);
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    return columns <= RNNC_AVR_COLUMNS && rows < 256
               ? rnnc_avr_wide_part(acc, w, v, bits, columns, (uint8_t)rows)
               : rnnc_avr_long(acc, w, (const int8_t *)v, bits, columns, rows, 1);
}
#endif

/* The root bit by bit: cheaper than seven products of 32 bits. */
#define RNNC_SQRT
static inline uint32_t rnnc_sqrt(uint32_t v)
{
    uint32_t root = 0, bit;
    for (bit = (uint32_t)1 << 30; bit != 0; bit >>= 2) {
        uint32_t trial = root + bit;
        root >>= 1;
        if (v >= trial) {
            v -= trial;
            root += bit;
        }
    }
    return root + (v > root);
}

#endif
