/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_SERIAL_H
#define RNNC_SERIAL_H
/* The board's side of `rnnc verify --port` and `rnnc bench --port`: requests in, answers out, one at a time.
 *
 * A packet is END, a type, a sequence number of 2 bytes, its content, the CRC-32 of all these, END twice, as one may be lost;
 * numbers are little-endian. Within a packet END is sent as ESC ESC_END and ESC as ESC ESC_ESC (SLIP, RFC 1055): after noise the next END starts anew.
 * A request with the number of the one before is that one, sent again as its answer was lost: the same answer goes out, and
 * the network does not step twice. */
#include "blob.h"

#define RNNC_SERIAL_PROTOCOL 2
#define RNNC_SERIAL_HEAD 3                                   /* bytes: type, sequence number */
#define RNNC_SERIAL_LEAST (RNNC_SERIAL_HEAD + RNNC_BLOB_CRC) /* bytes of a packet without content */
#define RNNC_SERIAL_END 0xc0
#define RNNC_SERIAL_ESC 0xdb
#define RNNC_SERIAL_ESC_END 0xdc
#define RNNC_SERIAL_ESC_ESC 0xdd

/* Bytes of the longest request where the inputs have so many. */
#define RNNC_SERIAL_ROOM(bytes) (RNNC_SERIAL_LEAST + ((bytes) < 4 ? 4 : (bytes)))

/* Types of packets. */
#define RNNC_SERIAL_HELLO 'H' /* who is there; answered by 'h' */
#define RNNC_SERIAL_OTHER \
    'O' /* not this network; content: its id; answered by 'o' before the next one is served */
#define RNNC_SERIAL_RESET 'R'   /* starts a stream; answered by 'r' */
#define RNNC_SERIAL_STEP 'S'    /* content: the inputs; answered by 'a' */
#define RNNC_SERIAL_FLUSH 'F'   /* what the network owes at the end; answered by 'a' */
#define RNNC_SERIAL_DAMAGED 'd' /* what came is no packet: send it again */
#define RNNC_SERIAL_LOST 'l'    /* not the request that follows: the board has started anew */
#define RNNC_SERIAL_OVER 0      /* no packet: the line has ended */
#define RNNC_SERIAL_AGAIN 1     /* no packet: the last answer is to be sent again */

/* The line, and what was last asked. */
typedef struct {
    int (*get)(
        void); /* waits for a byte and returns it, 0 .. 255; negative where the line has ended */
    void (*put)(int); /* sends a byte, 0 .. 255 */
    uint32_t crc;     /* of the packet that is being sent */
    uint16_t number;  /* of the last request that was answered */
    uint8_t begun;    /* whether there was one since the board's start */
    uint8_t type;     /* of it */
} rnnc_serial;

static inline void rnnc_serial_escaped(const rnnc_serial *line, uint8_t byte)
{
    if (byte == RNNC_SERIAL_END || byte == RNNC_SERIAL_ESC) {
        line->put(RNNC_SERIAL_ESC);
        line->put(byte == RNNC_SERIAL_END ? RNNC_SERIAL_ESC_END : RNNC_SERIAL_ESC_ESC);
    } else {
        line->put(byte);
    }
}

static inline void rnnc_serial_put(rnnc_serial *line, uint8_t byte)
{
    line->crc = rnnc_crc32_of(line->crc, byte);
    rnnc_serial_escaped(line, byte);
}

static inline void rnnc_serial_put16(rnnc_serial *line, uint16_t x)
{
    rnnc_serial_put(line, (uint8_t)(x & 255u));
    rnnc_serial_put(line, (uint8_t)(x >> 8));
}

static inline void rnnc_serial_put32(rnnc_serial *line, uint32_t x)
{
    rnnc_serial_put16(line, (uint16_t)(x & 0xffffu));
    rnnc_serial_put16(line, (uint16_t)(x >> 16));
}

/* With the 0 at its end. */
static inline void rnnc_serial_text(rnnc_serial *line, const char *text)
{
    do {
        rnnc_serial_put(line, (uint8_t)*text);
    } while (*text++);
}

/* n elements of a port, as they are written in C. */
static inline void rnnc_serial_values8(rnnc_serial *line, const int8_t *v, size_t n)
{
    while (n--) {
        rnnc_serial_put(line, (uint8_t)*v++);
    }
}

static inline void rnnc_serial_values16(rnnc_serial *line, const int16_t *v, size_t n)
{
    while (n--) {
        rnnc_serial_put16(line, (uint16_t)*v++);
    }
}

static inline void rnnc_serial_values32(rnnc_serial *line, const int32_t *v, size_t n)
{
    while (n--) {
        rnnc_serial_put32(line, (uint32_t)*v++);
    }
}

static inline void rnnc_serial_begin(rnnc_serial *line, uint8_t type, uint16_t number)
{
    line->put(RNNC_SERIAL_END);
    line->crc = 0xffffffffu;
    rnnc_serial_put(line, type);
    rnnc_serial_put16(line, number);
}

static inline void rnnc_serial_end(rnnc_serial *line)
{
    uint32_t crc = ~line->crc;
    int i;
    for (i = 0; i < 4; i++, crc >>= 8) {
        rnnc_serial_escaped(line, (uint8_t)(crc & 255u));
    }
    line->put(RNNC_SERIAL_END);
    line->put(RNNC_SERIAL_END);
}

static inline void rnnc_serial_say(rnnc_serial *line, uint8_t type, uint16_t number)
{
    rnnc_serial_begin(line, type, number);
    rnnc_serial_end(line);
}

/* Waits for a packet and puts it into packet [size]; returns its bytes without the CRC, 0 where what came is none, -1 where the
 * line has ended. */
static inline int32_t rnnc_serial_packet(const rnnc_serial *line, uint8_t *packet, size_t size)
{
    size_t n = 0;
    int byte, escaped = 0;
    for (;;) {
        byte = line->get();
        if (byte < 0) {
            return -1;
        }
        if (byte == RNNC_SERIAL_END) {
            if (n) {
                int whole = n >= RNNC_SERIAL_LEAST && n <= size && rnnc_blob_sealed(packet, n);
                return whole ? (int32_t)(n - RNNC_BLOB_CRC) : 0;
            }
        } else if (byte == RNNC_SERIAL_ESC) {
            escaped = 1;
        } else {
            byte = !escaped                      ? byte
                   : byte == RNNC_SERIAL_ESC_END ? RNNC_SERIAL_END
                                                 : RNNC_SERIAL_ESC;
            escaped = 0;
            if (n < size) {
                packet[n] = (uint8_t)byte;
            }
            n += n <= size;
        }
    }
}

/* Waits for the next request that the network has something to do for, of inputs of `bytes`, and returns its type; what was
 * damaged, lost or sent again is answered here. RNNC_SERIAL_AGAIN: send the answer to the last STEP or FLUSH once more. */
static inline uint8_t rnnc_serial_request(rnnc_serial *line, uint8_t *packet, size_t bytes)
{
    for (;;) {
        int32_t n = rnnc_serial_packet(line, packet, RNNC_SERIAL_ROOM(bytes));
        uint16_t number = 0;
        uint8_t type = n > 0 ? packet[0] : 0;
        if (n < 0) {
            return RNNC_SERIAL_OVER;
        }
        if (n > 0) {
            (void)rnnc_read_u16(&number, packet + 1);
        }
        if (n > 0 && (type == RNNC_SERIAL_HELLO ||
                      (type == RNNC_SERIAL_OTHER && n == RNNC_SERIAL_HEAD + 4))) {
            line->number = number;
            return type;
        }
        if (n > 0 && type == RNNC_SERIAL_RESET) {
            line->begun = 1;
            line->number = number;
            line->type = type;
            return type;
        }
        if (n != (int32_t)(RNNC_SERIAL_HEAD + (type == RNNC_SERIAL_STEP ? bytes : 0)) ||
            (type != RNNC_SERIAL_STEP && type != RNNC_SERIAL_FLUSH)) {
            rnnc_serial_say(line, RNNC_SERIAL_DAMAGED, 0);
        } else if (line->begun && number == line->number && type == line->type) {
            return RNNC_SERIAL_AGAIN;
        } else if (!line->begun || number != (uint16_t)(line->number + 1u)) {
            rnnc_serial_say(line, RNNC_SERIAL_LOST, number);
        } else {
            line->number = number;
            line->type = type;
            return type;
        }
    }
}

#endif
