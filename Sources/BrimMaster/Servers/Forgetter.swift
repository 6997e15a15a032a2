import BrimModel
import Logging
import ServiceLifecycle

/// Goes on with servers that are being forgotten when whoever asked for it, or the leader before, is gone.
struct Forgetter: Service {
    let membership: Membership
    let clock: any BrimClock
    let logger: Logger

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try await membership.resumeForgetting()
            } catch {
                logger.debug("forgetting is interrupted", metadata: ["error": "\(error)"])
            }
            try? await cancelWhenGracefulShutdown { try await clock.sleep(for: .seconds(5)) }
        }
    }
}
