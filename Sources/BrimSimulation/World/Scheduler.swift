import BrimModel
import Foundation
import HeapModule

/// Runs all tasks of one simulation on one thread, in an order and at times that follow from a seed.
///
/// Of the jobs that are ready a random one is run; when none is, time goes on to the next timer. Nothing takes time but
/// sleeping, so hours pass in a second.
final class Scheduler: TaskExecutor {
    private struct Timer: Comparable {
        var time: Int64
        var id: Int
        static func < (a: Timer, b: Timer) -> Bool { (a.time, a.id) < (b.time, b.id) }
    }

    private struct State {
        var random: SeededGenerator
        var ready: [UnownedJob] = []
        var timers = Heap<Timer>()
        /// What timers do when their time comes; those that were called off are missing.
        var actions: [Int: @Sendable () -> Void] = [:]
        var sleepers: [Int: CheckedContinuation<Void, any Error>] = [:]
        var lastID = 0
        var now: Int64 = 0
        var jobs = 0
    }

    private let state: Confined<State>

    init(seed: UInt64) {
        UnstructuredTasks.installHook
        state = Confined(State(random: SeededGenerator(seed: seed)))
    }

    /// Microseconds since the simulation began.
    var now: Int64 { state.value.now }

    /// Jobs run so far.
    var jobs: Int { state.value.jobs }

    func enqueue(_ job: consuming ExecutorJob) { add(UnownedJob(job)) }

    func add(_ job: UnownedJob) {
        precondition(UnstructuredTasks.scheduler === self, "a task of a simulation was resumed from outside of it")
        state.value.ready.append(job)
    }

    /// Runs until that time (microseconds since the beginning), or until `isOver` says so, asked after each job.
    func run(until end: Int64, isOver: () -> Bool) {
        UnstructuredTasks.scheduler = self
        defer { UnstructuredTasks.scheduler = nil }
        while !isOver() {
            if let job = nextJob() {
                state.value.jobs += 1
                job.runSynchronously(on: asUnownedTaskExecutor())
                continue
            }
            guard let timer = state.value.timers.min, timer.time <= end else { break }
            _ = state.value.timers.popMin()
            guard let action = state.value.actions.removeValue(forKey: timer.id) else { continue }
            state.value.now = max(state.value.now, timer.time)
            action()
        }
        if !isOver() { state.value.now = max(state.value.now, end) }
    }

    /// Lets `body` act on tasks (start, cancel, resume) from outside of any.
    func act<Value>(_ body: () throws -> Value) rethrows -> Value {
        let outer = UnstructuredTasks.scheduler
        UnstructuredTasks.scheduler = self
        defer { UnstructuredTasks.scheduler = outer }
        return try body()
    }

    private func nextJob() -> UnownedJob? {
        let count = state.value.ready.count
        guard count > 0 else { return nil }
        let index = count == 1 ? 0 : Int.random(in: 0..<count, using: &state.value.random)
        state.value.ready.swapAt(index, count - 1)
        return state.value.ready.removeLast()
    }

    // MARK: - Time

    /// Does something later; the number calls it off. Timers of one moment go off in the order they were set.
    @discardableResult
    func after(_ delay: Duration, _ action: @escaping @Sendable () -> Void) -> Int {
        state.value.lastID += 1
        let id = state.value.lastID
        state.value.timers.insert(Timer(time: state.value.now + delay.microseconds, id: id))
        state.value.actions[id] = action
        return id
    }

    func callOff(_ timer: Int) { state.value.actions[timer] = nil }

    /// Waits, however the task is cancelled meanwhile.
    func pause(_ duration: Duration) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            _ = after(duration) { continuation.resume() }
        }
    }

    /// Waits. Throws `CancellationError` as soon as the task is cancelled.
    func sleep(_ duration: Duration) async throws {
        state.value.lastID += 1
        let id = state.value.lastID
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                guard !Task.isCancelled else { return continuation.resume(throwing: CancellationError()) }
                state.value.sleepers[id] = continuation
                state.value.timers.insert(Timer(time: state.value.now + duration.microseconds, id: id))
                state.value.actions[id] = { [state] in state.value.sleepers.removeValue(forKey: id)?.resume() }
            }
        } onCancel: {
            state.value.actions[id] = nil
            state.value.sleepers.removeValue(forKey: id)?.resume(throwing: CancellationError())
        }
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}

/// Brings tasks that libraries start without a parent, which inherit no executor, to the scheduler whose thread they are
/// started on. They are few: service-lifecycle starts one at a cancellation, async-algorithms one per merged sequence.
enum UnstructuredTasks {
    private typealias Original = @convention(thin) (UnownedJob) -> Void
    private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    /// The scheduler that runs on this thread.
    static var scheduler: Scheduler? {
        get { pthread_getspecific(key).map { Unmanaged<Scheduler>.fromOpaque($0).takeUnretainedValue() } }
        set { pthread_setspecific(key, newValue.map { Unmanaged.passUnretained($0).toOpaque() }) }
    }

    /// The runtime asks this hook where to put a job for the global executor.
    static let installHook: Void = {
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "swift_task_enqueueGlobal_hook") else {
            fatalError("this Swift runtime has no swift_task_enqueueGlobal_hook")
        }
        let hook: Hook = { job, original in
            if let scheduler = UnstructuredTasks.scheduler { scheduler.add(job) } else { original(job) }
        }
        symbol.assumingMemoryBound(to: Hook?.self).pointee = hook
    }()
}
