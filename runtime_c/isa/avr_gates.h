/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AVR_GATES_H
#define RNNC_ISA_AVR_GATES_H
/* What gates are made of, by 8-bit multiplications; shifts go by whole bytes first. Leaves: nothing is pushed.
 * Arguments: the first 32 bits in r22 .. r25, the next in r18 .. r21; the result in r22 .. r25. */
#include <stdint.h>

#ifndef RNNC_UNUSED
#define RNNC_UNUSED __attribute__((unused)) /* arguments of naked functions are in registers */
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type" /* naked functions return in assembly */
/* (a >> p) * m modulo 2^32, scale = m << 16 | p. r26 r27 r30 r31 the product, r19 zero. */
__attribute__((naked, noinline, noclone, unused)) static int32_t
rnnc_avr_scaled(RNNC_UNUSED int32_t a, RNNC_UNUSED uint32_t scale)
{
    __asm__ volatile(
        "1: subi r18, 8\n brcs 2f\n"
        " mov r22, r23\n mov r23, r24\n mov r24, r25\n lsl r25\n sbc r25, r25\n"
        " rjmp 1b\n"
        "2: subi r18, -4\n brmi 5f\n" /* four bits by halves of bytes */
        " swap r22\n andi r22, 15\n swap r23\n eor r22, r23\n andi r23, 15\n eor r22, r23\n"
        " swap r24\n eor r23, r24\n andi r24, 15\n eor r23, r24\n"
        " swap r25\n eor r24, r25\n andi r25, 15\n eor r24, r25\n"
        " sbrc r25, 3\n ori r25, 0xF0\n tst r18\n breq 4f\n rjmp 3f\n"
        "5: subi r18, -4\n breq 4f\n"
        "3: asr r25\n ror r24\n ror r23\n ror r22\n dec r18\n brne 3b\n"
        "4: clr r19\n"
        " mul r22, r20\n movw r26, r0\n"
        " mul r24, r20\n movw r30, r0\n"
        " mul r23, r20\n add r27, r0\n adc r30, r1\n adc r31, r19\n"
        " mul r25, r20\n add r31, r0\n"
        " tst r21\n breq 7f\n"
        " mul r22, r21\n add r27, r0\n adc r30, r1\n adc r31, r19\n"
        " mul r23, r21\n add r30, r0\n adc r31, r1\n"
        " mul r24, r21\n add r31, r0\n"
        "7: movw r22, r26\n movw r24, r30\n clr r1\n ret\n");
}

#define RNNC_SCALED
static inline int32_t rnnc_scaled(int32_t a, uint32_t scale)
{
    return rnnc_avr_scaled(a, scale);
}

/* u d + 2^14 >> 15, |u| <= 32768: of 48 bits r24 .. r27 r30 r31 the upper 32, one bit to the left. r18 zero. */
__attribute__((naked, noinline, noclone, unused)) static int32_t
rnnc_avr_mul15(RNNC_UNUSED int32_t u, RNNC_UNUSED int32_t d)
{
    __asm__ volatile(
        "tst r25\n brpl 1f\n"
        " com r23\n neg r22\n sbci r23, 0xFF\n" /* -u times -d */
        " com r21\n com r20\n com r19\n neg r18\n"
        " sbci r19, 0xFF\n sbci r20, 0xFF\n sbci r21, 0xFF\n"
        "1: mul r22, r18\n movw r24, r0\n"
        " mul r22, r20\n movw r26, r0\n"
        " mul r23, r21\n movw r30, r0\n"
        " mul r23, r18\n clr r18\n"
        " add r25, r0\n adc r26, r1\n adc r27, r18\n adc r30, r18\n adc r31, r18\n"
        " mul r22, r19\n"
        " add r25, r0\n adc r26, r1\n adc r27, r18\n adc r30, r18\n adc r31, r18\n"
        " mul r23, r19\n add r26, r0\n adc r27, r1\n adc r30, r18\n adc r31, r18\n"
        " mul r22, r21\n add r27, r0\n adc r30, r1\n adc r31, r18\n"
        " mul r23, r20\n add r27, r0\n adc r30, r1\n adc r31, r18\n"
        " tst r21\n brpl 2f\n sub r30, r22\n sbc r31, r23\n" /* d was taken as d + 2^32 */
        "2: subi r25, 0xC0\n sbci r26, 0xFF\n sbci r27, 0xFF\n sbci r30, 0xFF\n"
        " sbci r31, 0xFF\n"
        " lsl r25\n rol r26\n rol r27\n rol r30\n rol r31\n"
        " movw r22, r26\n movw r24, r30\n clr r1\n ret\n");
}

/* x >> n: whole bytes, then of the bytes that are left bit by bit; the last bit of a byte by one shift to the left. */
#define RNNC_RIGHT
static inline __attribute__((always_inline)) int32_t rnnc_right(int32_t x, uint8_t n)
{
    uint8_t i;
    if (n == 7) {
        __asm__(
            "lsl %A0\n rol %B0\n rol %C0\n rol %D0\n mov %A0, %B0\n mov %B0, %C0\n mov %C0, %D0\n"
            " sbc %D0, %D0"
            : "+r"(x));
    } else if (n == 15) {
        __asm__("lsl %B0\n rol %C0\n rol %D0\n mov %A0, %C0\n mov %B0, %D0\n sbc %C0, %C0\n mov "
                "%D0, %C0"
                : "+r"(x));
    } else {
        x >>= n & ~7;
        for (i = 0; i < (n & 7); i++) {
            if (n < 8) {
                __asm__("asr %D0\n ror %C0\n ror %B0\n ror %A0" : "+r"(x));
            } else if (n < 16) {
                __asm__("asr %C0\n ror %B0\n ror %A0" : "+r"(x));
            } else {
                __asm__("asr %B0\n ror %A0" : "+r"(x));
            }
        }
    }
    return x;
}

#define RNNC_MUL15
static inline int32_t rnnc_mul15(int32_t u, int32_t d)
{
    return rnnc_avr_mul15(u, d);
}

/* The line of the interval of |a|, 8 more fraction bits than intervals have, at most 192 of them: y shifted to the left by
 * `bits` and to the right by 16, with a's sign. r20:r21 lines, r18:r19 slopes; r22 what is beyond the interval's begin; r27 zero;
 * y in r20 r21 r24 r25. */
#define RNNC_AVR_LINE(name, bits)                                                                  \
    __attribute__((naked, noinline, noclone, unused)) static int16_t name(                         \
        RNNC_UNUSED int32_t a, RNNC_UNUSED const int32_t *line, RNNC_UNUSED const uint16_t *slope) \
    {                                                                                              \
        __asm__ volatile(                                                                          \
            "bst r25, 7\n brtc 1f\n com r25\n com r24\n com r23\n neg r22\n"                       \
            " sbci r23, 0xFF\n sbci r24, 0xFF\n sbci r25, 0xFF\n"                                  \
            "1: or r24, r25\n brne 2f\n cpi r23, 193\n brlo 3f\n"                                  \
            "2: ldi r23, 192\n"                                                                    \
            "3: mov r26, r23\n clr r27\n lsl r26\n rol r27\n"                                      \
            " movw r30, r26\n lsl r30\n rol r31\n add r30, r20\n adc r31, r21\n"                   \
            " lpm r20, Z+\n lpm r21, Z+\n lpm r24, Z+\n lpm r25, Z\n"                              \
            " movw r30, r18\n add r30, r26\n adc r31, r27\n"                                       \
            " lpm r18, Z+\n lpm r19, Z\n clr r27\n"                                                \
            " mul r18, r22\n add r20, r0\n adc r21, r1\n adc r24, r27\n adc r25, r27\n"            \
            " mul r19, r22\n add r21, r0\n adc r24, r1\n adc r25, r27\n"                           \
            " lsl r20\n rol r21\n rol r24\n rol r25\n" bits                                        \
            " brtc 4f\n com r25\n neg r24\n sbci r25, 0xFF\n"                                      \
            "4: clr r1\n ret\n");                                                                  \
    }
#define RNNC_AVR_LEFT "lsl r20\n rol r21\n rol r24\n rol r25\n"
RNNC_AVR_LINE(rnnc_avr_sigmoid, RNNC_AVR_LEFT)
RNNC_AVR_LINE(rnnc_avr_tanh, RNNC_AVR_LEFT RNNC_AVR_LEFT)

#define RNNC_CURVES 192 /* intervals of the tables, each of 2^8 arguments */
static inline int32_t rnnc_sigmoid_by(int32_t p, const int32_t *line, const uint16_t *slope)
{
    return (int32_t)(uint16_t)((uint16_t)rnnc_avr_sigmoid(p, line, slope) + 16384u);
}

static inline int32_t rnnc_tanh_by(int32_t p, const int32_t *line, const uint16_t *slope)
{
    return rnnc_avr_tanh((int32_t)((uint32_t)p << 1), line, slope);
}

#pragma GCC diagnostic pop
#endif
