"""The ball around a user: all users within some degree, marked level by level.

A mark is an epoch of the ball's search plus what is known of the user, so marks need not be
cleared between searches: those of earlier searches are at most `stamp`. Greater marks are
nearer to the origin, so one comparison tells whether a user is known to be near enough:

    stamp + 1 .. within - 1     not within the degree: one mark for each degree of a grid
    within                      within the degree, at an unknown distance
    nearest - 2 d               in the ball, at distance d
    nearest - 2 d - 1           not in the ball yet, at most d away

All distances from LEVELS on have the marks of LEVELS.

Invariants: queue[:end] has the users in the ball, ordered by distance; queue[rim:level_end]
are those at distance `radius`, the last complete level. The friends of queue[:next] are in
the ball, so queue[level_end:end] are those of the next level marked so far. The marks beyond
the users of the last search are 0, so the arrays may grow at any time. Ball owns both arrays
and reuses them. ball_reserve must have been called for all users; a search allocates nothing.
"""

from libc.stdint cimport INT64_MAX, UINT32_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memset

from fastanomaly.engine.graph cimport Friends
from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_extend_zeroed, memory_reserve,
)
from fastanomaly.engine.view cimport (
    View, view_friends, view_prefetch, view_run, view_runs,
)

cdef enum:
    LEVELS = 31                 # distances that have marks of their own, from 0
    PREFETCH = 4                # number of users whose friends are prefetched

cdef struct Ball:
    uint32_t* marks             # by uid; zero for users who were never marked
    int64_t marks_capacity
    int32_t* queue              # users by distance, the origin first
    int64_t queue_capacity
    int64_t end                 # of the ball in the queue; the rest is scratch memory
    int64_t rim                 # where the last complete level begins in the queue,
    int64_t level_end           # and where it ends
    int64_t next                # the first user whose friends are not marked
    int32_t radius              # number of complete levels, the origin not counted
    int64_t level_cost          # edge visits to mark the friends of queue[next:counted]
    int64_t counted
    uint32_t stamp              # marks of earlier searches are at most that
    uint32_t outside            # mark of users not within the current degree
    uint32_t within             # mark of users within it; all greater ones are, too
    uint32_t nearest            # mark of the origin
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
    """Return whether a user is known to be within the degree, in the ball or not."""
    return ball.marks[uid] >= ball.within


cdef inline uint32_t ball_mark_of(const Ball* ball, int64_t distance) noexcept nogil:
    """Return the mark of users in the ball at a distance."""
    return ball.nearest - 2 * <uint32_t> min(distance, <int64_t> LEVELS)


cdef inline uint32_t ball_mark_at_most(const Ball* ball, int64_t distance) noexcept nogil:
    """Return the least mark of users known to be at most that far from the origin."""
    return ball_mark_of(ball, distance) - 1


cdef inline bint any_of_four(
    const uint32_t* marks, const int32_t* uids, uint32_t least
) noexcept nogil:
    """Return whether any of four users has that mark or more, with one branch, not four."""
    return (
        (marks[uids[0]] >= least) | (marks[uids[1]] >= least)
        | (marks[uids[2]] >= least) | (marks[uids[3]] >= least)
    )


cdef inline void ball_begin(Ball* ball, int32_t origin, int32_t degrees) noexcept nogil:
    """Begin a ball of radius 0 around a user, for that many degrees (ball_widen).

    O(1), except once in 10^7 searches.
    """
    cdef uint32_t marks = <uint32_t> degrees + 2 * LEVELS + 3
    if ball.nearest >= UINT32_MAX - marks:
        memset(ball.marks, 0, <size_t> ball.marks_capacity * sizeof(uint32_t))
        ball.nearest = 0
    ball.stamp = ball.nearest
    ball.outside = ball.stamp + 1
    ball.within = ball.outside + <uint32_t> degrees
    ball.nearest = ball.stamp + marks
    ball.marks[origin] = ball.nearest
    ball.queue[0] = origin
    ball.rim = 0
    ball.next = 0
    ball.level_end = 1
    ball.end = 1
    ball.radius = 0
    ball.level_cost = 0
    ball.counted = 0


cdef inline void ball_widen(Ball* ball) noexcept nogil:
    """Continue with a wider degree: users who were outside may be within it."""
    ball.outside += 1


cdef inline bint ball_exhausted(const Ball* ball) noexcept nogil:
    """Return whether all users who can be reached are in the ball."""
    return ball.rim == ball.level_end


cdef inline bint ball_complete(const Ball* ball, int32_t degree) noexcept nogil:
    """Return whether all users within the degree are in the ball."""
    return ball.radius == degree or ball_exhausted(ball)


cdef inline bint ball_count(Ball* ball, const View* view, int64_t most) noexcept nogil:
    """Count the cost of the next level until it exceeds `most`; whether all is counted.

    A large rim takes long to count, and usually a part of it decides. Counting continues
    where it stopped, so all calls for a level together are O(users on the rim).
    """
    while ball.counted < ball.level_end and ball.level_cost <= most:
        ball.level_cost += view_friends(view, ball.queue[ball.counted]).count
        ball.counted += 1
    return ball.counted == ball.level_end


cdef inline int64_t ball_mark(
    const Ball* ball, const int32_t* uids, int32_t count, int64_t end
) noexcept nogil:
    """Mark users of the next level, and append those not in the ball yet; the new end.

    Branch-free: each user is written to the queue, also those who are in the ball already.
    """
    cdef uint32_t mark = ball_mark_of(ball, ball.radius + 1), before
    cdef uint32_t* marks = ball.marks
    cdef int32_t* queue = ball.queue
    cdef int32_t i, uid
    for i in range(count):
        uid = uids[i]
        before = marks[uid]
        queue[end] = uid
        end += before < mark
        marks[uid] = max(before, mark)
    return end


cdef inline void ball_mark_counted(Ball* ball, const View* view) noexcept nogil:
    """Mark the friends of the users whose friends are counted: the next level, if all are.

    O(level_cost).
    """
    cdef int64_t end = ball.end, run
    cdef Friends friends
    cdef const int32_t* uids
    cdef const int32_t* next_uids
    cdef int32_t count, next_count
    next_uids = view_run(view, view_friends(view, ball.queue[ball.next]), 0, &next_count)
    while ball.next < ball.counted:
        friends = view_friends(view, ball.queue[ball.next])
        uids = next_uids
        count = next_count
        ball.next += 1
        if ball.next < ball.counted:
            # Read before marking: the mispredicted branch at its end would delay it.
            next_uids = view_run(
                view, view_friends(view, ball.queue[ball.next]), 0, &next_count
            )
            if ball.next + PREFETCH < ball.counted:
                view_prefetch(view, ball.queue[ball.next + PREFETCH])
        end = ball_mark(ball, uids, count, end)
        for run in range(1, view_runs(view, friends)):
            uids = view_run(view, friends, run, &count)
            end = ball_mark(ball, uids, count, end)
        ball.friends_marked += friends.count
    ball.end = end
    ball.level_cost = 0
    if ball.next == ball.level_end:
        ball.rim = ball.level_end
        ball.level_end = end
        ball.radius += 1


cdef inline void ball_grow(Ball* ball, const View* view) noexcept nogil:
    """Mark the next level; O(edges of the users on the rim)."""
    ball_count(ball, view, INT64_MAX)
    ball_mark_counted(ball, view)


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
