/* Writes verse, one character a step, and says how well it foresees the verse of a play that it never read.
 *
 *   rnnc compile poet.onnx --calib calib.npz        writes poet/poet.h, poet.c and rnnc/
 *   cc -std=c99 -I.. -Ipoet main.c poet/poet.c      and the board's board_put
 *
 * heldout.h (python -m examples.firmware poet) holds pieces of the play, and what one LSB of a logit means.
 * The network gives logits y; the probability of a character is proportional to exp(y / temperature), here a power of two:
 * 2^-e with e = (largest y - y) * LSB / (temperature ln 2), in integers. */
#include <stdint.h>

#include "board.h"
#include "heldout.h"
#include "poet.h"

#define CHARACTERS POET_LOGITS_LEN
#define NEWLINE 0
#define POEM_LENGTH 320
#define TEMPERATURE_TENTHS 6 /* below 10: bolder than the network; above: more daring */
#define SEED 20u
#define PIECES (sizeof heldout_text / sizeof heldout_text[0])
#define PIECE_LENGTH (sizeof heldout_text[0] - 1)

static const char alphabet[CHARACTERS + 1] =
    "\n !',-.:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* power[k] = round(2^24 2^(-k / 32)), k in 0..32 */
static const uint32_t power[33] = {
    16777216, 16417715, 16065917, 15721658, 15384775, 15055111, 14732511, 14416824, 14107901,
    13805598, 13509772, 13220286, 12937002, 12659789, 12388516, 12123055, 11863283, 11609078,
    11360319, 11116891, 10878679, 10645571, 10417458, 10194234, 9975792,  9762032,  9552851,
    9348154,  9147842,  8951823,  8760003,  8572295,  8388608,
};

static poet_t net;
static uint32_t random_state = SEED;
static uint32_t weight[CHARACTERS]; /* Q8.24: 2^-e of each character */

/* 2^-e, e in Q12.20: Q0.24 in 0..2^24, linear between the entries of the table */
static uint32_t power_of_half(uint32_t e)
{
    const uint32_t octave = e >> 20;
    const uint32_t entry = (e >> 15) & 31u;
    const uint32_t rest = (e >> 5) & 1023u;
    const uint32_t fall = (power[entry] - power[entry + 1]) * rest; /* below 2^19 * 2^10 */
    return octave > 24 ? 0 : (power[entry] - (fall >> 10)) >> octave;
}

/* log2(x / 2^24) for x >= 2^24, Q4.12: the whole part by shifting, then a bit for each squaring. */
static uint32_t log2_of(uint32_t x)
{
    uint32_t whole = 24, bits = 0;
    uint8_t i;
    while (x >> whole > 1) {
        whole++;
    }
    x >>= whole - 15; /* 1 <= x / 2^15 < 2 */
    for (i = 0; i < 12; i++) {
        x = (x * x) >> 15; /* x < 2^16: the square is below 2^32 */
        bits <<= 1;
        if (x >> 16) {
            bits |= 1;
            x >>= 1;
        }
    }
    return ((whole - 24) << 12) + bits;
}

/* Fills weight[]; lsb: what one LSB of the logits counts, octaves in Q.20, at most 65535. Returns the sum, 2^24..62 2^24. */
static uint32_t weigh(const int16_t logits[CHARACTERS], uint32_t lsb)
{
    int32_t largest = logits[0];
    uint32_t sum = 0;
    uint8_t i;
    for (i = 1; i < CHARACTERS; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (i = 0; i < CHARACTERS; i++) {
        weight[i] = power_of_half((uint32_t)(largest - logits[i]) * lsb); /* 65535 * 65535 < 2^32 */
        sum += weight[i];
    }
    return sum;
}

/* -log2 of the probability of a character, Q.12. */
static uint32_t surprise(const int16_t logits[CHARACTERS], uint8_t character)
{
    const uint32_t sum = weigh(logits, LOGIT_OCTAVES_Q20);
    int32_t largest = logits[0];
    uint8_t i;
    for (i = 1; i < CHARACTERS; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    return log2_of(sum) + (((uint32_t)(largest - logits[character]) * LOGIT_OCTAVES_Q20) >> 8);
}

/* Marsaglia's xorshift: 32 bits, never 0. */
static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* A character drawn in proportion to exp(logit / temperature). */
static uint8_t draw(const int16_t logits[CHARACTERS])
{
    uint32_t left =
        random_bits() % weigh(logits, (uint32_t)LOGIT_OCTAVES_Q20 * 10u / TEMPERATURE_TENTHS);
    uint8_t i = 0;
    while (left >= weight[i]) { /* left is below the sum of all weights */
        left -= weight[i++];
    }
    return i;
}

static void read_play(void)
{
    int16_t logits[CHARACTERS];
    uint32_t bits = 0; /* Q20.12 */
    uint16_t piece, i;
    for (piece = 0; piece < PIECES; piece++) {
        poet_reset(&net);
        for (i = 0; i < PIECE_LENGTH; i++) {
            const uint16_t id = heldout_text[piece][i];
            poet_step(&net, &id, logits);
            bits += surprise(logits, heldout_text[piece][i + 1]);
        }
    }
    bits /= (uint32_t)(PIECES * PIECE_LENGTH);
    say("bits a character ");
    say_thousandths((bits * 1000u + 2048u) >> 12);
    say("\n");
}

static void write_poem(void)
{
    int16_t logits[CHARACTERS];
    uint16_t id = NEWLINE;
    uint16_t i;
    poet_reset(&net);
    for (i = 0; i < POEM_LENGTH; i++) {
        poet_step(&net, &id, logits);
        id = draw(logits);
        board_put(alphabet[id]);
    }
    say("\n");
}

int main(void)
{
    read_play();
    write_poem();
    return 0;
}
