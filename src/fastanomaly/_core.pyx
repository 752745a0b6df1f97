"""The border between Python and the engine: the class Engine, and a few functions.

The engine itself is in engine/*.pxd, kernels that are compiled into this one module. An
Engine owns one State (engine/state.pxd), which events change, and the Workers
(engine/workers.pxd), whose judges judge purchases against it. `Detector` is the public
interface.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fastanomaly.engine.answering cimport answer_asks
from fastanomaly.engine.arrow cimport (
    ArrowSource, array_take, schema_take, source_check, source_get_schema, source_names,
    source_release, stream_take,
)
from fastanomaly.engine.arrow_export cimport export_stream
from fastanomaly.engine.askers cimport askers_set
from fastanomaly.engine.batch cimport Batch, batch_bytes, batch_free
from fastanomaly.engine.check cimport check_shard, check_state
from fastanomaly.engine.decode cimport decode_line
from fastanomaly.engine.evictions cimport evictions_bytes, evictions_release
from fastanomaly.engine.feed cimport feed_single, flag_values
from fastanomaly.engine.feed_columns cimport columns_valid, feed_columns
from fastanomaly.engine.feed_frame cimport (
    FrameFeed, feed_frame, frame_feed_bytes, frame_feed_free,
)
from fastanomaly.engine.feed_lines cimport LineFeed, feed_lines
from fastanomaly.engine.feed_shard cimport (
    ShardFeed, feed_shard, shard_feed_begin, shard_feed_free,
)
from fastanomaly.engine.fields cimport (
    BAD_AMOUNT_UNITS, amount_of_text, rounded_amount_of_text, time_of_text,
)
from fastanomaly.engine.finishing cimport finish_verdicts
from fastanomaly.engine.frame cimport frame_kept_format, frame_line, frame_set_columns
from fastanomaly.engine.grid cimport GridFlag, grid_cells, grid_free, grid_set
from fastanomaly.engine.judge cimport Outcome, Settings
from fastanomaly.engine.load cimport Loading, load_state, whole_loading
from fastanomaly.engine.load_shard cimport load_parts, load_shard, load_shard_parts
from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_fail_after, memory_resize, memory_zeroed,
)
from fastanomaly.engine.network cimport (
    network_amounts, network_ids, network_latest, network_paths, network_purchases,
    sample_ids,
)
from fastanomaly.engine.overlay cimport BATCH_MAX
from fastanomaly.engine.packet cimport Reader, packet_bytes, reader_of
from fastanomaly.engine.reject cimport VALID, quick_reason
from fastanomaly.engine.reject_rows cimport fault_detail, reject_rows
from fastanomaly.engine.save cimport save_state, state_arrays, state_scalars
from fastanomaly.engine.scan cimport scan_event
from fastanomaly.engine.scan_ahead cimport (
    LineBatch, ScanAhead, scan_ahead_begin, scan_ahead_end, scan_ahead_next,
    scan_ahead_release,
)
from fastanomaly.engine.scan_columns cimport (
    ColumnScan, column_scan_columns, column_scan_fill,
)
from fastanomaly.engine.scan_frame cimport (
    FrameArray, frame_array_free, frame_array_next, frame_scan_columns, frame_scan_fill,
)
from fastanomaly.engine.scan_line cimport find_line_end, lines_begin
from fastanomaly.engine.shard cimport Shard, shard_begin, shard_free, shard_owner
from fastanomaly.engine.shard_statistics cimport shard_memory, shard_work
from fastanomaly.engine.state cimport State, state_begin, state_free
from fastanomaly.engine.statistics cimport (
    judges_latencies, judges_work, memory_bytes, state_counts, state_newest_us,
    workers_counts,
)
from fastanomaly.engine.team cimport team_share_all
from fastanomaly.engine.times cimport time_in_unit
from fastanomaly.engine.types cimport (
    BEFRIEND, PURCHASE, UNFRIEND, Event, Reading,
)
from fastanomaly.engine.user_keys cimport key_of_object, key_text
from fastanomaly.engine.users cimport keys_equal
from fastanomaly.engine.workers cimport Workers, workers_free, workers_set

import os


FlagValues = tuple[str, int, int, int, int, int, int, int]      # for annotations; see the stub


def amount_units(text: str, rounded: bool = False):
    """Parse a decimal number: its value in units of 10^-6, or None if invalid."""
    cdef bytes utf8 = text.encode("utf-8", "replace")
    if rounded:
        units = rounded_amount_of_text(utf8, len(utf8))
    else:
        units = amount_of_text(utf8, len(utf8))
    return None if units == BAD_AMOUNT_UNITS else units


def time_us(text: str):
    """Parse a timestamp: microseconds since 1970-01-01 UTC, or None if invalid."""
    cdef bytes utf8 = text.encode("utf-8", "replace")
    cdef int64_t time = 0
    return time if time_of_text(utf8, len(utf8), &time) else None


def time_us_in_unit(text: str, is_number: bool, time_unit: int):
    """Parse a timestamp in a unit: its microseconds since 1970 and whether it was cut.

    None if it is invalid. A text that is also valid without the unit is parsed so.
    """
    cdef bytes utf8 = text.encode("utf-8", "replace")
    cdef Event event
    event.time_us = 0
    event.adjusted = 0
    if not is_number and time_of_text(utf8, len(utf8), &event.time_us):
        return event.time_us, False
    if not time_in_unit(utf8, len(utf8), is_number, time_unit, &event):
        return None
    return event.time_us, event.adjusted != 0


def fail_allocations_after(count: int):
    """Make every allocation after the next `count` fail; -1 ends that. For tests."""
    memory_fail_after(count)


def share_all_batches(wanted: bool):
    """Judge every batch with all threads, however little it has to judge. For tests."""
    team_share_all(wanted)


cdef tuple event_values(const Event* event):
    """Return an event for comparison: its kind, its users as text, time and amount."""
    if event.kind == PURCHASE:
        return event.kind, key_text(&event.user), event.time_us, event.amount_units
    return event.kind, key_text(&event.user), key_text(&event.friend)


def scan(line: bytes, round_amounts: bool = False, time_unit: int = 0):
    """Scan a line: the values of its event, or None if the scanner declines. For tests."""
    cdef Event event
    cdef Reading reading
    cdef const char* text = line
    reading.round_amounts = round_amounts
    reading.time_unit = time_unit
    found = scan_event(text, text + len(line), &reading, &event)
    return event_values(&event) if found else None


def scan_text(text: bytes, max_line: int, round_amounts: bool = False, time_unit: int = 0):
    """Scan lines ahead: the events, with the numbers and places of their lines. For tests."""
    cdef ScanAhead* ahead = NULL
    cdef LineBatch* batch
    cdef Reading reading
    cdef uint64_t[2] secret
    cdef int64_t line = 1
    reading.round_amounts = round_amounts
    reading.time_unit = time_unit
    secret[0] = secret[1] = 0
    found = []
    memory_zeroed(<void**> &ahead, 1, sizeof(ScanAhead))
    scan_ahead_begin(ahead, text, len(text), max_line, &reading, secret, True)
    try:
        while True:
            batch = scan_ahead_next(ahead, 0, True)
            if batch == NULL:
                return found
            for i in range(batch.count):
                found.append((
                    line + batch.lines[i], batch.starts[i], batch.ends[i],
                    event_values(&batch.events[i]),
                ))
            line += batch.line_count
            scan_ahead_release(ahead, 1)
    finally:
        scan_ahead_end(ahead)
        PyMem_RawFree(ahead)


def decode(line: bytes, round_amounts: bool = False, time_unit: int = 0):
    """Decode a line with orjson: the values of its event, or the index of a reason."""
    cdef Event event
    cdef Reading reading
    reading.round_amounts = round_amounts
    reading.time_unit = time_unit
    reason, _kept = decode_line(line, len(line), &reading, &event)
    return event_values(&event) if reason == VALID else reason


def rejected_at_once(line: bytes, round_amounts: bool = False, time_unit: int = 0):
    """Return the reason's index for a line rejected without orjson, or < 0. For tests."""
    cdef const char* text = line
    cdef Reading reading
    reading.round_amounts = round_amounts
    reading.time_unit = time_unit
    return quick_reason(text, text + len(line), len(line), &reading)


def syntax_fault(line: bytes):
    """Return what is wrong with a line that is not UTF-8 or not JSON; else an empty text."""
    return fault_detail(line)


def rows_of_rejects(rejected: list, describe, value_detail):
    """Return rejected lines, each as a row of tab-separated columns with a line end.

    Each is a tuple of its log, line number, reason and text; the columns are log, number,
    reason, detail and text. `value_detail(name, value)` returns the detail for a member with
    a bad value, given as it is written; `describe(text, reason)` that of any line.
    """
    return reject_rows(rejected, describe, value_detail)


def end_of_lines(data, int64_t start, int64_t count):
    """Return where the `count` lines from `start` on end, or the text if it has fewer."""
    cdef const uint8_t[::1] view = data
    cdef int64_t size = view.shape[0], end
    with nogil:
        while count > 0 and start < size:
            start = find_line_end(<const char*> &view[0], size, start, &end)
            count -= 1
    return start


def check_columns(
    const uint8_t[::1] kinds, const int64_t[::1] times_us, users, friends,
    const int64_t[::1] amounts_units
):
    """Raise what `Engine.feed_columns` raises if lengths differ or a row is invalid."""
    columns_valid(kinds, times_us, users, friends, amounts_units)


def arrow_stream(int64_t rows, tuple columns):
    """Return a capsule ``arrow_array_stream`` of a table.

    A column is a tuple of its name and its Arrow format, both as bytes that end in a NUL, the
    number of nulls, or -1 for a column that can have none, and a tuple of its buffers, up to
    three, each bytes or None. Nothing is checked.
    """
    return export_stream((rows, columns))


cdef int make_secrets(uint64_t* secrets) except -1:
    """Set the three numbers that hashing needs."""
    random = os.urandom(24)
    for i in range(3):
        secrets[i] = int.from_bytes(random[8 * i:8 * i + 8], "little")
    return 0


@cython.final
@cython.internal
@cython.freelist(8)
cdef class Guard:
    """Marks an engine as in use from its creation until it is deallocated.

    A method that holds one in a local variable releases it when it returns or raises. It
    costs less than a context manager or try/finally in each method, and cannot be forgotten.
    The engine must outlive it.
    """

    cdef bint* busy

    def __dealloc__(self):
        self.busy[0] = False


cdef inline Guard guard_of(bint* busy):
    """Mark what `busy` belongs to, which must be idle, as in use."""
    cdef Guard guard = Guard.__new__(Guard)
    guard.busy = busy
    busy[0] = True
    return guard


@cython.final
cdef class FrameSource:
    """A table of another library, through the Arrow C interfaces; it can be read once.

    It is released at the end of a ``with`` statement.

    Parameters
    ----------
    capsules : one or two capsules
        An ``arrow_array_stream``; or an ``arrow_schema`` and an ``arrow_array``.

    Raises
    ------
    TypeError, ValueError
        If they are other objects, were read before, or are not a table.
    OSError
        If the stream has an error instead of a schema.
    """

    cdef ArrowSource source             # Cython has zeroed it

    def __cinit__(self, *capsules):
        if len(capsules) == 1:
            stream_take(capsules[0], &self.source.stream)
            source_get_schema(&self.source)
        else:
            schema, array = capsules
            schema_take(schema, &self.source.schema)
            array_take(array, &self.source.array)
        source_check(&self.source)

    def __dealloc__(self):
        self.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()

    cdef void release(self) noexcept:
        with nogil:
            source_release(&self.source)

    @property
    def names(self):
        """The names of the columns."""
        return source_names(&self.source)

    def kept_format(self, int64_t column):
        """Return the Arrow format of a column's values and a NUL, as bytes.

        For a dictionary, it is that of its values. Raises TypeError if they are nested.
        """
        return frame_kept_format(self.source.schema.children[column]) + b"\0"


@cython.final
cdef class Engine:
    """Users, friendships, purchase histories, and exact verdicts on purchases.

    Parameters
    ----------
    degree : int
        D, 1 to 2^31 - 1.
    tracked : int
        T, 2 to 2^31 - 1.
    k_numerator, k_denominator : int
        k as a fraction.
    whole_balls : bool
        Search by marking whole networks, instead of from both sides.
    round_amounts : bool
        Accept amounts with more than six decimals in lines, and round them.
    time_unit : int
        TimeUnit of engine/types.pxd: which timestamps to accept in lines.

    Notes
    -----
    Parameters are not checked: `Detector` does that. For one thread at a time: a call while
    another one is running raises RuntimeError. A call that raises has changed nothing,
    except for `load` and the bulk calls, which say what they have done.
    """

    cdef State state
    cdef Settings settings
    cdef Workers workers
    cdef Outcome outcome                # of the last single event
    cdef Reading reading
    cdef Batch* batch                   # NULL until the first bulk call
    cdef LineFeed* lines                # NULL until the first feed
    cdef FrameFeed* frames              # NULL until the first feed_frame
    cdef bint busy

    def __cinit__(
        self, int32_t degree, int32_t tracked, int64_t k_numerator, int64_t k_denominator,
        bint whole_balls, bint round_amounts=False, int time_unit=0
    ):
        cdef uint64_t[3] secrets
        make_secrets(secrets)
        # Cython has zeroed the structs.
        self.reading.round_amounts = round_amounts
        self.reading.time_unit = time_unit
        state_begin(&self.state, tracked, secrets)
        self.settings.degree = degree
        self.settings.tracked = tracked
        self.settings.k_numerator = k_numerator
        self.settings.k_denominator = k_denominator
        self.settings.ball_method = whole_balls
        workers_set(&self.workers, 1)

    def __dealloc__(self):
        workers_free(&self.workers)
        state_free(&self.state)
        grid_free(&self.settings.grid)
        PyMem_RawFree(self.outcome.flags.items)
        PyMem_RawFree(self.lines)
        if self.frames != NULL:
            frame_feed_free(self.frames)
        if self.batch != NULL:
            batch_free(self.batch)
            PyMem_RawFree(self.batch)

    cdef int check_idle(self) except -1:
        """Raise RuntimeError while another call is running; for calls that cannot block."""
        if self.busy:
            raise RuntimeError(
                "a detector is used by one thread at a time, but another call is running"
            )
        return 0

    cdef Guard guard(self):
        """Keep out other calls as long as the caller holds the result."""
        self.check_idle()
        return guard_of(&self.busy)

    # -- parameters --------------------------------------------------------------------

    def set_degree(self, int32_t degree):
        """Set D, from the next purchase on."""
        self.check_idle()
        self.settings.degree = degree

    def set_sigmas(self, int64_t k_numerator, int64_t k_denominator):
        """Set k, from the next purchase on."""
        self.check_idle()
        self.settings.k_numerator = k_numerator
        self.settings.k_denominator = k_denominator

    def set_whole_balls(self, bint whole_balls):
        """Set how networks are searched, from the next purchase on."""
        self.check_idle()
        self.settings.ball_method = whole_balls

    def set_grid(self, list degrees, list tracked, list sigmas):
        """Judge under every setting of a grid from now on.

        The values of a flag then are (user, time_us, amount_units, flags): `flags` has the
        bytes of an array of (cell, n, mean_cents, sd_cents), int64, with a row for each
        setting under which the purchase is flagged. Cells number the settings: k varies
        fastest, then T, then the degree.

        Degrees and T ascend, T at most that of the engine; each k is a pair (numerator,
        denominator).
        """
        _guard = self.guard()
        grid_set(&self.settings.grid, degrees, tracked, sigmas)
        memory_resize(
            <void**> &self.outcome.flags.items, grid_cells(&self.settings.grid),
            sizeof(GridFlag),
        )

    def compared(self):
        """Return the number of purchases with n >= 2, by degree of the grid."""
        self.check_idle()
        return [
            self.settings.grid.compared[i] for i in range(self.settings.grid.degree_count)
        ]

    def set_threads(self, int32_t threads):
        """Set how many threads may judge, the calling one included; 1 to 256.

        Those that run are ended; new ones are started when there is enough for them to do.
        """
        _guard = self.guard()
        with nogil:
            workers_set(&self.workers, threads)

    # -- one event ---------------------------------------------------------------------

    def purchase(
        self, user, int64_t time_us, int64_t amount_units, bint judged, int adjusted=0
    ):
        """Judge a purchase if `judged`, then record it; the flag's values, or None.

        The values are (user, time_us, amount_units, n, total, squares, mean_cents,
        sd_cents): number, sum and sum of squares of the amounts it was compared with.
        `adjusted` are the bits of Adjusted.
        """
        cdef Event event
        event.kind = PURCHASE
        event.adjusted = adjusted
        event.time_us = time_us
        event.amount_units = amount_units
        return self.apply(&event, user, None, judged)

    def befriend(self, user, friend):
        """Make two users friends; expected O(1)."""
        cdef Event event
        event.kind = BEFRIEND
        self.apply(&event, user, friend, False)

    def unfriend(self, user, friend):
        """End a friendship; expected O(1)."""
        cdef Event event
        event.kind = UNFRIEND
        self.apply(&event, user, friend, False)

    cdef object apply(self, Event* event, object user, object friend, bint judged):
        """Apply an event given from Python, without keys yet; the flag's values, or None."""
        _guard = self.guard()
        user_text = key_of_object(user, &event.user)
        if event.kind != PURCHASE:
            _friend_text = key_of_object(friend, &event.friend)
            if event.kind == BEFRIEND and keys_equal(&event.user, &event.friend):
                raise ValueError(f"user id: {user_text!r} cannot befriend themself")
        feed_single(
            &self.state, &self.settings, &self.workers, event, judged, &self.outcome
        )
        if not self.outcome.verdict.anomalous:
            return None
        return flag_values(&self.settings, event, &self.outcome)

    # -- many events -------------------------------------------------------------------

    cdef int begin_bulk(self) except -1:
        """Allocate what bulk calls need."""
        if self.batch == NULL:
            memory_zeroed(<void**> &self.batch, 1, sizeof(Batch))
        return 0

    def feed(
        self, data, *, bint judged, int64_t max_line, log, int64_t first_line,
        Py_ssize_t max_rejected
    ):
        """Apply the events of newline-delimited JSON, in order.

        Parameters
        ----------
        data : bytes or memoryview
            The lines; a view must be of bytes and end with a line end.
        judged : bool
            Whether purchases are judged.
        max_line : int
            Longest line accepted, in bytes.
        log : str
            Name of the log in rejected lines.
        first_line : int
            Number of the first line.
        max_rejected : int
            Stop after so many rejected lines.

        Returns
        -------
        tuple
            The number of lines read; a list of (line, start, end, flag values), the line
            being data[start:end]; one of `Rejected`; and the exception that stopped it early,
            or None. Lines before that one were applied.
        """
        _guard = self.guard()
        self.begin_bulk()
        if self.lines == NULL:
            memory_zeroed(<void**> &self.lines, 1, sizeof(LineFeed))
        return feed_lines(
            &self.state, &self.settings, &self.workers, self.batch, self.lines, data, judged,
            max_line, log, first_line, max_rejected, &self.reading,
        )

    def feed_columns(
        self, const uint8_t[::1] kinds, const int64_t[::1] times_us, users, friends,
        const int64_t[::1] amounts_units, *, bint judged
    ):
        """Apply the events of columns of equal length, in order.

        Parameters
        ----------
        kinds, times_us, amounts_units : buffers of uint8, int64 and int64
            One item for each event.
        users, friends : buffers of int64, or lists of str or int
            User ids, both of the same type; `friends` is not used for purchases.
        judged : bool
            Whether purchases are judged.

        Returns
        -------
        tuple
            The flags as the bytes of an array of (row, n, mean_cents, sd_cents), int64; the
            number of rows applied; and the exception that stopped it early, or None.

        Raises
        ------
        ValueError, TypeError
            If lengths differ or a row is invalid; nothing was applied.
        """
        _guard = self.guard()
        self.begin_bulk()
        return feed_columns(
            &self.state, &self.settings, &self.workers, self.batch, kinds, times_us, users,
            friends, amounts_units, judged,
        )

    def feed_frame(
        self, FrameSource source, tuple columns, int kind, *, bint judged, log,
        int64_t first_row, Py_ssize_t max_rejected, tuple keep=()
    ):
        """Apply the events of a table, in order.

        Parameters
        ----------
        source : FrameSource
            The table; it is read to its end, or as far as it is used.
        columns : tuple of int
            Which column is the kind, the timestamp, the user of purchases, the user of
            friendships, the friend and the amount, from 0; -1 where there is none.
        kind : int
            The kind of all rows, if no column has it.
        judged : bool
            Whether purchases are judged.
        log : str
            Name of the table in rejected rows.
        first_row : int
            Number of the first row.
        max_rejected : int
            Stop after so many rejected rows.
        keep : tuple of int
            Columns whose values are returned for flags: those with a `kept_format`.

        Returns
        -------
        tuple
            The number of rows read; a list of (row, line, flag values, kept values), the
            line being the row as JSON, and kept values bytes or None; one of
            `Rejected`; and the exception that stopped it early, or None. Rows before that
            one were applied.

        Raises
        ------
        TypeError
            If a column has a type that its field cannot have; nothing was applied.
        """
        _guard = self.guard()
        source_check(&source.source)
        self.begin_bulk()
        if self.frames == NULL:
            memory_zeroed(<void**> &self.frames, 1, sizeof(FrameFeed))
        frame_set_columns(&self.frames.frame, &source.source.schema, columns, kind)
        return feed_frame(
            &self.state, &self.settings, &self.workers, self.batch, self.frames,
            &source.source, judged, log, first_row, max_rejected, keep, &self.reading,
        )

    # -- saving and loading ------------------------------------------------------------

    def arrays(self):
        """Return (name, kind, items) of each array that `save` writes, in that order.

        A kind is int64, bytes, int32, or purchase, which is three int64.
        """
        self.check_idle()
        return state_arrays(&self.state, False)

    def scalars(self):
        """Return the values of the state that are not in its arrays, for `load`."""
        self.check_idle()
        return state_scalars(&self.state)

    def save(self, int fd):
        """Write all arrays to an open file, each with its checksum; raises OSError."""
        _guard = self.guard()
        with nogil:
            save_state(&self.state, fd, False)

    def load(self, scalars, next_array):
        """Fill an empty engine with a saved state.

        `scalars` are those of `scalars`; `next_array()` returns the next array as bytes.
        Raises ValueError if it is not a valid state; do not use the engine after that.
        """
        cdef Loading loading = whole_loading()
        _guard = self.guard()
        load_state(&self.state, &loading, scalars, next_array)

    def load_parts(self, int32_t parts, scalars, next_array):
        """Fill an empty engine with the saved states of all shards of a cluster.

        Like `load`; `next_array` returns the arrays of the first shard that an engine has,
        and then, of each other shard, `purchase_counts` and `purchases`.
        """
        cdef Loading loading = whole_loading()
        _guard = self.guard()
        load_parts(&self.state, &loading, parts, scalars, next_array)

    # -- queries -----------------------------------------------------------------------

    def network(self, user):
        """Return the ids of the users within D of a user, nearest first; O(their edges)."""
        _guard = self.guard()
        return network_ids(
            &self.state, &self.workers.first, self.settings.degree, user
        )

    def sample_users(self, int64_t most):
        """Return the ids of up to `most` users, evenly spaced in order of first appearance."""
        self.check_idle()
        return sample_ids(&self.state, most)

    def latest(self, user, int32_t degree, int32_t tracked):
        """Return the latest purchases of a network, with paths; O(its friendships).

        Returns the number of users at each distance from 1 on, and a list of (path, time_us,
        amount_units), newest first. A path has the ids from the user to the buyer along a
        shortest path of friendships.
        """
        _guard = self.guard()
        return network_latest(&self.state, &self.workers.first, user, degree, tracked)

    def latest_amounts(self, user, int32_t degree, int32_t tracked):
        """Return the amounts of a network's latest T purchases; costs a judgement."""
        _guard = self.guard()
        return network_amounts(
            &self.state, &self.settings, &self.workers.first, user, degree, tracked
        )

    # -- statistics --------------------------------------------------------------------

    def counts(self):
        """Return the values of `Counts`, in its order."""
        self.check_idle()
        return state_counts(&self.state)

    def work(self):
        """Return the values of `Work`, in its order."""
        self.check_idle()
        return judges_work(&self.workers)

    def time_judging(self):
        """Time each judgement from now on."""
        self.check_idle()
        self.settings.timed = True

    def latencies(self):
        """Return (counts by bucket, total nanoseconds) of the judgements timed so far."""
        self.check_idle()
        return judges_latencies(&self.workers)

    def sharing(self):
        """Return how judgements were shared among threads, see engine/statistics.pxd.

        (threads that judged the last batch, judgements, those made ahead, nanoseconds of
        judging ahead, judged batches by power of two of their events, their events).
        """
        self.check_idle()
        return workers_counts(&self.workers)

    def newest_us(self):
        """Return the newest timestamp of a purchase, or None."""
        self.check_idle()
        return state_newest_us(&self.state)

    def memory(self):
        """Return the values of `Memory`, in its order."""
        self.check_idle()
        return memory_bytes(
            &self.state, &self.workers,
            (<int64_t> sizeof(LineFeed) if self.lines != NULL else 0)
            + (frame_feed_bytes(self.frames) if self.frames != NULL else 0)
            + (batch_bytes(self.batch) if self.batch != NULL else 0),
        )

    def check(self):
        """Raise AssertionError if an invariant of the state is violated; O(state)."""
        _guard = self.guard()
        check_state(&self.state)


@cython.final
cdef class LineColumns:
    """Reads lines as columns of events, some rows at a time, without the GIL.

    Parameters
    ----------
    data, max_line, log, first_line, max_rejected
        As for `Engine.feed`; the data must not change meanwhile.
    round_amounts, time_unit
        As for `Engine`.

    Notes
    -----
    For one thread at a time.
    """

    cdef ColumnScan* scan
    cdef const uint8_t[::1] view        # keeps the data
    cdef object log
    cdef object failure
    cdef int64_t first_line
    cdef Py_ssize_t max_rejected
    cdef bint busy
    cdef readonly list rejected         # the lines rejected so far

    def __cinit__(
        self, data, *, int64_t max_line, log, int64_t first_line, Py_ssize_t max_rejected,
        bint round_amounts=False, int time_unit=0
    ):
        self.view = data
        self.log = log
        self.first_line = first_line
        self.max_rejected = max_rejected
        self.rejected = []
        memory_zeroed(<void**> &self.scan, 1, sizeof(ColumnScan))
        self.scan.line = first_line
        self.scan.reading.round_amounts = round_amounts
        self.scan.reading.time_unit = time_unit
        size = self.view.shape[0]
        lines_begin(
            &self.scan.lines, <const char*> &self.view[0] if size > 0 else NULL, size,
            max_line, &self.scan.reading,
        )

    def __dealloc__(self):
        PyMem_RawFree(self.scan)

    @property
    def lines(self):
        """How many lines have been read."""
        return self.scan.line - self.first_line

    def read(self, int32_t most):
        """Return the next rows, up to `most`, at most 1,024, or None if no line is left.

        Returns
        -------
        tuple or None
            Whether all ids are plain numbers; the columns kinds (uint8), times_us, users,
            friends and amounts_units (int64) as bytes, where ids that are not all numbers are
            as in engine/id_texts.pxd; how many amounts were rounded and how many times cut;
            and the places of the rows' lines: an array of (line number, start, end), int64,
            the line being data[start:end].

        Raises
        ------
        MemoryError, KeyboardInterrupt, ...
            What failed at the next line, after the rows before it. Read no more then.
        """
        if self.busy:
            raise RuntimeError("lines are read by one thread at a time")
        cdef list kept = []
        _guard = guard_of(&self.busy)
        if self.failure is None:
            self.failure = column_scan_fill(
                self.scan, min(most, <int32_t> BATCH_MAX), self.log, self.max_rejected, kept,
                self.rejected,
            )
            if self.scan.count > 0:
                return column_scan_columns(self.scan)
        if self.failure is not None:
            raise self.failure
        return None


@cython.final
cdef class FrameLines:
    """The rows of an array of a table, which `FrameColumns` has read, as lines."""

    cdef FrameArray rows                # Cython has zeroed it

    def __dealloc__(self):
        with nogil:
            frame_array_free(&self.rows)

    def line(self, int64_t row):
        """Return a row as the line of a log."""
        if not 0 <= row < self.rows.frame.rows:
            raise IndexError(f"row {row} is not in 0..{self.rows.frame.rows - 1}")
        return frame_line(&self.rows.frame, row)


@cython.final
cdef class FrameColumns:
    """Reads rows of a table as columns of events, some at a time.

    Parameters
    ----------
    source, columns, kind, log, first_row, max_rejected, keep
        As for `Engine.feed_frame`; the source is released by the caller, after the last call.
    round_amounts, time_unit
        As for `Engine`.

    Notes
    -----
    For one thread at a time.
    """

    cdef FrameFeed* feed
    cdef Reading reading
    cdef FrameSource source
    cdef FrameLines lines               # of the array that is read
    cdef object log
    cdef object failure
    cdef int64_t first_row
    cdef Py_ssize_t max_rejected
    cdef tuple keep
    cdef bint busy
    cdef readonly list rejected         # the rows rejected so far

    def __cinit__(
        self, FrameSource source not None, tuple columns not None, int kind, *, log,
        int64_t first_row, Py_ssize_t max_rejected, tuple keep=(), bint round_amounts=False,
        int time_unit=0
    ):
        source_check(&source.source)
        self.source = source
        self.lines = FrameLines()
        self.log = log
        self.first_row = first_row
        self.max_rejected = max_rejected
        self.keep = keep
        self.rejected = []
        self.reading.round_amounts = round_amounts
        self.reading.time_unit = time_unit
        memory_zeroed(<void**> &self.feed, 1, sizeof(FrameFeed))
        self.feed.reading = &self.reading
        frame_set_columns(&self.feed.frame, &source.source.schema, columns, kind)

    def __dealloc__(self):
        PyMem_RawFree(self.feed)

    @property
    def rows(self):
        """How many rows have been read."""
        return self.feed.done + self.feed.row

    cdef bint next_array(self) except -1:
        """Begin with the next array; False at the end."""
        self.lines = FrameLines()
        return frame_array_next(
            &self.lines.rows, self.feed, &self.source.source, self.keep
        )

    def read(self, int32_t most):
        """Return the next events, up to `most`, at most 1,024, or None if no row is left.

        Returns
        -------
        tuple or None
            Whether all ids are plain numbers, the columns, and how many amounts were rounded
            and times cut, as `LineColumns.read`; the rows in their array, int64, as bytes; the
            number of the array's first row; its `FrameLines`; and a list of each event's
            values of the columns that are kept, which is empty if there are none.

        Raises
        ------
        MemoryError, OSError, ValueError, KeyboardInterrupt, ...
            What failed at the next row, after the rows before it. Read no more then.
        """
        if self.busy:
            raise RuntimeError("rows are read by one thread at a time")
        cdef list held = [], kept = []
        _guard = guard_of(&self.busy)
        while self.failure is None and len(self.rejected) < self.max_rejected:
            if self.feed.row == self.feed.frame.rows:
                if not self.next_array():
                    return None
                continue
            self.failure = frame_scan_fill(
                &self.lines.rows, self.feed, min(most, <int32_t> BATCH_MAX), self.log,
                self.first_row, self.max_rejected, self.keep, held, kept, self.rejected,
            )
            if self.feed.count > 0:
                first = self.first_row + self.feed.done
                return frame_scan_columns(self.feed) + (first, self.lines, kept)
        if self.failure is not None:
            raise self.failure
        return None


@cython.final
cdef class ShardEngine:
    """One of K shards of a cluster: all users and friendships, but histories of some users.

    Every shard is given the same batches in the same order. Each judges the purchases of its
    own users; where it needs histories of other shards, it has packets for them.

    Parameters
    ----------
    number, shards : int
        Its number, from 0, and K.
    degree, tracked, k_numerator, k_denominator : int
        As for `Engine`.

    Notes
    -----
    Parameters are not checked. For one thread at a time: a call while another one is running
    raises RuntimeError. A place in the log is the number of purchases before it.
    """

    cdef Shard shard
    cdef Settings settings
    cdef ShardFeed scratch
    cdef bint busy

    def __cinit__(
        self, int32_t number, int32_t shards, int32_t degree, int32_t tracked,
        int64_t k_numerator, int64_t k_denominator
    ):
        cdef uint64_t[3] secrets
        make_secrets(secrets)
        # Cython has zeroed the structs.
        shard_begin(&self.shard, number, shards, tracked, secrets)
        self.settings.degree = degree
        self.settings.tracked = tracked
        self.settings.k_numerator = k_numerator
        self.settings.k_denominator = k_denominator
        shard_feed_begin(&self.scratch, shards)

    def __dealloc__(self):
        shard_feed_free(&self.scratch)
        shard_free(&self.shard)

    cdef Guard guard(self):
        """Keep out other calls as long as the caller holds the result."""
        if self.busy:
            raise RuntimeError(
                "a shard is used by one thread at a time, but another call is running"
            )
        return guard_of(&self.busy)

    def feed(
        self, int64_t seq, const uint8_t[::1] kinds, const int64_t[::1] times_us, users,
        friends, const int64_t[::1] amounts_units, *, bint judged,
        tuple adjusted=(0, 0)
    ):
        """Judge the own purchases of a batch if `judged`, then apply all of it.

        Parameters
        ----------
        seq : int
            The place where the batch begins.
        kinds, times_us, users, friends, amounts_units
            As for `Engine.feed_columns`; 1 to 1,024 rows, and times above -2^63. Both columns
            of ids may be bytes, too, see engine/id_texts.pxd.
        judged : bool
            Whether purchases are judged.
        adjusted : tuple of two int
            Of how many purchases the amount was rounded, and the time cut; for counts.

        Returns
        -------
        tuple
            The flags as the bytes of an array of ShardFlag, see engine/packet.pxd; the packet
            of verdicts that need answers, or None; and by owner the packet of asks, or None.

        Raises
        ------
        ValueError, TypeError
            If a row is invalid, or the batch begins elsewhere; nothing was applied.
        MemoryError
            Call again with the same batch, and no other one: it continues where it stopped.
        """
        cdef int64_t rounded_amounts, cut_times
        rounded_amounts, cut_times = adjusted
        _guard = self.guard()
        return feed_shard(
            &self.shard, &self.settings, &self.scratch, seq, kinds, times_us, users, friends,
            amounts_units, judged, rounded_amounts, cut_times,
        )

    def answer(self, bytes asks not None):
        """Return the answers to a packet of asks: the newest purchases as of its place.

        Raises ValueError if the place is not reached yet or was released, or if the packet is
        damaged; MemoryError changes nothing.
        """
        cdef Reader reader = reader_of(asks)
        _guard = self.guard()
        with nogil:
            answer_asks(&self.scratch.answerer, &self.shard, &reader)
        return packet_bytes(&self.scratch.answerer.packet, 0)

    def finish(self, bytes open not None, list asks not None, list answers not None):
        """Finish the verdicts of a packet with the answers to all asks; changes no state.

        `asks` and `answers` are by owner, None where nothing was asked. Returns the flags, the
        packet of verdicts that still need answers, or None, and by owner what to ask then,
        like `feed`; ValueError if packets do not fit together.
        """
        return finish_verdicts(
            &self.settings, open, asks, answers, &self.scratch.finished
        )

    def release(self, int64_t seq):
        """Drop what is only needed for answers as of places before `seq`."""
        _guard = self.guard()
        evictions_release(&self.shard.evictions, seq)

    def arrays(self):
        """Return (name, kind, items) of each array that `save` writes, see `Engine.arrays`.

        They are those of an `Engine`, in which users of other shards have no purchases, and
        if there are several shards, `newest_us`.
        """
        _guard = self.guard()
        return state_arrays(&self.shard.state, self.shard.shards > 1)

    def scalars(self):
        """Return the values of the state that are not in its arrays, for `load`.

        They are the same in all shards.
        """
        _guard = self.guard()
        return state_scalars(&self.shard.state)

    def save(self, int fd):
        """Write all arrays to an open file, each with its checksum; raises OSError.

        All verdicts must be finished: what rings have dropped is not saved.
        """
        _guard = self.guard()
        with nogil:
            save_state(&self.shard.state, fd, self.shard.shards > 1)

    def load(self, scalars, next_array):
        """Fill an empty shard with the saved state of this shard, see `Engine.load`."""
        _guard = self.guard()
        load_shard(&self.shard, scalars, next_array)

    def load_parts(self, int32_t parts, scalars, next_array):
        """Fill an empty shard with what is its own of the states of so many other shards.

        See `Engine.load_parts`; the state of an `Engine` is one part.
        """
        _guard = self.guard()
        load_shard_parts(&self.shard, parts, scalars, next_array)

    def set_degree(self, int32_t degree):
        """Set the degree of the purchases that are judged from now on."""
        _guard = self.guard()
        self.settings.degree = degree

    def set_threads(self, int32_t threads):
        """Set how many threads may judge, the calling one included; see `Engine`."""
        _guard = self.guard()
        with nogil:
            askers_set(self.scratch.askers, threads)

    def owner(self, int32_t uid):
        """Return the number of the shard that owns a user."""
        return shard_owner(&self.shard, uid)

    @property
    def seq(self):
        """The place that has been reached."""
        return self.shard.state.seq

    def counts(self):
        """Return the values of `Counts`, in its order: `kept` are those of the own users."""
        _guard = self.guard()
        return state_counts(&self.shard.state)

    def network(self, user):
        """Return the ids of the users within D of a user, see `Engine.network`."""
        _guard = self.guard()
        return network_ids(
            &self.shard.state, &self.scratch.askers.first.judge, self.settings.degree, user
        )

    def sample_users(self, int64_t most):
        """Return the ids of up to `most` users, see `Engine.sample_users`."""
        _guard = self.guard()
        return sample_ids(&self.shard.state, most)

    def latest(self, user, int32_t degree, int32_t tracked):
        """Return the latest purchases of the own users in a network; O(its friendships).

        A list of at most T tuples (time_us, seq, uid, amount_units), newest first.
        """
        _guard = self.guard()
        return network_purchases(
            &self.shard.state, &self.scratch.askers.first.judge, user, degree, tracked
        )

    def paths(self, user, int32_t degree, list uids not None):
        """Return what a network is like, whoever owns its users; O(its friendships).

        Returns the number of users at each distance from 1 on, and for each of `uids`, which
        must be in the network, the ids along a shortest path to that user.
        """
        _guard = self.guard()
        return network_paths(
            &self.shard.state, &self.scratch.askers.first.judge, user, degree, uids
        )

    def newest_us(self):
        """Return the newest timestamp of a purchase, or None."""
        _guard = self.guard()
        return state_newest_us(&self.shard.state)

    def memory(self):
        """Return the values of `Memory`, in its order."""
        _guard = self.guard()
        return shard_memory(&self.shard, &self.scratch)

    @property
    def judged(self):
        """How many purchases have been judged."""
        return self.scratch.askers.judged

    def evicted(self):
        """Return how many purchases are kept that rings have dropped, and their bytes."""
        _guard = self.guard()
        return self.shard.evictions.count, evictions_bytes(&self.shard.evictions)

    def work(self):
        """Return the values of `ShardWork`, in its order, and those of its `Work` first."""
        _guard = self.guard()
        return shard_work(&self.scratch)

    def check(self):
        """Raise AssertionError if an invariant of the shard is violated; O(state)."""
        _guard = self.guard()
        check_shard(&self.shard)
