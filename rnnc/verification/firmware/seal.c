/* SPDX-License-Identifier: 0BSD */
/* Adds the CRC-32 at the end of a blob: seal IN OUT. It runs on the computer that compiles. */
#include <stdio.h>
#include <stdlib.h>

#include "rnnc/blob.h"

int main(int argc, char **argv)
{
    static uint8_t bytes[1 << 24];
    FILE *in, *out;
    size_t n;
    if (argc != 3 || !(in = fopen(argv[1], "rb")) || !(out = fopen(argv[2], "wb"))) {
        return 2;
    }
    n = fread(bytes, 1, sizeof bytes - RNNC_BLOB_CRC, in);
    n = rnnc_blob_seal(bytes, bytes + n);
    return fwrite(bytes, 1, n, out) == n && fclose(out) == 0 ? 0 : 1;
}
