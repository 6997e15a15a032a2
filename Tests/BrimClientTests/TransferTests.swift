import BrimModel
import Testing

@testable import BrimClient

@Suite struct TransferProgressTests {
    @Test func countsAndTellsEachChange() {
        let told = Journal<TransferProgress.Snapshot>()
        let progress = TransferProgress { told.add($0) }
        #expect(progress.snapshot == TransferProgress.Snapshot())
        progress.expect(files: 1, bytes: nil)
        #expect(progress.snapshot.totalFiles == 1 && progress.snapshot.totalBytes == nil)
        progress.expect(files: 2, bytes: 30)
        progress.add(bytes: 20)
        progress.add(bytes: -5)
        progress.addFile()
        var expected = TransferProgress.Snapshot()
        (expected.files, expected.bytes, expected.totalFiles, expected.totalBytes) = (1, 15, 3, 30)
        #expect(progress.snapshot == expected)
        #expect(told.elements.count == 5 && told.elements.last == expected)
    }

    @Test func manyTasksLoseNothing() async {
        let progress = TransferProgress { _ in }
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        progress.add(bytes: 3)
                        progress.addFile()
                    }
                }
            }
        }
        #expect(progress.snapshot.bytes == 24_000 && progress.snapshot.files == 8000)
    }
}

@Suite struct TransferBatchTests {
    @Test(arguments: [(0, 1), (1, 1), (63, 1), (64, 2), (320, 10), (100_000, 64)] as [(Int64, Int)])
    func batchesAreSmallWhenFilesAreFew(total: Int64, files: Int) {
        var batcher = TransferBatcher<Int>(total: total, lanes: 8)
        for index in 1..<files { #expect(batcher.add(index, bytes: 1).isEmpty) }
        #expect(batcher.add(files, bytes: 1) == [Array(1...files)])
        #expect(batcher.flush().isEmpty)
    }

    @Test func largeFilesGoAloneAndManyBytesAreEnough() {
        var batcher = TransferBatcher<String>(total: 100_000, lanes: 8)
        let half = TransferBatcher<String>.largeFileBytes / 2
        #expect(batcher.add("small", bytes: 10).isEmpty)
        #expect(batcher.add("large", bytes: 2 * half + 1) == [["large"]])
        #expect(batcher.add("half", bytes: half).isEmpty)
        #expect(batcher.add("other half", bytes: half) == [["small", "half", "other half"]])
        #expect(batcher.add("last", bytes: 1).isEmpty)
        #expect(batcher.flush() == [["last"]])
    }

    @Test func noMoreThanTheLanesRunAtATime() async throws {
        let running = Journal<Int>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            var lanes = Lanes(3)
            for _ in 0..<50 {
                try await lanes.run(in: &group) {
                    running.add(1)
                    await Task.yield()
                    running.add(-1)
                }
            }
            try await lanes.drain(&group)
        }
        var (now, most) = (0, 0)
        for change in running.elements {
            now += change
            most = max(most, now)
        }
        #expect(running.elements.count == 100 && now == 0)
        #expect((1...3).contains(most))
    }
}
