"""The latest T purchases of a network, at a cost that does not grow with D.

There are two ways to find them. From the buyer: mark the ball level by level, and merge the
rings of its users. From the newest purchase: walk the recency log back, and keep the
purchases whose buyer is within D, until T are found. Neither is always cheaper, so the
search alternates: it walks for as much as the next part of the ball would cost, then marks
that part, and resumes the walk where it stopped. The one that finishes first ends the
search, so the cost stays within a small factor of the cheaper way (docs/search.md has the
proof).

With r levels marked, a user is within D of the buyer if and only if some user within D - r
of them is marked. At r = D that is one read of a mark, at r = D - 1 a scan of their friends,
and before that a breadth-first search that stops at the first mark. Before its last step it
also stops at marks of level r + 1, so a part of that level makes tests cheaper. The answers
are exact, so they stay valid as r grows, and are stored as marks.

Work is counted in steps: a purchase walked over or an edge visited is one step. Search owns
its arrays and reuses them. Except for search_ball, functions expect a ball that ball_begin
or ball_grow left, and only the ball, the search and the window are written to.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcpy, memset

from fastanomaly.engine.ball cimport (
    LEVELS, PREFETCH, Ball, any_of_four, ball_complete, ball_count, ball_exhausted, ball_fill,
    ball_has, ball_mark_at_most, ball_mark_counted,
)
from fastanomaly.engine.graph cimport LIST_FRIENDS, Friends
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_extend_zeroed, memory_prefetch
from fastanomaly.engine.merge cimport Merge, merge_free, merge_latest, merge_reserve
from fastanomaly.engine.recency cimport CHUNK_ENTRIES
from fastanomaly.engine.view cimport (
    View, view_friends, view_have, view_prefetch, view_run, view_runs,
)
from fastanomaly.engine.walk cimport Walk, walk_begin, walk_next_run
from fastanomaly.engine.window cimport Window, window_append

cdef enum:
    # The cost of merging in steps of a walk that only reads marks: for each ring read, which
    # is usually a cache miss, and for each purchase taken from the rings.
    RING_COST = 32
    PURCHASE_COST = 16
    # The number of purchases that a walk with a complete ball tests at once: for each
    # purchase missing, and at least.
    TESTS_PER_MISSING = 4
    TESTS_MIN = 8
    # The cost of a level is counted in portions of that many steps for each of T.
    COUNT_PORTION = 8
    # Before the first walk with tests that may take several steps, marking may spend that many
    # for each of T: a test costs about as much, a cache miss and a mispredicted branch.
    MARK_PER_PURCHASE = 32

cdef enum Within:               # whether a user is within D of the buyer
    NO = 0
    YES = 1
    UNKNOWN = 2                 # the budget was used up before the answer was found

cdef enum WalkEnd:
    FOUND                       # T purchases
    BUDGET_SPENT
    LOG_ENDED

cdef struct Search:             # reused by all searches of a judge
    Merge merge
    uint32_t* seen              # by uid: the last breadth-first search that saw the user
    int64_t seen_capacity       # 0 in entries of users who were never seen
    uint32_t seen_epoch         # of the current breadth-first search
    # The walk of the current search:
    Walk walk                   # where it resumes
    int64_t budget              # steps left; a test may overdraw it by a user's friends
    int64_t skipped             # purchases of users not within the degree
    bint same_if_wider          # whether any wider degree would find the same purchases
    int64_t steps_walked        # work of all searches


cdef inline int search_reserve(
    Search* search, int64_t users, int64_t tracked
) except -1 nogil:
    """Reserve memory for searches among that many users, for at most that many purchases."""
    if users > search.seen_capacity:
        memory_extend_zeroed(
            <void**> &search.seen, &search.seen_capacity, users, sizeof(uint32_t)
        )
    return merge_reserve(&search.merge, min(users, tracked))


cdef inline Within search_rim(
    Search* search, const Ball* ball, const View* view, Friends friends, uint32_t least
) noexcept nogil:
    """Return whether a user who is not in the ball has a friend in it with such a mark.

    All friends of queue[:next] are in the ball, so only the users after them can have a
    friend who is not; the last level is in order of marks. Expected O(users after them).
    """
    cdef int64_t i
    for i in range(ball.next, ball.end):
        if ball.marks[ball.queue[i]] < least:
            break
        if view_have(view, friends, ball.queue[i]):
            search.budget -= i + 1 - ball.next
            return YES
    search.budget -= ball.end - ball.next
    return NO


cdef inline Within search_friends(
    Search* search, const Ball* ball, const View* view, int32_t uid, uint32_t least
) noexcept nogil:
    """Return whether a user has a friend with such a mark or more; stops at the first one.

    The user's own mark is less, or would have ended the search.
    """
    cdef Friends friends = view_friends(view, uid)
    cdef const uint32_t* marks = ball.marks
    cdef int64_t i, run
    cdef const int32_t* uids
    cdef int32_t count
    if friends.count > LIST_FRIENDS and friends.count > ball.end - ball.next:
        return search_rim(search, ball, view, friends, least)
    for run in range(view_runs(view, friends)):
        uids = view_run(view, friends, run, &count)
        i = 0
        while i + 4 <= count:
            if any_of_four(marks, uids + i, least):
                search.budget -= i + 4
                return YES
            i += 4
        while i < count:
            if marks[uids[i]] >= least:
                search.budget -= i + 1
                return YES
            i += 1
        search.budget -= count
    return NO


cdef inline int64_t search_append(
    Search* search, const View* view, int32_t uid, int32_t* queue, int64_t tail
) noexcept nogil:
    """Append a user's friends not seen yet to the queue; its new tail.

    Branch-free: each friend is written to the queue.
    """
    cdef Friends friends = view_friends(view, uid)
    cdef uint32_t* seen = search.seen
    cdef uint32_t epoch = search.seen_epoch
    cdef int64_t run, i
    cdef const int32_t* uids
    cdef int32_t friend, count
    for run in range(view_runs(view, friends)):
        uids = view_run(view, friends, run, &count)
        for i in range(count):
            friend = uids[i]
            queue[tail] = friend
            tail += seen[friend] != epoch
            seen[friend] = epoch
    search.budget -= friends.count
    return tail


cdef inline int64_t search_append_first(
    Search* search, const View* view, int32_t uid, int32_t* queue, int64_t tail
) noexcept nogil:
    """Append all friends of the user a search starts from, who differ; the new tail."""
    cdef Friends friends = view_friends(view, uid)
    cdef int64_t run
    cdef const int32_t* uids
    cdef int32_t count
    for run in range(view_runs(view, friends)):
        uids = view_run(view, friends, run, &count)
        if count > 0:
            memcpy(queue + tail, uids, <size_t> count * sizeof(int32_t))
            tail += count
    search.budget -= friends.count
    return tail


cdef inline void search_begin_seen(
    Search* search, const int32_t* uids, int64_t count
) noexcept nogil:
    """Begin to remember who was seen: these users."""
    cdef int64_t i
    search.seen_epoch += 1
    if search.seen_epoch == 0:
        memset(search.seen, 0, <size_t> search.seen_capacity * sizeof(uint32_t))
        search.seen_epoch = 1
    for i in range(count):
        search.seen[uids[i]] = search.seen_epoch


cdef inline Within search_near(
    Search* search, const Ball* ball, const View* view, int32_t uid, int32_t degree
) noexcept nogil:
    """Return whether uid, who is not in the ball, is within the degree.

    A breadth-first search that ends with UNKNOWN when the budget is used up. Usually a mark
    is found soon, so the friends of a level are first only looked at, and remembered when
    that was in vain. Its queue is the free part of the ball's, which has room for all users.
    """
    cdef int32_t* queue = ball.queue + ball.end
    cdef int64_t head = 0, level_end = 1, tail = 1, i
    cdef int32_t left = degree          # steps from the friends looked at to the buyer
    cdef uint32_t least
    queue[0] = uid
    while True:
        left -= 1
        least = ball_mark_at_most(ball, left)
        for i in range(head, level_end):
            if search.budget <= 0:
                return UNKNOWN
            if i + PREFETCH < level_end:
                view_prefetch(view, queue[i + PREFETCH])
            if search_friends(search, ball, view, queue[i], least) == YES:
                return YES
        if left == ball.radius:
            return NO
        if head == 1:
            search_begin_seen(search, queue, tail)
        for i in range(head, level_end):
            if view_friends(view, queue[i]).count > search.budget:
                return UNKNOWN
            if head == 0:
                tail = search_append_first(search, view, uid, queue, tail)
            else:
                tail = search_append(search, view, queue[i], queue, tail)
        head = level_end
        level_end = tail
        if head == tail:
            return NO
        for i in range(head, min(head + PREFETCH, level_end)):
            view_prefetch(view, queue[i])


cdef inline Within search_within(
    Search* search, const Ball* ball, const View* view, int32_t uid, int32_t degree
) noexcept nogil:
    """Return whether uid is within the degree, which is not known yet; store the answer."""
    cdef Within answer
    if ball.marks[uid] == ball.outside:
        return NO
    if degree - ball.radius == 1:
        answer = search_friends(
            search, ball, view, uid, ball_mark_at_most(ball, ball.radius)
        )
    else:
        answer = search_near(search, ball, view, uid, degree)
    if answer != UNKNOWN:
        ball.marks[uid] = ball.within if answer == YES else ball.outside
    return answer


cdef inline WalkEnd search_walk(
    Search* search, Window* window, const Ball* ball, const View* view, int32_t degree,
    int32_t tracked
) noexcept nogil:
    """Walk back, with a ball that is not complete, until the budget is spent."""
    cdef const Friends* friends = view.state.graph.friends
    cdef Walk* walk = &search.walk
    cdef int32_t buyer = ball.queue[0], uid
    cdef Within within
    while walk.place >= walk.first or walk_next_run(walk, view):
        while walk.place >= walk.first:
            if search.budget < 1:
                return BUDGET_SPENT
            search.budget -= 1
            uid = walk.uids[walk.place]
            if walk.place - 2 * PREFETCH >= walk.first:
                memory_prefetch(&friends[walk.uids[walk.place - 2 * PREFETCH]])
                view_prefetch(view, walk.uids[walk.place - PREFETCH])
            if ball_has(ball, uid):
                within = YES if uid != buyer else NO
            else:
                within = search_within(search, ball, view, uid, degree)
                if within == UNKNOWN:
                    return BUDGET_SPENT
            if within == YES:
                window_append(window, walk.amounts_units[walk.place])
                if window.count == tracked:
                    return FOUND
            elif uid != buyer:
                search.skipped += 1
            walk.place -= 1
    return LOG_ENDED


cdef inline int32_t walk_find_marked(
    const Walk* walk, const Ball* ball, int32_t first, int32_t* found
) noexcept nogil:
    """Find the entries of a run down to `first` whose users are in the ball; their number.

    Branch-free: `found` must have room for all of them.
    """
    cdef const uint32_t* marks = ball.marks
    cdef const int32_t* uids = walk.uids
    cdef uint32_t mark = ball.within
    cdef int32_t count = 0, place
    for place in range(walk.place, first - 1, -1):
        found[count] = place
        count += marks[uids[place]] >= mark
    return count


cdef inline WalkEnd search_walk_complete(
    Search* search, Window* window, const Ball* ball, const View* view, int32_t tracked
) noexcept nogil:
    """Walk back with a complete ball, where a test is one read of a mark.

    Stops when the budget cannot cover the purchases that are still missing.
    """
    cdef Walk* walk = &search.walk
    cdef int32_t[CHUNK_ENTRIES] found
    cdef int32_t buyer = ball.queue[0], low, i, count, tested
    cdef int64_t missing, most
    while walk.place >= walk.first or walk_next_run(walk, view):
        missing = tracked - window.count
        if search.budget < missing:
            return BUDGET_SPENT
        # All of them are tested, so not many more than the purchases still missing.
        most = min(search.budget, max(<int64_t> TESTS_MIN, TESTS_PER_MISSING * missing))
        most = min(most, <int64_t> CHUNK_ENTRIES)
        low = <int32_t> max(<int64_t> walk.first, walk.place - most + 1)
        count = walk_find_marked(walk, ball, low, found)
        for i in range(count):
            if walk.uids[found[i]] == buyer:
                continue
            window_append(window, walk.amounts_units[found[i]])
            if window.count == tracked:
                low = found[i]
                count = i + 1
                break
        tested = walk.place + 1 - low
        search.budget -= tested
        search.skipped += tested - count        # neither in the network nor the buyer
        walk.place = low - 1
        if window.count == tracked:
            return FOUND
    return LOG_ENDED


cdef inline int64_t search_merge_cost(const Ball* ball, int64_t tracked) noexcept nogil:
    """Return the cost of merging the rings of a complete ball, in steps of a walk."""
    return ball.end + RING_COST * min(ball.end, tracked) + PURCHASE_COST * tracked


cdef inline bint search_expects_short_walk(
    const Ball* ball, int64_t users, int64_t tracked
) noexcept nogil:
    """Return whether a walk would cost less than merging if all users bought equally often."""
    return (
        <double> tracked * users < <double> search_merge_cost(ball, tracked) * ball.end
    )


cdef inline bint search_walk_succeeded(
    Search* search, const View* view, WalkEnd end
) noexcept nogil:
    """Return whether the window has the latest purchases; if so, set same_if_wider."""
    if end == FOUND or (end == LOG_ENDED and not view.state.recency.truncated):
        search.same_if_wider = search.skipped == 0
        return True
    return False


cdef inline bint search_alternately(
    Search* search, Window* window, Ball* ball, const View* view, int32_t degree,
    int32_t tracked
) noexcept nogil:
    """Alternately walk and mark; False once the ball is complete without a result.

    Each walk has as many steps as were or will be spent on marking since the last one.
    Before the last level, a level is marked in parts that double.
    """
    cdef int64_t due = 0            # steps for the next walk
    cdef int64_t cost_due = 0       # the part of the next level's cost that is in `due`
    cdef int64_t marked = 0         # steps of marking
    cdef WalkEnd end
    cdef bint all_counted, in_parts
    while not ball_complete(ball, degree):
        # Before the last level, every user marked ends tests earlier.
        in_parts = degree - ball.radius > 1 and ball.radius < LEVELS - 1
        all_counted = ball_count(
            ball, view, cost_due + max(COUNT_PORTION * <int64_t> tracked, marked)
        )
        due += ball.level_cost - cost_due
        cost_due = ball.level_cost
        # A walk needs at least T steps to succeed: what costs less is marked first.
        if due > (MARK_PER_PURCHASE if in_parts else 1) * <int64_t> tracked:
            search.budget = due
            end = search_walk(search, window, ball, view, degree, tracked)
            search.steps_walked += due - search.budget
            due = 0
            if search_walk_succeeded(search, view, end):
                return True
            if end == LOG_ENDED:
                ball_fill(ball, view, degree)
                return False
        if all_counted or in_parts:
            marked += ball.level_cost
            ball_mark_counted(ball, view)
            cost_due = 0
    return False


cdef inline bint search_last_walk(
    Search* search, Window* window, const Ball* ball, const View* view, int32_t tracked
) noexcept nogil:
    """Walk on with a complete ball, if that is promising; whether it has found all purchases.

    The walk may spend what merging would cost.
    """
    cdef int64_t budget
    cdef WalkEnd end
    if not search_expects_short_walk(ball, view.state.users.count, tracked):
        return False
    budget = search_merge_cost(ball, tracked)
    search.budget = budget
    end = search_walk_complete(search, window, ball, view, tracked)
    search.steps_walked += budget - search.budget
    return search_walk_succeeded(search, view, end)


cdef inline bint search_without_rings(
    Search* search, Window* window, Ball* ball, const View* view, int32_t degree,
    int32_t tracked
) noexcept nogil:
    """Fill the window with the latest T purchases of the network around a ball's origin.

    False if that needs the rings of the network, which is the ball then. The ball must not
    have more levels than the degree.
    """
    window.count = 0
    search.skipped = 0
    search.same_if_wider = view_friends(view, ball.queue[0]).count == 0
    if search.same_if_wider:
        return True
    walk_begin(&search.walk, view)
    return (
        search_alternately(search, window, ball, view, degree, tracked)
        or search_last_walk(search, window, ball, view, tracked)
    )


cdef inline void search_latest(
    Search* search, Window* window, Ball* ball, const View* view, int32_t degree,
    int32_t tracked
) noexcept nogil:
    """Do the same with the rings, where they are needed."""
    if not search_without_rings(search, window, ball, view, degree, tracked):
        search.same_if_wider = ball_exhausted(ball)
        merge_latest(&search.merge, window, ball, view, tracked)


cdef inline void search_ball(
    Search* search, Window* window, Ball* ball, const View* view, int32_t degree,
    int32_t tracked
) noexcept nogil:
    """Return the same by marking the whole ball and merging: O(edges of the ball + T log T).

    Kept as a reference for tests and benchmarks.
    """
    search.same_if_wider = False
    ball_fill(ball, view, degree)
    merge_latest(&search.merge, window, ball, view, tracked)


cdef inline void search_free(Search* search) noexcept nogil:
    merge_free(&search.merge)
    PyMem_RawFree(search.seen)
