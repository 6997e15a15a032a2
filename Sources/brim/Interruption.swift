import BrimModel
import Dispatch
import Foundation

/// Ends a command in order on SIGINT and SIGTERM: its task is cancelled, so that it can remove what it left half done.
enum Interruption {
    /// How long a cancelled command may take.
    private static let graceSeconds = 2

    /// Runs `body`. A cancelled body that returns has succeeded; one that throws is reported as interrupted.
    static func watch(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let (signals, sources) = listen(to: [SIGINT, SIGTERM])
        defer { for source in sources { source.cancel() } }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                for await _ in signals { return false }
                return false
            }
            let isDone = try await group.next() ?? true
            group.cancelAll()
            if isDone { return }
            // A read from a terminal cannot be cancelled; and whoever presses Ctrl-C twice means it.
            DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(graceSeconds)) { _exit(1) }
            for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
            do {
                _ = try await group.next()
            } catch {
                throw CancellationError()
            }
        }
    }

    private static func listen(to numbers: [CInt]) -> (AsyncStream<CInt>, [any DispatchSourceSignal]) {
        let (stream, continuation) = AsyncStream.makeStream(of: CInt.self, bufferingPolicy: .bufferingNewest(1))
        let sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
        return (stream, sources)
    }
}
