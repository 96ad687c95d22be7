/* SPDX-License-Identifier: 0BSD */
/* The serial line, USART0 at BOARD_BAUD, and the cycle counter, Timer1 with its overflows, of an ATmega. An overflow interrupts
 * a step each 65536 cycles. */
#include <avr/interrupt.h>
#include <avr/io.h>

#include "port.h"

#ifndef BOARD_BAUD
#define BOARD_BAUD 115200ul
#endif

static volatile uint16_t overflows;

ISR(TIMER1_OVF_vect)
{
    overflows++;
}

void board_serial(void)
{
    UBRR0 = (uint16_t)((BOARD_HERTZ / 4 / BOARD_BAUD - 1) / 2);
    UCSR0A = 1 << U2X0;
    UCSR0B = 1 << RXEN0 | 1 << TXEN0;
    TCCR1B = 1 << CS10;
    TIMSK1 = 1 << TOIE1;
    sei();
}

int board_get(void)
{
    while (!(UCSR0A & 1 << RXC0)) {
    }
    return UDR0;
}

void board_put(int byte)
{
    while (!(UCSR0A & 1 << UDRE0)) {
    }
    UDR0 = (uint8_t)byte;
}

uint32_t board_ticks(void)
{
    uint16_t low, high;
    uint8_t enabled = SREG;
    cli();
    low = TCNT1;
    high = overflows;
    if ((TIFR1 & 1 << TOV1) && low < 0x8000u) {
        high++; /* it has overflowed, and the interrupt waits */
    }
    SREG = enabled;
    return (uint32_t)high << 16 | low;
}

const char *board_counter(void)
{
    return "Timer1";
}
