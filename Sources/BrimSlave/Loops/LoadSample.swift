/// Counters of the kernel at one moment, from the texts of `/proc`.
struct LoadSample: Sendable, Equatable {
    /// CPU time in ticks, all cores.
    var busyTicks: UInt64 = 0
    var totalTicks: UInt64 = 0
    /// Bytes received and sent, for each interface but loopback.
    var interfaces: [String: Traffic] = [:]
    /// Milliseconds during which the disk had work; nil when it cannot be told.
    var diskMilliseconds: UInt64?
    /// When it was taken, in seconds of a steady clock.
    var seconds: Double

    struct Traffic: Sendable, Equatable {
        var received: UInt64
        var sent: UInt64
    }

    /// - Parameters:
    ///   - stat, net, disks: `/proc/stat`, `/proc/net/dev`, `/proc/diskstats`; empty where they do not exist.
    ///   - device: major and minor number of the disk that is meant.
    init(stat: String, net: String, disks: String, device: (major: UInt32, minor: UInt32), seconds: Double) {
        self.seconds = seconds
        // user nice system idle iowait irq softirq steal …: waiting for a disk is not being busy.
        if let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("cpu ") }) {
            let ticks = line.split(separator: " ").dropFirst().prefix(8).map { UInt64($0) ?? 0 }
            totalTicks = ticks.reduce(0, &+)
            let idle = ticks.count > 4 ? ticks[3] &+ ticks[4] : 0
            busyTicks = totalTicks &- idle
        }
        for line in net.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].drop { $0 == " " }
            let numbers = line[line.index(after: colon)...].split(separator: " ").map { UInt64($0) ?? 0 }
            guard name != "lo", numbers.count >= 9 else { continue }
            interfaces[String(name)] = Traffic(received: numbers[0], sent: numbers[8])
        }
        for line in disks.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 13, UInt32(fields[0]) == device.major, UInt32(fields[1]) == device.minor else {
                continue
            }
            diskMilliseconds = UInt64(fields[12])
        }
    }

    /// The shares of time and bandwidth used since `earlier`, each 0…1.
    ///
    /// - Parameter megabits: an interface's speed in Mbit/s; nil when it is not known, then 1000 is assumed.
    func shares(
        since earlier: LoadSample, megabits: (String) -> Double?
    ) -> (cpu: Double, network: Double, disk: Double) {
        let elapsed = seconds - earlier.seconds
        guard elapsed > 0 else { return (0, 0, 0) }
        func share(_ value: Double) -> Double { value.isFinite ? min(1, max(0, value)) : 0 }
        func grown(_ now: UInt64, _ then: UInt64) -> Double { now > then ? Double(now - then) : 0 }
        let cpu = share(grown(busyTicks, earlier.busyTicks) / max(1, grown(totalTicks, earlier.totalTicks)))
        let network = interfaces.map { name, traffic -> Double in
            guard let before = earlier.interfaces[name] else { return 0 }
            // Links are full duplex: each direction has the whole speed.
            let bytes = max(grown(traffic.received, before.received), grown(traffic.sent, before.sent))
            return share(bytes * 8 / elapsed / ((megabits(name) ?? 1000) * 1e6))
        }.max()
        var disk = 0.0
        if let now = diskMilliseconds, let then = earlier.diskMilliseconds {
            disk = share(grown(now, then) / (elapsed * 1000))
        }
        return (cpu, network ?? 0, disk)
    }
}
