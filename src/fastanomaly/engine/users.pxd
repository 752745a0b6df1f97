"""Interning: user_id -> uid, and back.

One open-addressing table of uids with linear probing, two thirds full at most. Ids that
are plain decimals of up to 18 digits are kept as integers, all others as bytes in one
arena. The hash is SipHash-1-3 (Aumasson, Bernstein 2012) under a secret key, so that
nobody can prepare ids that collide.

A table that is full is not copied at once, which would keep the one unlucky event
waiting: the one before stays beside it, and each new user takes a few slots along.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_prefetch, memory_reserve, memory_zeroed,
)
from fastanomaly.engine.types cimport UserKey

cdef enum:
    NUMBER_DIGITS = 18          # 10^18 - 1 still fits an int64
    USERS_LIMIT = 0x7FFFFFFE
    TEXT_LIMIT = 0x7FFFFFFF
    SLOTS_MOVED = 32            # for each new user, from the table before

cdef struct Table:
    int32_t* slots              # uid + 1, or 0 where free
    int64_t count               # of slots: a power of two, or 0

cdef struct Users:
    int32_t count
    int64_t* names              # by uid: the number; or ~(where the text starts)
    int64_t names_capacity
    char* texts                 # each after its length, an int32
    int64_t texts_used
    int64_t texts_capacity
    Table table
    Table before                # what `table` takes the place of,
    int64_t moved               # and how many of its slots are in `table`
    uint64_t[2] secret


cdef inline UserKey key_of_text(const char* text, int64_t length) noexcept nogil:
    cdef UserKey key
    cdef int64_t i, number = 0
    key.text = text
    key.length = length
    key.number = -1
    key.hash = 0
    if 1 <= length <= NUMBER_DIGITS and (text[0] != c"0" or length == 1):
        for i in range(length):
            if not c"0" <= text[i] <= c"9":
                return key
            number = number * 10 + (text[i] - c"0")
        key.number = number
    return key


cdef inline uint64_t rotate(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef inline void sip_round(uint64_t* v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = rotate(v[1], 13) ^ v[0]
    v[3] = rotate(v[3], 16) ^ v[2]
    v[0] = rotate(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = rotate(v[1], 17) ^ v[2]
    v[3] = rotate(v[3], 21) ^ v[0]
    v[2] = rotate(v[2], 32)


cdef inline void sip_absorb(uint64_t* v, uint64_t word) noexcept nogil:
    v[3] ^= word
    sip_round(v)
    v[0] ^= word


cdef inline uint64_t key_hash(const uint64_t* secret, const UserKey* key) noexcept nogil:
    """SipHash-1-3 of a number's eight bytes, or of a text."""
    cdef uint64_t[4] v
    cdef uint64_t word
    cdef int64_t i, whole
    v[0] = secret[0] ^ <uint64_t> 0x736F6D6570736575
    v[1] = secret[1] ^ <uint64_t> 0x646F72616E646F6D
    v[2] = secret[0] ^ <uint64_t> 0x6C7967656E657261
    v[3] = secret[1] ^ <uint64_t> 0x7465646279746573
    if key.number >= 0:
        sip_absorb(v, <uint64_t> key.number)
        sip_absorb(v, <uint64_t> 8 << 56)
    else:
        whole = key.length & ~7
        for i in range(0, whole, 8):
            memcpy(&word, key.text + i, 8)
            sip_absorb(v, word)
        word = 0
        memcpy(&word, key.text + whole, <size_t> (key.length - whole))
        sip_absorb(v, word | <uint64_t> key.length << 56)
    v[2] ^= 0xFF
    sip_round(v)
    sip_round(v)
    sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


cdef inline UserKey users_key(const Users* users, int32_t uid) noexcept nogil:
    """The key under which uid was added."""
    cdef UserKey key
    cdef const char* text
    cdef int32_t length
    key.number = users.names[uid]
    key.text = NULL
    key.length = 0
    key.hash = 0
    if key.number < 0:
        text = users.texts + ~key.number
        memcpy(&length, text, sizeof(int32_t))
        key.text = text + sizeof(int32_t)
        key.length = length
        key.number = -1
    return key


cdef inline bint users_named(
    const Users* users, int32_t uid, const UserKey* key
) noexcept nogil:
    cdef UserKey known
    if key.number >= 0:
        return users.names[uid] == key.number
    known = users_key(users, uid)
    return known.number < 0 and known.length == key.length and (
        memcmp(known.text, key.text, <size_t> key.length) == 0
    )


cdef inline void users_prefetch_slot(const Users* users, const UserKey* key) noexcept nogil:
    """Begin to fetch the slot where a hashed key should be."""
    if users.table.count > 0:
        memory_prefetch(&users.table.slots[key.hash & <uint64_t> (users.table.count - 1)])


cdef inline void users_prefetch_name(const Users* users, const UserKey* key) noexcept nogil:
    """Begin to fetch the name that a hashed key will first be compared with."""
    cdef int32_t uid = -1
    if users.table.count > 0:
        uid = users.table.slots[key.hash & <uint64_t> (users.table.count - 1)] - 1
    if uid >= 0:
        memory_prefetch(&users.names[uid])


cdef inline int64_t table_slot(
    const Users* users, const Table* table, const UserKey* key
) noexcept nogil:
    """The slot that holds key, or the free one where it belongs. The table is not empty."""
    cdef int64_t mask = table.count - 1
    cdef int64_t slot = <int64_t> (key.hash & <uint64_t> mask)
    while table.slots[slot] != 0 and not users_named(users, table.slots[slot] - 1, key):
        slot = (slot + 1) & mask
    return slot


cdef inline int32_t users_find(const Users* users, const UserKey* key) noexcept nogil:
    """The uid of key, which is hashed, or -1."""
    cdef int32_t uid = -1
    if users.table.count > 0:
        uid = users.table.slots[table_slot(users, &users.table, key)] - 1
    if uid < 0 and users.before.count > 0:
        uid = users.before.slots[table_slot(users, &users.before, key)] - 1
    return uid


cdef inline void users_move_slots(Users* users, int64_t most) noexcept nogil:
    """Take slots of the table before along."""
    cdef int32_t uid
    cdef int64_t slot
    cdef UserKey key
    while users.moved < users.before.count and most > 0:
        uid = users.before.slots[users.moved] - 1
        if uid >= 0:
            key = users_key(users, uid)
            key.hash = key_hash(users.secret, &key)
            slot = table_slot(users, &users.table, &key)
            users.table.slots[slot] = uid + 1
        users.moved += 1
        most -= 1
    if users.before.count > 0 and users.moved == users.before.count:
        PyMem_RawFree(users.before.slots)
        users.before.slots = NULL
        users.before.count = 0


cdef inline int users_widen(Users* users) except -1 nogil:
    """Begin a table of twice the slots. The one before the last is gone by now."""
    cdef Table table
    table.slots = NULL
    table.count = max(2 * users.table.count, 64)
    memory_zeroed(<void**> &table.slots, table.count, sizeof(int32_t))
    users.before = users.table
    users.table = table
    users.moved = 0
    return 0


cdef inline int32_t users_refuse() except -1 nogil:
    with gil:
        raise OverflowError("fastanomaly: more than 2^31 - 2 users, or an id of 2 GiB")


cdef inline int32_t users_add(Users* users, const UserKey* key) except -1 nogil:
    """Give key, which is hashed and not there yet, the next uid."""
    cdef int32_t uid = users.count, length = <int32_t> key.length
    cdef int64_t slot
    if uid == USERS_LIMIT or key.length > TEXT_LIMIT:
        return users_refuse()
    memory_reserve(
        <void**> &users.names, &users.names_capacity, uid + <int64_t> 1, sizeof(int64_t)
    )
    if key.number < 0:
        memory_reserve(
            <void**> &users.texts, &users.texts_capacity,
            users.texts_used + <int64_t> sizeof(int32_t) + key.length, 1,
        )
    if 3 * (uid + <int64_t> 1) > 2 * users.table.count:
        users_widen(users)
    users_move_slots(users, SLOTS_MOVED)
    users.names[uid] = key.number
    if key.number < 0:
        users.names[uid] = ~users.texts_used
        memcpy(users.texts + users.texts_used, &length, sizeof(int32_t))
        memcpy(
            users.texts + users.texts_used + sizeof(int32_t), key.text, <size_t> key.length
        )
        users.texts_used += <int64_t> sizeof(int32_t) + key.length
    slot = table_slot(users, &users.table, key)
    users.table.slots[slot] = uid + 1
    users.count += 1
    return uid


cdef inline void users_forget_last(Users* users) noexcept nogil:
    """Undo the last users_add."""
    cdef UserKey key = users_key(users, users.count - 1), other
    cdef Table table = users.table
    cdef int64_t mask = table.count - 1, hole, slot, home
    key.hash = key_hash(users.secret, &key)
    hole = table_slot(users, &table, &key)
    table.slots[hole] = 0
    # Others may have been moved in since, past this slot: move them back.
    slot = (hole + 1) & mask
    while table.slots[slot] != 0:
        other = users_key(users, table.slots[slot] - 1)
        home = <int64_t> (key_hash(users.secret, &other) & <uint64_t> mask)
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            table.slots[hole] = table.slots[slot]
            table.slots[slot] = 0
            hole = slot
        slot = (slot + 1) & mask
    users.count -= 1
    if key.number < 0:
        users.texts_used = ~users.names[users.count]


cdef inline int64_t users_bytes(const Users* users) noexcept nogil:
    """The bytes that users take, without their ids' texts."""
    return (
        users.names_capacity * <int64_t> sizeof(int64_t)
        + (users.table.count + users.before.count) * <int64_t> sizeof(int32_t)
    )


cdef inline void users_free(Users* users) noexcept nogil:
    PyMem_RawFree(users.names)
    PyMem_RawFree(users.texts)
    PyMem_RawFree(users.table.slots)
    PyMem_RawFree(users.before.slots)
