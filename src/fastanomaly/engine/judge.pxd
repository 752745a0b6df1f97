"""The judge: everything that judging a purchase writes.

A judge is the scratch memory of one thread. It reads the state and the overlay of a batch
through const pointers, so several judges can judge against one state at a time; nothing may
be applied to the state meanwhile. All memory is reserved before a judgement, which cannot
fail then. The judge owns all its arrays. Settings are what all judges of an engine share.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.ball cimport (
    Ball, ball_begin, ball_complete, ball_count, ball_free, ball_grow, ball_reserve,
    ball_widen,
)
from fastanomaly.engine.grid cimport (
    LEVEL_COST_PER_PURCHASE, Grid, GridFlags, grid_flag, grid_repeat_flags,
)
from fastanomaly.engine.latency cimport Latency, latency_add, latency_merge, now_ns
from fastanomaly.engine.search cimport (
    Search, search_ball, search_free, search_latest, search_reserve,
)
from fastanomaly.engine.verdict cimport Sums, Verdict, sums_add, sums_of, verdict_on
from fastanomaly.engine.view cimport View
from fastanomaly.engine.window cimport Window, window_free, window_reserve

cdef struct Settings:                       # what purchases are judged under
    int32_t degree, tracked                 # D, T
    int64_t k_numerator, k_denominator
    bint ball_method                        # search by marking whole balls only
    bint timed                              # whether judgements are timed
    Grid grid                               # if set, all its settings count instead

cdef struct Judge:
    Ball ball
    Search search
    Window window
    Latency latency

cdef struct Outcome:                        # of one judgement
    Sums sums
    Verdict verdict                         # under a grid: whether there are flags
    GridFlags flags                         # under a grid; the caller provides the room
    int32_t compared_from                   # index of the grid's first degree with n >= 2


cdef inline void judge_free(Judge* judge) noexcept nogil:
    ball_free(&judge.ball)
    search_free(&judge.search)
    window_free(&judge.window)


cdef inline void judge_add_work(Judge* judge, const Judge* other) noexcept nogil:
    """Add the work and the durations of another judge, which will be freed."""
    judge.search.steps_walked += other.search.steps_walked
    judge.search.merge.members_seen += other.search.merge.members_seen
    judge.search.merge.purchases_seen += other.search.merge.purchases_seen
    judge.ball.friends_marked += other.ball.friends_marked
    latency_merge(&judge.latency, &other.latency)


cdef inline int judge_reserve(
    Judge* judge, int64_t users, int64_t purchases, int64_t tracked
) except -1 nogil:
    """Reserve memory for judging against so many users and purchases, with up to that T.

    Nothing can fail then. O(1), except when there are more of them than ever before.
    """
    ball_reserve(&judge.ball, users)
    search_reserve(&judge.search, users, tracked)
    return window_reserve(&judge.window, min(tracked, purchases))


cdef inline void judge_find_latest(
    Judge* judge, const View* view, int32_t buyer, int32_t degree, int32_t tracked,
    bint ball_method
) noexcept nogil:
    """Fill the window with the latest T purchases of a user's network."""
    ball_begin(&judge.ball, buyer, 1)
    if ball_method:
        search_ball(&judge.search, &judge.window, &judge.ball, view, degree, tracked)
    else:
        search_latest(&judge.search, &judge.window, &judge.ball, view, degree, tracked)


cdef inline void judge_sigmas(
    const Grid* grid, int64_t amount_units, int64_t cell, Outcome* outcome
) noexcept nogil:
    """Judge an amount, given the sums, with each k of the grid; flags start at `cell`."""
    cdef const int64_t* k = grid.sigmas
    cdef const Verdict* verdict = &outcome.verdict
    cdef int32_t i
    for i in range(grid.sigmas_count):
        verdict_on(
            &outcome.sums, amount_units, k[2 * i], k[2 * i + 1], &outcome.verdict
        )
        if verdict.anomalous:
            grid_flag(
                &outcome.flags, cell + i, outcome.sums.n, verdict.mean_cents,
                verdict.sd_cents,
            )


cdef inline void judge_each_tracked(
    const Window* window, const Grid* grid, int64_t amount_units, int64_t cell,
    Outcome* outcome
) noexcept nogil:
    """Judge an amount with each T and k of the grid, given the window of the largest T.

    The window of a smaller T is the beginning of that of a larger one, so the sums are
    extended from one T to the next.
    """
    cdef Sums* sums = &outcome.sums
    cdef int64_t count
    cdef int32_t t
    sums[0] = sums_of(NULL, 0)
    for t in range(grid.tracked_count):
        count = min(window.count, <int64_t> grid.tracked[t])
        if count > 0:
            sums_add(sums, window.amounts + sums.n, count - sums.n)
        judge_sigmas(grid, amount_units, cell + t * <int64_t> grid.sigmas_count, outcome)


cdef inline void judge_widen_search(
    Judge* judge, const View* view, const Grid* grid, int32_t d, bint ball_method
) noexcept nogil:
    """Fill the window for the grid's degree of index d, with the ball of the one before."""
    cdef int32_t most = grid.tracked[grid.tracked_count - 1]
    cdef int64_t affordable
    if ball_method:
        search_ball(
            &judge.search, &judge.window, &judge.ball, view, grid.degrees[d], most
        )
    else:
        # A level that is marked now serves all later degrees.
        affordable = LEVEL_COST_PER_PURCHASE * <int64_t> most * (grid.degree_count - d)
        while (
            not ball_complete(&judge.ball, grid.degrees[d])
            and ball_count(&judge.ball, view, affordable)
            and judge.ball.level_cost <= affordable
        ):
            ball_grow(&judge.ball, view)
        search_latest(
            &judge.search, &judge.window, &judge.ball, view, grid.degrees[d], most
        )
    ball_widen(&judge.ball)


cdef inline void judge_grid(
    Judge* judge, const View* view, const Settings* settings, int32_t buyer,
    int64_t amount_units, Outcome* outcome
) noexcept nogil:
    """Judge an amount under every setting of the grid."""
    cdef const Grid* grid = &settings.grid
    cdef int64_t cells = <int64_t> grid.tracked_count * grid.sigmas_count
    cdef int32_t d
    cdef bint same
    outcome.flags.count = 0
    outcome.compared_from = grid.degree_count
    if buyer >= 0:
        ball_begin(&judge.ball, buyer, grid.degree_count)
        for d in range(grid.degree_count):
            same = d > 0 and judge.search.same_if_wider
            if not same:
                judge_widen_search(judge, view, grid, d, settings.ball_method)
            if judge.window.count >= 2:
                outcome.compared_from = min(outcome.compared_from, d)
            if same:
                grid_repeat_flags(grid, &outcome.flags, d)
            else:
                judge_each_tracked(&judge.window, grid, amount_units, d * cells, outcome)
    outcome.verdict.anomalous = outcome.flags.count > 0


cdef inline void judge_untimed(
    Judge* judge, const View* view, const Settings* settings, int32_t buyer,
    int64_t amount_units, Outcome* outcome
) noexcept nogil:
    """Set the outcome of a judgement; see judge_purchase."""
    if settings.grid.degree_count > 0:
        judge_grid(judge, view, settings, buyer, amount_units, outcome)
        return
    judge.window.count = 0
    if buyer >= 0:
        judge_find_latest(
            judge, view, buyer, settings.degree, settings.tracked, settings.ball_method
        )
    outcome.sums = sums_of(judge.window.amounts, judge.window.count)
    verdict_on(
        &outcome.sums, amount_units, settings.k_numerator, settings.k_denominator,
        &outcome.verdict,
    )


cdef inline void judge_purchase(
    Judge* judge, const View* view, const Settings* settings, int32_t buyer,
    int64_t amount_units, Outcome* outcome
) noexcept nogil:
    """Judge a purchase, and count its duration if wanted; judge_reserve must have been called.

    The buyer is -1 if never seen before. Costs about T steps in a large network;
    docs/search.md has the bound.
    """
    cdef int64_t begun
    if not settings.timed:
        judge_untimed(judge, view, settings, buyer, amount_units, outcome)
        return
    begun = now_ns()
    judge_untimed(judge, view, settings, buyer, amount_units, outcome)
    latency_add(&judge.latency, now_ns() - begun)
