"""Blocks of many small sizes, packed without holes.

A list that outgrows its block moves to one of the next size, so malloc would soon be full
of holes of sizes that nobody wants any more. Here the blocks of each size stand side by
side in pages, and whoever gives one back has the hole filled with the last block of that
size: nothing but the last page is ever partly used. A block is named by its number among
those of its size, which changes when it is moved; its tag says whose name for it is then
to be changed. Every operation costs a block, at most.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_prefetch, memory_reserve, memory_resize,
)

cdef enum:
    POOL_ITEMS = 256            # the most items in a block
    POOL_SIZES = 28             # 1, 2, ... 8, 10, 12, 14, 16, 20, ... 256 items
    PAGE_BYTES = 1 << 14        # at most

cdef extern from *:
    int leading_zeros "__builtin_clz"(unsigned int) noexcept nogil

cdef struct Tag:                # what a block begins with
    int32_t owner
    int32_t note                # the owner's own

cdef struct Pages:              # the blocks of one size
    char** pages
    int64_t pages_capacity
    int64_t page_count
    int64_t count               # of blocks in use, which are the first ones
    int64_t block_bytes
    int32_t page_bits           # a page has 2^page_bits blocks

cdef struct Pool:
    Pages[POOL_SIZES] sizes


cdef inline int size_of(int32_t items) noexcept nogil:
    """The number of the smallest size that holds that many items, 1 to POOL_ITEMS."""
    cdef int bits
    if items <= 8:
        return items - 1
    # Four sizes from each power of two to the next: less than a quarter is slack.
    bits = 31 - leading_zeros(<unsigned int> (items - 1))
    return 4 * bits - 8 + ((items - 1) >> (bits - 2))


cdef inline int32_t size_items(int size) noexcept nogil:
    """How many items a size holds."""
    if size < 8:
        return size + 1
    return (5 + (size & 3)) << (size // 4 - 1)


cdef inline void pool_begin(Pool* pool, size_t item_bytes) noexcept nogil:
    """Set up a pool that has been zeroed."""
    cdef int size
    cdef Pages* pages
    for size in range(POOL_SIZES):
        pages = &pool.sizes[size]
        pages.block_bytes = <int64_t> (sizeof(Tag) + size_items(size) * item_bytes)
        while pages.block_bytes << (pages.page_bits + 1) <= PAGE_BYTES:
            pages.page_bits += 1


cdef inline Tag* pool_block(const Pool* pool, int size, int32_t block) noexcept nogil:
    """The block of that number; its items come after its tag."""
    cdef const Pages* pages = &pool.sizes[size]
    cdef int64_t page = block >> pages.page_bits
    return <Tag*> (
        pages.pages[page] + (block - (page << pages.page_bits)) * pages.block_bytes
    )


cdef inline int pool_reserve(Pool* pool, int size, int32_t blocks) except -1 nogil:
    """Make sure that so many blocks of a size can be taken."""
    cdef Pages* pages = &pool.sizes[size]
    cdef char* page
    while pages.page_count << pages.page_bits < pages.count + blocks:
        memory_reserve(
            <void**> &pages.pages, &pages.pages_capacity, pages.page_count + 1, sizeof(char*)
        )
        page = NULL
        memory_resize(
            <void**> &page, <int64_t> 1 << pages.page_bits, <size_t> pages.block_bytes
        )
        pages.pages[pages.page_count] = page
        pages.page_count += 1
    return 0


cdef inline int32_t pool_take(
    Pool* pool, int size, int32_t owner, int32_t note
) noexcept nogil:
    """Take a block, after pool_reserve; its number."""
    cdef Pages* pages = &pool.sizes[size]
    cdef int32_t block = <int32_t> pages.count
    cdef Tag* tag = pool_block(pool, size, block)
    pages.count += 1
    memory_prefetch(<char*> tag + pages.block_bytes)    # the next one to be taken
    tag.owner = owner
    tag.note = note
    return block


cdef inline const Tag* pool_give(Pool* pool, int size, int32_t block) noexcept nogil:
    """Give a block back. The tag of the one that bears its number now, or NULL."""
    cdef Pages* pages = &pool.sizes[size]
    cdef int32_t last = <int32_t> pages.count - 1
    cdef Tag* hole = pool_block(pool, size, block)
    if block != last:
        memcpy(hole, pool_block(pool, size, last), <size_t> pages.block_bytes)
    pages.count -= 1
    if last > 0:
        memory_prefetch(pool_block(pool, size, last - 1))       # the next one to be moved
    # One empty page is kept: a block taken and given by turns costs no page each time.
    if (pages.page_count - 2) << pages.page_bits >= pages.count:
        pages.page_count -= 1
        PyMem_RawFree(pages.pages[pages.page_count])
    return hole if block != last else NULL


cdef inline int64_t pool_bytes(const Pool* pool) noexcept nogil:
    cdef int64_t bytes = 0
    cdef int size
    cdef const Pages* pages
    for size in range(POOL_SIZES):
        pages = &pool.sizes[size]
        bytes += (pages.page_count << pages.page_bits) * pages.block_bytes
        bytes += pages.pages_capacity * <int64_t> sizeof(char*)
    return bytes


cdef inline void pool_free(Pool* pool) noexcept nogil:
    cdef int size
    cdef int64_t page
    for size in range(POOL_SIZES):
        for page in range(pool.sizes[size].page_count):
            PyMem_RawFree(pool.sizes[size].pages[page])
        PyMem_RawFree(pool.sizes[size].pages)
