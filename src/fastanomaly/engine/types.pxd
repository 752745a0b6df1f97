"""Integer widths, structs and codes that several kernels share.

A user has two names, never mixed: the user_id of the logs (any text) and the uid, a dense
int32 index in order of first appearance. Units are in names: amount_units are 10^-6 of the
currency, time_us microseconds since 1970-01-01 UTC.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from *:
    """
    typedef unsigned __int128 fa_uint128;
    """
    ctypedef unsigned long long uint128 "fa_uint128"

cdef extern from *:
    # Tells the compiler which value of a condition to expect.
    bint unlikely "__builtin_expect"(bint condition, bint value) noexcept nogil

cdef enum EventKind:
    PURCHASE = 0
    BEFRIEND = 1
    UNFRIEND = 2
    EVENT_KINDS = 3

cdef enum:
    # Accepted amounts are below 10^12, in steps of 10^-6.
    AMOUNT_DECIMALS = 6
    UNITS_PER_CENT = 10_000

cdef enum Adjusted:             # bits: how values of a purchase differ from what was written
    ROUNDED_AMOUNT = 1
    CUT_TIME = 2

cdef enum TimeUnit:             # in the order of rules.parameters.TIME_UNITS, from 1
    STRICT = 0                  # texts in the strict form, no numbers
    SECONDS = 1
    MILLISECONDS
    MICROSECONDS
    NANOSECONDS
    ISO                         # more forms of texts, no numbers

cdef struct Reading:            # what is accepted beyond the strict forms
    bint round_amounts          # amounts with more than six decimals
    int time_unit               # TimeUnit

cdef struct UserKey:            # a user_id as given
    const char* text            # UTF-8, owned by the caller; unused if number >= 0
    int64_t length
    int64_t number              # the value of a plain decimal of up to 18 digits, or -1
    uint64_t hash               # from key_hash; must be set before a lookup, if uid < 0
    int32_t uid                 # the user's, if already looked up; otherwise -1

cdef struct Event:
    int kind                    # EventKind
    int adjusted                # bits of Adjusted; not set for friendships
    UserKey user                # the buyer, or id1
    UserKey friend              # id2; not set for purchases
    int64_t time_us
    int64_t amount_units

cdef struct PurchaseKey:        # the order of purchases: by time_us, then by seq
    int64_t time_us
    int64_t seq                 # number of the purchase in order of arrival

cdef struct Purchase:
    PurchaseKey key
    int64_t amount_units


cdef inline bint purchase_before(PurchaseKey left, PurchaseKey right) noexcept nogil:
    """Return whether the purchase with key `left` is earlier than the one with key `right`."""
    if left.time_us != right.time_us:
        return left.time_us < right.time_us
    return left.seq < right.seq
