"""The judge: the parameters of a verdict, and everything that judging writes.

A judge is the scratch memory of one thread. It reads the state through const pointers, so
several judges can judge against one state at a time; nothing may be applied to the state
meanwhile. Its arrays by uid grow with the state when a judgement begins. A failed allocation
leaves the judge usable. The judge owns all its arrays.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastanomaly.engine.ball cimport (
    Ball, ball_begin, ball_complete, ball_count, ball_free, ball_grow, ball_widen,
)
from fastanomaly.engine.grid cimport (
    LEVEL_COST_PER_PURCHASE, Grid, grid_flag, grid_free, grid_repeat_flags,
)
from fastanomaly.engine.latency cimport Latency, latency_add, now_ns
from fastanomaly.engine.search cimport Search, search_ball, search_free, search_latest
from fastanomaly.engine.state cimport State, state_find
from fastanomaly.engine.types cimport Event, uint128
from fastanomaly.engine.verdict cimport (
    NEEDS_WIDE, Sums, Verdict, sums_add, sums_of, verdict_on,
)
from fastanomaly.engine.window cimport Window, window_free

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


cdef inline object integer_of(uint128 value):
    """Return a 128-bit number as a Python int."""
    return (<object> <uint64_t> (value >> 64) << 64) | <object> <uint64_t> value


cdef inline object sum_of_squares(const Sums* sums):
    """Return the sum of squares as a Python int."""
    return integer_of(sums.squares_low) | <object> sums.squares_high << 128


cdef inline int verdict_on_wide(
    const Sums* sums, int64_t amount_units, int64_t k_numerator, int64_t k_denominator,
    Verdict* verdict
) except -1:
    """Set the verdict with Python integers, where 128 bits do not suffice."""
    from fastanomaly.rules import exact
    n = sums.n
    total = integer_of(sums.total)
    squares = sum_of_squares(sums)
    verdict.anomalous = exact.anomalous(
        n, total, squares, amount_units, k_numerator, k_denominator
    )
    if verdict.anomalous:
        verdict.mean_cents = exact.mean_cents(n, total)
        verdict.sd_cents = exact.sd_cents(n, total, squares)
    return 0


cdef inline int judge_sums(
    Judge* judge, int64_t amount_units, int64_t k_numerator, int64_t k_denominator
) except -1 nogil:
    """Set the verdict on an amount, given the sums; O(1)."""
    if verdict_on(
        judge.sums, amount_units, k_numerator, k_denominator, &judge.verdict
    ) == NEEDS_WIDE:
        with gil:
            verdict_on_wide(
                &judge.sums, amount_units, k_numerator, k_denominator, &judge.verdict
            )
    return 0


cdef inline int judge_find_latest(
    Judge* judge, const State* state, int32_t buyer, int32_t degree, int32_t tracked
) except -1 nogil:
    """Fill the window with the latest T purchases of a user's network."""
    ball_begin(&judge.ball, buyer, state.users.count)
    if judge.ball_method:
        return search_ball(
            &judge.search, &judge.window, &judge.ball, state, degree, tracked
        )
    return search_latest(&judge.search, &judge.window, &judge.ball, state, degree, tracked)


cdef inline int judge_sigmas(Judge* judge, int64_t amount_units, int64_t cell) except -1 nogil:
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
    return 0


cdef inline int judge_each_tracked(
    Judge* judge, int64_t amount_units, int64_t cell
) except -1 nogil:
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
    return 0


cdef inline int judge_widen_search(
    Judge* judge, const State* state, int32_t d
) except -1 nogil:
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
            ball_grow(&judge.ball, &state.graph, state.users.count)
        search_latest(
            &judge.search, &judge.window, &judge.ball, state, grid.degrees[d], most
        )
    ball_widen(&judge.ball)
    return 0


cdef inline int64_t judge_grid(
    Judge* judge, const State* state, int32_t buyer, int64_t amount_units
) except -1 nogil:
    """Judge an amount under every setting of the grid; the number of flags."""
    cdef Grid* grid = &judge.grid
    cdef int64_t cells = <int64_t> grid.tracked_count * grid.sigmas_count
    cdef int32_t d
    cdef bint same
    grid.flag_count = 0
    ball_begin(&judge.ball, buyer, state.users.count)
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


cdef inline int judge_untimed(
    Judge* judge, const State* state, const Event* purchase
) except -1 nogil:
    """Set sums and verdict, or the grid's flags, for a purchase whose key is hashed."""
    cdef int32_t buyer = state_find(state, &purchase.user)
    judge.window.count = 0
    if judge.grid.degree_count > 0:
        judge.verdict.anomalous = (
            buyer >= 0 and judge_grid(judge, state, buyer, purchase.amount_units) > 0
        )
        return 0
    if buyer >= 0:
        judge_find_latest(judge, state, buyer, judge.degree, judge.tracked)
    judge.sums = sums_of(judge.window.amounts, judge.window.count)
    return judge_sums(
        judge, purchase.amount_units, judge.k_numerator, judge.k_denominator
    )


cdef inline int judge_purchase(
    Judge* judge, const State* state, const Event* purchase
) except -1 nogil:
    """Judge a purchase whose key is hashed; its duration is counted if wanted.

    Costs about T steps in a large network; docs/search.md has the bound.
    """
    cdef int64_t begun
    if not judge.latency.wanted:
        return judge_untimed(judge, state, purchase)
    begun = now_ns()
    judge_untimed(judge, state, purchase)
    latency_add(&judge.latency, now_ns() - begun)
    return 0
