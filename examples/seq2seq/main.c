/* SPDX-License-Identifier: 0BSD */
/* Writes each word of stdin backwards, as the decoder says: letters a to l, one word a line. */
#include <stdio.h>
#include <string.h>

#include "encoder_to_decoder.h"

enum { LETTERS = 12, START = LETTERS, END = LETTERS + 1, LONGEST = 16 };

static encoder_t encoder;
static decoder_t decoder;

/* The sign with the highest score. */
static uint16_t likeliest(const int16_t scores[DECODER_SCORES_LEN])
{
    uint16_t k, best = 0;
    for (k = 1; k < DECODER_SCORES_LEN; k++) {
        if (scores[k] > scores[best]) {
            best = k;
        }
    }
    return best;
}

/* Reads a word of n letters, writes signs until the decoder says END; returns how many. */
static int answer(const uint16_t *letters, int n, uint16_t signs[LONGEST])
{
    int16_t h[ENCODER_H_LEN], scores[DECODER_SCORES_LEN];
    int32_t c[ENCODER_C_LEN];
    uint16_t sign = START;
    int i, written;
    encoder_reset(&encoder);
    for (i = 0; i < n; i++) {
        encoder_step(&encoder, &letters[i], h, c);
    }
    encoder_to_decoder(h, c, &decoder);
    for (written = 0; written < LONGEST; written++) {
        decoder_step(&decoder, &sign, scores);
        sign = likeliest(scores);
        if (sign == END) {
            break;
        }
        signs[written] = sign;
    }
    return written;
}

int main(void)
{
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        uint16_t letters[sizeof line], signs[LONGEST];
        int i, n = (int)strcspn(line, "\n");
        for (i = 0; i < n; i++) {
            letters[i] = (uint16_t)(line[i] - 'a');
        }
        n = n > 0 ? answer(letters, n, signs) : 0;
        for (i = 0; i < n; i++) {
            putchar(signs[i] < LETTERS ? 'a' + signs[i] : '?');
        }
        putchar('\n');
    }
    return 0;
}
