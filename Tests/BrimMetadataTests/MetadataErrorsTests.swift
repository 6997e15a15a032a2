import BrimModel
import MongoDriver
import Testing

@testable import BrimMetadata

/// What the store's callers get for each way in which MongoDB can fail.
@Suite struct MetadataErrorsTests {
    struct Row: Sendable, CustomStringConvertible {
        var kind: MongoError.Kind
        var code: BrimError.Code
        var isRetryable: Bool
        var description: String { "\(kind)" }

        init(_ kind: MongoError.Kind, _ code: BrimError.Code, retryable: Bool) {
            (self.kind, self.code, isRetryable) = (kind, code, retryable)
        }
    }

    static let table: [Row] = [
        // MongoDB is away or busy, which passes.
        Row(.unavailable, .unavailable, retryable: true),
        Row(.notPrimary, .unavailable, retryable: true),
        Row(.overloaded, .unavailable, retryable: true),
        Row(.writeConcern, .unavailable, retryable: true),
        Row(.cursorLost, .unavailable, retryable: true),
        Row(.snapshotLost, .unavailable, retryable: true),
        Row(.timeout, .timeout, retryable: true),
        // Nobody waits for the answer, or a master that has lost touch with MongoDB lets the request go.
        Row(.cancelled, .unavailable, retryable: true),
        // This process ends.
        Row(.closed, .unavailable, retryable: false),
        // Somebody else was first.
        Row(.duplicateKey, .conflict, retryable: true),
        Row(.writeConflict, .conflict, retryable: true),
        // Somebody has to change something.
        Row(.unauthorized, .denied, retryable: false),
        Row(.validationFailed, .internal, retryable: false),
        Row(.invalidArgument, .internal, retryable: false),
        Row(.corruptBSON, .internal, retryable: false),
        Row(.namespaceNotFound, .internal, retryable: false),
        Row(.alreadyExists, .internal, retryable: false),
        Row(.command, .internal, retryable: false),
    ]

    @Test func everyKindIsInTheTableOnce() {
        #expect(Self.table.map(\.kind.rawValue).sorted() == MongoError.Kind.allCases.map(\.rawValue).sorted())
    }

    @Test(arguments: table)
    func kinds(_ row: Row) async {
        let cause = MongoError(row.kind, "the cause")
        let error = BrimError(cause, while: "doing this")
        #expect(error.code == row.code)
        #expect(error.retryable == row.isRetryable)
        #expect(error.message == "doing this: \(cause)")
        let thrown = await #expect(throws: BrimError.self) {
            try await translatingErrors("doing this") { throw cause }
        }
        #expect(thrown == error)
    }

    /// The server says that trying again helps, with whatever code.
    @Test func labelsMakeAnyCommandRetryable() {
        for label in ["TransientTransactionError", "RetryableWriteError"] {
            let error = BrimError(MongoError(.command, "the cause", labels: [label]), while: "doing this")
            #expect(error.code == .internal && error.retryable)
        }
    }

    /// A commit that takes too long waits for a majority: the database is not there as it should be.
    @Test func aCommitInDoubtIsUnavailable() {
        let cause = MongoError(.timeout, "the cause", code: 50, labels: ["UnknownTransactionCommitResult"])
        let error = BrimError(cause, while: "doing this")
        #expect(error.code == .unavailable && error.retryable)
    }

    @Test func otherErrorsAreTranslatedToo() async {
        let own = BrimError(.full, "as it is", advice: "advice")
        #expect(await #expect(throws: BrimError.self) { try await translatingErrors("x") { throw own } } == own)
        let cancelled = await #expect(throws: BrimError.self) {
            try await translatingErrors("x") { throw CancellationError() }
        }
        #expect(cancelled?.code == .unavailable && cancelled?.retryable == true)
        struct Unforeseen: Error {}
        let unforeseen = await #expect(throws: BrimError.self) {
            try await translatingErrors("x") { throw Unforeseen() }
        }
        #expect(unforeseen?.code == .internal && unforeseen?.retryable == false)
    }
}
