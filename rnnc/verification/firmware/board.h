/* SPDX-License-Identifier: 0BSD */
#ifndef BOARD_H
#define BOARD_H
/* What firmware needs of its board; start.c of each kind defines it. Under an emulator text and exit code are the emulator's. */

void board_print(const char *text);
void board_exit(int code);

#endif
