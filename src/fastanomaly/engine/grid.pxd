"""A grid of settings: each purchase is judged under all of them at once.

A cell is one combination of a degree, a T and a k. Cells are numbered with k varying
fastest, then T, then the degree. The grid's owner frees its arrays with grid_free.
"""

from libc.stdint cimport int32_t, int64_t

from fastanomaly.engine.memory cimport PyMem_RawFree, memory_resize

cdef enum:
    # A level that all later degrees use is marked if it costs at most that many edge visits
    # for each of the T purchases and each of those degrees.
    LEVEL_COST_PER_PURCHASE = 24

cdef struct GridFlag:           # four int64: returned to Python as their bytes
    int64_t cell
    int64_t n
    int64_t mean_cents
    int64_t sd_cents

cdef struct Grid:
    int32_t* degrees            # ascending
    int32_t degree_count        # 0: no grid is set
    int32_t* tracked            # ascending
    int32_t tracked_count
    int64_t* sigmas             # pairs: numerator, denominator
    int32_t sigmas_count
    int64_t* compared           # by degree: purchases compared with at least two others

cdef struct GridFlags:          # of one purchase, in order of their cells
    GridFlag* items             # room for one in each cell
    int64_t count


cdef inline int grid_begin(
    Grid* grid, int32_t degrees, int32_t tracked, int32_t sigmas
) except -1:
    """Allocate a grid with that many of each; the caller then fills the arrays."""
    memory_resize(<void**> &grid.degrees, degrees, sizeof(int32_t))
    memory_resize(<void**> &grid.tracked, tracked, sizeof(int32_t))
    memory_resize(<void**> &grid.sigmas, 2 * <int64_t> sigmas, sizeof(int64_t))
    memory_resize(<void**> &grid.compared, degrees, sizeof(int64_t))
    grid.degree_count = degrees
    grid.tracked_count = tracked
    grid.sigmas_count = sigmas
    return 0


cdef inline int grid_set(Grid* grid, list degrees, list tracked, list sigmas) except -1:
    """Set up a grid; degrees and T ascend, sigmas are pairs (numerator, denominator)."""
    cdef Py_ssize_t i
    grid_begin(grid, len(degrees), len(tracked), len(sigmas))
    for i in range(len(degrees)):
        grid.degrees[i] = degrees[i]
        grid.compared[i] = 0
    for i in range(len(tracked)):
        grid.tracked[i] = tracked[i]
    for i in range(len(sigmas)):
        grid.sigmas[2 * i], grid.sigmas[2 * i + 1] = sigmas[i]
    return 0


cdef inline int64_t grid_cells(const Grid* grid) noexcept nogil:
    """Return the number of cells."""
    return <int64_t> grid.degree_count * grid.tracked_count * grid.sigmas_count


cdef inline void grid_count(Grid* grid, int32_t compared_from) noexcept nogil:
    """Count a purchase that had at least two others from the degree of that index on."""
    cdef int32_t d
    for d in range(compared_from, grid.degree_count):
        grid.compared[d] += 1


cdef inline void grid_flag(
    GridFlags* flags, int64_t cell, int64_t n, int64_t mean_cents, int64_t sd_cents
) noexcept nogil:
    """Append a flag; at most one for each cell, so there is room."""
    cdef GridFlag* flag = &flags.items[flags.count]
    flag.cell = cell
    flag.n = n
    flag.mean_cents = mean_cents
    flag.sd_cents = sd_cents
    flags.count += 1


cdef inline void grid_repeat_flags(
    const Grid* grid, GridFlags* flags, int32_t degree
) noexcept nogil:
    """Copy the flags of the degree before the one with this index, which are the last."""
    cdef int64_t cells = <int64_t> grid.tracked_count * grid.sigmas_count
    cdef int64_t begin = flags.count, i
    cdef const GridFlag* flag
    while begin > 0 and flags.items[begin - 1].cell >= (degree - 1) * cells:
        begin -= 1
    for i in range(begin, flags.count):
        flag = &flags.items[i]
        grid_flag(flags, flag.cell + cells, flag.n, flag.mean_cents, flag.sd_cents)


cdef inline void grid_free(Grid* grid) noexcept nogil:
    PyMem_RawFree(grid.degrees)
    PyMem_RawFree(grid.tracked)
    PyMem_RawFree(grid.sigmas)
    PyMem_RawFree(grid.compared)
