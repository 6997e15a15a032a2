import BrimModel
import Foundation

/// Measures how busy this machine is, from one look to the next.
struct LoadMeter: Sendable {
    private let device: (major: UInt32, minor: UInt32)
    private var last: LoadSample

    /// - Parameter directory: on the disk that is meant.
    init(directory: String) {
        let number = (try? POSIX.status(directory))??.device ?? 0
        // As gnu_dev_major and gnu_dev_minor do.
        device = (
            UInt32(truncatingIfNeeded: (number >> 8) & 0xfff),
            UInt32(truncatingIfNeeded: number & 0xff | (number >> 12) & 0xfff00)
        )
        last = Self.sample(device)
    }

    /// The load since the last call. Reads a few small files of `/proc`.
    mutating func measure(transfers: Int) -> ServerLoad {
        let now = Self.sample(device)
        defer { last = now }
        let shares = now.shares(since: last) { name in
            Self.text("/sys/class/net/\(name)/speed").flatMap {
                Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            .flatMap { $0 > 0 ? $0 : nil }
        }
        return ServerLoad(cpu: shares.cpu, network: shares.network, disk: shares.disk, transfers: transfers)
    }

    private static func sample(_ device: (major: UInt32, minor: UInt32)) -> LoadSample {
        LoadSample(
            stat: text("/proc/stat") ?? "", net: text("/proc/net/dev") ?? "", disks: text("/proc/diskstats") ?? "",
            device: device, seconds: ProcessInfo.processInfo.systemUptime)
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
