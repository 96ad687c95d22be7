/* Says whether a sentence of a review is good or bad, a word a call.
 *
 *   rnnc compile sentiment.onnx --window 24 --calib calib.npz
 *   cc -std=c99 -I.. -Isentiment main.c sentiment/sentiment.c      and the board's board_put
 *
 * Half of the network reads the sentence backwards, so it can answer only when all words are there: sentiment_step keeps them,
 * returns 0, and with the 24th word returns 1, having written the answer.  Shorter sentences are filled up with word 0.
 * heldout.h (python -m examples.firmware sentiment) holds sentences as numbers of words (vocabulary.txt). */
#include <stdint.h>

#include "board.h"
#include "heldout.h"
#include "sentiment.h"

enum { BAD, GOOD };

static sentiment_t net;

static uint8_t judge(const uint16_t words[WORDS])
{
    int16_t logits[SENTIMENT_LOGITS_LEN];
    uint8_t verdict = BAD;
    uint16_t i;
    for (i = 0; i < WORDS; i++) {
        if (sentiment_step(&net, &words[i], logits)) {
            verdict = logits[GOOD] > logits[BAD] ? GOOD : BAD;
        }
    }
    return verdict;
}

int main(void)
{
    uint32_t right = 0;
    uint16_t sentence;

    sentiment_reset(&net); /* once: after an answer the next sentence starts afresh by itself */
    for (sentence = 0; sentence < SENTENCES; sentence++) {
        right += judge(heldout_ids[sentence]) == heldout_good[sentence];
    }
    say("sentences ");
    say_number(SENTENCES);
    say("\nright ");
    say_number(right);
    say("\n");
    return 0;
}
