/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_BLOB_H
#define RNNC_BLOB_H
/* A saved state: "RNNC", model id, format, the states, and a CRC-32 of all before it; every number little-endian. */
#include <stddef.h>
#include <stdint.h>

#define RNNC_BLOB_HEADER 12 /* bytes: 4 of magic, 4 of model id, 4 of format */
#define RNNC_BLOB_CRC 4     /* bytes */
#define RNNC_BLOB_FORMAT \
    1 /* goes up where what a blob means changes: other versions of rnnc read it until then */

static inline uint8_t *rnnc_write_u32(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x & 255u);
    p[1] = (uint8_t)((x >> 8) & 255u);
    p[2] = (uint8_t)((x >> 16) & 255u);
    p[3] = (uint8_t)(x >> 24);
    return p + 4;
}

static inline uint32_t rnnc_read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* CRC-32 (IEEE 802.3), bit by bit: starts as 0xffffffff, ends inverted. */
static inline uint32_t rnnc_crc32_of(uint32_t crc, uint8_t byte)
{
    int bit;
    crc ^= byte;
    for (bit = 0; bit < 8; bit++) {
        crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
    }
    return crc;
}

static inline uint32_t rnnc_crc32(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffffu;
    size_t i;
    for (i = 0; i < n; i++) {
        crc = rnnc_crc32_of(crc, p[i]);
    }
    return ~crc;
}

static inline uint8_t *rnnc_blob_header(uint8_t *blob, uint32_t model)
{
    uint8_t *p = rnnc_write_u32(blob, 0x434e4e52u); /* "RNNC" */
    p = rnnc_write_u32(p, model);
    return rnnc_write_u32(p, RNNC_BLOB_FORMAT);
}

static inline int rnnc_blob_is(const uint8_t *blob, uint32_t model)
{
    return rnnc_read_u32(blob) == 0x434e4e52u && rnnc_read_u32(blob + 4) == model &&
           rnnc_read_u32(blob + 8) == RNNC_BLOB_FORMAT;
}

static inline size_t rnnc_blob_seal(const uint8_t *blob, uint8_t *end)
{
    size_t n = (size_t)(end - blob);
    (void)rnnc_write_u32(end, rnnc_crc32(blob, n));
    return n + RNNC_BLOB_CRC;
}

/* n: of the whole blob, at least RNNC_BLOB_HEADER + RNNC_BLOB_CRC. */
static inline int rnnc_blob_sealed(const uint8_t *blob, size_t n)
{
    return rnnc_read_u32(blob + n - RNNC_BLOB_CRC) == rnnc_crc32(blob, n - RNNC_BLOB_CRC);
}

static inline uint8_t *rnnc_write_u16(uint8_t *p, uint16_t x)
{
    p[0] = (uint8_t)(x & 255u);
    p[1] = (uint8_t)(x >> 8);
    return p + 2;
}

static inline const uint8_t *rnnc_read_u16(uint16_t *x, const uint8_t *p)
{
    *x = (uint16_t)((uint16_t)p[0] | (uint16_t)p[1] << 8);
    return p + 2;
}

static inline uint8_t *rnnc_write8(uint8_t *p, const int8_t *v, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        p[i] = (uint8_t)v[i];
    }
    return p + n;
}

static inline uint8_t *rnnc_write16(uint8_t *p, const int16_t *v, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        uint16_t x = (uint16_t)v[i];
        *p++ = (uint8_t)(x & 255u);
        *p++ = (uint8_t)(x >> 8);
    }
    return p;
}

static inline uint8_t *rnnc_write32(uint8_t *p, const int32_t *v, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        p = rnnc_write_u32(p, (uint32_t)v[i]);
    }
    return p;
}

static inline const uint8_t *rnnc_read8(int8_t *v, const uint8_t *p, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        v[i] = (int8_t)(p[i] < 128 ? p[i] : p[i] - 256);
    }
    return p + n;
}

static inline const uint8_t *rnnc_read16(int16_t *v, const uint8_t *p, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++, p += 2) {
        int32_t x = (int32_t)p[0] | (int32_t)p[1] << 8;
        v[i] = (int16_t)(x < 32768 ? x : x - 65536);
    }
    return p;
}

static inline const uint8_t *rnnc_read32(int32_t *v, const uint8_t *p, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++, p += 4) {
        uint32_t x = rnnc_read_u32(p);
        v[i] = x < 0x80000000u ? (int32_t)x : -(int32_t)(0xffffffffu - x) - 1;
    }
    return p;
}

#endif
