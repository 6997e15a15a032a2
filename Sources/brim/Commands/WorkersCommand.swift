import ArgumentParser
import BrimClient
import BrimModel
import BrimWire
import Foundation

/// `brim workers`
struct WorkersCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "Show what every background loop of masters and slaves is at.",
        discussion: """
            States: idle (nothing to do), working, waiting (something is to be done, but not now), failed (tried again).

              brim workers
              brim workers --json | jq '.workers[] | select(.state == "failed")'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let reply = try await client.workers()
        if global.json { return try Console.printJSON(reply) }
        var table = Table([
            .left("WHERE"), .left("WORKER"), .left("STATE"), .right("DONE"), .left(""), .right("PER MINUTE"),
            .left("LAST RUN"), .left("NEXT"), .left("NOW"),
        ])
        for worker in reply.workers {
            table.add([
                worker.place, worker.name, worker.state.rawValue, "\(worker.done)", worker.unit,
                "\(Int((worker.rate * 60).rounded()))", clock(worker.lastRun), clock(worker.nextRun),
                Console.shown(worker.doing ?? ""),
            ])
        }
        table.print()
        for worker in reply.workers {
            guard let error = worker.lastError else { continue }
            print(
                "\(worker.place) \(worker.name): failed \(worker.failures) times, last \(clock(worker.lastErrorAt)): \(Console.shown(error))"
            )
        }
        for server in reply.silent { print("\(server): does not answer") }
    }

    /// The time of day, with the date when it is another one.
    private func clock(_ time: Timestamp?) -> String {
        guard let time else { return "-" }
        let (day, now) = (time.description.prefix(10), Timestamp.now.description.prefix(10))
        return (day == now ? "" : "\(day) ") + "\(time.description.dropFirst(11).prefix(8))Z"
    }
}
