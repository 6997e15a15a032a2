import BrimModel
import BrimWire
import Testing

@testable import BrimMaster

@Suite struct ReportProgressTests {
    private let blobs: [BlobID]
    private let alpha: ServerName
    private let now = Timestamp(seconds: 1_000_000, nanoseconds: 0)

    init() throws {
        var ids = BlobIDGenerator()
        blobs = (0..<4).map { _ in ids.next(seconds: 1) }
        alpha = try ServerName(validating: "alpha")
    }

    private func page(_ after: Int?, _ through: Int?, begun: Int64 = 1) -> ReportPage {
        ReportPage(
            name: alpha, id: "id", begun: Timestamp(seconds: begun, nanoseconds: 0), after: after.map { blobs[$0] },
            through: through.map { blobs[$0] }, blobs: [], position: OrderPosition(term: 1, sequence: 0))
    }

    @Test func wholeReports() throws {
        var progress = ReportProgress()
        try progress.take(page(nil, nil), at: now)
        for round in 1...2 {
            try progress.take(page(nil, 0, begun: Int64(round)), at: now)
            try progress.take(page(0, 1, begun: Int64(round)), at: now)
            try progress.take(page(1, nil, begun: Int64(round)), at: now)
        }
    }

    /// What was removed later is not known to the report, whatever the server's clock said.
    @Test func aReportKnowsOfNothingThatCameAfterItsFirstPage() throws {
        var progress = ReportProgress()
        let later = now.adding(.seconds(3600))
        #expect(try progress.take(page(nil, 0, begun: later.seconds), at: now) < now)
        #expect(try progress.take(page(0, nil, begun: later.seconds), at: later) < now)
        // Of one that was long on its way all the more.
        let early = Timestamp(seconds: 500, nanoseconds: 0)
        #expect(try progress.take(page(nil, nil, begun: early.seconds), at: now) < early)
    }

    @Test func pagesThatAreMissingMakeItVoid() throws {
        var progress = ReportProgress()
        // The beginning went to another master, or to this one before it was started anew.
        #expect(throws: BrimError.self) { try progress.take(page(0, nil), at: now) }
        try progress.take(page(nil, 0), at: now)
        #expect(throws: BrimError.self) { try progress.take(page(1, nil), at: now) }
        // Void from then on.
        #expect(throws: BrimError.self) { try progress.take(page(0, 1), at: now) }
        try progress.take(page(nil, 0), at: now)
        #expect(throws: BrimError.self) { try progress.take(page(0, nil, begun: 2), at: now) }
        try progress.take(page(nil, 0), at: now)
        progress.broke(alpha)
        #expect(throws: BrimError.self) { try progress.take(page(0, nil), at: now) }
        try progress.take(page(nil, nil), at: now)
        #expect(throws: BrimError.self) { try progress.take(page(0, nil), at: now) }
    }
}
