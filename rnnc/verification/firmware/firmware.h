/* SPDX-License-Identifier: 0BSD */
#ifndef FIRMWARE_H
#define FIRMWARE_H
/* What the measured program needs of its board. Each board's start file defines these. */
#include <stdint.h>

void board_print(const char *text);
void board_exit(int code);

/* Where the caller's frame ends and that of what it calls begins. */
#if defined(__riscv)
#define board_frame(p) __asm__ volatile("mv %0, sp" : "=r"(p))
#else
#define board_frame(p) ((p) = (volatile uint8_t *)__builtin_frame_address(0))
#endif

/* A step runs between these two; the emulator counts the instructions from the one's first to the other's first. */
void count_begin(void);
void count_end(void);

#endif
