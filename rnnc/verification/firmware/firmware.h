/* SPDX-License-Identifier: 0BSD */
#ifndef FIRMWARE_H
#define FIRMWARE_H
/* What the measured program needs of its board. Each board's start file defines these. */
#include <stdint.h>

void board_print(const char *text);
void board_exit(int code);

/* A step runs between these two; the emulator counts the instructions from the one's first to the other's first. */
void count_begin(void);
void count_end(void);

#endif
