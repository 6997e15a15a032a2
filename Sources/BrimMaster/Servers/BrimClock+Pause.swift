import BrimModel
import ServiceLifecycle

extension BrimClock {
    /// Lets time pass between two rounds of a loop that works by the clock alone; one that is woken has a `Bell`. False
    /// when the service is to end.
    @discardableResult
    func pause(_ time: Duration) async -> Bool {
        try? await cancelWhenGracefulShutdown { try await self.sleep(for: time) }
        return !Task.isShuttingDownGracefully && !Task.isCancelled
    }
}
