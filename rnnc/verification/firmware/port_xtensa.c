/* SPDX-License-Identifier: 0BSD */
/* The serial line of QEMU's Xtensa simulator, and the cycle counter of any Xtensa. For a part write board_get and board_put anew. */
#include "port.h"

#define SIMCALL_READ 3
#define SIMCALL_WRITE 4

static int simcall(int what, int file, uint8_t *byte)
{
    register int a2 __asm__("a2") = what;
    register int a3 __asm__("a3") = file;
    register uint8_t *a4 __asm__("a4") = byte;
    register int a5 __asm__("a5") = 1;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

void board_serial(void)
{
}

int board_get(void)
{
    uint8_t byte;
    while (simcall(SIMCALL_READ, 0, &byte) != 1) {
    }
    return byte;
}

void board_put(int byte)
{
    uint8_t sent = (uint8_t)byte;
    while (simcall(SIMCALL_WRITE, 1, &sent) != 1) {
    }
}

uint32_t board_ticks(void)
{
    uint32_t cycles;
    __asm__ volatile("rsr.ccount %0" : "=r"(cycles));
    return cycles;
}

const char *board_counter(void)
{
    return "CCOUNT";
}
