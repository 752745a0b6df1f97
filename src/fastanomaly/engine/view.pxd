"""A view: the state before a batch, plus the events of the batch before a place.

This is what a purchase is judged against. Without an overlay it is the state alone.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.edits cimport (
    Edits, edits_friends, edits_have, edits_may_have, edits_run, edits_runs,
)
from fastanomaly.engine.graph cimport (
    HUBS_LIMIT, Friends, Graph, friends_have, friends_prefetch, friends_run, friends_runs,
)
from fastanomaly.engine.overlay cimport Overlay
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport unlikely

cdef struct View:
    const State* state
    const Overlay* overlay      # or NULL
    const Edits* edits          # those of the overlay, or NULL if there are none
    int32_t place
    # The readers of edited lists. They are rare: through pointers, they stay out of the loops
    # of a search, where compilers would inline them.
    Friends (*edited_friends)(const Edits*, const Graph*, int32_t, int32_t) noexcept nogil
    int64_t (*edited_runs)(const Edits*, const Graph*, Friends) noexcept nogil
    const int32_t* (*edited_run)(
        const Edits*, const Graph*, Friends, int64_t, int32_t, int32_t*
    ) noexcept nogil
    bint (*edited_have)(const Edits*, const Graph*, Friends, int32_t, int32_t) noexcept nogil


cdef inline View view_at(
    const State* state, const Overlay* overlay, int32_t place
) noexcept nogil:
    """Return a view of a state and the events of an overlay before a place."""
    cdef View view
    view.state = state
    view.overlay = overlay
    view.edits = NULL
    if overlay != NULL and overlay.edits.version_count > 0:
        view.edits = &overlay.edits
    view.place = place
    view.edited_friends = edits_friends
    view.edited_runs = edits_runs
    view.edited_run = edits_run
    view.edited_have = edits_have
    return view


cdef inline View view_of_state(const State* state) noexcept nogil:
    """Return a view of a state alone."""
    return view_at(state, NULL, 0)


cdef inline int32_t view_newest(const View* view) noexcept nogil:
    """Return the index of the newest purchase of the overlay that may be seen, or -1."""
    return view.overlay.newest[view.place] if view.overlay != NULL else -1


cdef inline Friends view_friends(const View* view, int32_t uid) noexcept nogil:
    """Return the friends of a user, for the functions below."""
    if unlikely(view.edits != NULL, False):
        if edits_may_have(view.edits, uid):
            return view.edited_friends(view.edits, &view.state.graph, uid, view.place)
    return view.state.graph.friends[uid]


cdef inline bint is_edited(Friends friends) noexcept nogil:
    """Return whether friends are a version of the overlay's."""
    return friends.block <= ~HUBS_LIMIT


cdef inline int64_t view_runs(const View* view, Friends friends) noexcept nogil:
    """Return the number of arrays (runs) that hold the friends, at least 1."""
    if unlikely(friends.block < 0, False):
        if is_edited(friends):
            return view.edited_runs(view.edits, &view.state.graph, friends)
        return friends_runs(&view.state.graph, friends)
    return 1


cdef inline const int32_t* view_run(
    const View* view, Friends friends, int64_t run, int32_t* count
) noexcept nogil:
    """Return one run of friends; sets its length, which may be 0."""
    if unlikely(friends.block < 0, False):
        if is_edited(friends):
            return view.edited_run(
                view.edits, &view.state.graph, friends, run, view.place, count
            )
    return friends_run(&view.state.graph, friends, run, count)


cdef inline bint view_have(const View* view, Friends friends, int32_t uid) noexcept nogil:
    """Return whether uid is among the friends; O(LIST_FRIENDS), expected."""
    if unlikely(friends.block < 0, False):
        if is_edited(friends):
            return view.edited_have(
                view.edits, &view.state.graph, friends, uid, view.place
            )
    return friends_have(&view.state.graph, friends, uid)


cdef inline void view_prefetch(const View* view, int32_t uid) noexcept nogil:
    """Prefetch the friends of a user."""
    friends_prefetch(&view.state.graph, uid)
