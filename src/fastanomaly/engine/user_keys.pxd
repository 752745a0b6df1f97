"""User ids between Python and the engine: a str or int to a key, and back."""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from fastanomaly.engine.memory cimport memory_resize
from fastanomaly.engine.types cimport PURCHASE, UserKey
from fastanomaly.engine.users cimport Users, key_of_text, users_key


cdef inline str key_text(const UserKey* key):
    """Return the user_id of a key."""
    if key.number >= 0:
        return str(key.number)
    return key.text[:key.length].decode("utf-8")


cdef inline str user_id_of(const Users* users, int32_t uid):
    """Return the user_id of a user."""
    cdef UserKey key = users_key(users, uid)
    return key_text(&key)


cdef inline str key_of_object(object user, UserKey* key):
    """Set the key of a user_id given from Python; returns the text that it points to.

    The key is not hashed, and valid as long as the text is referenced. Raises TypeError or
    ValueError.
    """
    cdef const char* text
    cdef Py_ssize_t length
    if isinstance(user, str):
        user = str.__str__(user)        # the value of an enum member, not its name
    elif hasattr(user, "__index__") and not isinstance(user, bool):
        try:
            user = int.__str__(user.__index__())
        except ValueError:
            raise ValueError(
                "user id: an integer of more digits than Python converts to text"
            ) from None
    else:
        raise TypeError(f"user id: expected str or int, got {type(user).__name__}")
    if not user:
        raise ValueError("user id: empty")
    try:
        text = PyUnicode_AsUTF8AndSize(user, &length)
    except UnicodeEncodeError:
        raise ValueError(f"user id: {user!r} has a lone surrogate") from None
    key[0] = key_of_text(text, length)
    return user


cdef inline list keys_of_column(
    str name, list users, const uint8_t[::1] kinds, UserKey** keys
):
    """Set the keys of a column of user_ids; returns the texts that they point to.

    *keys must be NULL or a block; it is resized, and freed by the caller. The ids in the
    column "friends" are skipped for purchases.
    """
    cdef int64_t index
    cdef list texts = []
    memory_resize(<void**> keys, len(users), sizeof(UserKey))
    memset(keys[0], 0, len(users) * sizeof(UserKey))
    for index, user in enumerate(users):
        if kinds[index] == PURCHASE and name == "friends":
            continue
        try:
            texts.append(key_of_object(user, &keys[0][index]))
        except (TypeError, ValueError) as error:
            raise type(error)(f"columns, row {index}: {name}: {error}") from None
    return texts
