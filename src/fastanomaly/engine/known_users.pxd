"""Users whose uids are known without a lookup in the table of all users.

The scanner uses it, which may not read that table, and so do tables, since it is cheaper.

A table with one place for each hash: a user replaces the one before, and is found again by
the number that the id is. The hash need not be secret, since a collision costs no more than
a lookup in the table of all users. O(1). Only users who have an applied event are
remembered: they are never forgotten, and their uids never given to others.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastanomaly.engine.memory cimport memory_prefetch
from fastanomaly.engine.types cimport UserKey

cdef enum:
    KNOWN_BITS = 15
    KNOWN_USERS = 1 << 15

cdef struct KnownUser:
    int64_t number
    int64_t next_uid            # uid + 1, or 0 where free

cdef struct KnownUsers:
    KnownUser[KNOWN_USERS] users


cdef inline int64_t known_place(int64_t number) noexcept nogil:
    # 2^64 divided by the golden ratio spreads consecutive numbers (Knuth 1973).
    cdef uint64_t hash = <uint64_t> number * <uint64_t> 0x9E3779B97F4A7C15
    return <int64_t> (hash >> (64 - KNOWN_BITS))


cdef inline void known_prefetch(const KnownUsers* known, const UserKey* key) noexcept nogil:
    """Prefetch what known_find will read: the table is larger than the fastest caches."""
    memory_prefetch(&known.users[known_place(key.number)])


cdef inline bint known_find(const KnownUsers* known, UserKey* key) noexcept nogil:
    """Set the uid of a key that is a number, if it is known; return whether it is."""
    cdef const KnownUser* user = &known.users[known_place(key.number)]
    if user.number != key.number or user.next_uid == 0:
        return False
    key.uid = <int32_t> (user.next_uid - 1)
    return True


cdef inline void known_add(KnownUsers* known, const UserKey* key) noexcept nogil:
    """Remember the uid of a key that is a number."""
    cdef KnownUser* user = &known.users[known_place(key.number)]
    user.number = key.number
    user.next_uid = key.uid + <int64_t> 1
