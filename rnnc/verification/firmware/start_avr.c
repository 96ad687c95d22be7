/* SPDX-License-Identifier: 0BSD */
/* Output and exit of an AVR under simavr: what is written to GPIOR0 is printed, to GPIOR1 the exit code; then it sleeps for
 * ever. The start itself is that of avr-libc. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdint.h>

#include "board.h"

/* Tells simavr which register is its console, 11 its tag, 2 bytes of address; in no memory of the part. */
struct __attribute__((packed)) console {
    uint8_t tag, length;
    volatile void *address;
};
const struct console board_console __attribute__((section(".mmcu"))) = {11, 2, &GPIOR0};

void board_print(const char *text)
{
    for (; *text; text++) {
        if (*text == '\n') {
            GPIOR0 = '\r'; /* at which simavr prints the line */
        }
        GPIOR0 = (uint8_t)*text;
    }
}

void board_exit(int code)
{
    GPIOR1 = (uint8_t)code;
    cli();
    for (;;) {
        sleep_mode();
    }
}
