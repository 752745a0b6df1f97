"""The ball around a user: all users within some degree, marked level by level.

A mark is an epoch of the ball's search plus what is known of the user (MARK_*), so marks
need not be cleared between searches: those of earlier searches are at most `stamp`.

Invariants: queue[:end] has the users in the ball, ordered by distance, each of them marked
MARK_BALL; queue[rim:end] are those at distance `radius`. The marks beyond the users of the
last search are 0, so the arrays may grow at any time. Ball owns both arrays and reuses
them. ball_reserve must have been called for all users; a search allocates nothing.
"""

from libc.stdint cimport UINT32_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memset

from fastanomaly.engine.graph cimport Friends
from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_extend_zeroed, memory_reserve,
)
from fastanomaly.engine.view cimport (
    View, view_friends, view_prefetch, view_run, view_runs,
)

cdef enum:
    # What is known of a user; added to the stamp of the search:
    MARK_WITHIN = 1             # within the degree, but not in the ball yet
    MARK_BALL = 2
    MARK_OUTSIDE = 3            # not within the degree; one more for each wider degree

cdef enum:
    DEGREES_MAX = 1 << 10       # for which one ball is used (ball_widen)
    PREFETCH = 4                # number of users whose friends are prefetched

cdef struct Ball:
    uint32_t* marks             # by uid; zero for users who were never marked
    int64_t marks_capacity
    int32_t* queue              # users by distance, the origin first
    int64_t queue_capacity
    int64_t end                 # of the ball in the queue; the rest is scratch memory
    int64_t rim                 # where the last level begins in the queue
    int32_t radius              # number of levels marked, the origin not counted
    int64_t level_cost          # edge visits to mark the next level: the sum of the friend
    int64_t counted             # counts of queue[rim:counted]
    uint32_t stamp              # marks of earlier searches are at most that
    uint32_t outside            # mark of users not within the current degree
    int64_t friends_marked      # work of all searches: edge visits


cdef inline int ball_reserve(Ball* ball, int64_t users) except -1 nogil:
    """Reserve memory for balls among that many users.

    The queue has one more entry: it is filled without branches, one entry ahead.
    """
    if users > ball.marks_capacity:
        memory_extend_zeroed(
            <void**> &ball.marks, &ball.marks_capacity, users, sizeof(uint32_t)
        )
    return memory_reserve(
        <void**> &ball.queue, &ball.queue_capacity, users + 1, sizeof(int32_t)
    )


cdef inline bint ball_has(const Ball* ball, int32_t uid) noexcept nogil:
    """Return whether a user is in the ball."""
    return ball.marks[uid] == ball.stamp + MARK_BALL


cdef inline bint ball_has_of_four(const Ball* ball, const int32_t* uids) noexcept nogil:
    """Return whether any of four users is in the ball, with one branch instead of four."""
    return (
        ball_has(ball, uids[0]) | ball_has(ball, uids[1])
        | ball_has(ball, uids[2]) | ball_has(ball, uids[3])
    )


cdef inline void ball_begin(Ball* ball, int32_t origin) noexcept nogil:
    """Begin a ball of radius 0 around a user; O(1), except once in 10^9 searches."""
    if ball.outside >= UINT32_MAX - DEGREES_MAX - MARK_OUTSIDE:
        memset(ball.marks, 0, <size_t> ball.marks_capacity * sizeof(uint32_t))
        ball.outside = 0
    ball.stamp = ball.outside
    ball.outside = ball.stamp + MARK_OUTSIDE
    ball.marks[origin] = ball.stamp + MARK_BALL
    ball.queue[0] = origin
    ball.rim = 0
    ball.end = 1
    ball.radius = 0
    ball.level_cost = 0
    ball.counted = 0


cdef inline void ball_widen(Ball* ball) noexcept nogil:
    """Continue with a wider degree: users who were outside may be within it."""
    ball.outside += 1


cdef inline bint ball_exhausted(const Ball* ball) noexcept nogil:
    """Return whether all users who can be reached are in the ball."""
    return ball.rim == ball.end


cdef inline bint ball_complete(const Ball* ball, int32_t degree) noexcept nogil:
    """Return whether all users within the degree are in the ball."""
    return ball.radius == degree or ball_exhausted(ball)


cdef inline bint ball_count(Ball* ball, const View* view, int64_t most) noexcept nogil:
    """Count the cost of the next level until it exceeds `most`; whether all is counted.

    A large rim takes long to count, and usually a part of it decides. Counting continues
    where it stopped, so all calls for a level together are O(users on the rim).
    """
    while ball.counted < ball.end and ball.level_cost <= most:
        ball.level_cost += view_friends(view, ball.queue[ball.counted]).count
        ball.counted += 1
    return ball.counted == ball.end


cdef inline int64_t ball_mark(
    const Ball* ball, const int32_t* uids, int32_t count, int64_t end
) noexcept nogil:
    """Mark users, and append those not marked yet to the queue; its new end.

    Branch-free: each user is written to the queue, also those who are marked already.
    """
    cdef uint32_t mark = ball.stamp + MARK_BALL
    cdef uint32_t* marks = ball.marks
    cdef int32_t* queue = ball.queue
    cdef int32_t i, uid
    for i in range(count):
        uid = uids[i]
        queue[end] = uid
        end += marks[uid] != mark
        marks[uid] = mark
    return end


cdef inline void ball_grow(Ball* ball, const View* view) noexcept nogil:
    """Mark the next level; O(edges of the users on the rim)."""
    cdef int64_t level_end = ball.end, end = ball.end, run
    cdef Friends friends
    cdef const int32_t* uids
    cdef const int32_t* next_uids
    cdef int32_t count, next_count
    next_uids = view_run(view, view_friends(view, ball.queue[ball.rim]), 0, &next_count)
    while ball.rim < level_end:
        friends = view_friends(view, ball.queue[ball.rim])
        uids = next_uids
        count = next_count
        ball.rim += 1
        if ball.rim < level_end:
            # Read before marking: the mispredicted branch at its end would delay it.
            next_uids = view_run(
                view, view_friends(view, ball.queue[ball.rim]), 0, &next_count
            )
            if ball.rim + PREFETCH < level_end:
                view_prefetch(view, ball.queue[ball.rim + PREFETCH])
        end = ball_mark(ball, uids, count, end)
        for run in range(1, view_runs(view, friends)):
            uids = view_run(view, friends, run, &count)
            end = ball_mark(ball, uids, count, end)
        ball.friends_marked += friends.count
    ball.end = end
    ball.radius += 1
    ball.level_cost = 0
    ball.counted = level_end


cdef inline void ball_fill(Ball* ball, const View* view, int32_t degree) noexcept nogil:
    """Mark all users within the degree; O(edges of the ball)."""
    while not ball_complete(ball, degree):
        ball_grow(ball, view)


cdef inline int64_t ball_bytes(const Ball* ball) noexcept nogil:
    """Return the bytes allocated for the queue; the marks are counted with the users."""
    return ball.queue_capacity * <int64_t> sizeof(int32_t)


cdef inline void ball_free(Ball* ball) noexcept nogil:
    PyMem_RawFree(ball.marks)
    PyMem_RawFree(ball.queue)
