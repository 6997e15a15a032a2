import BrimModel
import Dispatch
import Testing

@testable import BrimSlave

@Suite struct FileSystemSyncTests {
    @Test("Who comes while a sync is under way shares the next one")
    func isShared() async throws {
        let count = MutexBox(0)
        let (begun, goOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let sync = FileSystemSync(health: DiskHealth(logger: quiet())) {
            let isFirst = count.withLock { count in
                count += 1
                return count == 1
            }
            guard isFirst else { return }
            begun.signal()
            goOn.wait()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await sync.sync() }
            await withCheckedContinuation { continuation in
                DispatchQueue.global().async {
                    begun.wait()
                    continuation.resume()
                }
            }
            for _ in 0..<50 { group.addTask { try await sync.sync() } }
            try await eventually("all wait") { sync.waiting == 50 }
            goOn.signal()
            try await group.waitForAll()
        }
        #expect(count.current == 2)
    }

    @Test(
        "A failure is everybody's from then on, though the kernel tells of it once",
        arguments: [BrimError.Code.io, .full])
    func aFailureIsKept(code: BrimError.Code) async throws {
        let health = DiskHealth(logger: quiet())
        let calls = MutexBox(0)
        let sync = FileSystemSync(health: health) {
            let isSecond = calls.withLock { calls in
                calls += 1
                return calls == 2
            }
            if isSecond { throw BrimError(code, "lost a page") }
        }
        try await sync.sync()
        #expect(await failure { try await sync.sync() } == .io)
        #expect(await failure { try await sync.sync() } == .io)
        #expect(health.fault?.reason == "lost a page")
    }
}
