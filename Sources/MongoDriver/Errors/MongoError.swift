/// Why an operation on MongoDB failed.
public struct MongoError: Error, Sendable {
    /// What a caller may want to tell apart.
    public enum Kind: String, Sendable, CaseIterable {
        /// A unique index refused the write.
        case duplicateKey
        /// Another transaction was first; run the whole of this one again.
        case writeConflict
        /// The collection's validator refused the document.
        case validationFailed
        /// The node asked is not, or no longer, the primary.
        case notPrimary
        /// No suitable server was found in time, or the connection broke.
        case unavailable
        /// A time limit passed: on the server, or while waiting for a client of the pool.
        case timeout
        /// The task was cancelled: before the operation began, or (`isOutcomeUnknown`) while it went on.
        case cancelled
        /// The client has been closed, or is closing.
        case closed
        /// The call itself is wrong and never sent.
        case invalidArgument
        /// Bytes are not BSON.
        case corruptBSON
        /// The collection or database is not there.
        case namespaceNotFound
        /// A collection, view or index of this name is there already.
        case alreadyExists
        /// The server no longer knows the cursor; begin again.
        case cursorLost
        /// The point in time that a read looks at is too long ago for the server, or not to be had; begin again.
        case snapshotLost
        /// Wrong credentials, or not allowed to.
        case unauthorized
        /// Written, but not as widely acknowledged as was asked.
        case writeConcern
        /// The wait queue of the pool is full.
        case overloaded
        /// The server refused the command for another reason; see `code`.
        case command
    }

    /// One refused write of a bulk.
    public struct WriteError: Sendable {
        /// Of the model or document in the array that was given.
        public let index: Int
        public let kind: Kind
        public let code: Int
        public let message: String
        /// The values that are there already, for a duplicate key.
        public let keyValue: BSONDocument?
        /// Why a validator refused the document, in the server's words.
        public let details: BSONDocument?
    }

    public let kind: Kind
    /// The server's or libmongoc's number.
    public let code: Int?
    /// The server's name for `code`.
    public let codeName: String?
    /// Such as `TransientTransactionError`.
    public let labels: Set<String>
    public let message: String
    /// By index; empty unless a write was refused.
    public let writeErrors: [WriteError]
    /// What had been done when a bulk failed.
    public let partialResult: BulkWriteResult?
    /// All that the server said.
    public let reply: BSONDocument?

    /// Public so that callers' handling of errors can be tested without a server.
    public init(
        _ kind: Kind, _ message: String, code: Int? = nil, codeName: String? = nil, labels: Set<String> = [],
        writeErrors: [WriteError] = [], partialResult: BulkWriteResult? = nil, reply: BSONDocument? = nil
    ) {
        self.kind = kind
        self.message = message
        self.code = code
        self.codeName = codeName
        self.labels = labels
        self.writeErrors = writeErrors
        self.partialResult = partialResult
        self.reply = reply
    }

    /// Whether the same call may succeed later. Look at `isOutcomeUnknown` before a write is repeated.
    public var isRetryable: Bool {
        if labels.contains(Label.transientTransaction) || labels.contains(Label.retryableWrite) { return true }
        return switch kind {
        case .writeConflict, .notPrimary, .unavailable, .timeout, .cursorLost, .snapshotLost, .writeConcern,
            .overloaded:
            true
        default: false
        }
    }

    /// Whether a write may have been applied although it failed.
    public var isOutcomeUnknown: Bool {
        if isCommitUnknown { return true }
        return switch kind {
        case .unavailable: code != Int(LibraryCode.serverSelectionFailure)
        case .notPrimary, .writeConcern: true
        // A timeout without a code is ours: nothing was sent.
        case .timeout: code != nil
        default: false
        }
    }

    /// Whether a transaction may have been committed although that failed; most often since no majority of the nodes was there.
    public var isCommitUnknown: Bool { labels.contains(Label.unknownCommitResult) }

    /// Whether a change stream that failed so can go on at this or another server.
    public var isStreamResumable: Bool { isRetryable || labels.contains(Label.resumableStream) }

    enum Label {
        static let resumableStream = "ResumableChangeStreamError"
        static let transientTransaction = "TransientTransactionError"
        static let unknownCommitResult = "UnknownTransactionCommitResult"
        static let retryableWrite = "RetryableWriteError"
    }
}

extension MongoError: CustomStringConvertible {
    /// What failed, why and what may help, for a person.
    public var description: String {
        var text = "MongoDB: \(summary): \(message)"
        if let code {
            text += " (code \(code)\(codeName.map { " \($0)" } ?? ""))"
        }
        if writeErrors.count > 1 {
            text += "; \(writeErrors.count) writes refused, the first with index \(writeErrors[0].index)"
        }
        if let details = writeErrors.first?.details {
            text += "; \(details)"
        }
        if let advice {
            text += ". \(advice)"
        }
        return text
    }

    private var summary: String {
        switch kind {
        case .duplicateKey: "a document with this key exists"
        case .writeConflict: "another write was first"
        case .validationFailed: "the collection's validator refused the document"
        case .notPrimary: "the server asked is not the primary"
        case .unavailable: "cannot be reached"
        case .timeout: "took too long"
        case .cancelled: "cancelled"
        case .closed: "the client is closed"
        case .invalidArgument: "wrong use of the driver"
        case .corruptBSON: "corrupt BSON"
        case .namespaceNotFound: "no such collection"
        case .alreadyExists: "exists already"
        case .cursorLost: "the cursor is gone"
        case .snapshotLost: "the snapshot is gone"
        case .unauthorized: "not allowed"
        case .writeConcern: "written, but not acknowledged by enough servers"
        case .overloaded: "too many operations are waiting"
        case .command: "command failed"
        }
    }

    private var advice: String? {
        switch kind {
        case .unavailable: "Is mongod running, is the URI right, and has the replica set a primary?"
        case .notPrimary: "An election may be under way; trying again may help"
        case .unauthorized: "Check user, password and authSource in the URI"
        case .writeConcern: "Check that a majority of the replica set is up"
        default: nil
        }
    }
}

extension MongoError {
    init(_ corruption: BSONCorruption) {
        self.init(.corruptBSON, "\(corruption.reason) (at byte \(corruption.offset))")
    }
}
