"""Blocks of many small sizes, packed without holes.

A list that outgrows its block moves to a block of the next size. With malloc, that would
leave holes of sizes that are no longer needed. Here the blocks of each size are contiguous
in pages, and the hole that a released block leaves is filled with the last block of its
size.

Invariants: of each size, blocks 0 to count - 1 are in use, so only the last page in use is
partly full. A block is identified by its number among those of its size; the number changes
when the block is moved to fill a hole. pool_release then returns the moved block's tag, and
the caller must update the number that the tag's owner stores. A pointer to a block is valid
until the next release of a block of that size. Blocks must be reserved with pool_reserve
before pool_take. Taking is O(1), releasing copies at most one block of 256 items; the pool
owns the pages.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fastanomaly.engine.memory cimport (
    PyMem_RawFree, memory_prefetch, memory_reserve, memory_resize,
)

cdef enum:
    POOL_ITEMS = 256            # items in the largest block
    POOL_SIZES = 28             # 1, 2, ... 8, 10, 12, 14, 16, 20, ... 256 items
    PAGE_BYTES = 1 << 14        # at most

cdef extern from *:
    """
    #define FA_2(x) x, x
    #define FA_4(x) FA_2(x), FA_2(x)
    #define FA_8(x) FA_4(x), FA_4(x)
    #define FA_16(x) FA_8(x), FA_8(x)
    #define FA_32(x) FA_16(x), FA_16(x)

    /* By number of items, 0 to POOL_ITEMS + 1. Four sizes between powers of two: less than
       a quarter of a block is unused. */
    static const unsigned char fa_size_of[] = {
        0, 0, 1, 2, 3, 4, 5, 6, 7,
        FA_2(8), FA_2(9), FA_2(10), FA_2(11),
        FA_4(12), FA_4(13), FA_4(14), FA_4(15),
        FA_8(16), FA_8(17), FA_8(18), FA_8(19),
        FA_16(20), FA_16(21), FA_16(22), FA_16(23),
        FA_32(24), FA_32(25), FA_32(26), FA_32(27),
        28,
    };
    """
    const unsigned char* SIZE_OF "fa_size_of"

cdef struct Tag:                # precedes the items of each block
    int32_t owner
    int32_t note                # for use by the owner

cdef struct Pages:              # the blocks of one size
    char** pages
    int64_t pages_capacity
    int64_t page_count
    int64_t count               # blocks in use
    int64_t block_bytes
    int32_t page_bits           # a page has 2^page_bits blocks

cdef struct Pool:
    Pages[POOL_SIZES] sizes


cdef inline int size_of(int32_t items) noexcept nogil:
    """Return the smallest size that holds that many items, 1 to POOL_ITEMS; O(1).

    For POOL_ITEMS + 1, POOL_SIZES: no block holds as many.
    """
    return SIZE_OF[items]


cdef inline int32_t size_items(int size) noexcept nogil:
    """Return the number of items that a block of a size holds."""
    if size < 8:
        return size + 1
    return (5 + (size & 3)) << (size // 4 - 1)


cdef inline void pool_begin(Pool* pool, size_t item_bytes) noexcept nogil:
    """Set up a pool; its struct must be zeroed."""
    cdef int size
    cdef Pages* pages
    for size in range(POOL_SIZES):
        pages = &pool.sizes[size]
        pages.block_bytes = <int64_t> (sizeof(Tag) + size_items(size) * item_bytes)
        while pages.block_bytes << (pages.page_bits + 1) <= PAGE_BYTES:
            pages.page_bits += 1


cdef inline Tag* pool_block(const Pool* pool, int size, int32_t block) noexcept nogil:
    """Return the tag of a block in use or reserved; its items follow the tag."""
    cdef const Pages* pages = &pool.sizes[size]
    cdef int64_t page = block >> pages.page_bits
    return <Tag*> (
        pages.pages[page] + (block - (page << pages.page_bits)) * pages.block_bytes
    )


cdef inline int pool_reserve(Pool* pool, int size, int32_t blocks) except -1 nogil:
    """Allocate pages so that the next `blocks` calls of pool_take for a size succeed."""
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


cdef inline Tag* pool_take(
    Pool* pool, int size, int32_t owner, int32_t note, int32_t* block
) noexcept nogil:
    """Take a block that was reserved, and set its number. Its items are not initialised."""
    cdef Pages* pages = &pool.sizes[size]
    cdef Tag* tag
    block[0] = <int32_t> pages.count
    tag = pool_block(pool, size, block[0])
    pages.count += 1
    memory_prefetch(<char*> tag + pages.block_bytes)    # the next to be taken
    tag.owner = owner
    tag.note = note
    return tag


cdef inline const Tag* pool_release(Pool* pool, int size, Tag* hole) noexcept nogil:
    """Release a block: its tag, now of the block that was moved to its number, or NULL."""
    cdef Pages* pages = &pool.sizes[size]
    cdef const Tag* last = pool_block(pool, size, <int32_t> pages.count - 1)
    if hole != last:
        memcpy(hole, last, <size_t> pages.block_bytes)
    pages.count -= 1
    # The next to be moved, unless it is in another page.
    memory_prefetch(<const char*> last - pages.block_bytes)
    # One empty page is kept, so that alternately taking and releasing a block does not
    # allocate each time.
    if (pages.page_count - 2) << pages.page_bits >= pages.count:
        pages.page_count -= 1
        PyMem_RawFree(pages.pages[pages.page_count])
    return hole if hole != last else NULL


cdef inline int64_t pool_bytes(const Pool* pool) noexcept nogil:
    """Return the bytes allocated; O(POOL_SIZES)."""
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
