/* SPDX-License-Identifier: 0BSD */
/* Start of an Xtensa machine under `qemu-system-xtensa -M sim -semihosting`, and the functions of string.h: its compiler comes
 * without a C library. */
#include <stdint.h>
#include <string.h>

#include "board.h"

#define SIMCALL_EXIT 1
#define SIMCALL_WRITE 4
/* Loops stay loops: made into calls of memcpy and memset, they would call themselves. */
#define AS_WRITTEN __attribute__((optimize("no-tree-loop-distribute-patterns")))

/* Where the core starts, and where it ends up if anything goes wrong. */
__asm__(".section .vector.reset,\"ax\"\n"
        " j 2f\n"
        ".balign 4\n"
        "1: .word _start\n"
        "2: l32r a0, 1b\n jx a0\n"
        ".section .vector.exception,\"ax\"\n"
        " movi a2, 1\n movi a3, 255\n simcall\n"
        ".text\n");

__asm__(".section .text.start,\"ax\"\n"
        ".literal_position\n"
        ".globl _start\n"
        "_start:\n"
        " movi a1, board_stack_top\n"
        " movi a2, board_bss_start\n"
        " movi a3, board_bss_end\n"
        " movi a4, 0\n"
        "1: bgeu a2, a3, 2f\n s32i a4, a2, 0\n addi a2, a2, 4\n j 1b\n"
        "2: call0 main\n call0 board_exit\n"
        ".text\n");

static void simcall(int what, uintptr_t a, uintptr_t b, uintptr_t c)
{
    register uintptr_t a2 __asm__("a2") = (uintptr_t)what;
    register uintptr_t a3 __asm__("a3") = a;
    register uintptr_t a4 __asm__("a4") = b;
    register uintptr_t a5 __asm__("a5") = c;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
}

void board_print(const char *text)
{
    while (*text) {
        simcall(SIMCALL_WRITE, 1, (uintptr_t)text++, 1);
    }
}

void board_exit(int code)
{
    for (;;) {
        simcall(SIMCALL_EXIT, (uintptr_t)code, 0, 0);
    }
}

/* Words where both ends are words', else bytes. */
AS_WRITTEN void *memcpy(void *to, const void *from, size_t n)
{
    typedef uint32_t __attribute__((may_alias)) word;
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0) {
        for (; n >= 4; n -= 4, t += 4, f += 4) {
            *(word *)(void *)t = *(const word *)(const void *)f;
        }
    }
    while (n--) {
        *t++ = *f++;
    }
    return to;
}

AS_WRITTEN void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((uintptr_t)t - (uintptr_t)f >= n) {
        return memcpy(to, from, n);
    }
    while (n--) {
        t[n] = f[n];
    }
    return to;
}

AS_WRITTEN void *memset(void *to, int byte, size_t n)
{
    uint8_t *t = to;
    while (n--) {
        *t++ = (uint8_t)byte;
    }
    return to;
}

AS_WRITTEN int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;
    for (; n; n--, p++, q++) {
        if (*p != *q) {
            return *p < *q ? -1 : 1;
        }
    }
    return 0;
}
