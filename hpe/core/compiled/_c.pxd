"""What Cython has no words for: 128-bit integers, byte order and CRC-32, in verbatim C.

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

    /* The tables of CRC-32 are linear: eight words make all 256. Table n is for a byte before n. */
    #define HPE_CRC_BIT(byte, bit, word) ((byte) >> bit & 1 ? word##u : 0)
    #define HPE_CRC_1(byte, a, b, c, d, e, f, g, h) \\
        (HPE_CRC_BIT(byte, 0, a) ^ HPE_CRC_BIT(byte, 1, b) ^ HPE_CRC_BIT(byte, 2, c) \\
         ^ HPE_CRC_BIT(byte, 3, d) ^ HPE_CRC_BIT(byte, 4, e) ^ HPE_CRC_BIT(byte, 5, f) \\
         ^ HPE_CRC_BIT(byte, 6, g) ^ HPE_CRC_BIT(byte, 7, h))
    #define HPE_CRC_4(byte, ...) \\
        HPE_CRC_1(byte, __VA_ARGS__), HPE_CRC_1((byte) + 1, __VA_ARGS__), \\
        HPE_CRC_1((byte) + 2, __VA_ARGS__), HPE_CRC_1((byte) + 3, __VA_ARGS__)
    #define HPE_CRC_16(byte, ...) \\
        HPE_CRC_4(byte, __VA_ARGS__), HPE_CRC_4((byte) + 4, __VA_ARGS__), \\
        HPE_CRC_4((byte) + 8, __VA_ARGS__), HPE_CRC_4((byte) + 12, __VA_ARGS__)
    #define HPE_CRC_64(byte, ...) \\
        HPE_CRC_16(byte, __VA_ARGS__), HPE_CRC_16((byte) + 16, __VA_ARGS__), \\
        HPE_CRC_16((byte) + 32, __VA_ARGS__), HPE_CRC_16((byte) + 48, __VA_ARGS__)
    #define HPE_CRC_256(byte, ...) \\
        HPE_CRC_64(byte, __VA_ARGS__), HPE_CRC_64((byte) + 64, __VA_ARGS__), \\
        HPE_CRC_64((byte) + 128, __VA_ARGS__), HPE_CRC_64((byte) + 192, __VA_ARGS__)

    static inline uint32_t hpe_crc32(const uint8_t *at, int64_t size, uint32_t before) {
        static const uint32_t table[8][256] = {
            { HPE_CRC_256(0, 0x77073096, 0xEE0E612C, 0x076DC419, 0x0EDB8832,
              0x1DB71064, 0x3B6E20C8, 0x76DC4190, 0xEDB88320) },
            { HPE_CRC_256(0, 0x191B3141, 0x32366282, 0x646CC504, 0xC8D98A08,
              0x4AC21251, 0x958424A2, 0xF0794F05, 0x3B83984B) },
            { HPE_CRC_256(0, 0x01C26A37, 0x0384D46E, 0x0709A8DC, 0x0E1351B8,
              0x1C26A370, 0x384D46E0, 0x709A8DC0, 0xE1351B80) },
            { HPE_CRC_256(0, 0xB8BC6765, 0xAA09C88B, 0x8F629757, 0xC5B428EF,
              0x5019579F, 0xA032AF3E, 0x9B14583D, 0xED59B63B) },
            { HPE_CRC_256(0, 0x3D6029B0, 0x7AC05360, 0xF580A6C0, 0x30704BC1,
              0x60E09782, 0xC1C12F04, 0x58F35849, 0xB1E6B092) },
            { HPE_CRC_256(0, 0xCB5CD3A5, 0x4DC8A10B, 0x9B914216, 0xEC53826D,
              0x03D6029B, 0x07AC0536, 0x0F580A6C, 0x1EB014D8) },
            { HPE_CRC_256(0, 0xA6770BB4, 0x979F1129, 0xF44F2413, 0x33EF4E67,
              0x67DE9CCE, 0xCFBD399C, 0x440B7579, 0x8816EAF2) },
            { HPE_CRC_256(0, 0xCCAA009E, 0x4225077D, 0x844A0EFA, 0xD3E51BB5,
              0x7CBB312B, 0xF9766256, 0x299DC2ED, 0x533B85DA) },
        };
        uint32_t crc = ~before, next;
        for (; size >= 8; size -= 8, at += 8) {
            crc ^= __builtin_bswap32(hpe_read32(at));
            next = __builtin_bswap32(hpe_read32(at + 4));
            crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255]
                ^ table[4][crc >> 24] ^ table[3][next & 255] ^ table[2][next >> 8 & 255]
                ^ table[1][next >> 16 & 255] ^ table[0][next >> 24];
        }
        for (; size > 0; size--, at++)
            crc = table[0][(crc ^ *at) & 255] ^ crc >> 8;
        return ~crc;
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
    uint32_t crc32 "hpe_crc32"(const uint8_t *at, int64_t size, uint32_t before) noexcept nogil
