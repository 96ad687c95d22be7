/* SPDX-License-Identifier: 0BSD */
/* Runs a package's self-test with every step counted and the stack of each painted.
 * The wrapper around NAME_step, in wrap.c, is generated: it knows the parameters. */
#include "firmware.h"

int wrapped_selftest(void);
uint16_t stack_most;

#define PAINTED 1536 /* bytes below the caller's frame */
#define COLOUR 0xA5u

__attribute__((noinline, used)) void count_begin(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline, used)) void count_end(void)
{
    __asm__ volatile("" ::: "memory");
}

/* frame: of the wrapper. The few bytes next to it are this function's own. */
__attribute__((noinline)) void stack_paint(volatile uint8_t *frame)
{
    volatile uint8_t *p;
    for (p = frame - PAINTED; p < frame - 48; p++) {
        *p = COLOUR;
    }
}

__attribute__((noinline)) void stack_look(volatile uint8_t *frame)
{
    volatile uint8_t *p = frame - PAINTED;
    while (p < frame && *p == COLOUR) {
        p++;
    }
    if ((uint16_t)(frame - p) > stack_most) {
        stack_most = (uint16_t)(frame - p);
    }
}

static void print_number(uint16_t n)
{
    char text[8];
    int i = 7;
    text[7] = 0;
    do {
        text[--i] = (char)('0' + n % 10);
        n = (uint16_t)(n / 10);
    } while (n);
    board_print(&text[i]);
}

int main(void)
{
    int step = wrapped_selftest();
    board_print("stack ");
    print_number(stack_most);
    board_print("\nselftest ");
    print_number((uint16_t)step);
    board_print("\n");
    board_exit(step != 0);
    return 0;
}
