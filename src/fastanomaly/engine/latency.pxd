"""Durations of judgements: a histogram by powers of two, from a microsecond to a second."""

from libc.stdint cimport int64_t

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    enum:
        CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* time)

cdef enum:
    LATENCY_BUCKETS = 22        # up to 2^0, 2^1, ... 2^20 microseconds, and above

cdef struct Latency:
    int64_t total_ns
    int64_t[LATENCY_BUCKETS] counts


cdef inline int64_t now_ns() noexcept nogil:
    """Return the monotonic clock, in nanoseconds."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <int64_t> time.tv_sec * 1_000_000_000 + time.tv_nsec


cdef inline void latency_add(Latency* latency, int64_t ns) noexcept nogil:
    """Count one judgement."""
    cdef int bucket = 0
    latency.total_ns += ns
    while bucket < LATENCY_BUCKETS - 1 and ns > <int64_t> 1000 << bucket:
        bucket += 1
    latency.counts[bucket] += 1


cdef inline void latency_merge(Latency* latency, const Latency* other) noexcept nogil:
    """Add the counts of another histogram."""
    cdef int bucket
    latency.total_ns += other.total_ns
    for bucket in range(LATENCY_BUCKETS):
        latency.counts[bucket] += other.counts[bucket]
