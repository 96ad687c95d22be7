/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AVR_H
#define RNNC_ISA_AVR_H
/* AVR: constants stay in program memory; rows one after the other. Of wide rows two are a block, stored column by column; one
 * that is left comes last. A prepared operand is int16, whatever it was. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "avr_rom.h"
#ifndef __AVR__
#include "elsewhere.h"
#endif

#if defined(__AVR_HAVE_MUL__)
#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

/* acc[0 .. rows - 1], 8 by 16 bits into 32: of each row the sum of products of three 8-bit multiplications each.
 * Pushes 8 bytes.
 * r12:r13 columns; r14:r15 v; r16:r17 rows; r18 .. r21 sum; r22 weight; r23 a byte of v, then a product's sign; r24:r25 columns
 * left; X in v; Y acc; Z weights. */
__attribute__((naked, noinline, unused)) static void
rnnc_avr_rows(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int16_t *v,
              RNNC_UNUSED uint16_t columns, RNNC_UNUSED uint16_t rows)
{
    __asm__ volatile("push r12\n push r13\n push r14\n push r15\n"
                     " push r16\n push r17\n push r28\n push r29\n"
                     " movw r28, r24\n"
                     " movw r30, r22\n"
                     " movw r14, r20\n"
                     " movw r12, r18\n"
                     "1: clr r18\n"
                     " clr r19\n"
                     " movw r20, r18\n"
                     " movw r26, r14\n"
                     " movw r24, r12\n"
                     "2: lpm r22, Z+\n"
                     " ld r23, X+\n"
                     " mulsu r22, r23\n" /* signed weight by the unsigned low byte */
                     " sbc r23, r23\n"   /* its sign: carry is bit 15 of the product */
                     " add r18, r0\n"
                     " adc r19, r1\n"
                     " adc r20, r23\n"
                     " adc r21, r23\n"
                     " ld r23, X+\n"
                     " muls r22, r23\n"
                     " sbc r23, r23\n"
                     " add r19, r0\n"
                     " adc r20, r1\n"
                     " adc r21, r23\n"
                     " sbiw r24, 1\n"
                     " brne 2b\n"
                     " st Y+, r18\n st Y+, r19\n st Y+, r20\n st Y+, r21\n"
                     " subi r16, 1\n"
                     " sbci r17, 0\n"
                     " brne 1b\n"
                     " clr r1\n"
                     " pop r29\n pop r28\n pop r17\n pop r16\n"
                     " pop r15\n pop r14\n pop r13\n pop r12\n"
                     " ret\n");
}

/* Of wide rows, 16 by 16 bits into 32: four 8-bit multiplications each, two rows share the loads of v. Pushes 16 bytes.
 * r2 .. r5, r6 .. r9 sums; r12:r13 columns; r14:r15 v; r16:r17 blocks; r18 a product's sign; r19 zero; r20:r21 an element of v;
 * r22:r23 weight; r24:r25 columns left; T a row is left; X in v; Y acc; Z weights. */
#define RNNC_AVR_SIGNED(s1, s2, s3) \
    "sbc r18, r18\n add " s1 ", r0\n adc " s2 ", r1\n adc " s3 ", r18\n"
#define RNNC_AVR_WIDE(s0, s1, s2, s3)                                                        \
    "lpm r22, Z+\n lpm r23, Z+\n mul r22, r20\n add " s0 ", r0\n adc " s1 ", r1\n adc " s2   \
    ", r19\n adc " s3 ", r19\n mulsu r23, r20\n" RNNC_AVR_SIGNED(                            \
        s1, s2, s3) "mulsu r21, r22\n" RNNC_AVR_SIGNED(s1, s2, s3) "muls r23, r21\n add " s2 \
                                                                   ", r0\n adc " s3 ", r1\n"
#define RNNC_AVR_COLUMN "ld r20, X+\n ld r21, X+\n" RNNC_AVR_WIDE("r2", "r3", "r4", "r5")
__attribute__((naked, noinline, unused)) static void
rnnc_avr_wide(RNNC_UNUSED int32_t *acc, RNNC_UNUSED const int8_t *w, RNNC_UNUSED const int16_t *v,
              RNNC_UNUSED uint16_t columns, RNNC_UNUSED uint16_t rows)
{
    __asm__ volatile(
        "push r2\n push r3\n push r4\n push r5\n push r6\n push r7\n"
        " push r8\n push r9\n push r12\n push r13\n push r14\n push r15\n"
        " push r16\n push r17\n push r28\n push r29\n"
        " movw r28, r24\n"
        " movw r30, r22\n"
        " movw r14, r20\n"
        " movw r12, r18\n"
        " clr r19\n"
        " bst r16, 0\n"
        " lsr r17\n"
        " ror r16\n"
        " mov r18, r16\n"
        " or r18, r17\n"
        " brne 1f\n"
        " rjmp 3f\n"
        "1: clr r2\n"
        " clr r3\n"
        " movw r4, r2\n"
        " movw r6, r2\n"
        " movw r8, r2\n"
        " movw r26, r14\n"
        " movw r24, r12\n"
        "2:\n" RNNC_AVR_COLUMN RNNC_AVR_WIDE(
            "r6", "r7", "r8", "r9") " sbiw r24, 1\n"
                                    " brne 2b\n"
                                    " st Y+, r2\n st Y+, r3\n st Y+, r4\n st Y+, r5\n"
                                    " st Y+, r6\n st Y+, r7\n st Y+, r8\n st Y+, r9\n"
                                    " subi r16, 1\n"
                                    " sbci r17, 0\n"
                                    " brne 1b\n"
                                    "3: brtc 5f\n"
                                    " clr r2\n"
                                    " clr r3\n"
                                    " movw r4, r2\n"
                                    " movw r26, r14\n"
                                    " movw r24, r12\n"
                                    "4:\n" RNNC_AVR_COLUMN " sbiw r24, 1\n"
                                    " brne 4b\n"
                                    " st Y+, r2\n st Y+, r3\n st Y+, r4\n st Y+, r5\n"
                                    "5: clr r1\n"
                                    " pop r29\n pop r28\n pop r17\n pop r16\n"
                                    " pop r15\n pop r14\n pop r13\n pop r12\n pop r9\n pop r8\n"
                                    " pop r7\n pop r6\n pop r5\n pop r4\n pop r3\n pop r2\n"
                                    " ret\n");
}
#else
static inline void rnnc_avr_rows(int32_t *acc, const int8_t *w, const int16_t *v, uint16_t columns,
                                 uint16_t rows)
{
    uint16_t j;
    for (; rows; rows--) {
        int32_t a = 0;
        for (j = 0; j < columns; j++) {
            a += rnnc_rom_i8(w++) * (int32_t)v[j];
        }
        *acc++ = a;
    }
}

static inline void rnnc_avr_wide(int32_t *acc, const int8_t *w, const int16_t *v, uint16_t columns,
                                 uint16_t rows)
{
    uint16_t j;
    for (; rows >= 2; rows = (uint16_t)(rows - 2)) {
        int32_t a = 0, b = 0;
        for (j = 0; j < columns; j++, w += 4) {
            a += rnnc_rom_wide(w) * (int32_t)v[j];
            b += rnnc_rom_wide(w + 2) * (int32_t)v[j];
        }
        *acc++ = a;
        *acc++ = b;
    }
    if (rows) {
        *acc = 0;
        for (j = 0; j < columns; j++, w += 2) {
            *acc += rnnc_rom_wide(w) * (int32_t)v[j];
        }
    }
}
#endif

#define RNNC_GROUP 1
#define RNNC_CALL_ROWS 16
#define RNNC_LANES 1
#define RNNC_OPERAND_BYTES(columns, bits) (2 * (columns))

static inline void rnnc_prepare(void *operand, const void *x, uint8_t bits, uint16_t columns)
{
    int16_t *v = (int16_t *)operand;
    uint16_t j;
    if (bits == 16) {
        memcpy(v, x, (size_t)columns * 2);
        return;
    }
    for (j = 0; j < columns; j++) {
        v[j] = ((const int8_t *)x)[j];
    }
}

static inline const int8_t *rnnc_product(int32_t *acc, const int8_t *w, const void *v, uint8_t bits,
                                         uint16_t columns, uint16_t rows)
{
    (void)bits;
    rnnc_avr_rows(acc, w, (const int16_t *)v, columns, rows);
    return w + (size_t)rows * columns;
}

static inline const int8_t *rnnc_product_wide(int32_t *acc, const int8_t *w, const void *v,
                                              uint8_t bits, uint16_t columns, uint16_t rows)
{
    (void)bits;
    rnnc_avr_wide(acc, w, (const int16_t *)v, columns, rows);
    return w + (size_t)rows * columns * 2;
}

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
