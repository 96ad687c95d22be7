/* Runs an AVR program in simavr with its USART0 on stdin and stdout: avr_serial PROGRAM.elf [MCU] */
#include <fcntl.h>
#include <poll.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <string.h>
#include <unistd.h>

static int room = 1;

static void sent(avr_irq_t *irq, uint32_t value, void *user)
{
    uint8_t byte = (uint8_t)value;
    (void)irq;
    (void)user;
    if (write(1, &byte, 1) != 1) {
        _exit(1);
    }
}

static void takes(avr_irq_t *irq, uint32_t value, void *user)
{
    (void)irq;
    (void)value;
    (void)user;
    room = 1;
}

static void full(avr_irq_t *irq, uint32_t value, void *user)
{
    (void)irq;
    (void)value;
    (void)user;
    room = 0;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    avr_t *avr = avr_make_mcu_by_name(argc == 3 ? argv[2] : "atmega1284p");
    avr_irq_t *input;
    uint32_t flags = 0;
    int state = cpu_Running, k = 0;
    memset(&firmware, 0, sizeof firmware);
    if ((argc != 2 && argc != 3) || !avr || elf_read_firmware(argv[1], &firmware) != 0) {
        return 2;
    }
    avr_init(avr);
    avr->log = LOG_ERROR;
    firmware.frequency = 16000000;
    avr_load_firmware(avr, &firmware);
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POOL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), sent,
                            NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), takes,
                            NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), full,
                            NULL);
    while (state != cpu_Done && state != cpu_Crashed) {
        struct pollfd line = {0, POLLIN, 0};
        if (room && ++k % 256 == 0 && poll(&line, 1, 0) > 0) {
            uint8_t byte;
            if (read(0, &byte, 1) != 1) {
                return 0;
            }
            avr_raise_irq(input, byte);
        }
        state = avr_run(avr);
    }
    return 1;
}
