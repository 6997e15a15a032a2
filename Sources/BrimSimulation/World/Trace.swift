/// What happened, as a hash that two runs of one seed must share, and as text for those who want to read it.
struct Trace {
    /// FNV-1a, 64 bits.
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Called with each line; nil: nobody reads them.
    let reader: ((String) -> Void)?

    /// Notes an event; `detail` is only asked for when somebody reads.
    mutating func note(_ time: Int64, _ who: String, _ what: StaticString, _ number: Int64, detail: () -> String) {
        mix(UInt64(bitPattern: time))
        for byte in who.utf8 { mix(byte) }
        what.withUTF8Buffer { for byte in $0 { mix(byte) } }
        mix(UInt64(bitPattern: number))
        guard let reader else { return }
        let seconds = time / 1_000_000
        let fraction = String(1_000_000 + time % 1_000_000).dropFirst()
        reader("\(seconds).\(fraction) \(who): \(what) \(number == 0 ? "" : "\(number) ")\(detail())")
    }

    private mutating func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x100_0000_01b3
        hash ^= hash >> 29
    }
}
