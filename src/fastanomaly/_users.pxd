"""Interning: user_id -> uid, and back.

One open-addressing table of uids with linear probing, at most half full. Ids that are
plain decimals of up to 18 digits are kept as integers, all others as bytes in one
arena. The hash is SipHash-1-3 (Aumasson, Bernstein 2012) under a secret key, so that
nobody can prepare ids that collide.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastanomaly._memory cimport PyMem_RawFree, memory_reserve, memory_resize
from fastanomaly._types cimport UserKey

cdef enum:
    NUMBER_DIGITS = 18          # 10^18 - 1 still fits an int64
    USERS_LIMIT = 0x7FFFFFFE
    TEXT_LIMIT = 0x7FFFFFFF

cdef struct UserName:
    int64_t value               # the number, or where the text starts in the arena
    int32_t length              # of the text; IS_NUMBER for a number

cdef enum:
    IS_NUMBER = -1

cdef struct Users:
    int32_t count
    UserName* names             # by uid
    int64_t names_capacity
    char* texts
    int64_t texts_used
    int64_t texts_capacity
    int32_t* slots              # uid + 1, or 0 where free
    int64_t slot_count          # a power of two, or 0
    uint64_t[2] secret


cdef inline UserKey key_of_text(const char* text, int64_t length) noexcept nogil:
    cdef UserKey key
    cdef int64_t i, number = 0
    key.text = text
    key.length = length
    key.number = -1
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
    cdef UserName name = users.names[uid]
    if name.length == IS_NUMBER:
        key.text = NULL
        key.length = 0
        key.number = name.value
    else:
        key.text = users.texts + name.value
        key.length = name.length
        key.number = -1
    return key


cdef inline bint users_named(
    const Users* users, int32_t uid, const UserKey* key
) noexcept nogil:
    cdef UserName name = users.names[uid]
    if key.number >= 0:
        return name.length == IS_NUMBER and name.value == key.number
    return name.length == key.length and (
        memcmp(users.texts + name.value, key.text, <size_t> key.length) == 0
    )


cdef inline int64_t users_slot(const Users* users, const UserKey* key) noexcept nogil:
    """The slot that holds key, or the free one where it belongs. The table is not empty."""
    cdef int64_t mask = users.slot_count - 1
    cdef int64_t slot = <int64_t> (key_hash(users.secret, key) & <uint64_t> mask)
    while users.slots[slot] != 0 and not users_named(users, users.slots[slot] - 1, key):
        slot = (slot + 1) & mask
    return slot


cdef inline int32_t users_find(const Users* users, const UserKey* key) noexcept nogil:
    """The uid of key, or -1."""
    if users.slot_count == 0:
        return -1
    return users.slots[users_slot(users, key)] - 1


cdef inline int users_widen(Users* users) except -1 nogil:
    """Double the table."""
    cdef int32_t* old_slots = users.slots
    cdef int32_t* slots = NULL
    cdef int64_t slot_count = max(2 * users.slot_count, 64)
    cdef int32_t uid
    cdef UserKey key
    memory_resize(<void**> &slots, slot_count, sizeof(int32_t))
    memset(slots, 0, <size_t> slot_count * sizeof(int32_t))
    users.slots = slots
    users.slot_count = slot_count
    for uid in range(users.count):
        key = users_key(users, uid)
        slots[users_slot(users, &key)] = uid + 1
    PyMem_RawFree(old_slots)
    return 0


cdef inline int32_t users_refuse() except -1 nogil:
    with gil:
        raise OverflowError("fastanomaly: more than 2^31 - 2 users, or an id of 2 GiB")


cdef inline int32_t users_add(Users* users, const UserKey* key) except -1 nogil:
    """Give key, which is not there yet, the next uid."""
    cdef int32_t uid = users.count
    cdef UserName name
    if uid == USERS_LIMIT or key.length > TEXT_LIMIT:
        return users_refuse()
    memory_reserve(
        <void**> &users.names, &users.names_capacity, uid + <int64_t> 1, sizeof(UserName)
    )
    if 2 * (uid + <int64_t> 1) > users.slot_count:
        users_widen(users)
    if key.number >= 0:
        name.value = key.number
        name.length = IS_NUMBER
    else:
        memory_reserve(
            <void**> &users.texts, &users.texts_capacity, users.texts_used + key.length, 1
        )
        memcpy(users.texts + users.texts_used, key.text, <size_t> key.length)
        name.value = users.texts_used
        name.length = <int32_t> key.length
        users.texts_used += key.length
    users.slots[users_slot(users, key)] = uid + 1
    users.names[uid] = name
    users.count += 1
    return uid


cdef inline void users_forget_last(Users* users) noexcept nogil:
    """Undo the last users_add: nothing can have been probed past the newest slot."""
    cdef UserKey key = users_key(users, users.count - 1)
    users.slots[users_slot(users, &key)] = 0
    users.count -= 1
    if key.number < 0:
        users.texts_used -= key.length


cdef inline void users_free(Users* users) noexcept nogil:
    PyMem_RawFree(users.names)
    PyMem_RawFree(users.texts)
    PyMem_RawFree(users.slots)
