"""The engine: owns the state, applies events to it, judges purchases.

The rooms it is made of are the .pxd files beside it, compiled into this one module.
`Detector` is its public face.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastanomaly.engine.ahead cimport (
    BATCH, Ahead, Batch, ahead_begin, ahead_done, ahead_end, ahead_next,
)
from fastanomaly.engine.ball cimport (
    Ball, ball_add_user, ball_begin, ball_bytes, ball_complete, ball_count, ball_fill,
    ball_free, ball_grow, ball_has, ball_reserve, ball_widen,
)
from fastanomaly.engine.check cimport check_graph, check_history, check_recency, check_users
from fastanomaly.engine.columns cimport (
    ColumnFlag, Columns, Digits, columns_first_invalid, columns_read, row_valid,
)
from fastanomaly.engine.events cimport (
    BLANK, LINE_TOO_LONG, NOT_AN_OBJECT, UNDECIDED, VALID, decode_event, same_user,
)
from fastanomaly.engine.fields cimport BAD_AMOUNT_UNITS, amount_of_text, time_of_text
from fastanomaly.engine.graph cimport (
    Friends, Graph, friends_prefetch, friends_run, friends_runs, graph_add_user,
    graph_befriend, graph_begin, graph_bytes, graph_free, graph_reserve, graph_unfriend,
)
from fastanomaly.engine.grid cimport (
    MARKS_AHEAD, Grid, GridFlag, grid_begin, grid_flag, grid_flag_again, grid_free,
)
from fastanomaly.engine.history cimport (
    History, Ring, history_add_user, history_begin, history_bytes, history_free,
    history_prefetch, history_record, history_reserve,
)
from fastanomaly.engine.latency cimport LATENCY_BUCKETS, Latency, latency_add, now_ns
from fastanomaly.engine.load cimport load_graph, load_history, load_key, load_recency
from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_fail_after, memory_prefetch, memory_reserve, memory_resize,
    memory_zeroed,
)
from fastanomaly.engine.merge cimport (
    Candidate, merge_begin, merge_bytes, merge_latest, merge_newest, merge_take,
)
from fastanomaly.engine.recency cimport (
    Chunk, Recency, recency_bytes, recency_free, recency_push, recency_reserve,
)
from fastanomaly.engine.save cimport (
    Sink, save_graph, save_history, save_recency, save_users, sink_begin, sink_end,
)
from fastanomaly.engine.scan cimport scan_event
from fastanomaly.engine.search cimport (
    Search, search_add_user, search_ball, search_free, search_further, search_latest,
    search_reserve,
)
from fastanomaly.engine.types cimport (
    BEFRIEND, EVENT_KINDS, PURCHASE, UNFRIEND, Event, Purchase, UserKey, uint128,
)
from fastanomaly.engine.users cimport (
    Users, key_hash, key_of_text, users_add, users_bytes, users_find, users_forget_last,
    users_free, users_key, users_prefetch_name, users_prefetch_slot,
)
from fastanomaly.engine.verdict cimport TOO_WIDE, Sums, Verdict, sums_add, sums_of, verdict_on
from fastanomaly.engine.window cimport Window, window_free

import operator
import os

from fastanomaly.rules import exact as wide_verdict
from fastanomaly.rules.rejects import reread
from fastanomaly.rules.json_members import exact_number


COUNTED_LIMIT = 2**62           # more events than any detector lives to see


cdef object integer_of(uint128 value):
    return (<object> <uint64_t> (value >> 64) << 64) | <object> <uint64_t> value


cdef object text_of(const UserKey* key):
    if key.number >= 0:
        return str(key.number)
    return key.text[:key.length].decode("utf-8")


cdef object key_of(object user, UserKey* key):
    """Look into a user_id given from Python; key is good while the answer lives."""
    cdef const char* text
    cdef Py_ssize_t length
    if isinstance(user, str):
        user = str.__str__(user)        # an enum's own __str__ is not its value
    elif hasattr(user, "__index__") and not isinstance(user, bool):
        try:
            user = int.__str__(operator.index(user))
        except ValueError:
            raise ValueError("user id: an integer of more digits than Python shows") from None
    else:
        raise TypeError(f"user id: expected str or int, got {type(user).__name__}")
    if not user:
        raise ValueError("user id: empty")
    try:
        text = PyUnicode_AsUTF8AndSize(user, &length)
    except UnicodeEncodeError:
        raise ValueError(f"user id: {user!r} has a lone surrogate") from None
    key[0] = key_of_text(text, length)
    return user


cdef list keys_of(str name, list users, const uint8_t[::1] kinds, UserKey** keys):
    """Look into a column of user_ids; the keys are good while the answer lives."""
    cdef int64_t index
    cdef list kept = []
    memory_resize(<void**> keys, len(users), sizeof(UserKey))
    memset(keys[0], 0, len(users) * sizeof(UserKey))
    for index, user in enumerate(users):
        if kinds[index] == PURCHASE and name == "friends":
            continue
        try:
            kept.append(key_of(user, &keys[0][index]))
        except (TypeError, ValueError) as error:
            raise type(error)(f"columns, row {index}: {name}: {error}") from None
    return kept


cdef str row_fault(const Event* event):
    if event.kind >= EVENT_KINDS:
        return f"kind {event.kind} is none of 0, 1, 2"
    if event.kind == PURCHASE:
        return f"amount_units {event.amount_units} is not in 0..10^18 - 1"
    return f"user {text_of(&event.user)!r} cannot befriend themself"


cdef object cast_to(bytes data, str kind):
    return memoryview(data).cast(kind)


cdef const int32_t* first_of(const int32_t[::1] items) noexcept:
    return &items[0] if items.shape[0] > 0 else NULL


def amount_units(text: str):
    """The units of 10^-6 that a decimal number spells, or None if it is no amount."""
    cdef bytes utf8 = text.encode("utf-8", "replace")
    units = amount_of_text(utf8, len(utf8))
    return None if units == BAD_AMOUNT_UNITS else units


def time_us(text: str):
    """The microseconds since 1970-01-01 UTC that a timestamp spells, or None."""
    cdef bytes utf8 = text.encode("utf-8", "replace")
    cdef int64_t time = 0
    return time if time_of_text(utf8, len(utf8), &time) else None


def fail_allocations_after(count: int):
    """Make every allocation after the next `count` fail; -1 ends it. For tests."""
    memory_fail_after(count)


cdef class Engine:
    """Graph, histories and verdicts for one degree, T and k = k_numerator / k_denominator.

    One thread at a time: a call while another is under way raises RuntimeError.
    """

    cdef Users users
    cdef Graph graph
    cdef History history
    cdef Recency recency
    cdef Ball ball
    cdef Search search
    cdef Window window
    cdef int64_t seq                    # of the next purchase
    cdef int64_t[EVENT_KINDS] events    # applied, by kind
    cdef int64_t flags
    cdef Latency latency
    cdef int64_t k_numerator, k_denominator
    cdef int32_t degree, tracked
    cdef bint whole_balls
    cdef bint busy
    cdef Ahead* ahead                   # from the first bulk call on
    cdef Grid grid                      # judged instead of the one setting, if there is one
    # The last purchase judged:
    cdef Sums sums
    cdef Verdict verdict

    def __cinit__(
        self, int32_t degree, int32_t tracked, int64_t k_numerator, int64_t k_denominator,
        bint whole_balls
    ):
        # Cython has zeroed the structs: no arrays, no users.
        secret = os.urandom(24)
        self.users.secret[0] = int.from_bytes(secret[:8], "little")
        self.users.secret[1] = int.from_bytes(secret[8:16], "little")
        graph_begin(&self.graph, int.from_bytes(secret[16:], "little"))
        history_begin(&self.history, tracked)
        self.degree = degree
        self.tracked = tracked
        self.k_numerator = k_numerator
        self.k_denominator = k_denominator
        self.whole_balls = whole_balls

    def set_degree(self, int32_t degree):
        self.enter()
        self.degree = degree
        self.busy = False

    def set_sigmas(self, int64_t k_numerator, int64_t k_denominator):
        self.enter()
        self.k_numerator = k_numerator
        self.k_denominator = k_denominator
        self.busy = False

    def set_whole_balls(self, bint whole_balls):
        self.enter()
        self.whole_balls = whole_balls
        self.busy = False

    def set_grid(self, list degrees, list tracked, list sigmas):
        """Judge under every setting of a grid from now on; degrees and T ascend.

        Flags then have the bytes of an array of (cell, n, mean_cents, sd_cents), int64,
        in place of sums and verdict.
        """
        cdef Py_ssize_t i
        self.enter()
        try:
            grid_begin(&self.grid, len(degrees), len(tracked), len(sigmas))
            for i in range(len(degrees)):
                self.grid.degrees[i] = degrees[i]
                self.grid.compared[i] = 0
            for i in range(len(tracked)):
                self.grid.tracked[i] = tracked[i]
            for i in range(len(sigmas)):
                self.grid.sigmas[2 * i], self.grid.sigmas[2 * i + 1] = sigmas[i]
        finally:
            self.busy = False

    def compared(self):
        """By degree of the grid: purchases judged that had two others at least."""
        return [self.grid.compared[i] for i in range(self.grid.degree_count)]

    def __dealloc__(self):
        graph_free(&self.graph)
        history_free(&self.history)
        users_free(&self.users)
        recency_free(&self.recency)
        ball_free(&self.ball)
        search_free(&self.search)
        window_free(&self.window)
        grid_free(&self.grid)
        PyMem_RawFree(self.ahead)

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError(
                "a detector is used by one thread at a time, and another call is under way"
            )
        self.busy = True
        return 0

    # -- one event -------------------------------------------------------------------

    cdef int32_t find(self, const UserKey* key) noexcept nogil:
        """The uid of a user whose key is hashed, or -1."""
        return key.uid if key.uid >= 0 else users_find(&self.users, key)

    cdef int32_t intern(self, const UserKey* key) except -1 nogil:
        """The uid of a user, who may be new: then every room has a place for them."""
        cdef int32_t uid = self.find(key)
        if uid >= 0:
            return uid
        self.reserve_users(self.users.count + <int64_t> 1)
        uid = users_add(&self.users, key)
        graph_add_user(&self.graph, uid)
        history_add_user(&self.history, uid)
        ball_add_user(&self.ball, uid)
        search_add_user(&self.search, uid)
        return uid

    cdef int reserve_users(self, int64_t users) except -1 nogil:
        graph_reserve(&self.graph, users)
        history_reserve(&self.history, users)
        ball_reserve(&self.ball, users)
        return search_reserve(&self.search, users)

    cdef void forget_since(self, int32_t count) noexcept nogil:
        """Undo the interning of users that were not among the first `count`."""
        while self.users.count > count:
            users_forget_last(&self.users)

    cdef int apply_alone(self, Event* event, bint judged) except -1 nogil:
        """Apply one event that does not come in a batch."""
        self.hash_keys(event, 1)
        event.user.uid = -1
        event.friend.uid = -1
        return self.apply(event, judged)

    cdef int fill_window(self, int32_t uid, int32_t degree, int32_t tracked) except -1 nogil:
        """Put the latest purchases of a user's network into the window."""
        if self.whole_balls:
            return search_ball(
                &self.search, &self.window, &self.ball, &self.graph, &self.history,
                self.users.count, uid, degree, tracked,
            )
        return search_latest(
            &self.search, &self.window, &self.ball, &self.graph, &self.history,
            &self.recency, self.users.count, uid, degree, tracked,
        )

    cdef int judge(self, const UserKey* buyer, int64_t amount_units) except -1 nogil:
        """Set the verdict on a purchase."""
        cdef int32_t uid = self.find(buyer)
        self.window.count = 0
        if self.grid.degree_count > 0:
            self.verdict.anomalous = uid >= 0 and self.judge_grid(uid, amount_units) > 0
            return 0
        if uid >= 0:
            self.fill_window(uid, self.degree, self.tracked)
        self.sums = sums_of(self.window.amounts, self.window.count)
        if verdict_on(
            self.sums, amount_units, self.k_numerator, self.k_denominator, &self.verdict
        ) == TOO_WIDE:
            with gil:
                self.judge_wide(amount_units, self.k_numerator, self.k_denominator)
        return 0

    cdef int64_t judge_grid(self, int32_t buyer, int64_t amount_units) except -1 nogil:
        """Judge under every setting of the grid; the number of flags.

        A wider degree goes on with the ball of the one before, and fewer purchases are
        the head of more: sums grow along.
        """
        cdef Grid* grid = &self.grid
        cdef int32_t d, t
        cdef int32_t most = grid.tracked[grid.tracked_count - 1]
        cdef int64_t count, dearest
        cdef bint unchanged
        grid.flag_count = 0
        ball_begin(&self.ball, buyer, self.users.count)
        for d in range(grid.degree_count):
            unchanged = d > 0 and self.search.settled
            if not unchanged:
                if self.whole_balls:
                    self.search.settled = False
                    ball_fill(&self.ball, &self.graph, grid.degrees[d], self.users.count)
                    merge_latest(
                        &self.search.merge, &self.window, &self.ball, &self.history, most
                    )
                else:
                    # A level is marked for all the degrees to come that will use it.
                    dearest = MARKS_AHEAD * <int64_t> most * (grid.degree_count - d)
                    while (
                        not ball_complete(&self.ball, grid.degrees[d])
                        and ball_count(&self.ball, &self.graph, dearest)
                        and self.ball.level_cost <= dearest
                    ):
                        ball_grow(&self.ball, &self.graph, self.users.count)
                    search_further(
                        &self.search, &self.window, &self.ball, &self.graph, &self.history,
                        &self.recency, self.users.count, grid.degrees[d], most,
                    )
                ball_widen(&self.ball)
            grid.compared[d] += self.window.count >= 2
            if unchanged:
                grid_flag_again(grid, d)
                continue
            self.sums = sums_of(NULL, 0)
            for t in range(grid.tracked_count):
                count = min(self.window.count, <int64_t> grid.tracked[t])
                if count > 0:
                    sums_add(
                        &self.sums, self.window.amounts + self.sums.n, count - self.sums.n
                    )
                self.judge_sigmas(
                    amount_units,
                    (d * <int64_t> grid.tracked_count + t) * grid.sigmas_count,
                )
        return grid.flag_count

    cdef int judge_sigmas(self, int64_t amount_units, int64_t cell) except -1 nogil:
        """Judge the summed purchases with each k of the grid, from a cell on."""
        cdef const int64_t* k = self.grid.sigmas
        cdef int32_t i
        for i in range(self.grid.sigmas_count):
            if verdict_on(
                self.sums, amount_units, k[2 * i], k[2 * i + 1], &self.verdict
            ) == TOO_WIDE:
                with gil:
                    self.judge_wide(amount_units, k[2 * i], k[2 * i + 1])
            if self.verdict.anomalous:
                grid_flag(
                    &self.grid, cell + i, self.sums.n, self.verdict.mean_cents,
                    self.verdict.sd_cents,
                )
        return 0

    cdef object squares(self):
        return integer_of(self.sums.squares) | <object> self.sums.squares_carry << 128

    cdef int judge_wide(
        self, int64_t amount_units, int64_t k_numerator, int64_t k_denominator
    ) except -1:
        n = self.sums.n
        total = integer_of(self.sums.total)
        squares = self.squares()
        self.verdict.anomalous = wide_verdict.anomalous(
            n, total, squares, amount_units, k_numerator, k_denominator
        )
        if not self.verdict.anomalous:
            return 0
        self.verdict.mean_cents = wide_verdict.mean_cents(n, total)
        self.verdict.sd_cents = wide_verdict.sd_cents(n, total, squares)
        return 0

    cdef int record(
        self, const UserKey* buyer, int64_t time_us, int64_t amount_units
    ) except -1 nogil:
        cdef int32_t known = self.users.count
        cdef int32_t uid
        cdef Purchase purchase
        purchase.key.time_us = time_us
        purchase.key.seq = self.seq
        purchase.amount_units = amount_units
        try:
            uid = self.intern(buyer)
            recency_reserve(&self.recency)
            history_record(&self.history, uid, purchase)
            known = self.users.count
        finally:
            self.forget_since(known)
        recency_push(&self.recency, purchase, uid)
        self.seq = self.seq + 1     # the checked build has no += on self without the GIL
        return 0

    cdef int befriend_keys(self, const UserKey* a, const UserKey* b) except -1 nogil:
        cdef int32_t known = self.users.count
        cdef int32_t uid_a, uid_b
        try:
            uid_a = self.intern(a)
            uid_b = self.intern(b)
            graph_befriend(&self.graph, uid_a, uid_b)
            known = self.users.count
        finally:
            self.forget_since(known)
        return 0

    cdef int apply(self, const Event* event, bint judged) except -1 nogil:
        """Apply one valid event; a purchase is judged before it is recorded."""
        cdef int32_t a, b
        cdef int64_t begun
        self.verdict.anomalous = False
        if event.kind == PURCHASE:
            if judged:
                begun = now_ns() if self.latency.wanted else 0
                self.judge(&event.user, event.amount_units)
                if self.latency.wanted:
                    latency_add(&self.latency, now_ns() - begun)
            self.record(&event.user, event.time_us, event.amount_units)
        elif event.kind == BEFRIEND:
            self.befriend_keys(&event.user, &event.friend)
        else:
            a = self.find(&event.user)
            b = self.find(&event.friend)
            if a >= 0 and b >= 0:
                graph_unfriend(&self.graph, a, b)
        self.events[event.kind] = self.events[event.kind] + 1
        self.flags = self.flags + self.verdict.anomalous
        return 0

    cdef void hash_keys(self, Event* events, int32_t count) noexcept nogil:
        cdef int32_t i
        for i in range(count):
            events[i].user.hash = key_hash(self.users.secret, &events[i].user)
            if events[i].kind != PURCHASE:
                events[i].friend.hash = key_hash(self.users.secret, &events[i].friend)

    cdef void anticipate(self, Event* events, int32_t count) noexcept nogil:
        """Look up the users of events whose keys are hashed, and begin to fetch the rest.

        A state beyond the processor's caches is fetched piece by piece, each telling where
        the next one is; so the pieces of a whole batch are on their way at once.
        """
        cdef int32_t i
        cdef Event* event
        for i in range(count):
            users_prefetch_slot(&self.users, &events[i].user)
            if events[i].kind != PURCHASE:
                users_prefetch_slot(&self.users, &events[i].friend)
        for i in range(count):
            users_prefetch_name(&self.users, &events[i].user)
            if events[i].kind != PURCHASE:
                users_prefetch_name(&self.users, &events[i].friend)
        for i in range(count):
            event = &events[i]
            event.user.uid = users_find(&self.users, &event.user)
            if event.kind == PURCHASE:
                memory_prefetch(&self.history.rings[max(event.user.uid, 0)])
                memory_prefetch(&self.history.newest_us[max(event.user.uid, 0)])
            else:
                event.friend.uid = users_find(&self.users, &event.friend)
                memory_prefetch(&self.graph.friends[max(event.user.uid, 0)])
                memory_prefetch(&self.graph.friends[max(event.friend.uid, 0)])
        for i in range(count):
            event = &events[i]
            if event.kind == PURCHASE:
                if event.user.uid >= 0:
                    history_prefetch(&self.history, event.user.uid)
            else:
                if event.user.uid >= 0:
                    friends_prefetch(&self.graph, event.user.uid)
                if event.friend.uid >= 0:
                    friends_prefetch(&self.graph, event.friend.uid)

    cdef tuple flag(self, const Event* event):
        """The last verdict, which was an anomaly, for `Flag`, or those of a grid."""
        if self.grid.degree_count > 0:
            return (
                text_of(&event.user), event.time_us, event.amount_units,
                PyBytes_FromStringAndSize(
                    <const char*> self.grid.flags,
                    self.grid.flag_count * <int64_t> sizeof(GridFlag),
                ),
            )
        return (
            text_of(&event.user), event.time_us, event.amount_units, self.sums.n,
            integer_of(self.sums.total), self.squares(),
            self.verdict.mean_cents, self.verdict.sd_cents,
        )

    def purchase(self, user, int64_t time_us, int64_t amount_units, bint judged):
        """Record a purchase, judged or not; the flag's values, or None."""
        cdef Event event
        event.kind = PURCHASE
        event.time_us = time_us
        event.amount_units = amount_units
        return self.apply_one(&event, user, None, judged)

    def befriend(self, user, friend):
        cdef Event event
        event.kind = BEFRIEND
        self.apply_one(&event, user, friend, False)

    def unfriend(self, user, friend):
        cdef Event event
        event.kind = UNFRIEND
        self.apply_one(&event, user, friend, False)

    cdef object apply_one(self, Event* event, object user, object friend, bint judged):
        self.enter()
        try:
            user = key_of(user, &event.user)
            if event.kind != PURCHASE:
                friend = key_of(friend, &event.friend)
                if event.kind == BEFRIEND and same_user(&event.user, &event.friend):
                    raise ValueError(f"user id: {user!r} cannot befriend themself")
            self.apply_alone(event, judged)
            return self.flag(event) if self.verdict.anomalous else None
        finally:
            self.busy = False

    # -- many events -----------------------------------------------------------------

    def feed(
        self, data, *, bint judged, int64_t max_line, int64_t first_line, bint strict
    ):
        """Apply the events of newline-delimited JSON.

        Returns the number of lines looked at, a list of (line, start, end, flag values),
        a list of (line, start, end, reason index), `data[start:end]` being the line, and
        the exception that ended it early, or None. `strict` stops after the first line
        rejected. `data` is bytes, or a view of bytes that ends with a line end.
        """
        self.enter()
        try:
            return self.feed_lines(data, judged, max_line, first_line, strict)
        finally:
            self.busy = False

    cdef tuple feed_lines(
        self, data, bint judged, int64_t max_line, int64_t first_line, bint strict
    ):
        cdef const uint8_t[::1] view = data
        cdef int64_t size = view.shape[0]
        cdef int64_t line = first_line
        cdef int32_t i
        cdef int reason
        cdef Batch* batch
        cdef Event event
        cdef list flags = [], rejected = []
        if self.ahead == NULL:
            memory_zeroed(<void**> &self.ahead, 1, sizeof(Ahead))
        ahead_begin(
            self.ahead, <const char*> &view[0] if size > 0 else NULL, size, max_line,
            self.users.secret,
        )
        try:
            while True:
                with nogil:
                    batch = ahead_next(self.ahead)
                    if batch != NULL:
                        self.anticipate(batch.events, batch.count)
                if batch == NULL:
                    break
                i = 0
                while i < batch.count:
                    with nogil:
                        self.apply(&batch.events[i], judged)
                        while i + 1 < batch.count and not self.verdict.anomalous:
                            line += 1
                            i += 1
                            self.apply(&batch.events[i], judged)
                    if self.verdict.anomalous:
                        flags.append(
                            (line, batch.starts[i], batch.ends[i], self.flag(&batch.events[i]))
                        )
                    line += 1
                    i += 1
                if batch.reason == UNDECIDED:
                    raw = bytes(data[batch.starts[i]:batch.ends[i]])
                    reason, _kept = decode_line(raw, max_line, &event)
                    if reason == VALID:
                        self.apply_alone(&event, judged)
                        if self.verdict.anomalous:
                            flags.append(
                                (line, batch.starts[i], batch.ends[i], self.flag(&event))
                            )
                    elif reason != BLANK:
                        rejected.append((line, batch.starts[i], batch.ends[i], reason))
                    line += 1
                    if reason >= 0 and strict:
                        break
                with nogil:
                    ahead_done(self.ahead)
        except BaseException as error:
            # What came before it stands, and is told.
            return line - first_line, flags, rejected, error
        finally:
            with nogil:
                ahead_end(self.ahead)
        return line - first_line, flags, rejected, None

    def feed_columns(
        self, const uint8_t[::1] kinds, const int64_t[::1] times_us, users, friends,
        const int64_t[::1] amounts_units, *, bint judged
    ):
        """Apply the events of columns of one length, without the GIL.

        `users` and `friends` are both int64 buffers of decimal ids, or both lists of ids.
        Every row is checked before any is applied. Returns the flags as the bytes of an
        array of (row, n, mean_cents, sd_cents), int64; the number of rows applied; and
        the exception that ended it early, or None.
        """
        cdef Columns columns
        cdef Event[BATCH] events
        cdef Digits[BATCH] digits
        cdef const int64_t[::1] user_numbers, friend_numbers
        cdef UserKey* user_keys = NULL
        cdef UserKey* friend_keys = NULL
        cdef ColumnFlag* flags = NULL
        cdef int64_t index, capacity = 0, count = 0
        cdef int32_t batched = 0, i
        cdef bint valid = True
        cdef bint by_key = isinstance(users, list)
        if not by_key:
            user_numbers, friend_numbers = users, friends
        memset(&columns, 0, sizeof(Columns))
        columns.rows = kinds.shape[0]
        for name, column in (
            ("times_us", times_us), ("users", users), ("friends", friends),
            ("amounts_units", amounts_units),
        ):
            if len(column) != columns.rows:
                raise ValueError(
                    f"columns: kinds has {columns.rows} rows, {name} has {len(column)}"
                )
        if columns.rows == 0:
            return b"", 0, None
        columns.kinds = &kinds[0]
        columns.times_us = &times_us[0]
        columns.amounts_units = &amounts_units[0]
        self.enter()
        try:
            if by_key:
                users = keys_of("users", users, kinds, &user_keys)
                friends = keys_of("friends", friends, kinds, &friend_keys)
                columns.user_keys = user_keys
                columns.friend_keys = friend_keys
            else:
                columns.user_numbers = &user_numbers[0]
                columns.friend_numbers = &friend_numbers[0]
            with nogil:
                index = columns_first_invalid(&columns, events, digits)
            if index >= 0:
                raise ValueError(f"columns, row {index}: {row_fault(events)}")
            index = 0
            failure = None
            try:
                with nogil:
                    while index < columns.rows and valid:
                        batched = 0
                        while batched < BATCH and index + batched < columns.rows and valid:
                            columns_read(
                                &columns, index + batched, &events[batched],
                                &digits[batched],
                            )
                            # If not, another thread has written into the column.
                            valid = row_valid(&events[batched])
                            batched += valid
                        memory_reserve(
                            <void**> &flags, &capacity, count + batched, sizeof(ColumnFlag)
                        )
                        self.hash_keys(events, batched)
                        self.anticipate(events, batched)
                        for i in range(batched):
                            self.apply(&events[i], judged)
                            if self.verdict.anomalous:
                                flags[count].row = index
                                flags[count].n = self.sums.n
                                flags[count].mean_cents = self.verdict.mean_cents
                                flags[count].sd_cents = self.verdict.sd_cents
                                count += 1
                            index += 1
                if index < columns.rows:
                    fault = row_fault(&events[batched])
                    raise ValueError(f"columns, row {index}: changed meanwhile: {fault}")
            except Exception as error:
                failure = error
            return (
                PyBytes_FromStringAndSize(
                    <const char*> flags, count * <int64_t> sizeof(ColumnFlag)
                ),
                index,
                failure,
            )
        finally:
            PyMem_RawFree(user_keys)
            PyMem_RawFree(friend_keys)
            PyMem_RawFree(flags)
            self.busy = False

    # -- saving and loading ----------------------------------------------------------

    def arrays(self):
        """(name, kind, items) of the arrays that `save` writes, in that order.

        A kind is one of int64, bytes, int32, and purchase: three int64.
        """
        self.enter()
        self.busy = False
        return [
            ("user_names", "int64", self.users.count),
            ("user_texts", "bytes", self.users.texts_used),
            ("friend_counts", "int32", self.users.count),
            ("friends", "int32", self.graph.friendships),
            ("purchase_counts", "int32", self.users.count),
            ("purchases", "purchase", self.history.kept),
            ("recency_users", "int32", self.recency.count),
            ("recency_purchases", "purchase", self.recency.count),
        ]

    def scalars(self):
        """What the state has beside its arrays, for `load`."""
        self.enter()
        self.busy = False
        return {
            "seq": self.seq,
            "purchases": self.events[<int> PURCHASE],
            "befriends": self.events[<int> BEFRIEND],
            "unfriends": self.events[<int> UNFRIEND],
            "flags": self.flags,
            "recency_truncated": bool(self.recency.truncated),
        }

    def save(self, int fd):
        """Write the arrays to a file, each with its checksum; raises OSError."""
        cdef Sink sink
        self.enter()
        try:
            with nogil:
                sink_begin(&sink, fd)
                try:
                    save_users(&sink, &self.users)
                    save_graph(&sink, &self.graph, self.users.count)
                    save_history(&sink, &self.history, self.users.count)
                    save_recency(&sink, &self.recency)
                finally:
                    sink_end(&sink)
        finally:
            self.busy = False

    def load(self, scalars, take):
        """Make an empty engine's state that of a file; ValueError if there is none such.

        `scalars` are those of `scalars`, and `take` gives the arrays one after the other,
        as bytes. After an error the engine is good for nothing.
        """
        self.enter()
        try:
            self.load_all(scalars, take)
        finally:
            self.busy = False

    cdef int load_all(self, scalars, take) except -1:
        cdef const int64_t[::1] names = cast_to(take(), "q")
        cdef bytes texts = take()
        cdef const int32_t[::1] counts, uids
        cdef const char* text = texts
        cdef bytes purchases
        cdef int32_t users = 0
        cdef UserKey key
        for name in ("seq", "purchases", "befriends", "unfriends", "flags"):
            if not 0 <= scalars[name] < COUNTED_LIMIT:
                raise ValueError(f"{name}: {scalars[name]}")
        self.seq = scalars["seq"]
        self.events[<int> PURCHASE] = scalars["purchases"]
        self.events[<int> BEFRIEND] = scalars["befriends"]
        self.events[<int> UNFRIEND] = scalars["unfriends"]
        self.flags = scalars["flags"]
        self.reserve_users(names.shape[0])
        for users in range(<int32_t> names.shape[0]):
            load_key(names[users], text, len(texts), &key)
            key.hash = key_hash(self.users.secret, &key)
            key.uid = -1
            if self.intern(&key) != users:
                raise ValueError(f"user {users} is there twice")
        users = self.users.count
        counts, uids = cast_to(take(), "i"), cast_to(take(), "i")
        self.expect_users(counts)
        load_graph(&self.graph, users, first_of(counts), first_of(uids), uids.shape[0])
        counts, purchases = cast_to(take(), "i"), take()
        self.expect_users(counts)
        load_history(
            &self.history, users, first_of(counts), <const Purchase*> <const char*> purchases,
            len(purchases) // <int64_t> sizeof(Purchase), self.seq,
        )
        uids, purchases = cast_to(take(), "i"), take()
        if len(purchases) != uids.shape[0] * <int64_t> sizeof(Purchase):
            raise ValueError("the arrays of the recency log differ in length")
        load_recency(
            &self.recency, users, first_of(uids), <const Purchase*> <const char*> purchases,
            uids.shape[0], self.seq, scalars["recency_truncated"],
        )
        return 0

    cdef int expect_users(self, const int32_t[::1] counts) except -1:
        if counts.shape[0] != self.users.count:
            raise ValueError(f"{self.users.count} users, but {counts.shape[0]} counts")
        return 0

    # -- looking in ------------------------------------------------------------------

    def network(self, user):
        """The ids of the users within the degree of user, nearest first."""
        cdef int64_t i
        self.enter()
        try:
            if self.find_origin(user) < 0:
                return []
            ball_fill(&self.ball, &self.graph, self.degree, self.users.count)
            return [self.text_of_uid(self.ball.queue[i]) for i in range(1, self.ball.end)]
        finally:
            self.busy = False

    def sample_users(self, int64_t most):
        """The ids of some users, at even distances."""
        cdef int64_t i, count
        self.enter()
        try:
            count = min(<int64_t> self.users.count, most)
            return [
                self.text_of_uid(<int32_t> (i * self.users.count // count))
                for i in range(count)
            ]
        finally:
            self.busy = False

    cdef int64_t find_origin(self, user) except -2:
        """Begin a ball around a user; the uid, or -1 if nobody is known by that id."""
        cdef UserKey key
        user = key_of(user, &key)
        key.hash = key_hash(self.users.secret, &key)
        cdef int64_t uid = users_find(&self.users, &key)
        if uid >= 0:
            ball_begin(&self.ball, <int32_t> uid, self.users.count)
        return uid

    cdef object text_of_uid(self, int32_t uid):
        cdef UserKey key = users_key(&self.users, uid)
        return text_of(&key)

    def latest(self, user, int32_t degree, int32_t tracked):
        """The latest purchases of a network, at any degree, and how far they are.

        Returns the number of users at each distance from 1 on, and a list of
        (path, time_us, amount_units), newest first, the path being the ids from user to
        the purchase's buyer along a shortest way of friends. Costs the whole network.
        """
        cdef int64_t i
        cdef const Candidate* newest
        cdef int32_t* places = NULL
        cdef list ends = [1], found = []
        cdef dict paths = {}
        self.enter()
        try:
            if self.find_origin(user) < 0:
                return [], []
            while not ball_complete(&self.ball, degree):
                with nogil:
                    ball_grow(&self.ball, &self.graph, self.users.count)
                ends.append(self.ball.end)
            memory_resize(<void**> &places, self.users.count, sizeof(int32_t))
            for i in range(self.ball.end):
                places[self.ball.queue[i]] = <int32_t> i
            merge_begin(&self.search.merge, &self.ball, &self.history, tracked)
            newest = merge_newest(&self.search.merge)
            while newest != NULL and len(found) < tracked:
                if newest.uid not in paths:
                    paths[newest.uid] = self.path_to(newest.uid, places)
                found.append((
                    paths[newest.uid], newest.cursor.purchase.key.time_us,
                    newest.cursor.purchase.amount_units,
                ))
                merge_take(&self.search.merge, &self.history)
                newest = merge_newest(&self.search.merge)
            sizes = [b - a for a, b in zip(ends, ends[1:], strict=False) if b > a]
            return sizes, found
        finally:
            PyMem_RawFree(places)
            self.busy = False

    def latest_amounts(self, user, int32_t degree, int32_t tracked):
        """The amounts of the latest purchases of a network, newest first.

        Costs what a judgement does.
        """
        cdef int64_t i, uid
        self.enter()
        try:
            uid = self.find_origin(user)
            if uid < 0:
                return []
            self.fill_window(<int32_t> uid, degree, tracked)
            return [self.window.amounts[i] for i in range(self.window.count)]
        finally:
            self.busy = False

    cdef tuple path_to(self, int32_t uid, const int32_t* places):
        """The ids on a shortest way from the ball's origin to one of its users.

        Of a user's friends, the one that was marked first is nearest to the origin.
        """
        cdef Friends friends
        cdef const int32_t* uids
        cdef int64_t run
        cdef int32_t i, count, nearest
        cdef list path = [self.text_of_uid(uid)]
        while places[uid] > 0:
            friends = self.graph.friends[uid]
            nearest = uid
            for run in range(friends_runs(&self.graph, friends)):
                uids = friends_run(&self.graph, friends, run, &count)
                for i in range(count):
                    if ball_has(&self.ball, uids[i]) and places[uids[i]] < places[nearest]:
                        nearest = uids[i]
            uid = nearest
            path.append(self.text_of_uid(uid))
        return tuple(reversed(path))

    def counts(self):
        """(purchases, befriends, unfriends, flags, users, friendships, purchases kept)."""
        self.enter()
        self.busy = False
        return (
            self.events[<int> PURCHASE], self.events[<int> BEFRIEND],
            self.events[<int> UNFRIEND], self.flags,
            self.users.count, self.graph.friendships, self.history.kept,
        )

    def work(self):
        """(steps walked, friends marked, members merged), over all searches."""
        self.enter()
        self.busy = False
        return (
            self.search.steps_walked, self.ball.friends_marked,
            self.search.merge.members_seen,
        )

    def time_judging(self):
        self.enter()
        self.latency.wanted = True
        self.busy = False

    def latencies(self):
        """(counts by bucket, nanoseconds) of the judgements timed so far."""
        self.enter()
        self.busy = False
        return [self.latency.counts[i] for i in range(LATENCY_BUCKETS)], self.latency.total_ns

    def newest_us(self):
        """The newest timestamp of a purchase, or None."""
        cdef const Chunk* chunk
        self.enter()
        self.busy = False
        if self.recency.count == 0:
            return None
        chunk = self.recency.chunks[self.recency.chunk_count - 1]
        return chunk.keys[chunk.end - 1].time_us

    def memory(self):
        """(users, user ids, friendships, purchases, recency log, scratch), in bytes."""
        self.enter()
        self.busy = False
        per_user = (
            self.graph.friends_capacity * <int64_t> sizeof(Friends)
            + self.history.rings_capacity * <int64_t> sizeof(Ring)
            + self.history.newest_capacity * <int64_t> sizeof(int64_t)
            + self.ball.marks_capacity * <int64_t> sizeof(uint32_t)
            + self.search.seen_capacity * <int64_t> sizeof(uint32_t)
        )
        scratch = (
            ball_bytes(&self.ball)
            + merge_bytes(&self.search.merge)
            + self.window.capacity * <int64_t> sizeof(int64_t)
            + (self.ahead != NULL) * <int64_t> sizeof(Ahead)
        )
        return (
            users_bytes(&self.users) + per_user, self.users.texts_capacity,
            graph_bytes(&self.graph), history_bytes(&self.history),
            recency_bytes(&self.recency), scratch,
        )

    def check(self):
        """Raise AssertionError if the state contradicts itself. Costs the whole state."""
        self.enter()
        try:
            check_users(&self.users)
            check_graph(&self.graph, self.users.count)
            check_history(&self.history, self.users.count)
            check_recency(&self.recency)
        finally:
            self.busy = False


cdef bint is_blank(const char* text, int64_t length) noexcept nogil:
    cdef int64_t i
    for i in range(length):
        if text[i] != c" " and text[i] != c"\t" and text[i] != c"\r":
            return False
    return True


cdef object loads = None          # orjson's, and the errors it raises:
cdef object JSONDecodeError = None


cdef tuple decode_line(bytes line, int64_t max_line, Event* event):
    """Decode a line by way of orjson: (reason, what keeps the event's keys alive)."""
    global loads, JSONDecodeError
    inexact = False
    if loads is None:           # its start-up is most of ours, and most runs need none
        from orjson import JSONDecodeError, loads
    if len(line) > max_line:
        return LINE_TOO_LONG, None
    if is_blank(line, len(line)):
        return BLANK, None
    try:
        value = loads(line)
    except JSONDecodeError:
        reason, value = reread(line)
        inexact = True
        if reason != VALID:
            return reason, None
    if type(value) is not dict:
        return NOT_AN_OBJECT, None
    return decode_event(value, line, exact_number, inexact, event), value


cdef tuple event_values(const Event* event):
    """An event for comparison: its kind, its users as text, time and amount."""
    if event.kind == PURCHASE:
        return event.kind, text_of(&event.user), event.time_us, event.amount_units
    return event.kind, text_of(&event.user), text_of(&event.friend)


def scan(line: bytes):
    """What the scanner makes of a line: an event, or None if it declines. For tests."""
    cdef Event event
    cdef const char* text = line
    return event_values(&event) if scan_event(text, text + len(line), &event) else None


def decode(line: bytes):
    """What orjson's way makes of it: an event, or the index of a reason."""
    cdef Event event
    reason, _kept = decode_line(line, len(line), &event)
    return event_values(&event) if reason == VALID else reason
