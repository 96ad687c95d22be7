/* SPDX-License-Identifier: 0BSD */
#ifndef PORT_H
#define PORT_H
/* What the firmware that serves a network over a serial line needs of its board; port.c of each kind defines it. */
#include <stdint.h>

#ifndef BOARD_HERTZ
#define BOARD_HERTZ 0u /* of the counter; 0: not known, and no milliseconds are shown */
#endif

/* Starts the serial line and the counter. */
void board_serial(void);

/* Waits for a byte and returns it. */
int board_get(void);

void board_put(int byte);

/* Reads the counter, which wraps at 2^32. */
uint32_t board_ticks(void);

/* Its name: "DWT", "SysTick", "TIMER0", "mcycle", "CCOUNT" and "Timer1" count clock cycles of the core. */
const char *board_counter(void);

#endif
