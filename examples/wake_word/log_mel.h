/* SPDX-License-Identifier: 0BSD */
/* Log-mel features of 8 kHz sound, one call every 20 ms: 160 samples in, 16 features out, in 1/8 octave.
 *
 * 32-bit integers only; logmel.py holds the same arithmetic in NumPy and says why it is as it is. */
#ifndef LOG_MEL_H
#define LOG_MEL_H
#include <stdint.h>
#include <string.h>

#include "log_mel_tables.h"

#define LOG_MEL_HOP 160
#define LOG_MEL_BANDS 16
#define LOG_MEL_FRAME 256
#define LOG_MEL_HALF 128
#define LOG_MEL_OCTAVE 8 /* features count eighths */
#define LOG_MEL_FLOOR (6 * LOG_MEL_OCTAVE)
#define LOG_MEL_STAGE_LIMIT 13500 /* times 1 + sqrt(2): below 32768 */
#define LOG_MEL_SPLIT_LIMIT 6700  /* times 2 (1 + sqrt(2)): below 32768 */
#define LOG_MEL_UNITS \
    38 /* octaves: weights of 64ths, 15 fraction bits of the window and a factor 2, squared */

typedef struct {
    int16_t past[LOG_MEL_FRAME - LOG_MEL_HOP]; /* the last 96 samples of the frame before */
    int16_t re[LOG_MEL_HALF], im[LOG_MEL_HALF];
    uint32_t upper[LOG_MEL_BANDS + 2], lower[LOG_MEL_BANDS + 2]; /* [0] and [17] are not used */
} log_mel_t;

typedef struct {
    int32_t re, im;
} log_mel_complex;

static inline void log_mel_reset(log_mel_t *s)
{
    memset(s, 0, sizeof *s);
}

static inline int32_t log_mel_larger(int32_t largest, int32_t v)
{
    v = v < 0 ? -v : v;
    return v > largest ? v : largest;
}

/* How far to shift right for the largest magnitude to get below the limit. */
static inline uint8_t log_mel_shift_for(int32_t largest, int32_t limit)
{
    uint8_t shift = 0;
    while ((largest >> shift) >= limit) {
        shift++;
    }
    return shift;
}

static inline int32_t log_mel_shift(int32_t v, uint8_t shift)
{
    return shift ? (v + ((int32_t)1 << (shift - 1))) >> shift : v;
}

static inline int16_t log_mel_reverse(uint8_t i)
{
    uint8_t reversed = 0, bit;
    for (bit = 0; bit < 7; bit++) {
        reversed = (uint8_t)((reversed << 1) | ((i >> bit) & 1));
    }
    return reversed;
}

/* Sample i of the frame times the window, Q15.15. */
static inline int32_t log_mel_windowed(const log_mel_t *s, const int16_t audio[LOG_MEL_HOP],
                                       int16_t i)
{
    const int16_t old = LOG_MEL_FRAME - LOG_MEL_HOP;
    return (int32_t)(i < old ? s->past[i] : audio[i - old]) * log_mel_window[i];
}

/* Fills re and im with even and odd samples in bit-reversed order, within +-2^14. Returns the exponent. */
static inline uint8_t log_mel_load(log_mel_t *s, const int16_t audio[LOG_MEL_HOP])
{
    int32_t largest = 0;
    uint8_t shift;
    int16_t i;
    for (i = 0; i < LOG_MEL_FRAME; i++) {
        largest = log_mel_larger(largest, log_mel_windowed(s, audio, i));
    }
    shift = log_mel_shift_for(largest, (int32_t)1 << 14);
    for (i = 0; i < LOG_MEL_HALF; i++) {
        const int16_t from = (int16_t)(2 * log_mel_reverse((uint8_t)i));
        s->re[i] = (int16_t)log_mel_shift(log_mel_windowed(s, audio, from), shift);
        s->im[i] = (int16_t)log_mel_shift(log_mel_windowed(s, audio, (int16_t)(from + 1)), shift);
    }
    return shift;
}

/* Shifts everything below the limit; returns by how much. */
static inline uint8_t log_mel_make_room(log_mel_t *s, int32_t limit)
{
    int32_t largest = 0;
    uint8_t shift;
    int16_t i;
    for (i = 0; i < LOG_MEL_HALF; i++) {
        largest = log_mel_larger(log_mel_larger(largest, s->re[i]), s->im[i]);
    }
    shift = log_mel_shift_for(largest, limit);
    for (i = 0; shift && i < LOG_MEL_HALF; i++) {
        s->re[i] = (int16_t)log_mel_shift(s->re[i], shift);
        s->im[i] = (int16_t)log_mel_shift(s->im[i], shift);
    }
    return shift;
}

/* (re + i im) exp(-2 pi i k / 256), rounded; |re + i im| below 2^15 sqrt(2): sums below 2^31. */
static inline log_mel_complex log_mel_product(int32_t re, int32_t im, int16_t k)
{
    log_mel_complex p;
    p.re = (re * log_mel_cosine[k] - im * log_mel_sine[k] + (1 << 14)) >> 15;
    p.im = (re * log_mel_sine[k] + im * log_mel_cosine[k] + (1 << 14)) >> 15;
    return p;
}

static inline void log_mel_stage(log_mel_t *s, int16_t half)
{
    int16_t k, a;
    for (k = 0; k < half; k++) {
        for (a = k; a < LOG_MEL_HALF; a = (int16_t)(a + 2 * half)) {
            const int16_t b = (int16_t)(a + half);
            const log_mel_complex t =
                log_mel_product(s->re[b], s->im[b], (int16_t)(k * (LOG_MEL_HALF / half)));
            const int32_t re = s->re[a], im = s->im[a];
            s->re[a] = (int16_t)(re + t.re);
            s->im[a] = (int16_t)(im + t.im);
            s->re[b] = (int16_t)(re - t.re);
            s->im[b] = (int16_t)(im - t.im);
        }
    }
}

/* The power of bin k of twice the real signal's spectrum, k in 1..127: below 2^31. */
static inline uint32_t log_mel_power(const log_mel_t *s, int16_t k)
{
    const int16_t n = (int16_t)(LOG_MEL_HALF - k);
    const log_mel_complex p =
        log_mel_product((int32_t)s->re[k] - s->re[n], (int32_t)s->im[k] + s->im[n], k);
    const int32_t re = (int32_t)s->re[k] + s->re[n] + p.im;
    const int32_t im = (int32_t)s->im[k] - s->im[n] - p.re;
    return (uint32_t)(re * re) + (uint32_t)(im * im);
}

/* The weights of a band add up to less than 2^11: upper < 2^32, lower < 2^21. */
static inline void log_mel_add_up(log_mel_t *s)
{
    int16_t k;
    memset(s->upper, 0, sizeof s->upper);
    memset(s->lower, 0, sizeof s->lower);
    for (k = 1; k < LOG_MEL_HALF; k++) {
        const uint8_t band = log_mel_band[k], rising = log_mel_weight[k];
        if (band > 0 && band <= LOG_MEL_BANDS + 1) {
            const uint32_t power = log_mel_power(s, k);
            s->upper[band] += rising * (power >> 10);
            s->lower[band] += rising * (power & 1023);
            s->upper[band - 1] += (64u - rising) * (power >> 10);
            s->lower[band - 1] += (64u - rising) * (power & 1023);
        }
    }
}

/* 8 log2(x); 0 for 0 */
static inline int32_t log_mel_log2(uint32_t x)
{
    uint8_t whole = 0, i;
    uint32_t log;
    while (whole < 31 && (x >> whole) > 1) {
        whole++;
    }
    x = x ? x : 1;
    x = whole > 15 ? x >> (whole - 15) : x << (15 - whole); /* 1 <= x / 2^15 < 2 */
    log = whole;
    for (i = 0; i < 3; i++) {
        x = (x * x) >> 15; /* x < 2^16: the square is below 2^32 */
        log = 2 * log + (x >> 16);
        x >>= x >> 16;
    }
    return (int32_t)log;
}

/* 8 log2 of band b's energy; exponent: octaves that all amplitudes were shifted by. */
static inline int16_t log_mel_feature(const log_mel_t *s, int16_t band, int32_t exponent)
{
    const uint32_t upper = s->upper[band], lower = s->lower[band];
    const int small = upper < ((uint32_t)1 << 21);
    const int32_t log = log_mel_log2(small ? (upper << 10) + lower : upper + (lower >> 10)) +
                        (small ? 0 : 10 * LOG_MEL_OCTAVE);
    const int32_t feature = log + (2 * exponent - LOG_MEL_UNITS) * LOG_MEL_OCTAVE;
    return (int16_t)(feature < LOG_MEL_FLOOR ? LOG_MEL_FLOOR : feature);
}

static inline void log_mel_step(log_mel_t *s, const int16_t audio[LOG_MEL_HOP],
                                int16_t features[LOG_MEL_BANDS])
{
    int32_t exponent = log_mel_load(s, audio);
    int16_t half, band;
    for (half = 1; half < LOG_MEL_HALF; half = (int16_t)(2 * half)) {
        exponent += log_mel_make_room(s, LOG_MEL_STAGE_LIMIT);
        log_mel_stage(s, half);
    }
    exponent += log_mel_make_room(s, LOG_MEL_SPLIT_LIMIT);
    log_mel_add_up(s);
    for (band = 1; band <= LOG_MEL_BANDS; band++) {
        features[band - 1] = log_mel_feature(s, band, exponent);
    }
    memcpy(s->past, audio + LOG_MEL_HOP - (LOG_MEL_FRAME - LOG_MEL_HOP), sizeof s->past);
}

#endif
