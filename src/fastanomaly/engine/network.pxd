"""Queries of a user's network, with a judge's scratch memory: for explanations and tests."""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.ball cimport (
    Ball, ball_begin, ball_complete, ball_fill, ball_grow, ball_has,
)
from fastanomaly.engine.graph cimport Friends, friends_run, friends_runs
from fastanomaly.engine.judge cimport Judge, Settings, judge_find_latest, judge_reserve
from fastanomaly.engine.memory cimport PyMem_RawFree, memory_resize
from fastanomaly.engine.merge cimport Candidate, merge_begin, merge_newest, merge_take
from fastanomaly.engine.state cimport State
from fastanomaly.engine.types cimport Purchase, UserKey
from fastanomaly.engine.user_keys cimport key_of_object, user_id_of
from fastanomaly.engine.users cimport key_hash, users_find
from fastanomaly.engine.view cimport View, view_of_state


cdef inline int32_t find_user(const State* state, object user) except -2:
    """Return the uid of a user_id given from Python, or -1 if it was never seen."""
    cdef UserKey key
    _text = key_of_object(user, &key)
    key.hash = key_hash(state.users.secret, &key)
    return users_find(&state.users, &key)


cdef inline list sample_ids(const State* state, int64_t most):
    """Return the ids of at most `most` users, evenly spaced in order of first appearance."""
    cdef int64_t i, users = state.users.count, count = min(users, most)
    return [user_id_of(&state.users, <int32_t> (i * users // count)) for i in range(count)]


cdef inline list network_ids(const State* state, Judge* judge, int32_t degree, object user):
    """Return the ids of the users within a degree, nearest first; O(their edges)."""
    cdef View view = view_of_state(state)
    cdef int64_t i
    cdef int32_t uid = find_user(state, user)
    if uid < 0:
        return []
    judge_reserve(judge, state.users.count, 1, 1)
    ball_begin(&judge.ball, uid, 1)
    ball_fill(&judge.ball, &view, degree)
    return [user_id_of(&state.users, judge.ball.queue[i]) for i in range(1, judge.ball.end)]


cdef inline list network_amounts(
    const State* state, const Settings* settings, Judge* judge, object user, int32_t degree,
    int32_t tracked
):
    """Return the amounts of a network's latest T purchases; costs a judgement."""
    cdef View view = view_of_state(state)
    cdef int64_t i
    cdef int32_t uid = find_user(state, user)
    if uid < 0:
        return []
    judge_reserve(judge, state.users.count, state.history.kept, tracked)
    judge_find_latest(judge, &view, uid, degree, tracked, settings.ball_method)
    return [judge.window.amounts[i] for i in range(judge.window.count)]


cdef inline list ball_fill_levels(Ball* ball, const State* state, int32_t degree):
    """Mark all users within the degree; the number of users at each distance from 1 on."""
    cdef View view = view_of_state(state)
    cdef int64_t end = ball.end
    cdef list sizes = []
    while not ball_complete(ball, degree):
        with nogil:
            ball_grow(ball, &view)
        if ball.end > end:
            sizes.append(ball.end - end)
        end = ball.end
    return sizes


cdef inline tuple path_to(
    const State* state, const Ball* ball, int32_t uid, const int32_t* places
):
    """Return the ids along a shortest path from a ball's origin to one of its users.

    `places` has the place of each user in the ball's queue, by uid. The queue is ordered by
    distance, so of a user's friends the one with the lowest place is nearest to the origin.
    """
    cdef Friends friends
    cdef const int32_t* uids
    cdef int64_t run
    cdef int32_t i, count, nearest
    cdef list path = [user_id_of(&state.users, uid)]
    while places[uid] > 0:
        friends = state.graph.friends[uid]
        nearest = uid
        for run in range(friends_runs(&state.graph, friends)):
            uids = friends_run(&state.graph, friends, run, &count)
            for i in range(count):
                if ball_has(ball, uids[i]) and places[uids[i]] < places[nearest]:
                    nearest = uids[i]
        uid = nearest
        path.append(user_id_of(&state.users, uid))
    return tuple(reversed(path))


cdef inline int check_in_ball(const State* state, const Ball* ball, int32_t uid) except -1:
    """Raise ValueError unless a user is in a ball."""
    if not 0 <= uid < state.users.count or not ball_has(ball, uid):
        raise ValueError(f"user {uid} is not in the network")
    return 0


cdef inline list ball_paths(const State* state, const Ball* ball, list uids):
    """Return the path to each of some users, see path_to; O(users) memory."""
    cdef int64_t i
    cdef int32_t uid
    cdef int32_t* places = NULL
    cdef dict paths = {}
    try:
        memory_resize(<void**> &places, state.users.count, sizeof(int32_t))
        for i in range(ball.end):
            places[ball.queue[i]] = <int32_t> i
        for uid in uids:
            if uid not in paths:
                check_in_ball(state, ball, uid)
                paths[uid] = path_to(state, ball, uid, places)
    finally:
        PyMem_RawFree(places)
    return [paths[uid] for uid in uids]


cdef inline list ball_latest(const State* state, Judge* judge, int32_t tracked):
    """Return what network_purchases does, of the network that is the judge's ball."""
    cdef const Candidate* newest
    cdef const Purchase* purchase
    cdef list found = []
    merge_begin(
        &judge.search.merge, judge.ball.queue + 1, judge.ball.end - 1, &state.history, tracked
    )
    newest = merge_newest(&judge.search.merge)
    while newest != NULL and len(found) < tracked:
        purchase = newest.cursor.purchase
        found.append((
            purchase.key.time_us, purchase.key.seq, newest.uid, purchase.amount_units,
        ))
        merge_take(&judge.search.merge, &state.history)
        newest = merge_newest(&judge.search.merge)
    return found


cdef inline list network_mark(
    const State* state, Judge* judge, int32_t uid, int32_t degree, int32_t tracked
):
    """Make a user's network the judge's ball; the number of users at each distance."""
    judge_reserve(judge, state.users.count, state.history.kept, tracked)
    ball_begin(&judge.ball, uid, 1)
    return ball_fill_levels(&judge.ball, state, degree)


cdef inline list network_purchases(
    const State* state, Judge* judge, object user, int32_t degree, int32_t tracked
):
    """Return (time_us, seq, uid, amount_units) of a network's latest T, newest first.

    In a shard, they are the latest of the users whom it owns.
    """
    cdef int32_t uid = find_user(state, user)
    if uid < 0:
        return []
    network_mark(state, judge, uid, degree, tracked)
    return ball_latest(state, judge, tracked)


cdef inline tuple network_paths(
    const State* state, Judge* judge, object user, int32_t degree, list uids
):
    """Return the number of users at each distance, and the path to each of some users."""
    cdef int32_t uid = find_user(state, user)
    if uid < 0:
        return [], []
    sizes = network_mark(state, judge, uid, degree, 1)
    return sizes, ball_paths(state, &judge.ball, uids) if uids else []


cdef inline tuple network_latest(
    const State* state, Judge* judge, object user, int32_t degree, int32_t tracked
):
    """Return what Engine.latest does; O(users) memory."""
    cdef int32_t uid = find_user(state, user)
    if uid < 0:
        return [], []
    sizes = network_mark(state, judge, uid, degree, tracked)
    found = ball_latest(state, judge, tracked)
    paths = ball_paths(state, &judge.ball, [values[2] for values in found])
    return sizes, [
        (path, values[0], values[3]) for path, values in zip(paths, found, strict=True)
    ]
