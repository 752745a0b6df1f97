/* For libFuzzer: the scanner and the oracle must agree on every line that it accepts. */

#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int scanner(const char *line, int64_t size, int *kind, int64_t *time_us, int64_t *amount_units,
            char *user, int64_t *user_length, char *friend_, int64_t *friend_length);

static int same(const char *a, int64_t n, const char *b, int64_t m) {
    return n == m && memcmp(a, b, (size_t) n) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line_end = memchr(data, '\n', size);
    int64_t n = line_end ? line_end - data : (int64_t) size;
    struct oracle_event expected;
    int kind = -1;
    int64_t time_us = 0, amount_units = 0, user_length = 0, friend_length = 0;
    /* Separate allocations, so that AddressSanitizer sees reads past the end. */
    char *line = malloc((size_t) n + 1), *user = malloc((size_t) n + 24),
         *friend_ = malloc((size_t) n + 24);
    memcpy(line, data, (size_t) n);
    line[n] = size % 2 ? '\n' : '\0';
    int valid = oracle(line, n, &expected);
    if (scanner(line, n, &kind, &time_us, &amount_units, user, &user_length, friend_,
                &friend_length)) {
        int right = valid && kind == expected.kind &&
                    same(user, user_length, expected.user, expected.user_length);
        if (right && kind == 0)
            right = time_us == expected.time_us && amount_units == expected.amount_units;
        else if (right)
            right = same(friend_, friend_length, expected.friend_, expected.friend_length);
        if (!right) {
            fprintf(stderr, "the scanner is wrong about: %.*s\n", (int) n, line);
            abort();
        }
    }
    free(line), free(user), free(friend_);
    return 0;
}
