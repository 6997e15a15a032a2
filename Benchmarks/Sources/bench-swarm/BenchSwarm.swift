import ArgumentParser
import BrimModel
import BrimPlacement
import Foundation
import LoadKit

/// How a large swarm fills new servers and heals after a loss: the planner of BrimFS decides on a model in which a few hundred
/// thousand parcels stand for all files. Times follow from the bytes that each server has to receive.
@main
struct BenchSwarm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-swarm", abstract: "Simulate a swarm of a thousand servers that grows, and loses servers.")

    @Option(help: "How many servers.")
    var servers = 1000

    @Option(help: "Servers in one zone, as on one rack's power.")
    var zone = 20

    @Option(help: "Terabytes of each server.")
    var terabytes = 10.0

    @Option(help: "How many files there are.")
    var files: Int64 = 100_000_000

    @Option(help: "Megabytes of a file on average.")
    var megabytes = 25.0

    @Option(help: "Parcels that stand for all files.")
    var parcels = 200_000

    @Option(help: "How many servers join, and how many are lost.")
    var change = 10

    @Option(help: "Megabytes that a server receives in a second.")
    var rate = 100.0

    @Option(help: "What chance decides follows from this number.")
    var seed: UInt64 = 1

    func validate() throws {
        guard servers > change, change > 0, zone > 0, terabytes > 0, files > 0, megabytes > 0, parcels > 0, rate > 0
        else { throw ValidationError("All numbers are above zero, and fewer servers change than there are.") }
    }

    func run() throws {
        var random = Mixer(seed: seed)
        let all = try (0..<servers).map { try server($0, zone: $0 / zone) }
        var model = ForeseenSwarm(servers: all, parcels: makeParcels(on: all, &random), floor: 0)
        let perParcel = files / Int64(parcels)
        print("\(servers) servers of \(terabytes) TB, \(files) files: \(parcels) parcels of \(perParcel)")
        settle(&model, "fills up from two copies")
        print("  min(k − n) is \(told(model.minSurplus))")

        // Servers join.
        let new = try (servers..<servers + change).map { try server($0, zone: $0 / zone) }
        var grown = ForeseenSwarm(servers: all + new, parcels: model.parcels, floor: 0)
        let filling = settle(&grown, "\(change) servers join")
        let newcomers = new.map { filling.received[$0.name] ?? 0 }
        let (least, most) = (newcomers.min() ?? 0, newcomers.max() ?? 0)
        print("  the new ones receive \(terabytes(least)) to \(terabytes(most)) TB each: \(hours(most)) h")
        print("  min(k − n) is \(told(grown.minSurplus))")

        // Servers are lost, as if by chance.
        var left = all
        for _ in 0..<change { left.remove(at: random.next(below: left.count)) }
        var hurt = ForeseenSwarm(servers: left, parcels: model.parcels, floor: 0)
        let names = Set(left.map(\.name))
        let unreadable = hurt.parcels.count { !hurt.isReadable($0) }
        let short = hurt.parcels.count { $0.replicas.count { names.contains($0) } < $0.n }
        print("\(change) servers are lost: min(k − n) is \(told(hurt.minSurplus)), ", terminator: "")
        print("\(Int64(short) * perParcel) files have fewer than n copies, \(Int64(unreadable) * perParcel) none")
        heal(&hurt, to: [0, model.minSurplus ?? 0])
    }

    private func server(_ number: Int, zone: Int) throws -> ServerSnapshot {
        let quota = Int64(terabytes * 1e12)
        return ServerSnapshot(
            name: try ServerName(validating: "server-\(number)"), zone: "zone-\(zone)", quota: quota,
            brim: quota / 100 * 98, used: 0)
    }

    /// Of sizes around the mean, each on two servers of different zones.
    private func makeParcels(on servers: [ServerSnapshot], _ random: inout Mixer) -> [ForeseenSwarm.Parcel] {
        let mean = Double(files) / Double(parcels) * megabytes * 1e6
        return (0..<parcels).map { _ in
            let first = servers[random.next(below: servers.count)]
            var second = servers[random.next(below: servers.count)]
            while second.zone == first.zone { second = servers[random.next(below: servers.count)] }
            let size = mean * (0.5 + Double(random.next(below: 1000)) / 1000)
            return ForeseenSwarm.Parcel(size: Int64(size), n: 2, replicas: [first.name, second.name])
        }
    }

    @discardableResult
    private func settle(_ model: inout ForeseenSwarm, _ what: String) -> ForeseenSwarm.Settlement {
        let began = ContinuousClock.now
        let settlement = model.settle()
        report(settlement, what, (ContinuousClock.now - began) / .seconds(1))
        return settlement
    }

    private func report(_ settlement: ForeseenSwarm.Settlement, _ what: String, _ seconds: Double) {
        let rate = Int(Double(settlement.decisions) / max(seconds, 1e-9))
        print(
            "\(what): \(settlement.decisions) decisions in \(String(format: "%.1f", seconds)) s, \(rate)/s; "
                + "\(terabytes(settlement.copied)) TB copied, \(terabytes(settlement.givenUp)) TB given up")
    }

    /// How long until all files have at least these surpluses again.
    private func heal(_ model: inout ForeseenSwarm, to goals: [Int]) {
        var total = ForeseenSwarm.Settlement()
        var seconds = 0.0
        for goal in goals {
            while (model.minSurplus ?? goal) < goal, !total.isAtRest {
                let began = ContinuousClock.now
                total.add(model.settle(atMost: 500))
                seconds += (ContinuousClock.now - began) / .seconds(1)
            }
            let most = total.received.values.max() ?? 0
            print(
                "  min(k − n) is \(told(model.minSurplus)) after \(terabytes(total.copied)) TB, "
                    + "\(terabytes(most)) TB at most to one server: \(hours(most)) h")
        }
        let began = ContinuousClock.now
        if !total.isAtRest { total.add(model.settle()) }
        report(total, "  at rest again", seconds + (ContinuousClock.now - began) / .seconds(1))
    }

    private func told(_ surplus: Int?) -> String { surplus.map(String.init) ?? "none" }
    private func terabytes(_ bytes: Int64) -> String { String(format: "%.3f", Double(bytes) / 1e12) }
    private func hours(_ bytes: Int64) -> String { String(format: "%.2f", Double(bytes) / (rate * 1e6) / 3600) }
}
