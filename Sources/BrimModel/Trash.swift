/// Removed files and old versions are kept for as long as nobody needs their room: an n far below zero, fixed once, gives
/// their copies more surplus than any spare copy has, the oldest the most.
public enum Trash {
    /// The least surplus that trash can have; spare copies have at most `Limits.maxCopies`.
    public static let leastSurplus = 1_000_000_000

    /// The n of what is removed or overwritten at a time: minutes since 2026 less 2,000,000,000.
    public static func n(at time: Timestamp) -> Int {
        let minutes = (max(0, time.seconds) - 1_767_225_600) / 60
        return Int(max(0, min(minutes, 900_000_000))) - 2_000_000_000
    }

    /// Whether a surplus is that of a removed file or an old version.
    public static func isTrash(surplus: Int) -> Bool { surplus >= leastSurplus }
}
