import BrimModel

/// One start of a daemon or a client: the tasks that end when it is killed. Nothing outside is changed by one that is dead.
final class Process: Sendable {
    typealias Work = @Sendable () async -> Void

    /// Of the machine; the next start has the same.
    let name: String
    private let scheduler: Scheduler
    private let requests: AsyncStream<Work>
    private let inbox: AsyncStream<Work>.Continuation
    private let state = Confined((isAlive: true, task: Task<Void, Never>?.none))

    init(_ name: String, scheduler: Scheduler) {
        self.name = name
        self.scheduler = scheduler
        (requests, inbox) = AsyncStream.makeStream()
    }

    var isAlive: Bool { state.value.isAlive }

    /// Throws `CancellationError` once it is dead.
    func check() throws {
        guard isAlive else { throw CancellationError() }
    }

    /// Begins; the process ends by itself when `main` returns.
    func start(_ main: @escaping Work) {
        state.value.task = Task(executorPreference: scheduler) { [requests] in
            await withDiscardingTaskGroup { group in
                group.addTask {
                    await main()
                    self.kill()
                }
                for await request in requests { group.addTask { await request() } }
                group.cancelAll()
            }
        }
    }

    /// Has something done in this process, such as the answer to a request; false when it is dead.
    func spawn(_ work: @escaping Work) -> Bool {
        guard isAlive else { return false }
        inbox.yield(work)
        return true
    }

    func kill() {
        state.value.isAlive = false
        inbox.finish()
        state.value.task?.cancel()
    }
}
