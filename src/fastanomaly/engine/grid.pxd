"""A grid of settings, under all of which each purchase is judged at once.

A cell is a degree, a T and a k, numbered in this order: k changes first, then T.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_reserve, memory_resize

cdef enum:
    # Friends looked at for each T and degree to come, to mark a level that they all use.
    MARKS_AHEAD = 24

cdef struct GridFlag:           # four int64: handed over as their bytes
    int64_t cell
    int64_t n
    int64_t mean_cents
    int64_t sd_cents

cdef struct Grid:
    int32_t* degrees            # ascending
    int32_t degree_count        # 0: there is no grid
    int32_t* tracked            # ascending
    int32_t tracked_count
    int64_t* sigmas             # pairs: numerator, denominator
    int32_t sigmas_count
    int64_t* compared           # by degree: purchases that had two others at least
    GridFlag* flags             # of the last purchase
    int64_t flags_capacity
    int64_t flag_count


cdef inline int grid_begin(
    Grid* grid, int32_t degrees, int32_t tracked, int32_t sigmas
) except -1:
    """Make room for so many of each; they are filled in by the caller."""
    memory_resize(<void**> &grid.degrees, degrees, sizeof(int32_t))
    memory_resize(<void**> &grid.tracked, tracked, sizeof(int32_t))
    memory_resize(<void**> &grid.sigmas, 2 * <int64_t> sigmas, sizeof(int64_t))
    memory_resize(<void**> &grid.compared, degrees, sizeof(int64_t))
    memory_reserve(
        <void**> &grid.flags, &grid.flags_capacity,
        <int64_t> degrees * tracked * sigmas, sizeof(GridFlag),
    )
    grid.degree_count = degrees
    grid.tracked_count = tracked
    grid.sigmas_count = sigmas
    return 0


cdef inline void grid_flag(
    Grid* grid, int64_t cell, int64_t n, int64_t mean_cents, int64_t sd_cents
) noexcept nogil:
    cdef GridFlag* flag = &grid.flags[grid.flag_count]
    flag.cell = cell
    flag.n = n
    flag.mean_cents = mean_cents
    flag.sd_cents = sd_cents
    grid.flag_count += 1


cdef inline void grid_flag_again(Grid* grid, int32_t degree) noexcept nogil:
    """Flag at the degree of that index what the one before it flags: the last flags."""
    cdef int64_t cells = <int64_t> grid.tracked_count * grid.sigmas_count
    cdef int64_t begin = grid.flag_count, i
    cdef const GridFlag* flag
    while begin > 0 and grid.flags[begin - 1].cell >= (degree - 1) * cells:
        begin -= 1
    for i in range(begin, grid.flag_count):
        flag = &grid.flags[i]
        grid_flag(grid, flag.cell + cells, flag.n, flag.mean_cents, flag.sd_cents)


cdef inline void grid_free(Grid* grid) noexcept nogil:
    PyMem_RawFree(grid.degrees)
    PyMem_RawFree(grid.tracked)
    PyMem_RawFree(grid.sigmas)
    PyMem_RawFree(grid.compared)
    PyMem_RawFree(grid.flags)
