import BrimModel
import BrimWire
import Testing

@testable import BrimMaster

@Suite struct ReportProgressTests {
    private let blobs: [BlobID]
    private let alpha: ServerName

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
        try progress.take(page(nil, nil))
        for round in 1...2 {
            try progress.take(page(nil, 0, begun: Int64(round)))
            try progress.take(page(0, 1, begun: Int64(round)))
            try progress.take(page(1, nil, begun: Int64(round)))
        }
    }

    @Test func pagesThatAreMissingMakeItVoid() throws {
        var progress = ReportProgress()
        // The beginning went to another master, or to this one before it was started anew.
        #expect(throws: BrimError.self) { try progress.take(page(0, nil)) }
        try progress.take(page(nil, 0))
        #expect(throws: BrimError.self) { try progress.take(page(1, nil)) }
        // Void from then on.
        #expect(throws: BrimError.self) { try progress.take(page(0, 1)) }
        try progress.take(page(nil, 0))
        #expect(throws: BrimError.self) { try progress.take(page(0, nil, begun: 2)) }
        try progress.take(page(nil, 0))
        progress.broke(alpha)
        #expect(throws: BrimError.self) { try progress.take(page(0, nil)) }
        try progress.take(page(nil, nil))
        #expect(throws: BrimError.self) { try progress.take(page(0, nil)) }
    }
}
