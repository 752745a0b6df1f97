"""The ball around a user: everybody within some degree, marked level by level.

A mark is the number of the search that made it, so nothing is cleared between searches,
and all of it is reused: a search allocates nothing.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from fastanomaly._graph cimport Friends, Graph
from fastanomaly._memory cimport PyMem_RawFree, memory_reserve, memory_reserve_zeroed

cdef struct Ball:
    uint32_t* marks             # by uid: the epoch of the last ball the user was in
    int64_t marks_capacity
    int32_t* queue              # the ball's users by distance, the origin first
    int64_t queue_capacity
    int64_t end                 # of the queue
    int64_t rim                 # where the last level begins
    int32_t radius              # levels marked, not counting the origin
    uint32_t epoch
    int64_t friends_marked      # work, over all balls: friends looked at


cdef inline int ball_reserve(Ball* ball, int64_t users) except -1 nogil:
    """Make room for that many users."""
    memory_reserve_zeroed(
        <void**> &ball.marks, &ball.marks_capacity, users, sizeof(uint32_t)
    )
    memory_reserve(<void**> &ball.queue, &ball.queue_capacity, users, sizeof(int32_t))
    return 0


cdef inline bint ball_has(const Ball* ball, int32_t uid) noexcept nogil:
    return ball.marks[uid] == ball.epoch


cdef inline void ball_begin(Ball* ball, int32_t origin) noexcept nogil:
    """Start a new ball, of radius 0."""
    ball.epoch += 1
    if ball.epoch == 0:
        memset(ball.marks, 0, <size_t> ball.marks_capacity * sizeof(uint32_t))
        ball.epoch = 1
    ball.marks[origin] = ball.epoch
    ball.queue[0] = origin
    ball.rim = 0
    ball.end = 1
    ball.radius = 0


cdef inline bint ball_complete(const Ball* ball, int32_t degree) noexcept nogil:
    """Whether everybody within the degree is marked."""
    return ball.radius == degree or ball.rim == ball.end


cdef inline int64_t ball_next_cost(const Ball* ball, const Graph* graph) noexcept nogil:
    """What ball_grow will cost: the friends of those on the rim."""
    cdef int64_t i, cost = 0
    for i in range(ball.rim, ball.end):
        cost += graph.friends[ball.queue[i]].count
    return cost


cdef inline void ball_grow(Ball* ball, const Graph* graph) noexcept nogil:
    """Mark one level more."""
    cdef const Friends* friends
    cdef int64_t level_end = ball.end, end = ball.end
    cdef uint32_t epoch = ball.epoch
    cdef uint32_t* marks = ball.marks
    cdef int32_t i, uid
    while ball.rim < level_end:
        friends = &graph.friends[ball.queue[ball.rim]]
        ball.rim += 1
        ball.friends_marked += friends.count
        for i in range(friends.count):
            uid = friends.uids[i]
            if marks[uid] != epoch:
                marks[uid] = epoch
                ball.queue[end] = uid
                end += 1
    ball.end = end
    ball.radius += 1


cdef inline void ball_fill(Ball* ball, const Graph* graph, int32_t degree) noexcept nogil:
    """Mark everybody within the degree."""
    while not ball_complete(ball, degree):
        ball_grow(ball, graph)


cdef inline void ball_free(Ball* ball) noexcept nogil:
    PyMem_RawFree(ball.marks)
    PyMem_RawFree(ball.queue)
