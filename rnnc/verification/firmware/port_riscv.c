/* SPDX-License-Identifier: 0BSD */
/* The serial line of QEMU's RISC-V machine, an ns16550, and the cycle counter of any RV32. For another part write
 * board_serial, board_get and board_put anew. */
#include "port.h"

#define UART(offset) (*(volatile uint8_t *)(0x10000000u + (offset)))

void board_serial(void)
{
}

int board_get(void)
{
    while (!(UART(5) & 1u)) {
    }
    return UART(0);
}

void board_put(int byte)
{
    while (!(UART(5) & 0x20u)) {
    }
    UART(0) = (uint8_t)byte;
}

uint32_t board_ticks(void)
{
    uint32_t cycles;
    __asm__ volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, mcycle\n\t.option pop" : "=r"(cycles));
    return cycles;
}

const char *board_counter(void)
{
    return "mcycle";
}
