"""Interning user ids: user_id to uid, and back.

One open-addressing table of uids with linear probing, at most two thirds full. Ids that
are plain decimals of up to 18 digits are kept as integers, all others as bytes in one
arena. The hash is SipHash-1-3 (Aumasson, Bernstein 2012) with a secret key, so that ids
that collide cannot be prepared.

A full table is not rehashed at once, which would delay a single event by O(users): the old
table is kept next to the new one, and each new user moves SLOTS_MOVED slots. The new table
has twice the slots, so all are moved long before it is full, too.

Invariants: uids are 0 to count - 1, in order of first appearance. Each user is in `table`,
or in a slot of `old_table` at or after `slots_moved` (or in both, if added since). A lookup
is expected O(1) plus O(length of the id). Users owns the arrays and the texts.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_prefetch, memory_reserve, memory_zeroed,
)
from fastanomaly.engine.types cimport UserKey

cdef enum:
    NUMBER_DIGITS = 18          # 10^18 - 1 fits an int64
    NUMBER_LIMIT = 1_000_000_000_000_000_000    # 10^18: longer ids are kept as text
    USERS_LIMIT = 0x7FFFFFFE
    TEXT_LIMIT = 0x7FFFFFFF
    SLOTS_MOVED = 32            # from the old table, for each new user

cdef struct Table:
    int32_t* slots              # uid + 1, or 0 where free
    int64_t count               # of slots: a power of two, or 0

cdef struct Users:
    int32_t count
    int64_t* names              # by uid: the number, or ~(offset in texts)
    int64_t names_capacity
    char* texts                 # each preceded by its length, an int32
    int64_t texts_used
    int64_t texts_capacity
    Table table
    Table old_table             # while its slots are being moved to `table`
    int64_t slots_moved         # of old_table
    uint64_t[2] secret


cdef inline UserKey key_of_text(const char* text, int64_t length) noexcept nogil:
    """Return the key of an id, not hashed yet; it points to the text."""
    cdef UserKey key
    cdef int64_t i, number = 0
    key.text = text
    key.length = length
    key.number = -1
    key.hash = 0
    key.uid = -1
    if 1 <= length <= NUMBER_DIGITS and (text[0] != c"0" or length == 1):
        for i in range(length):
            if not c"0" <= text[i] <= c"9":
                return key
            number = number * 10 + (text[i] - c"0")
        key.number = number
    return key


cdef inline bint keys_equal(const UserKey* left, const UserKey* right) noexcept nogil:
    """Return whether two keys are of the same user_id."""
    if left.number >= 0 or right.number >= 0:
        return left.number == right.number
    return left.length == right.length and (
        memcmp(left.text, right.text, <size_t> left.length) == 0
    )


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
    """Return the SipHash-1-3 of a number's eight bytes, or of a text; O(length)."""
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
    """Return the key of a user, not hashed; it is valid until the next user is added."""
    cdef UserKey key
    cdef const char* text
    cdef int32_t length
    key.number = users.names[uid]
    key.text = NULL
    key.length = 0
    key.hash = 0
    key.uid = -1
    if key.number < 0:
        text = users.texts + ~key.number
        memcpy(&length, text, sizeof(int32_t))
        key.text = text + sizeof(int32_t)
        key.length = length
        key.number = -1
    return key


cdef inline bint users_match(
    const Users* users, int32_t uid, const UserKey* key
) noexcept nogil:
    """Return whether a user has that key."""
    cdef UserKey known
    if key.number >= 0:
        return users.names[uid] == key.number
    known = users_key(users, uid)
    return known.number < 0 and known.length == key.length and (
        memcmp(known.text, key.text, <size_t> key.length) == 0
    )


cdef inline void users_prefetch_slot(const Users* users, const UserKey* key) noexcept nogil:
    """Prefetch the slot where a lookup of a hashed key begins."""
    if users.table.count > 0:
        memory_prefetch(&users.table.slots[key.hash & <uint64_t> (users.table.count - 1)])


cdef inline void users_prefetch_name(const Users* users, const UserKey* key) noexcept nogil:
    """Prefetch the name with which a lookup of a hashed key compares first."""
    cdef int32_t uid = -1
    if users.table.count > 0:
        uid = users.table.slots[key.hash & <uint64_t> (users.table.count - 1)] - 1
    if uid >= 0:
        memory_prefetch(&users.names[uid])


cdef inline int64_t table_slot(
    const Users* users, const Table* table, const UserKey* key
) noexcept nogil:
    """Return the slot that holds a hashed key, or the free one where it belongs.

    The table must have slots. Expected O(1).
    """
    cdef int64_t mask = table.count - 1
    cdef int64_t slot = <int64_t> (key.hash & <uint64_t> mask)
    while table.slots[slot] != 0 and not users_match(users, table.slots[slot] - 1, key):
        slot = (slot + 1) & mask
    return slot


cdef inline int32_t users_find(const Users* users, const UserKey* key) noexcept nogil:
    """Return the uid of the user with a hashed key, or -1."""
    cdef int32_t uid = -1
    if users.table.count > 0:
        uid = users.table.slots[table_slot(users, &users.table, key)] - 1
    if uid < 0 and users.old_table.count > 0:
        uid = users.old_table.slots[table_slot(users, &users.old_table, key)] - 1
    return uid


cdef inline void users_move_slots(Users* users, int64_t most) noexcept nogil:
    """Move up to `most` slots of the old table to the new one, then free the old one."""
    cdef int32_t uid
    cdef int64_t slot
    cdef UserKey key
    while users.slots_moved < users.old_table.count and most > 0:
        uid = users.old_table.slots[users.slots_moved] - 1
        if uid >= 0:
            key = users_key(users, uid)
            key.hash = key_hash(users.secret, &key)
            slot = table_slot(users, &users.table, &key)
            users.table.slots[slot] = uid + 1
        users.slots_moved += 1
        most -= 1
    if users.old_table.count > 0 and users.slots_moved == users.old_table.count:
        PyMem_RawFree(users.old_table.slots)
        users.old_table.slots = NULL
        users.old_table.count = 0


cdef inline int users_begin_rehash(Users* users) except -1 nogil:
    """Allocate a table with twice the slots; the old table before it is gone by now."""
    cdef Table table
    table.slots = NULL
    table.count = max(2 * users.table.count, 64)
    memory_zeroed(<void**> &table.slots, table.count, sizeof(int32_t))
    users.old_table = users.table
    users.table = table
    users.slots_moved = 0
    return 0


cdef inline int32_t users_limit_error() except -1 nogil:
    """Raise OverflowError."""
    with gil:
        raise OverflowError("fastanomaly: more than 2^31 - 2 users, or a user id of 2 GiB")


cdef inline int32_t users_add(Users* users, const UserKey* key) except -1 nogil:
    """Add a user with a hashed key that no user has; the new uid.

    Expected O(SLOTS_MOVED + length), amortised; the text is copied.
    """
    cdef int32_t uid = users.count, length = <int32_t> key.length
    cdef int64_t slot
    if uid == USERS_LIMIT or key.length > TEXT_LIMIT:
        return users_limit_error()
    memory_reserve(
        <void**> &users.names, &users.names_capacity, uid + <int64_t> 1, sizeof(int64_t)
    )
    if key.number < 0:
        memory_reserve(
            <void**> &users.texts, &users.texts_capacity,
            users.texts_used + <int64_t> sizeof(int32_t) + key.length, 1,
        )
    if 3 * (uid + <int64_t> 1) > 2 * users.table.count:
        users_begin_rehash(users)
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
    """Undo the last users_add that was not undone.

    Expected O(1); O(users) while an old table is kept. Needed after a failed allocation only.
    """
    cdef UserKey key = users_key(users, users.count - 1), other
    cdef Table table = users.table
    cdef int64_t mask = table.count - 1, hole, slot, home
    # The user may be in the old table, too, if another user was added since.
    users_move_slots(users, users.old_table.count)
    key.hash = key_hash(users.secret, &key)
    hole = table_slot(users, &table, &key)
    table.slots[hole] = 0
    # Slots of the old table may have been moved behind this one since: close the gap.
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
    """Return the bytes allocated, without the texts of ids."""
    return (
        users.names_capacity * <int64_t> sizeof(int64_t)
        + (users.table.count + users.old_table.count) * <int64_t> sizeof(int32_t)
    )


cdef inline void users_free(Users* users) noexcept nogil:
    PyMem_RawFree(users.names)
    PyMem_RawFree(users.texts)
    PyMem_RawFree(users.table.slots)
    PyMem_RawFree(users.old_table.slots)
