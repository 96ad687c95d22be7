/* SPDX-License-Identifier: 0BSD */
/* Start of an RV32 machine under `qemu-system-riscv32 -M virt -bios none`. */
#include <stdint.h>

#include "board.h"

__asm__(".section .text.start,\"ax\"\n"
        ".globl _start\n"
        "_start:\n"
        ".option push\n.option norelax\n la gp, __global_pointer$\n.option pop\n"
        " la sp, board_stack_top\n"
        " la a0, board_bss_start\n"
        " la a1, board_bss_end\n"
        "1: bgeu a0, a1, 2f\n sw zero, 0(a0)\n addi a0, a0, 4\n j 1b\n"
        "2: call main\n call board_exit\n");

void board_print(const char *text)
{
    while (*text) {
        *(volatile uint8_t *)0x10000000u = (uint8_t)*text++; /* ns16550 */
    }
}

void board_exit(int code)
{
    *(volatile uint32_t *)0x100000u =
        code ? ((uint32_t)code << 16 | 0x3333u) : 0x5555u; /* SiFive test device */
    for (;;) {
    }
}
