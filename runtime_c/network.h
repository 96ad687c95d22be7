/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_NETWORK_H
#define RNNC_NETWORK_H
/* A network as a file of bytes (rnnc compile --package blob) that firmware checks and calls wherever it lies. It has no data of
 * its own: all that it changes is the state that its caller keeps. */
#include "blob.h"

#define RNNC_NETWORK_MAGIC 0x424e4e52u /* "RNNB" */
#define RNNC_NETWORK_FORMAT 1u
#define RNNC_NETWORK_ALIGNED 16u /* an address that it can lie at is a multiple of this */

/* What code asks of its core, a bit each: of a blob, what it was compiled for; of firmware, what its core has. */
#if defined(__thumb__)
#define RNNC_NETWORK_THUMB2 2u
#define RNNC_NETWORK_DSP 4u
#define RNNC_NETWORK_MVE 8u
#if defined(__ARM_FEATURE_MVE)
#define RNNC_NETWORK_CORE 15u
#elif defined(__ARM_FEATURE_DSP)
#define RNNC_NETWORK_CORE 7u
#elif defined(__thumb2__)
#define RNNC_NETWORK_CORE 3u
#else
#define RNNC_NETWORK_CORE 1u
#endif
#elif defined(__riscv) && defined(__riscv_compressed) && defined(__riscv_mul)
#define RNNC_NETWORK_CORE 0x100u
#else
#define RNNC_NETWORK_CORE 0u /* no blob runs here: each is refused */
#endif

/* What a blob begins with. Functions are offsets from its start. */
typedef struct {
    uint32_t magic, format;
    uint32_t model;           /* NAME_MODEL_ID */
    uint32_t formats;         /* of what inputs and outputs mean: NAME_FORMATS */
    uint32_t core;            /* what it asks of the core */
    uint32_t state_bytes;     /* of a stream */
    uint32_t inputs, outputs; /* how many */
    uint32_t bytes;           /* of the blob, its CRC-32 at the end included */
    uint32_t reset, step;
    uint32_t flush; /* 0: there is none */
    uint32_t reserved[4];
} rnnc_network;

enum {
    RNNC_NETWORK_OK = 0,
    RNNC_NETWORK_FOREIGN = -1,   /* no network, or of another format than this firmware knows */
    RNNC_NETWORK_TRUNCATED = -2, /* longer than the room that it lies in */
    RNNC_NETWORK_CORRUPT = -3,   /* the check sum is wrong */
    RNNC_NETWORK_CORE_LACKS =
        -4,                     /* compiled for a core with more instructions, or of another kind */
    RNNC_NETWORK_PORTS = -5,    /* its inputs or outputs mean something else */
    RNNC_NETWORK_STATE = -6,    /* its state needs more bytes than there are */
    RNNC_NETWORK_UNALIGNED = -7 /* it does not lie at a multiple of RNNC_NETWORK_ALIGNED */
};

/* Whether the `room` bytes at `at` begin with a network that this firmware can call: RNNC_NETWORK_OK, or why not.
 *
 * formats: NAME_FORMATS of NAME_blob.h that the firmware was written for; state_bytes: what it has for the state. */
static inline int rnnc_network_check(const void *at, size_t room, uint32_t formats,
                                     size_t state_bytes)
{
    const rnnc_network *n = (const rnnc_network *)at;
    if ((uintptr_t)at % RNNC_NETWORK_ALIGNED) {
        return RNNC_NETWORK_UNALIGNED;
    }
    if (room < sizeof *n + RNNC_BLOB_CRC) {
        return RNNC_NETWORK_TRUNCATED;
    }
    if (n->magic != RNNC_NETWORK_MAGIC || n->format != RNNC_NETWORK_FORMAT) {
        return RNNC_NETWORK_FOREIGN;
    }
    if (n->bytes > room) {
        return RNNC_NETWORK_TRUNCATED;
    }
    if (n->bytes < sizeof *n + RNNC_BLOB_CRC ||
        !rnnc_blob_sealed((const uint8_t *)at, (size_t)n->bytes)) {
        return RNNC_NETWORK_CORRUPT;
    }
    if (n->core & ~(uint32_t)RNNC_NETWORK_CORE) {
        return RNNC_NETWORK_CORE_LACKS;
    }
    if (n->formats != formats) {
        return RNNC_NETWORK_PORTS;
    }
    return n->state_bytes > state_bytes ? RNNC_NETWORK_STATE : RNNC_NETWORK_OK;
}

static inline uintptr_t rnnc_network_entry(const void *at, uint32_t offset)
{
#if defined(__thumb__)
    offset |= 1u;
#endif
    return (uintptr_t)at + (uintptr_t)offset;
}

/* Starts a stream in `state`, state_bytes at an address that int32_t can lie at. Only after RNNC_NETWORK_OK, as all below. */
static inline void rnnc_network_reset(const void *at, void *state)
{
    ((void (*)(void *))rnnc_network_entry(at, ((const rnnc_network *)at)->reset))(state);
}

/* One frame: the arrays of inputs and outputs in the order of NAME_step. Returns 1 where the outputs are new, 0 else, as
 * NAME_step does (1 where that returns nothing). */
static inline int rnnc_network_step(const void *at, void *state, const void *const *inputs,
                                    void *const *outputs)
{
    typedef int (*step)(void *, const void *const *, void *const *);
    return ((step)rnnc_network_entry(at, ((const rnnc_network *)at)->step))(state, inputs, outputs);
}

/* As NAME_flush; returns 0 where the network owes nothing. */
static inline int rnnc_network_flush(const void *at, void *state, void *const *outputs)
{
    typedef int (*flush)(void *, void *const *);
    uint32_t offset = ((const rnnc_network *)at)->flush;
    return offset ? ((flush)rnnc_network_entry(at, offset))(state, outputs) : 0;
}

#endif
