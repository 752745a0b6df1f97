"""The judge: the parameters of a verdict, and everything that judging writes.

A judge is the scratch memory of one thread. It reads the state through const pointers, so
several judges can judge against one state at a time; nothing may be applied to the state
meanwhile. All memory is reserved before a judgement, which cannot fail then. The judge owns
all its arrays.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.ball cimport (
    Ball, ball_begin, ball_complete, ball_count, ball_free, ball_grow, ball_reserve,
    ball_widen,
)
from fastanomaly.engine.grid cimport (
    LEVEL_COST_PER_PURCHASE, Grid, grid_flag, grid_free, grid_repeat_flags,
)
from fastanomaly.engine.latency cimport Latency, latency_add, now_ns
from fastanomaly.engine.search cimport (
    Search, search_ball, search_free, search_latest, search_reserve,
)
from fastanomaly.engine.state cimport State, state_find
from fastanomaly.engine.types cimport Event
from fastanomaly.engine.verdict cimport Sums, Verdict, sums_add, sums_of, verdict_on
from fastanomaly.engine.window cimport Window, window_free, window_reserve

cdef struct Judge:
    int32_t degree, tracked                 # D, T
    int64_t k_numerator, k_denominator
    bint ball_method                        # search by marking whole balls only
    Grid grid                               # if set, judges under all its settings instead
    Ball ball
    Search search
    Window window
    Latency latency
    # Of the last purchase judged:
    Sums sums
    Verdict verdict


cdef inline void judge_begin(
    Judge* judge, int32_t degree, int32_t tracked, int64_t k_numerator,
    int64_t k_denominator, bint ball_method
) noexcept nogil:
    """Set up a judge; its struct must be zeroed."""
    judge.degree = degree
    judge.tracked = tracked
    judge.k_numerator = k_numerator
    judge.k_denominator = k_denominator
    judge.ball_method = ball_method


cdef inline void judge_free(Judge* judge) noexcept nogil:
    ball_free(&judge.ball)
    search_free(&judge.search)
    window_free(&judge.window)
    grid_free(&judge.grid)


cdef inline int judge_reserve(
    Judge* judge, const State* state, int64_t tracked
) except -1 nogil:
    """Reserve memory for judging against the state with up to that T; nothing can fail then.

    O(1), except when the state has more users, or T more purchases, than ever before.
    """
    ball_reserve(&judge.ball, state.users.count)
    search_reserve(&judge.search, state.users.count, tracked)
    return window_reserve(&judge.window, min(tracked, state.history.kept))


cdef inline void judge_sums(
    Judge* judge, int64_t amount_units, int64_t k_numerator, int64_t k_denominator
) noexcept nogil:
    """Set the verdict on an amount, given the sums; O(1)."""
    verdict_on(&judge.sums, amount_units, k_numerator, k_denominator, &judge.verdict)


cdef inline void judge_find_latest(
    Judge* judge, const State* state, int32_t buyer, int32_t degree, int32_t tracked
) noexcept nogil:
    """Fill the window with the latest T purchases of a user's network."""
    ball_begin(&judge.ball, buyer)
    if judge.ball_method:
        search_ball(&judge.search, &judge.window, &judge.ball, state, degree, tracked)
    else:
        search_latest(&judge.search, &judge.window, &judge.ball, state, degree, tracked)


cdef inline void judge_sigmas(Judge* judge, int64_t amount_units, int64_t cell) noexcept nogil:
    """Judge an amount, given the sums, with each k of the grid; flags start at `cell`."""
    cdef const int64_t* k = judge.grid.sigmas
    cdef int32_t i
    for i in range(judge.grid.sigmas_count):
        judge_sums(judge, amount_units, k[2 * i], k[2 * i + 1])
        if judge.verdict.anomalous:
            grid_flag(
                &judge.grid, cell + i, judge.sums.n, judge.verdict.mean_cents,
                judge.verdict.sd_cents,
            )


cdef inline void judge_each_tracked(
    Judge* judge, int64_t amount_units, int64_t cell
) noexcept nogil:
    """Judge an amount with each T and k of the grid, given the window of the largest T.

    The window of a smaller T is the beginning of that of a larger one, so the sums are
    extended from one T to the next.
    """
    cdef const Grid* grid = &judge.grid
    cdef int64_t count
    cdef int32_t t
    judge.sums = sums_of(NULL, 0)
    for t in range(grid.tracked_count):
        count = min(judge.window.count, <int64_t> grid.tracked[t])
        if count > 0:
            sums_add(
                &judge.sums, judge.window.amounts + judge.sums.n, count - judge.sums.n
            )
        judge_sigmas(judge, amount_units, cell + t * <int64_t> grid.sigmas_count)


cdef inline void judge_widen_search(
    Judge* judge, const State* state, int32_t d
) noexcept nogil:
    """Fill the window for the grid's degree of index d, with the ball of the one before."""
    cdef const Grid* grid = &judge.grid
    cdef int32_t most = grid.tracked[grid.tracked_count - 1]
    cdef int64_t affordable
    if judge.ball_method:
        search_ball(
            &judge.search, &judge.window, &judge.ball, state, grid.degrees[d], most
        )
    else:
        # A level that is marked now serves all later degrees.
        affordable = LEVEL_COST_PER_PURCHASE * <int64_t> most * (grid.degree_count - d)
        while (
            not ball_complete(&judge.ball, grid.degrees[d])
            and ball_count(&judge.ball, &state.graph, affordable)
            and judge.ball.level_cost <= affordable
        ):
            ball_grow(&judge.ball, &state.graph)
        search_latest(
            &judge.search, &judge.window, &judge.ball, state, grid.degrees[d], most
        )
    ball_widen(&judge.ball)


cdef inline int64_t judge_grid(
    Judge* judge, const State* state, int32_t buyer, int64_t amount_units
) noexcept nogil:
    """Judge an amount under every setting of the grid; the number of flags."""
    cdef Grid* grid = &judge.grid
    cdef int64_t cells = <int64_t> grid.tracked_count * grid.sigmas_count
    cdef int32_t d
    cdef bint same
    grid.flag_count = 0
    ball_begin(&judge.ball, buyer)
    for d in range(grid.degree_count):
        same = d > 0 and judge.search.same_if_wider
        if not same:
            judge_widen_search(judge, state, d)
        grid.compared[d] += judge.window.count >= 2
        if same:
            grid_repeat_flags(grid, d)
        else:
            judge_each_tracked(judge, amount_units, d * cells)
    return grid.flag_count


cdef inline void judge_untimed(
    Judge* judge, const State* state, int32_t buyer, int64_t amount_units
) noexcept nogil:
    """Set sums and verdict, or the grid's flags; the buyer is -1 if never seen before."""
    judge.window.count = 0
    if judge.grid.degree_count > 0:
        judge.verdict.anomalous = (
            buyer >= 0 and judge_grid(judge, state, buyer, amount_units) > 0
        )
        return
    if buyer >= 0:
        judge_find_latest(judge, state, buyer, judge.degree, judge.tracked)
    judge.sums = sums_of(judge.window.amounts, judge.window.count)
    judge_sums(judge, amount_units, judge.k_numerator, judge.k_denominator)


cdef inline int judge_purchase(
    Judge* judge, const State* state, const Event* purchase
) except -1 nogil:
    """Judge a purchase whose key is hashed; its duration is counted if wanted.

    Costs about T steps in a large network; docs/search.md has the bound.
    """
    cdef int32_t buyer = state_find(state, &purchase.user)
    cdef int64_t begun
    judge_reserve(judge, state, judge.tracked)
    if not judge.latency.wanted:
        judge_untimed(judge, state, buyer, purchase.amount_units)
        return 0
    begun = now_ns()
    judge_untimed(judge, state, buyer, purchase.amount_units)
    latency_add(&judge.latency, now_ns() - begun)
    return 0
