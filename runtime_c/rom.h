/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_ROM_H
#define RNNC_ROM_H
/* Where constants live and how they are read. A target with a separate program memory defines RNNC_ROM before. */
#include <stddef.h>
#include <stdint.h>

#ifndef RNNC_ALIGNED
#define RNNC_ALIGNED /* what a target asks of the addresses of constants */
#endif

#ifndef RNNC_ROM
#ifndef RNNC_PLACE
#define RNNC_PLACE /* a section that all constants of the network go to, by __attribute__ */
#endif
#define RNNC_ROM RNNC_PLACE
#define RNNC_ROM_BUFFER(n) 1 /* elements that a buffer of rnnc_rom_bytes needs for n */
#define RNNC_PARAMS(type, symbol) (&(symbol)) /* a parameter struct where the kernel can read it */
#ifdef __GNUC__
#define RNNC_KERNEL static inline __attribute__((always_inline))
#ifdef RNNC_ANYWHERE /* code that runs at any address: parameters are in the code, not in constants, which hold addresses */
#define RNNC_APART inline __attribute__((always_inline))
#else
#define RNNC_APART __attribute__((noinline))
#endif
#endif
static inline int8_t rnnc_rom_i8(const int8_t *p)
{
    return *p;
}

static inline uint8_t rnnc_rom_u8(const uint8_t *p)
{
    return *p;
}

static inline uint16_t rnnc_rom_u16(const uint16_t *p)
{
    return *p;
}

static inline int16_t rnnc_rom_i16(const int16_t *p)
{
    return *p;
}

static inline int32_t rnnc_rom_i32(const int32_t *p)
{
    return *p;
}

static inline uint32_t rnnc_rom_u32(const uint32_t *p)
{
    return *p;
}

/* n bytes of constants at p, where plain C can read them: there, or in buffer. */
static inline const void *rnnc_rom_bytes(void *buffer, const void *p, size_t n)
{
    (void)buffer;
    (void)n;
    return p;
}
#endif

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
#define RNNC_UNROLL _Pragma("GCC unroll 4") /* a short loop whose count the compiler knows */
#define RNNC_TWICE _Pragma("GCC unroll 2")
#else
#define RNNC_UNROLL
#define RNNC_TWICE
#endif
#ifndef RNNC_KERNEL
#define RNNC_KERNEL static inline /* into its caller, where the parameters are constants */
#define RNNC_APART                /* not into the step */
#endif

/* A weight of a wide row, int16: two bytes at any address, the low one first. */
static inline int16_t rnnc_rom_wide(const int8_t *w)
{
    uint16_t low = (uint8_t)rnnc_rom_i8(w), high = (uint8_t)rnnc_rom_i8(w + 1);
    return (int16_t)(uint16_t)(low | (uint16_t)(high << 8));
}

#endif
