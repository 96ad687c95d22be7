/* SPDX-License-Identifier: 0BSD */
/* The serial line and the cycle counter of a Cortex-M.
 *
 * The line is the UART of the emulated machine: Arm's CMSDK UART at BOARD_UART, or that of an nRF51 at BOARD_NRF_UART (a real
 * BBC micro:bit, too). For another part write board_serial, board_get and board_put anew, over its UART or USB.
 *
 * Cycles are counted by the DWT of M3 and above, if it counts (emulators have none), else by SysTick, which interrupts a step
 * each 2^24 cycles. */
#include "port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#if defined(BOARD_NRF_UART)
void board_serial(void)
{
    REGISTER(BOARD_NRF_UART + 0x50cu) = 24;          /* TXD of the micro:bit */
    REGISTER(BOARD_NRF_UART + 0x514u) = 25;          /* RXD */
    REGISTER(BOARD_NRF_UART + 0x524u) = 0x01d7e000u; /* 115200 baud */
    REGISTER(BOARD_NRF_UART + 0x500u) = 4;
    REGISTER(BOARD_NRF_UART + 0x000u) = 1;
    REGISTER(BOARD_NRF_UART + 0x008u) = 1;
    REGISTER(0x40008508u) = 3; /* TIMER0: 32 bits, 16 MHz */
    REGISTER(0x40008510u) = 0;
    REGISTER(0x40008000u) = 1;
}

int board_get(void)
{
    while (!REGISTER(BOARD_NRF_UART + 0x108u)) {
    }
    REGISTER(BOARD_NRF_UART + 0x108u) = 0;
    return (int)(REGISTER(BOARD_NRF_UART + 0x518u) & 255u);
}

void board_put(int byte)
{
    REGISTER(BOARD_NRF_UART + 0x11cu) = 0;
    REGISTER(BOARD_NRF_UART + 0x51cu) = (uint32_t)byte;
    while (!REGISTER(BOARD_NRF_UART + 0x11cu)) {
    }
}

/* An nRF51 has no SysTick: its TIMER0 runs at the core's clock. */
uint32_t board_ticks(void)
{
    REGISTER(0x40008040u) = 1; /* capture */
    return REGISTER(0x40008540u);
}

const char *board_counter(void)
{
    return "TIMER0";
}
#else
static volatile uint32_t wraps; /* of SysTick */
static int has_dwt;

void board_systick(void)
{
    wraps++;
}

static void start_counter(void)
{
#if __ARM_ARCH >= 7
    uint32_t before;
    REGISTER(0xe000edfcu) |= 1u << 24;   /* DEMCR: the DWT is on */
    REGISTER(0xe0001fb0u) = 0xc5acce55u; /* some M7 keep it locked */
    REGISTER(0xe0001000u) |= 1u;         /* DWT_CTRL: count cycles */
    before = REGISTER(0xe0001004u);
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop");
    has_dwt = REGISTER(0xe0001004u) != before;
#endif
    if (!has_dwt) {
        REGISTER(0xe000e014u) = 0xffffffu;
        REGISTER(0xe000e018u) = 0;
        REGISTER(0xe000e010u) = 7; /* on, at the core's clock, with its interrupt */
    }
}

uint32_t board_ticks(void)
{
    uint32_t high, low;
    if (has_dwt) {
        return REGISTER(0xe0001004u);
    }
    do {
        high = wraps;
        low = REGISTER(0xe000e018u);
    } while (high != wraps);
    return (high << 24) + (0xffffffu - low);
}

const char *board_counter(void)
{
    return has_dwt ? "DWT" : "SysTick";
}

void board_serial(void)
{
    REGISTER(BOARD_UART + 0x10u) = 217; /* divides a clock of 25 MHz to 115200 baud */
    REGISTER(BOARD_UART + 0x08u) = 3;   /* transmits and receives */
    start_counter();
}

int board_get(void)
{
    while (!(REGISTER(BOARD_UART + 0x04u) & 2u)) {
    }
    return (int)(REGISTER(BOARD_UART) & 255u);
}

void board_put(int byte)
{
    while (REGISTER(BOARD_UART + 0x04u) & 1u) {
    }
    REGISTER(BOARD_UART) = (uint32_t)byte;
}
#endif
