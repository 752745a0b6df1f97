/* The event of a plain line, written from docs/semantics.md without regard to speed. The
 * fuzzer compares the scanner with it, and test_corpus.py compares it with orjson. Plain: one
 * object whose values are ASCII strings without escapes, numbers, true, false or null. Other
 * lines are not plain events. */

#include "oracle.h"

#include <string.h>

typedef struct { const char *at, *end; } text;
typedef struct { int type; text body; } value; /* 0 none, 's' string, 'n' number, 'w' word */

static int digit(char c) { return c >= '0' && c <= '9'; }

static text blank(text t) {
    while (t.at < t.end && (*t.at == ' ' || *t.at == '\t' || *t.at == '\r')) t.at++;
    return t;
}

static int take(text *t, char c) {
    *t = blank(*t);
    if (t->at == t->end || *t->at != c) return 0;
    t->at++;
    return 1;
}

static int string(text *t, text *body) {
    if (!take(t, '"')) return 0;
    body->at = t->at;
    for (; t->at < t->end; t->at++) {
        unsigned char c = (unsigned char) *t->at;
        if (c == '"') {
            body->end = t->at++;
            return 1;
        }
        if (c < 32 || c > 127 || c == '\\') return 0;
    }
    return 0;
}

static int some_digits(text *t) {
    const char *start = t->at;
    while (t->at < t->end && digit(*t->at)) t->at++;
    return t->at > start;
}

static int number(text *t, text *body) {
    const char *whole;
    body->at = t->at;
    if (t->at < t->end && *t->at == '-') t->at++;
    whole = t->at;
    if (!some_digits(t) || (*whole == '0' && t->at - whole > 1)) return 0;
    if (t->at < t->end && *t->at == '.') {
        t->at++;
        if (!some_digits(t)) return 0;
    }
    if (t->at < t->end && (*t->at == 'e' || *t->at == 'E')) {
        t->at++;
        if (t->at < t->end && (*t->at == '+' || *t->at == '-')) t->at++;
        if (!some_digits(t)) return 0;
    }
    body->end = t->at;
    return 1;
}

static int any_value(text *t, value *v) {
    static const char *words[] = {"true", "false", "null"};
    *t = blank(*t);
    if (t->at == t->end) return 0;
    if (*t->at == '"') {
        v->type = 's';
        return string(t, &v->body);
    }
    if (*t->at == '-' || digit(*t->at)) {
        v->type = 'n';
        return number(t, &v->body);
    }
    v->type = 'w';
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t) (t->end - t->at) >= n && strncmp(t->at, words[i], n) == 0) {
            t->at += n;
            return 1;
        }
    }
    return 0;
}

static int is(text t, const char *word) {
    return (size_t) (t.end - t.at) == strlen(word) && strncmp(t.at, word, strlen(word)) == 0;
}

static int pair(const char *at, int most) {
    int n = digit(at[0]) && digit(at[1]) ? (at[0] - '0') * 10 + at[1] - '0' : -1;
    return n > most ? -1 : n;
}

static int leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int moment(text t, int64_t *time_us) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = 0, seconds, fraction = 0, offset = 0;
    int year, month, day, hour, minute, second;
    const char *at = t.at;
    if (t.end - at < 19 || pair(at, 99) < 0 || pair(at + 2, 99) < 0) return 0;
    year = pair(at, 99) * 100 + pair(at + 2, 99);
    month = pair(at + 5, 12), day = pair(at + 8, 31);
    hour = pair(at + 11, 23), minute = pair(at + 14, 59), second = pair(at + 17, 59);
    if (at[4] != '-' || at[7] != '-' || (at[10] != ' ' && at[10] != 'T') || at[13] != ':' ||
        at[16] != ':' || year < 1 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0)
        return 0;
    if (day > lengths[month - 1] + (month == 2 && leap(year))) return 0;
    for (int y = year; y < 1970; y++) days -= 365 + leap(y);
    for (int y = 1970; y < year; y++) days += 365 + leap(y);
    for (int m = 1; m < month; m++) days += lengths[m - 1] + (m == 2 && leap(year));
    days += day - 1;
    at += 19;
    if (at < t.end && *at == '.') {
        int64_t unit = 100000;
        int count = 0;
        for (at++; at < t.end && digit(*at); at++, count++, unit /= 10)
            fraction += (*at - '0') * unit;
        if (count < 1 || count > 6) return 0;
    }
    if (at < t.end && *at == 'Z') {
        at++;
    } else if (at < t.end && (*at == '+' || *at == '-')) {
        int sign = *at++ == '-' ? -1 : 1, minutes = 0;
        if (t.end - at < 2 || pair(at, 23) < 0) return 0;
        offset = pair(at, 23) * 60;
        at += 2;
        if (at < t.end) {
            if (*at == ':') at++;
            if (t.end - at != 2 || (minutes = pair(at, 59)) < 0) return 0;
            at += 2;
        }
        offset = sign * (offset + minutes);
    }
    if (at != t.end) return 0;
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset * 60;
    *time_us = seconds * 1000000 + fraction;
    return 1;
}

/* Read digits of any length and a power of ten, then convert to units of 10^-6. */
static int amount(text t, int64_t *units) {
    int64_t power = 0, exponent = 0, sum = 0;
    int negative = 0, count = 0, after_point = 0, nonzero = 0, exponent_sign = 1;
    const char *first = NULL, *last = NULL, *at = t.at;
    if (at < t.end && (*at == '+' || *at == '-')) negative = *at++ == '-';
    for (; at < t.end && (digit(*at) || (*at == '.' && !after_point)); at++) {
        if (*at == '.') {
            after_point = 1;
            continue;
        }
        count++;
        if (*at != '0') {
            nonzero = 1;
            if (first == NULL) first = at;
            last = at;
        }
    }
    if (count == 0) return 0;
    const char *digits_end = at;
    if (at < t.end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < t.end && (*at == '+' || *at == '-')) exponent_sign = *at++ == '-' ? -1 : 1;
        if (at == t.end) return 0;
        for (; at < t.end && digit(*at); at++)
            if (exponent < 1000000000000) exponent = exponent * 10 + (*at - '0');
    }
    if (at != t.end) return 0;
    *units = 0;
    if (!nonzero) return 1;
    if (negative) return 0;
    /* the power of ten of the last digit that is not zero */
    const char *point = memchr(t.at, '.', (size_t) (digits_end - t.at));
    if (point == NULL) point = digits_end;
    power = last < point ? point - last - 1 : -(last - point);
    power += exponent_sign * exponent + 6;
    if (power < 0 || power > 18) return 0;
    for (at = first; at <= last; at++) {
        if (*at == '.') continue;
        if (sum > 99999999999999999) return 0;
        sum = sum * 10 + (*at - '0');
    }
    for (; power > 0; power--) {
        if (sum > 99999999999999999) return 0;
        sum *= 10;
    }
    *units = sum;
    return sum < 1000000000000000000;
}

static int user(value v, const char **id, int64_t *length) {
    if (v.type == 'n') {
        for (const char *at = v.body.at + (*v.body.at == '-'); at < v.body.end; at++)
            if (!digit(*at)) return 0;
        if (is(v.body, "-0")) v.body.at++;
    } else if (v.type != 's') {
        return 0;
    }
    *id = v.body.at;
    *length = v.body.end - v.body.at;
    return *length > 0;
}

int oracle(const char *line, int64_t size, struct oracle_event *event) {
    static const char *names[] = {"event_type", "timestamp", "id", "amount", "id1", "id2"};
    value values[6], ignored;
    text t = {line, line + size}, name;
    memset(values, 0, sizeof values);
    memset(event, 0, sizeof *event);
    if (!take(&t, '{')) return 0;
    do {
        value *into = &ignored;
        if (!string(&t, &name) || !take(&t, ':')) return 0;
        for (int i = 0; i < 6; i++)
            if (is(name, names[i])) into = &values[i];
        if (!any_value(&t, into)) return 0;
    } while (take(&t, ','));
    if (!take(&t, '}')) return 0;
    t = blank(t);
    if (t.at != t.end || values[0].type != 's') return 0;
    if (is(values[0].body, "purchase")) {
        event->kind = 0;
        return values[1].type == 's' && moment(values[1].body, &event->time_us) &&
               user(values[2], &event->user, &event->user_length) &&
               (values[3].type == 's' || values[3].type == 'n') &&
               amount(values[3].body, &event->amount_units);
    }
    event->kind = is(values[0].body, "befriend") ? 1 : 2;
    if (event->kind == 2 && !is(values[0].body, "unfriend")) return 0;
    if (!user(values[4], &event->user, &event->user_length) ||
        !user(values[5], &event->friend_, &event->friend_length))
        return 0;
    return event->kind == 2 || event->user_length != event->friend_length ||
           memcmp(event->user, event->friend_, (size_t) event->user_length) != 0;
}
