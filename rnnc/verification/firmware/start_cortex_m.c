/* SPDX-License-Identifier: 0BSD */
/* Start of any Cortex-M. Output and exit are semihosting's: an emulator's or a debugger's, without which bkpt is a fault. */
#include <stdint.h>

#include "board.h"

extern uint32_t board_stack_top, board_data_load, board_data_start, board_data_end, board_bss_start,
    board_bss_end;
int main(void);

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text)
{
    (void)semihost(0x04, text); /* SYS_WRITE0 */
}

void board_exit(int code)
{
    uint32_t block[2] = {0x20026u, 0}; /* ADP_Stopped_ApplicationExit */
    block[1] = (uint32_t)code;
    (void)semihost(0x20, block); /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

void board_reset(void)
{
    uint32_t *p, *from = &board_data_load;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: coprocessors 10 and 11 */
    __asm__ volatile("dsb\n\tisb");
#endif
    for (p = &board_data_start; p < &board_data_end; p++) {
        *p = *from++;
    }
    for (p = &board_bss_start; p < &board_bss_end; p++) {
        *p = 0;
    }
    board_exit(main());
}

static void board_fault(void)
{
    board_print("fault\n");
    board_exit(99);
}

__attribute__((weak)) void board_systick(void)
{
    board_fault();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &board_stack_top,
    (void *)board_reset,
    (void *)board_fault,
    (void *)board_fault,
    (void *)board_fault,
    (void *)board_fault,
    (void *)board_fault,
    (void *)board_fault,
    0,
    0,
    0,
    (void *)board_fault,
    (void *)board_fault,
    0,
    (void *)board_fault,
    (void *)board_systick,
};
