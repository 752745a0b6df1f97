"""The latest T purchases of a network, at a cost that does not grow with D.

There are two ways in. From the buyer: mark the ball level by level, and merge its
members' rings. From the newest purchase: walk the recency log back, and keep the
purchases whose buyer is within D, until T are found. Neither wins always, so the search
does both: it walks for what the next level would cost, then marks that level, and walks
on from where it stopped. Whichever comes to an end first ends it; docs/search.md says
why that is within a small factor of the better way.

With r levels marked, a user is within D of the buyer if and only if somebody within
D - r of them is marked: one look at r = D, their friends at r = D - 1, a search that
stops at the first mark before that. Every answer is exact, so it stays true as r grows.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from fastanomaly.engine.ball cimport (
    PREFETCH, MARK_BALL, MARK_WITHIN, Ball, ball_begin, ball_complete, ball_count,
    ball_exhausted, ball_fill, ball_grow, ball_has, ball_has_of_four, ball_reserve_queue,
)
from fastanomaly.engine.graph cimport (
    LIST_FRIENDS, Friends, Graph, friends_have, friends_prefetch, friends_run,
    friends_runs,
)
from fastanomaly.engine.history cimport History
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_prefetch, memory_reserve
from fastanomaly.engine.merge cimport Merge, merge_free, merge_latest
from fastanomaly.engine.recency cimport CHUNK_ENTRIES, Chunk, Recency
from fastanomaly.engine.window cimport Window, window_append

cdef enum:
    # What merging costs, in steps of a walk that looks at nothing but marks: for each ring
    # that is read, which is seldom at hand, and for each purchase that is taken from them.
    RING_COST = 32
    TAKE_COST = 16
    # What the last walk looks at in one go: for each purchase missing, and at least.
    LOOKS_EACH = 4
    LOOKS_LEAST = 8
    COUNT_AHEAD = 8             # looks for each of T that a level's cost is counted by

cdef enum Within:               # whether a user is within D of the buyer
    NO = 0
    YES = 1
    UNKNOWN = 2                 # the budget ended first

cdef enum WalkEnd:
    FOUND                       # T purchases
    SPENT                       # the budget
    LOG_ENDED

cdef struct Search:             # kept from one search to the next
    Merge merge
    uint32_t* seen              # by uid: the test that saw the user
    int64_t seen_capacity
    uint32_t test_epoch
    # The walk of this search:
    int64_t chunk               # where the next purchase stands
    int32_t place
    int64_t budget              # steps left: a purchase or a friend looked at is one
    int64_t skipped             # purchases of users who are not within
    bint settled                # whether a wider degree would find the same
    int64_t steps_walked        # work, over all searches


cdef inline int search_reserve(Search* search, int64_t users) except -1 nogil:
    """Make room for that many users."""
    return memory_reserve(
        <void**> &search.seen, &search.seen_capacity, users, sizeof(uint32_t)
    )


cdef inline void search_add_user(Search* search, int32_t uid) noexcept nogil:
    search.seen[uid] = 0


cdef inline bint search_asks_rim(
    const Ball* ball, Friends friends
) noexcept nogil:
    """Whether looking up the rim among the friends costs less than looking at them."""
    return friends.count > LIST_FRIENDS and friends.count > ball.end - ball.rim


cdef inline Within search_rim(
    Search* search, const Ball* ball, const Graph* graph, Friends friends
) noexcept nogil:
    """Whether a friend of somebody who is not marked is, by looking up the rim.

    Whoever is marked, and not on the rim, has friends who are marked, all of them.
    """
    cdef int64_t i
    for i in range(ball.rim, ball.end):
        if friends_have(graph, friends, ball.queue[i]):
            search.budget -= i + 1 - ball.rim
            return YES
    search.budget -= ball.end - ball.rim
    return NO


cdef inline Within search_beside(
    Search* search, const Ball* ball, const Graph* graph, int32_t uid
) noexcept nogil:
    """Whether a friend of uid, who is not marked, is."""
    cdef Friends friends = graph.friends[uid]
    cdef int64_t i, run
    cdef const int32_t* uids
    cdef int32_t count
    if search_asks_rim(ball, friends):
        return search_rim(search, ball, graph, friends)
    for run in range(friends_runs(graph, friends)):
        uids = friends_run(graph, friends, run, &count)
        i = 0
        while i + 4 <= count:
            if ball_has_of_four(ball, uids + i):
                search.budget -= i + 4
                return YES
            i += 4
        while i < count:
            if ball_has(ball, uids[i]):
                search.budget -= i + 1
                return YES
            i += 1
        search.budget -= count
    return NO


cdef inline Within search_expand(
    Search* search, const Ball* ball, const Graph* graph, Friends friends, int64_t* tail
) noexcept nogil:
    """Put friends into the queue who were not seen yet; YES if one of them is marked."""
    cdef int32_t* queue = ball.queue + ball.end
    cdef int64_t run, i
    cdef const int32_t* uids
    cdef int32_t friend, count
    if friends.count > search.budget:
        return UNKNOWN
    for run in range(friends_runs(graph, friends)):
        uids = friends_run(graph, friends, run, &count)
        for i in range(count):
            friend = uids[i]
            if ball_has(ball, friend):
                search.budget -= i + 1
                return YES
            if search.seen[friend] != search.test_epoch:
                search.seen[friend] = search.test_epoch
                queue[tail[0]] = friend
                tail[0] += 1
        search.budget -= count
    return NO


cdef inline Within search_near(
    Search* search, const Ball* ball, const Graph* graph, int32_t uid, int32_t steps
) noexcept nogil:
    """Whether a marked user is within that many steps of uid, who is not marked.

    Gives up rather than overdraw the budget. The users it sees wait in the part of the
    queue that the ball has not come to: there is room for as many as the budget allows.
    Hubs are only asked for the rim at first, and their friends come last of their level:
    most often a mark is found before.
    """
    cdef Friends friends
    cdef int32_t* queue = ball.queue + ball.end
    cdef int64_t head = 0, level_end = 1, tail = 1, i
    cdef Within found
    search.test_epoch += 1
    if search.test_epoch == 0:
        memset(search.seen, 0, <size_t> search.seen_capacity * sizeof(uint32_t))
        search.test_epoch = 1
    search.seen[uid] = search.test_epoch
    queue[0] = uid
    while steps > 1 and head < tail:
        for i in range(head, level_end):
            friends = graph.friends[queue[i]]
            if search_asks_rim(ball, friends):
                found = search_rim(search, ball, graph, friends)
            else:
                found = search_expand(search, ball, graph, friends, &tail)
            if found != NO:
                return found
        for i in range(head, level_end):
            friends = graph.friends[queue[i]]
            if search_asks_rim(ball, friends):
                found = search_expand(search, ball, graph, friends, &tail)
                if found != NO:
                    return found
        head = level_end
        level_end = tail
        steps -= 1
    while head < tail:
        if search.budget <= 0:
            return UNKNOWN
        if head + PREFETCH < tail:
            friends_prefetch(graph, queue[head + PREFETCH])
        if search_beside(search, ball, graph, queue[head]) == YES:
            return YES
        head += 1
    return NO


cdef inline Within search_within(
    Search* search, const Ball* ball, const Graph* graph, int32_t uid, int32_t degree
) noexcept nogil:
    """Whether uid, who is not marked, is within the degree; remembered."""
    cdef Within answer
    if ball.marks[uid] == ball.outside:
        return NO
    if ball.marks[uid] == ball.stamp + MARK_WITHIN:
        return YES
    if degree - ball.radius == 1:
        answer = search_beside(search, ball, graph, uid)
    else:
        answer = search_near(search, ball, graph, uid, degree - ball.radius)
    if answer != UNKNOWN:
        ball.marks[uid] = ball.stamp + MARK_WITHIN if answer == YES else ball.outside
    return answer


cdef inline void search_next_chunk(Search* search, const Recency* recency) noexcept nogil:
    search.chunk -= 1
    if search.chunk >= 0:
        search.place = recency.chunks[search.chunk].end - 1


cdef inline WalkEnd search_walk(
    Search* search, Window* window, const Ball* ball, const Graph* graph,
    const Recency* recency, int32_t degree, int32_t tracked
) except? LOG_ENDED nogil:
    """Walk on while there is budget, with a ball that is not complete."""
    cdef const Chunk* chunk
    cdef int32_t buyer = ball.queue[0], uid
    cdef Within within
    while search.chunk >= 0:
        chunk = recency.chunks[search.chunk]
        while search.place >= chunk.start:
            if search.budget < 1:
                return SPENT
            search.budget -= 1
            uid = chunk.uids[search.place]
            if search.place - 2 * PREFETCH >= chunk.start:
                memory_prefetch(&graph.friends[chunk.uids[search.place - 2 * PREFETCH]])
                friends_prefetch(graph, chunk.uids[search.place - PREFETCH])
            if ball_has(ball, uid):
                within = YES if uid != buyer else NO
            else:
                within = search_within(search, ball, graph, uid, degree)
                if within == UNKNOWN:
                    return SPENT
            if within == YES:
                window_append(window, chunk.amounts_units[search.place])
                if window.count == tracked:
                    return FOUND
            elif uid != buyer:
                search.skipped += 1
            search.place -= 1
        search_next_chunk(search, recency)
    return LOG_ENDED


cdef inline int32_t search_chunk(
    const Chunk* chunk, const Ball* ball, int32_t last, int32_t first, int32_t* found
) noexcept nogil:
    """The places, from last to first, of purchases of users who are marked; their number.

    No branch depends on who is marked: there must be room for all places.
    """
    cdef const uint32_t* marks = ball.marks
    cdef uint32_t mark = ball.stamp + MARK_BALL
    cdef int32_t count = 0, place
    for place in range(last, first - 1, -1):
        found[count] = place
        count += marks[chunk.uids[place]] == mark
    return count


cdef inline WalkEnd search_walk_complete(
    Search* search, Window* window, const Ball* ball, const Recency* recency,
    int32_t tracked
) except? LOG_ENDED nogil:
    """The last walk, with a complete ball: it ends when T are out of its reach."""
    cdef const Chunk* chunk
    cdef int32_t[CHUNK_ENTRIES] found
    cdef int32_t buyer = ball.queue[0], low, i, count, looked
    cdef int64_t missing, most
    while search.chunk >= 0:
        missing = tracked - window.count
        if search.budget < missing:
            return SPENT
        chunk = recency.chunks[search.chunk]
        # Not many more than are needed at least, since all are looked at.
        most = min(search.budget, max(<int64_t> LOOKS_LEAST, LOOKS_EACH * missing))
        low = <int32_t> max(<int64_t> chunk.start, search.place - most + 1)
        count = search_chunk(chunk, ball, search.place, low, found)
        for i in range(count):
            if chunk.uids[found[i]] == buyer:
                continue
            window_append(window, chunk.amounts_units[found[i]])
            if window.count == tracked:
                low = found[i]
                count = i + 1
                break
        looked = search.place + 1 - low
        search.budget -= looked
        search.skipped += looked - count        # neither in the network nor the buyer
        search.place = low - 1
        if window.count == tracked:
            return FOUND
        if search.place < chunk.start:
            search_next_chunk(search, recency)
    return LOG_ENDED


cdef inline int64_t search_merge_cost(const Ball* ball, int64_t tracked) noexcept nogil:
    """What merging costs, in steps of a walk."""
    return ball.end + RING_COST * min(ball.end, tracked) + TAKE_COST * tracked


cdef inline bint search_promises(
    const Ball* ball, int64_t users, int64_t tracked
) noexcept nogil:
    """Whether a walk would cost less than merging, did all users buy as often."""
    return (
        <double> tracked * users < <double> search_merge_cost(ball, tracked) * ball.end
    )


cdef inline int search_latest(
    Search* search, Window* window, Ball* ball, const Graph* graph, const History* history,
    const Recency* recency, int64_t users, int32_t buyer, int32_t degree, int32_t tracked
) except -1 nogil:
    """Put the latest purchases of the buyer's network into the window."""
    ball_begin(ball, buyer, users)
    return search_further(
        search, window, ball, graph, history, recency, users, degree, tracked
    )


cdef inline int search_further(
    Search* search, Window* window, Ball* ball, const Graph* graph, const History* history,
    const Recency* recency, int64_t users, int32_t degree, int32_t tracked
) except -1 nogil:
    """The same with a ball that is begun, and marked no further than the degree."""
    cdef int64_t budget, due = 0    # what has been marked, or will be, since the last walk
    cdef int64_t known = 0          # what of the next level's cost has become due
    cdef WalkEnd end
    cdef bint complete, all_counted = True
    window.count = 0
    search.skipped = 0
    search.settled = graph.friends[ball.queue[0]].count == 0
    if search.settled:
        return 0
    search.chunk = recency.chunk_count
    search_next_chunk(search, recency)
    while True:
        complete = ball_complete(ball, degree)
        if not complete:
            all_counted = ball_count(ball, graph, known + COUNT_AHEAD * <int64_t> tracked)
            due += ball.level_cost - known
            known = ball.level_cost
        # A walk looks at T purchases at least: levels that cost less are marked first.
        if search_promises(ball, users, tracked) if complete else due > tracked:
            budget = search_merge_cost(ball, tracked) if complete else due
            due = 0
            search.budget = budget
            if complete:
                end = search_walk_complete(search, window, ball, recency, tracked)
            else:
                # Tests look at as many users as the budget has steps.
                ball_reserve_queue(ball, min(ball.end + budget, users) + 1)
                end = search_walk(search, window, ball, graph, recency, degree, tracked)
            search.steps_walked += budget - search.budget
            if end == FOUND or (end == LOG_ENDED and not recency.truncated):
                search.settled = search.skipped == 0
                return 0
            if end == LOG_ENDED:
                ball_fill(ball, graph, degree, users)
                complete = True
        if complete:
            search.settled = ball_exhausted(ball)
            return merge_latest(&search.merge, window, ball, history, tracked)
        if all_counted:
            ball_grow(ball, graph, users)
            known = 0


cdef inline int search_ball(
    Search* search, Window* window, Ball* ball, const Graph* graph, const History* history,
    int64_t users, int32_t buyer, int32_t degree, int32_t tracked
) except -1 nogil:
    """The same by the whole-ball way: costs the ball, which grows with the degree."""
    ball_begin(ball, buyer, users)
    ball_fill(ball, graph, degree, users)
    return merge_latest(&search.merge, window, ball, history, tracked)


cdef inline void search_free(Search* search) noexcept nogil:
    merge_free(&search.merge)
    PyMem_RawFree(search.seen)
