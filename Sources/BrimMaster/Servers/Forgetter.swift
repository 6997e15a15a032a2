import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Goes on with servers that are being forgotten when whoever asked for it, or the leader before, is gone.
struct Forgetter: BackgroundLoop {
    private static let pause = Duration.seconds(5)

    let worker = Worker("forgetter", unit: "servers")
    let membership: Membership
    let clock: any BrimClock
    let logger: Logger

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try await membership.resumeForgetting()
                worker.rests(atMost: Self.pause)
            } catch {
                worker.failed(error, again: Self.pause)
                logger.debug("forgetting is interrupted", metadata: ["error": "\(error)"])
            }
            try? await cancelWhenGracefulShutdown { try await clock.sleep(for: Self.pause) }
        }
    }
}
