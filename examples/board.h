/* SPDX-License-Identifier: 0BSD */
/* What the examples' firmware needs of a board: one function that puts out a character. */
#ifndef EXAMPLES_BOARD_H
#define EXAMPLES_BOARD_H
#include <stdint.h>

#if defined(__GNUC__)
#define WEAK __attribute__((weak)) /* the board's function replaces the one below */
#else
#define WEAK
#endif

/* The board's: a UART, a display, semihosting. */
void board_put(char character);

/* Stand-in, so that an example links before there is a board. */
WEAK void board_put(char character)
{
    (void)character;
}

static inline void say(const char *text)
{
    while (*text) {
        board_put(*text++);
    }
}

static inline void say_number(uint32_t number)
{
    char digits[10]; /* 4294967295 */
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number != 0);
    while (count > 0) {
        board_put(digits[--count]);
    }
}

/* number / 1000, with three digits after the point. */
static inline void say_thousandths(uint32_t number)
{
    const uint32_t rest = number % 1000u;
    say_number(number / 1000u);
    board_put('.');
    board_put((char)('0' + rest / 100u));
    board_put((char)('0' + rest / 10u % 10u));
    board_put((char)('0' + rest % 10u));
}

#endif
