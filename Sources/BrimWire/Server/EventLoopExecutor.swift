import NIOCore
import NIOPosix
import ServiceLifecycle

/// Runs tasks on an event loop: what handles a request goes on, after each wait, on the thread that its connection is
/// read and written on, so that no other thread has to be woken. Nothing on it may block.
public final class EventLoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    /// The event loop of the caller, or any.
    public static var current: EventLoopExecutor { EventLoopExecutor(MultiThreadedEventLoopGroup.singleton.any()) }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Runs a service among the requests that it serves, on an event loop.
public struct EventLoopService: Service, CustomStringConvertible {
    private let base: any Service

    public init(_ base: any Service) { self.base = base }

    public func run() async throws {
        try await withTaskExecutorPreference(EventLoopExecutor.current) { try await base.run() }
    }

    /// For logs.
    public var description: String { "\(base)" }
}
