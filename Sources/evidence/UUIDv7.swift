import Glibc
import LedgerFormat

/// Fresh version 7 UUIDs (RFC 9562 section 5.7), for events that bring no request key of their own.
enum UUIDv7 {
    static func next() -> RequestKey {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = UInt64(clamping: Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000)
        var random = SystemRandomNumberGenerator()
        return make(milliseconds: milliseconds, random: (random.next(), random.next()))
    }

    /// The UUID of a moment: 48 bits of time, the version, 12 random bits, the variant, 62 random bits.
    static func make(milliseconds: UInt64, random: (UInt64, UInt64)) -> RequestKey {
        let high = milliseconds << 16 | 0x7000 | random.0 & 0x0FFF
        let low = 0x8000_0000_0000_0000 | random.1 & 0x3FFF_FFFF_FFFF_FFFF
        return RequestKey(value: ID128(high: high, low: low))
    }
}
