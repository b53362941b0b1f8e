"""What Cython has no words for: 128-bit integers and byte order, in verbatim C.

Pure functions; any thread may call them, with or without the interpreter's lock. Nothing here reads
a word at an address that is not aligned for it: bytes are copied. The only C of the project.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    typedef __int128 hpe_int128;

    static inline uint16_t hpe_read16(const uint8_t *at) {
        return (uint16_t)((uint16_t)at[0] << 8 | at[1]);
    }
    static inline uint32_t hpe_read32(const uint8_t *at) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap32(word);
    #endif
        return word;
    }
    static inline uint64_t hpe_read64(const uint8_t *at) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        return word;
    }
    static inline void hpe_write16(uint8_t *at, uint16_t word) {
        at[0] = (uint8_t)(word >> 8);
        at[1] = (uint8_t)word;
    }
    static inline void hpe_write32(uint8_t *at, uint32_t word) {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap32(word);
    #endif
        memcpy(at, &word, sizeof word);
    }
    static inline void hpe_write64(uint8_t *at, uint64_t word) {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        memcpy(at, &word, sizeof word);
    }
    static inline hpe_int128 hpe_floor_divide(hpe_int128 number, hpe_int128 divisor) {
        hpe_int128 quotient = number / divisor;
        return quotient - (number % divisor < 0);
    }
    static inline hpe_int128 hpe_product(int64_t left, int64_t right) {
        return (hpe_int128)left * right;
    }
    """
    ctypedef long long int128 "hpe_int128"
    uint16_t read16 "hpe_read16"(const uint8_t *at) noexcept nogil
    uint32_t read32 "hpe_read32"(const uint8_t *at) noexcept nogil
    uint64_t read64 "hpe_read64"(const uint8_t *at) noexcept nogil
    void write16 "hpe_write16"(uint8_t *at, uint16_t word) noexcept nogil
    void write32 "hpe_write32"(uint8_t *at, uint32_t word) noexcept nogil
    void write64 "hpe_write64"(uint8_t *at, uint64_t word) noexcept nogil
    int128 floor_divide "hpe_floor_divide"(int128 number, int128 divisor) noexcept nogil
    int128 product "hpe_product"(int64_t left, int64_t right) noexcept nogil
