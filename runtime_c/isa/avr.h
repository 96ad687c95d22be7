/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AVR_H
#define RNNC_ISA_AVR_H
/* AVR: constants stay in program memory; rows one after the other. A taken operand is int16, whatever it was. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "avr_rom.h"

#if defined(__AVR_HAVE_MUL__)
/* The sum over one row, 8 by 16 bits into 32: n products of three 8-bit multiplications each.
 * Returns the address behind its weights; *v is left where it was. */
static inline const int8_t *rnnc_avr_row(int32_t *sum, const int8_t *w, const int16_t *v,
                                         uint16_t n)
{
    int32_t a = 0;
    uint8_t weight, low, high;
    __asm__("1:\n\t"
            "lpm %[weight], Z+\n\t"
            "ld %[low], %a[v]+\n\t"
            "ld %[high], %a[v]+\n\t"
            "mulsu %[weight], %[low]\n\t" /* signed weight by the unsigned low byte */
            "sbc %[low], %[low]\n\t"      /* its sign: carry is bit 15 of the product */
            "add %A[a], r0\n\t"
            "adc %B[a], r1\n\t"
            "adc %C[a], %[low]\n\t"
            "adc %D[a], %[low]\n\t"
            "muls %[weight], %[high]\n\t"
            "sbc %[low], %[low]\n\t"
            "add %B[a], r0\n\t"
            "adc %C[a], r1\n\t"
            "adc %D[a], %[low]\n\t"
            "sbiw %[n], 1\n\t"
            "brne 1b\n\t"
            "clr r1"
            : [a] "+r"(a), [n] "+w"(n),
              "+z"(w), [v] "+x"(v), [weight] "=&a"(weight), [low] "=&a"(low), [high] "=&a"(high)
            :
            : "r0", "memory");
    *sum = a;
    return w;
}
#else
static inline const int8_t *rnnc_avr_row(int32_t *sum, const int8_t *w, const int16_t *v,
                                         uint16_t n)
{
    int32_t a = 0;
    for (; n; n--) {
        a += rnnc_rom_i8(w++) * (int32_t)*v++;
    }
    *sum = a;
    return w;
}
#endif

#define RNNC_GROUP 1
#define RNNC_LANES 1

static inline void rnnc_take(void *operand, const void *x, uint8_t bits, uint16_t columns)
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
    for (; rows; rows--) {
        w = rnnc_avr_row(acc++, w, (const int16_t *)v, columns);
    }
    return w;
}

#endif
