/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ISA_AVR_ROM_H
#define RNNC_ISA_AVR_ROM_H
/* AVR: constants are in program memory, within its first 64 KB: the linker puts .progmem.gcc* before all else. */
#if defined(__AVR__)
#include <avr/pgmspace.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef RNNC_PLACE
#define RNNC_PLACE __attribute__((section(".progmem.gcc.rnnc")))
#endif
#define RNNC_ROM RNNC_PLACE
#define RNNC_ROM_BUFFER(n) (n)
#define RNNC_PARAMS(type, symbol) ((const type *)memcpy_P(&(type){0}, &(symbol), sizeof(type)))

static inline int8_t rnnc_rom_i8(const int8_t *p)
{
    return (int8_t)pgm_read_byte(p);
}

static inline uint8_t rnnc_rom_u8(const uint8_t *p)
{
    return pgm_read_byte(p);
}

static inline uint16_t rnnc_rom_u16(const uint16_t *p)
{
    return pgm_read_word(p);
}

static inline int16_t rnnc_rom_i16(const int16_t *p)
{
    return (int16_t)pgm_read_word(p);
}

static inline int32_t rnnc_rom_i32(const int32_t *p)
{
    return (int32_t)pgm_read_dword(p);
}

static inline uint32_t rnnc_rom_u32(const uint32_t *p)
{
    return pgm_read_dword(p);
}

static inline const void *rnnc_rom_bytes(void *buffer, const void *p, size_t n)
{
    return memcpy_P(buffer, p, n);
}
#endif

#include "../rom.h"

#endif
