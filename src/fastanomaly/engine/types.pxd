"""Integer widths, structs and codes that several rooms share.

A user has two names, never mixed: the user_id of the logs (any text) and the uid, a
dense int32 index in order of first appearance. Units are in names: amount_units are
10^-6 of the currency, time_us microseconds since 1970-01-01 UTC.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from *:
    """
    typedef unsigned __int128 fa_uint128;
    """
    ctypedef unsigned long long uint128 "fa_uint128"

cdef enum EventKind:
    PURCHASE = 0
    BEFRIEND = 1
    UNFRIEND = 2
    EVENT_KINDS = 3

cdef enum:
    # Accepted amounts are below 10^12, in steps of 10^-6.
    AMOUNT_DECIMALS = 6
    UNITS_PER_CENT = 10_000

cdef struct UserKey:            # a user_id as it comes in
    const char* text            # UTF-8; not looked at when number >= 0
    int64_t length
    int64_t number              # the value of a plain decimal of up to 18 digits, or -1
    uint64_t hash               # key_hash's, before it is looked up
    int32_t uid                 # whose it is, if >= 0: set once it was looked up

cdef struct Event:
    int kind                    # EventKind
    UserKey user                # the buyer; id1
    UserKey friend              # id2
    int64_t time_us
    int64_t amount_units

cdef struct Key:                # what "latest" compares: time_us, then seq
    int64_t time_us
    int64_t seq

cdef struct Purchase:
    Key key
    int64_t amount_units


cdef inline bint key_before(Key left, Key right) noexcept nogil:
    if left.time_us != right.time_us:
        return left.time_us < right.time_us
    return left.seq < right.seq
