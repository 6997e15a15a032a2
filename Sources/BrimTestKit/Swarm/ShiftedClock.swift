import BrimModel
import Foundation

/// A clock that is wrong, for one process: datefudge, of the Debian package of this name, loaded before the program. Only
/// the calendar's time is wrong; steady time, by which programs wait, is not.
struct ShiftedClock: Sendable {
    /// Whole seconds; negative: it is behind.
    let ahead: Duration

    /// Variables to set for a process that is to have this clock.
    func environment() throws -> [String: String?] {
        ["LD_PRELOAD": try Self.library(), "DATEFUDGE": "\(-ahead.components.seconds)"]
    }

    private static func library() throws -> String {
        let directories = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib")
        let places = directories.map { "/usr/lib/\($0)/datefudge/datefudge.so" }
        guard let found = places.first(where: FileManager.default.fileExists) else {
            throw SwarmFailure("datefudge is not on this machine: apt-get install datefudge")
        }
        return found
    }
}
