"""CRC-32 (IEEE 802.3), as in zlib and gzip, eight bytes at a time.

Eight tables let eight bytes be looked up independently: slicing-by-8 (Kounavis, Berry
2005). The checksums equal those of zlib's crc32.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    POLYNOMIAL = 0xEDB88320

cdef struct CrcTables:
    uint32_t[8 * 256] rows


cdef inline void crc_begin(CrcTables* tables) noexcept nogil:
    """Compute the tables: 2,048 entries."""
    cdef int byte, row, _bit
    cdef uint32_t crc
    for byte in range(256):
        crc = <uint32_t> byte
        for _bit in range(8):
            crc = (crc >> 1) ^ (<uint32_t> POLYNOMIAL if crc & 1 else 0)
        tables.rows[byte] = crc
    for byte in range(256):
        for row in range(1, 8):
            crc = tables.rows[256 * (row - 1) + byte]
            tables.rows[256 * row + byte] = (crc >> 8) ^ tables.rows[crc & 0xFF]


cdef inline uint32_t crc_add(
    const CrcTables* tables, uint32_t crc, const char* data, int64_t size
) noexcept nogil:
    """Continue a checksum, 0 at the start, with more data; O(size)."""
    cdef const uint32_t* rows = &tables.rows[0]
    cdef uint64_t word
    cdef int64_t i = 0
    crc = ~crc
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= crc
        crc = (
            rows[0x700 | (word & 0xFF)] ^ rows[0x600 | ((word >> 8) & 0xFF)]
            ^ rows[0x500 | ((word >> 16) & 0xFF)] ^ rows[0x400 | ((word >> 24) & 0xFF)]
            ^ rows[0x300 | ((word >> 32) & 0xFF)] ^ rows[0x200 | ((word >> 40) & 0xFF)]
            ^ rows[0x100 | ((word >> 48) & 0xFF)] ^ rows[word >> 56]
        )
        i += 8
    while i < size:
        crc = (crc >> 8) ^ rows[(crc ^ <uint8_t> data[i]) & 0xFF]
        i += 1
    return ~crc
