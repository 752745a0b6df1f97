#include <stdint.h>

struct oracle_event {
    int32_t kind; /* 0 purchase, 1 befriend, 2 unfriend */
    int64_t time_us, amount_units;
    const char *user, *friend_; /* the texts of the ids */
    int64_t user_length, friend_length;
};

/* Return whether a line is a plain, valid event; set the event. */
int oracle(const char *line, int64_t size, struct oracle_event *event);
