import NIOCore
import NIOPosix

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
