/* SPDX-License-Identifier: 0BSD */
/* Output and exit of an AVR under simavr: general purpose I/O registers that avr_runner.c watches. */
#include <avr/io.h>

#include "firmware.h"

void board_print(const char *text)
{
    while (*text) {
        GPIOR0 = (uint8_t)*text++;
    }
}

void board_exit(int code)
{
    GPIOR1 = (uint8_t)code;
    for (;;) {
    }
}
