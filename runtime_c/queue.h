/* SPDX-License-Identifier: 0BSD */
#ifndef RNNC_QUEUE_H
#define RNNC_QUEUE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint16_t capacity, size; /* capacity >= 1 places of size elements */
    uint8_t bits;            /* 8, 16 or 32 */
} rnnc_queue_params;

/* x: [size] joins the end.  queue: [capacity][size], oldest first, zero behind the last.  count: 0 .. capacity. */
static inline void rnnc_queue_push(const rnnc_queue_params *p, const void *x, void *queue,
                                   int16_t *count)
{
    size_t bytes = (size_t)p->size * (p->bits / 8u);
    if (*count < (int16_t)p->capacity) {
        (void)memcpy((uint8_t *)queue + (size_t)*count * bytes, x, bytes);
        ++*count;
    }
}

/* The oldest leaves.  y: [size]. */
static inline void rnnc_queue_pop(const rnnc_queue_params *p, void *queue, int16_t *count, void *y)
{
    size_t bytes = (size_t)p->size * (p->bits / 8u);
    uint8_t *to = (uint8_t *)queue;
    int16_t k;
    (void)memcpy(y, to, bytes);
    for (k = 1; k < *count; k++, to += bytes) {
        (void)memcpy(to, to + bytes, bytes);
    }
    if (*count > 0) {
        (void)memset(to, 0, bytes);
        --*count;
    }
}

/* The newest leaves.  y: [size]. */
static inline void rnnc_queue_pop_newest(const rnnc_queue_params *p, const void *queue,
                                         int16_t *count, void *y)
{
    size_t bytes = (size_t)p->size * (p->bits / 8u);
    if (*count > 0) {
        --*count;
    }
    (void)memcpy(y, (const uint8_t *)queue + (size_t)*count * bytes, bytes);
}

/* Of a queue that was full, and from which only this takes, the next oldest leaves.  y: [size]. */
static inline void rnnc_queue_next(const rnnc_queue_params *p, const void *queue, int16_t *count,
                                   void *y)
{
    size_t bytes = (size_t)p->size * (p->bits / 8u);
    size_t at = (size_t)p->capacity - (size_t)*count;
    (void)memcpy(y, (const uint8_t *)queue + (*count > 0 ? at * bytes : 0), bytes);
    if (*count > 0) {
        --*count;
    }
}

#endif
