/// Numbers of libmongoc (`mongoc-error.h`) for what fails on this side of the wire.
enum LibraryDomain {
    static let client: UInt32 = 1
    static let stream: UInt32 = 2
    static let cursor: UInt32 = 4
    static let bson: UInt32 = 8
    static let command: UInt32 = 11
    static let serverSelection: UInt32 = 15
    static let writeConcern: UInt32 = 16
    static let transaction: UInt32 = 18
    static let pool: UInt32 = 20
}

enum LibraryCode {
    static let authenticate: UInt32 = 11
    static let serverSelectionFailure: UInt32 = 13053
}

extension MongoError {
    /// From what libmongoc and the server said.
    init(domain: UInt32, code: UInt32, message: String, reply: BSONDocument?, partialResult: BulkWriteResult? = nil) {
        let labels = (reply?["errorLabels"]?.arrayValue ?? []).compactMap(\.stringValue)
        let writeErrors = (reply?["writeErrors"]?.arrayValue ?? []).compactMap { WriteError($0.documentValue) }
        self.init(
            Self.kind(domain: domain, code: code, message: message),
            message,
            code: Int(code),
            codeName: reply?["codeName"]?.stringValue ?? Self.codeNames[code],
            labels: Set(labels),
            writeErrors: writeErrors,
            partialResult: partialResult,
            reply: reply)
    }

    private static func kind(domain: UInt32, code: UInt32, message: String) -> Kind {
        switch domain {
        case LibraryDomain.client: code == LibraryCode.authenticate ? .unauthorized : kind(ofServerCode: code)
        case LibraryDomain.stream, LibraryDomain.serverSelection: .unavailable
        case LibraryDomain.pool: .overloaded
        case LibraryDomain.bson, LibraryDomain.transaction, LibraryDomain.command: .invalidArgument
        case LibraryDomain.cursor: code < 100 ? .invalidArgument : kind(ofServerCode: code)
        case LibraryDomain.writeConcern: kind(ofServerCode: code) == .command ? .writeConcern : kind(ofServerCode: code)
        default: kind(ofServerCode: code)
        }
    }

    /// Groups the server's codes (`error_codes.yml` of MongoDB) by what a caller can do about them.
    static func kind(ofServerCode code: UInt32) -> Kind {
        switch code {
        case 11000, 11001, 12582: .duplicateKey
        case 112: .writeConflict
        case 121: .validationFailed
        case 10107, 13435, 13436, 11600, 11602, 189, 91: .notPrimary
        case 6, 7, 89, 9001: .unavailable
        case 50, 262, 202, 24, 46: .timeout
        case 26, 73: .namespaceNotFound
        case 48, 68: .alreadyExists
        case 43, 237, 136: .cursorLost
        case 239, 246: .snapshotLost
        case 13, 18, 8000: .unauthorized
        case 64, 75, 79, 100: .writeConcern
        default: .command
        }
    }

    /// For replies that do not name their code, as those of bulk writes.
    private static let codeNames: [UInt32: String] = [
        11000: "DuplicateKey", 112: "WriteConflict", 121: "DocumentValidationFailure", 50: "MaxTimeMSExpired",
        10107: "NotWritablePrimary", 13053: "NoSuitableServer",
    ]
}

extension MongoError.WriteError {
    init?(_ document: BSONDocument?) {
        guard let document, let index = document["index"]?.intValue, let code = document["code"]?.intValue else {
            return nil
        }
        self.init(
            index: index,
            kind: UInt32(exactly: code).map(MongoError.kind(ofServerCode:)) ?? .command,
            code: code,
            message: document["errmsg"]?.stringValue ?? "",
            keyValue: document["keyValue"]?.documentValue,
            details: document["errInfo"]?.documentValue)
    }
}
