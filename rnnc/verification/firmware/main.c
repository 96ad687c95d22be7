/* SPDX-License-Identifier: 0BSD */
/* Runs a package's self-test with every step counted and the stack of each painted (firmware.h).
 * The wrapper around NAME_step, in wrap.c, is generated: it knows the parameters. */
#include "firmware.h"

int wrapped_selftest(void);
uint16_t stack_most;

__attribute__((noinline, used)) void count_begin(void)
{
    board_mark(4);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline, used)) void count_end(void)
{
    board_mark(8);
    __asm__ volatile("" ::: "memory");
}

/* By subtraction: a division would bring library functions that could be taken for the package's own. */
static void print_number(uint16_t n)
{
    static const uint16_t powers[] = {10000, 1000, 100, 10, 1};
    char text[6];
    int i, first = 0;
    for (i = 0; i < 5; i++) {
        text[i] = '0';
        for (; n >= powers[i]; n = (uint16_t)(n - powers[i])) {
            text[i]++;
        }
    }
    text[5] = 0;
    while (first < 4 && text[first] == '0') {
        first++;
    }
    board_print(&text[first]);
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
