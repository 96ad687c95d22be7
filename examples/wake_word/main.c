/* Listens for "hey computer": log-mel features of each 20 ms of sound, one step of a GRU.
 *
 *   rnnc compile wake_word.onnx --calib calib.npz --input-format x=q9.6
 *   cc -std=c99 -I.. -Iwake_word main.c wake_word/wake_word.c      and the board's board_put
 *
 * heldout.h (python -m examples.firmware wake_word) holds sound; on a board a microphone fills one buffer of 160 samples
 * while the other is worked on. */
#include <stdint.h>

#include "board.h"
#include "heldout.h"
#include "log_mel.h"
#include "wake_word.h"

#define AGREE 4     /* steps in a row that wake */
#define EARLIEST 10 /* steps before the end of a wake phrase from which waking is about it */
#define LATEST 20   /* steps after its end until which it is */

static log_mel_t ears;
static wake_word_t net;
static uint8_t agreed; /* steps in a row that said yes, up to AGREE + 1 */

/* Returns 1 in the step in which the phrase is recognised. */
static int hears_phrase(const int16_t sound[LOG_MEL_HOP])
{
    int16_t x[WAKE_WORD_X_LEN];
    int16_t y[WAKE_WORD_Y_LEN];
    uint8_t i;
    log_mel_step(&ears, sound, x);
    for (i = 0; i < WAKE_WORD_X_LEN; i++) {
        x[i] = (int16_t)(x[i] * (1 << WAKE_WORD_X_FRAC)); /* features are below 512: Q9.6 */
    }
    wake_word_step(&net, x, y);
    if (y[0] <= 0) {
        agreed = 0;
    } else if (agreed <= AGREE) {
        agreed++;
    }
    return agreed == AGREE;
}

/* The number of the wake phrase that a wake is about, PHRASES if there is none. */
static uint16_t phrase_at(uint16_t step)
{
    uint16_t i = 0;
    while (i < PHRASES && (step + EARLIEST < heldout_ends[i] || step > heldout_ends[i] + LATEST)) {
        i++;
    }
    return i;
}

int main(void)
{
    uint16_t found = 0, false_wakes = 0;
    uint16_t last = PHRASES; /* the phrase found last */
    uint16_t step;

    log_mel_reset(&ears);
    wake_word_reset(&net);
    for (step = 0; step < STEPS; step++) {
        if (hears_phrase(heldout_audio[step])) {
            const uint16_t phrase = phrase_at(step);
            say("awake at ");
            say_thousandths(step * 20u);
            say(" s\n");
            false_wakes = (uint16_t)(false_wakes + (phrase == PHRASES));
            found = (uint16_t)(found + (phrase != PHRASES && phrase != last));
            last = phrase;
        }
    }
    say("wake phrases ");
    say_number(found);
    say(" of ");
    say_number(PHRASES);
    say("\nfalse wakes ");
    say_number(false_wakes);
    say("\n");
    return 0;
}
