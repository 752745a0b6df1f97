"""The ball around a user: everybody within some degree, marked level by level.

A mark tells which search made it, so nothing is cleared between searches, and all of it is
reused: but for a queue that grows once in a while, a search allocates nothing.
"""

from libc.stdint cimport INT64_MAX, UINT32_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memset

from fastanomaly.engine.graph cimport (
    Friends, Graph, friends_prefetch, friends_run, friends_runs,
)
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve

cdef enum:
    # What is known of a user, added to the search's stamp:
    MARK_WITHIN = 1             # within the degree, and not in the ball yet
    MARK_BALL = 2
    MARK_OUTSIDE = 3            # not within the degree; higher for each wider degree

cdef enum:
    MOST_DEGREES = 1 << 10      # that one ball is asked for, one after the other
    PREFETCH = 4                # users whose friends are on their way while others are read

cdef struct Ball:
    uint32_t* marks             # by uid
    int64_t marks_capacity
    int32_t* queue              # the ball's users by distance, the origin first
    int64_t queue_capacity
    int64_t end                 # of the queue
    int64_t rim                 # where the last level begins
    int32_t radius              # levels marked, not counting the origin
    int64_t level_cost          # what the next level costs, as far as it is counted:
    int64_t counted             # the friends of those on the rim before this place
    uint32_t stamp              # no mark of an earlier search is above it
    uint32_t outside            # the mark of who is not within the degree at hand
    int64_t friends_marked      # work, over all balls: friends looked at


cdef inline int ball_reserve(Ball* ball, int64_t users) except -1 nogil:
    """Make room for that many users."""
    return memory_reserve(
        <void**> &ball.marks, &ball.marks_capacity, users, sizeof(uint32_t)
    )


cdef inline void ball_add_user(Ball* ball, int32_t uid) noexcept nogil:
    ball.marks[uid] = 0


cdef inline int ball_reserve_queue(Ball* ball, int64_t users) except -1 nogil:
    """Make room for that many users in the queue."""
    return memory_reserve(
        <void**> &ball.queue, &ball.queue_capacity, users, sizeof(int32_t)
    )


cdef inline bint ball_has(const Ball* ball, int32_t uid) noexcept nogil:
    return ball.marks[uid] == ball.stamp + MARK_BALL


cdef inline bint ball_has_of_four(const Ball* ball, const int32_t* uids) noexcept nogil:
    """Whether any of four users is marked: one branch to be guessed, not four."""
    return (
        ball_has(ball, uids[0]) | ball_has(ball, uids[1])
        | ball_has(ball, uids[2]) | ball_has(ball, uids[3])
    )


cdef inline int ball_begin(Ball* ball, int32_t origin, int64_t users) except -1 nogil:
    """Start a new ball, of radius 0, among that many users."""
    ball_reserve_queue(ball, 1)
    if ball.outside >= UINT32_MAX - MOST_DEGREES - MARK_OUTSIDE:
        memset(ball.marks, 0, <size_t> users * sizeof(uint32_t))
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
    return 0


cdef inline void ball_widen(Ball* ball) noexcept nogil:
    """Go on with a wider degree: who was outside may be within."""
    ball.outside += 1


cdef inline bint ball_exhausted(const Ball* ball) noexcept nogil:
    """Whether nobody can be reached who is not marked."""
    return ball.rim == ball.end


cdef inline bint ball_complete(const Ball* ball, int32_t degree) noexcept nogil:
    """Whether everybody within the degree is marked."""
    return ball.radius == degree or ball_exhausted(ball)


cdef inline bint ball_count(Ball* ball, const Graph* graph, int64_t most) noexcept nogil:
    """Count what ball_grow will cost, until it is above `most`; whether that is all of it.

    A wide rim takes long to count, and most often less than all of it decides.
    """
    while ball.counted < ball.end and ball.level_cost <= most:
        ball.level_cost += graph.friends[ball.queue[ball.counted]].count
        ball.counted += 1
    return ball.counted == ball.end


cdef inline int64_t ball_mark(
    const Ball* ball, const int32_t* uids, int32_t count, int64_t end
) noexcept nogil:
    """Mark users, and put those who are new into the queue, at its end; the end then.

    No branch depends on who is new, so there must be room for one user more.
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


cdef inline int ball_grow(Ball* ball, const Graph* graph, int64_t users) except -1 nogil:
    """Mark one level more, among that many users."""
    cdef int64_t level_end = ball.end, end = ball.end, run
    cdef Friends friends
    cdef const int32_t* uids
    cdef const int32_t* next_uids
    cdef int32_t count, next_count
    ball_count(ball, graph, INT64_MAX)
    ball_reserve_queue(ball, min(end + ball.level_cost, users) + 1)
    next_uids = friends_run(graph, graph.friends[ball.queue[ball.rim]], 0, &next_count)
    while ball.rim < level_end:
        friends = graph.friends[ball.queue[ball.rim]]
        uids = next_uids
        count = next_count
        ball.rim += 1
        if ball.rim < level_end:
            # Found before the marking, at the end of which the processor guesses wrong.
            next_uids = friends_run(
                graph, graph.friends[ball.queue[ball.rim]], 0, &next_count
            )
            if ball.rim + PREFETCH < level_end:
                friends_prefetch(graph, ball.queue[ball.rim + PREFETCH])
        end = ball_mark(ball, uids, count, end)
        for run in range(1, friends_runs(graph, friends)):
            uids = friends_run(graph, friends, run, &count)
            end = ball_mark(ball, uids, count, end)
        ball.friends_marked += friends.count
    ball.end = end
    ball.radius += 1
    ball.level_cost = 0
    ball.counted = level_end
    return 0


cdef inline int ball_fill(
    Ball* ball, const Graph* graph, int32_t degree, int64_t users
) except -1 nogil:
    """Mark everybody within the degree."""
    while not ball_complete(ball, degree):
        ball_grow(ball, graph, users)
    return 0


cdef inline int64_t ball_bytes(const Ball* ball) noexcept nogil:
    """The bytes of the queue: marks are counted with the users."""
    return ball.queue_capacity * <int64_t> sizeof(int32_t)


cdef inline void ball_free(Ball* ball) noexcept nogil:
    PyMem_RawFree(ball.marks)
    PyMem_RawFree(ball.queue)
