import BrimModel
import BrimPlacement
import MongoDriver

/// How BrimFS's values are written as BSON, and read back: field names are a contract, people read them from a shell.
enum Documents {
    /// The parent of what is in no directory: the root, and blobs that were abandoned.
    static let nowhere = FileID(0)

    /// A live entry as it is inserted; `request` is that of the commit which made it.
    static func live(_ entry: Entry, request: String? = nil, changed: Timestamp) -> BSONDocument {
        var document: BSONDocument = [
            "_id": .id(entry.id), "state": "live", "parent": .id(entry.parent ?? nowhere),
            "name": .string(entry.name?.text ?? ""), "type": .string(entry.type.rawValue), "mode": .int(entry.mode),
            "uid": 0, "gid": 0, "nlink": 1,
        ]
        document.append(time: entry.created, as: "created")
        document.append(time: entry.modified, as: "modified")
        document.append(time: changed, as: "changed")
        document.append("rev", .int64(entry.rev))
        document.append("attributes", .attributes(entry.attributes))
        if let target = entry.target { document.append("target", .string(target)) }
        if let content = entry.content {
            document.merge(blob(content, request: request))
            document.append("former", [])
            document.append("n", .int(content.n))
            document.append("k", .int(content.k))
            document.append("surplus", .int(content.surplus))
            document.append("readable", .bool(content.readable))
            document.append("replicas", .servers(content.replicas))
            document.append("policy", .string(content.policy))
            if let reads = content.reads { document.append("reads", .document(self.reads(reads))) }
        }
        if let copies = entry.copies { document.append("n", .int(copies)) }
        return document
    }

    /// What an overwrite replaces.
    static func blob(_ content: FileContent, request: String?) -> BSONDocument {
        var document: BSONDocument = [
            "version": .int64(content.version), "blob": .blob(content.blob), "size": .int64(content.size),
            "checksum": .string(content.checksum.description),
        ]
        if let request { document.append("request", .string(request)) }
        return document
    }

    private static func reads(_ reads: MeasuredReads) -> BSONDocument {
        [
            "at": .date(reads.at), "day": .double(reads.rates.day), "week": .double(reads.rates.week),
            "month": .double(reads.rates.month),
        ]
    }

    /// For a pipeline that gives a file another n, before what follows from that.
    static func chosen(_ choice: PolicyChoice) -> BSONDocument {
        ["n": .int(choice.n), "policy": .literal(.string(choice.rule))]
    }

    /// Stands in the way of a late commit of this blob.
    static func abandoned(_ blob: BlobID, id: FileID, at: Timestamp) -> BSONDocument {
        let content = FileContent(
            version: 1, blob: blob, size: 0, checksum: Checksum(crc32c: 0), n: Trash.n(at: at), k: 0, readable: false,
            replicas: [], policy: PolicyName.abandoned)
        var document = live(
            Entry(
                id: id, parent: nowhere, name: nil, type: .file, mode: 0, created: at, modified: at, content: content),
            changed: at)
        document["state"] = "trash"
        document["name"] = .string(blob.description)
        return document
    }

    static func tombstone(_ blob: BlobID, on servers: [ServerName], of file: FileID, at: Timestamp) -> BSONDocument {
        var document: BSONDocument = ["_id": .blob(blob)]
        document.append(time: at, as: "at")
        document.append("file", .id(file))
        document.append("servers", .servers(servers))
        return document
    }

    static func done(_ request: String, _ entry: Entry?, at: Timestamp) -> BSONDocument {
        var document: BSONDocument = ["_id": .string(request), "at": .date(at)]
        if let entry { document.append("entry", .document(live(entry, changed: at))) }
        return document
    }

    static func refused(_ request: String, _ error: BrimError, at: Timestamp) -> BSONDocument {
        var document: BSONDocument = ["_id": .string(request), "at": .date(at)]
        var refusal: BSONDocument = [
            "code": .string(error.code.rawValue), "message": .string(error.message),
            "retryable": .bool(error.retryable),
        ]
        if let advice = error.advice { refusal.append("advice", .string(advice)) }
        document.append("refused", .document(refusal))
        return document
    }

    // MARK: Reading

    /// What became of a request that is entered.
    static func requestOutcome(_ document: BSONDocument) throws(BrimError) -> RequestOutcome {
        guard let refusal = document["refused"]?.documentValue else {
            return .done(try document["entry"]?.documentValue.map(entry))
        }
        let code = try refusal.read("code") { $0.stringValue.flatMap(BrimError.Code.init) }
        return .refused(
            BrimError(
                code, try refusal.read("message") { $0.stringValue }, advice: refusal["advice"]?.stringValue,
                retryable: refusal["retryable"]?.boolValue))
    }

    static func entry(_ document: BSONDocument) throws(BrimError) -> Entry {
        let parent = FileID(try document.int64("parent"))
        let type = try document.read("type") { $0.stringValue.flatMap(EntryType.init) }
        return Entry(
            id: FileID(try document.int64("_id")),
            parent: parent == nowhere ? nil : parent,
            name: parent == nowhere ? nil : try document.read("name") { $0.stringValue.flatMap { try? EntryName($0) } },
            type: type,
            mode: try document.int("mode"),
            created: try document.time("created"),
            modified: try document.time("modified"),
            rev: try document.int64("rev"),
            attributes: document["attributes"]?.attributes ?? [:],
            content: type == .file ? try content(document) : nil,
            target: document["target"]?.stringValue, copies: type == .directory ? document["n"]?.intValue : nil)
    }

    static func content(_ document: BSONDocument) throws(BrimError) -> FileContent {
        FileContent(
            version: try document.int64("version"),
            blob: try document.blob("blob"),
            size: try document.int64("size"),
            checksum: try document.read("checksum") { $0.stringValue.flatMap(Checksum.init) },
            n: try document.int("n"),
            k: try document.int("k"),
            readable: try document.bool("readable"),
            replicas: try document.servers("replicas"),
            policy: document["policy"]?.stringValue ?? PolicyName.standard,
            reads: try document["reads"]?.documentValue.map(reads))
    }

    private static func reads(_ document: BSONDocument) throws(BrimError) -> MeasuredReads {
        func rate(_ name: String) -> Double { document[name]?.doubleValue ?? 0 }
        return MeasuredReads(
            ReadRates(day: rate("day"), week: rate("week"), month: rate("month")), at: try document.time("at"))
    }
}

extension BSONValue {
    static func id(_ id: FileID) -> BSONValue { .int64(id.rawValue) }
    static func blob(_ id: BlobID) -> BSONValue { ObjectID(bytes: id.bytes).map(BSONValue.objectID) ?? .null }
    static func blobs(_ ids: some Sequence<BlobID>) -> BSONValue { .array(ids.map { .blob($0) }) }
    static func server(_ name: ServerName) -> BSONValue { .string(name.rawValue) }
    static func servers(_ names: some Sequence<ServerName>) -> BSONValue { .strings(names.map(\.rawValue)) }
    static func ids(_ ids: some Sequence<FileID>) -> BSONValue { .array(ids.map { .id($0) }) }
    /// A date, rounded down to the millisecond.
    static func date(_ time: Timestamp) -> BSONValue {
        let seconds = max(-9_000_000_000_000, min(9_000_000_000_000, time.seconds))
        return .date(milliseconds: seconds * 1000 + Int64(time.nanoseconds / 1_000_000))
    }
    /// A value that an expression takes as it is.
    static func literal(_ value: BSONValue) -> BSONValue { ["$literal": value] }

    /// In the order of their names, so that the same attributes are the same document.
    static func attributes(_ attributes: [String: AttributeValue]) -> BSONValue {
        .document(
            BSONDocument(
                attributes.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { name, value in
                    switch value {
                    case .bool(let value): (name, .bool(value))
                    case .int(let value): (name, .int64(value))
                    case .double(let value): (name, .double(value))
                    case .string(let value): (name, .string(value))
                    }
                }))
    }

    var attributes: [String: AttributeValue] {
        var attributes: [String: AttributeValue] = [:]
        for (name, value) in documentValue ?? [:] {
            attributes[name] =
                switch value {
                case .bool(let value): .bool(value)
                case .int32(let value): .int(Int64(value))
                case .int64(let value): .int(value)
                case .double(let value): .double(value)
                case .string(let value): .string(value)
                // Written by a person in a shell.
                default: .string(value.description)
                }
        }
        return attributes
    }
}

extension BSONDocument {
    /// A date, which is for people and ranges, and the nanoseconds of its second.
    mutating func append(time: Timestamp, as key: String) {
        append(key, .date(time))
        append(key + "Nanos", .int64(Int64(time.nanoseconds)))
    }

    func read<T>(_ key: String, _ convert: (BSONValue) -> T?) throws(BrimError) -> T {
        guard let value = self[key].flatMap(convert) else {
            throw BrimError(
                .corrupt, "the document \(self["_id"]?.description ?? "?") has no usable field '\(key)'",
                advice: "Was it changed by hand?")
        }
        return value
    }

    func int64(_ key: String) throws(BrimError) -> Int64 { try read(key) { $0.int64Value } }
    func int(_ key: String) throws(BrimError) -> Int { try read(key) { $0.intValue } }
    func bool(_ key: String) throws(BrimError) -> Bool { try read(key) { $0.boolValue } }
    func string(_ key: String) throws(BrimError) -> String { try read(key) { $0.stringValue } }
    func blob(_ key: String) throws(BrimError) -> BlobID {
        try read(key) { $0.objectIDValue.flatMap { BlobID(bytes: $0.bytes) } }
    }

    func servers(_ key: String) throws(BrimError) -> [ServerName] {
        try read(key) { value in
            let names = value.arrayValue?.map { $0.stringValue.flatMap(ServerName.init(rawValue:)) }
            return names.flatMap { $0.contains(nil) ? nil : $0.compactMap(\.self) }
        }
    }

    func time(_ key: String) throws(BrimError) -> Timestamp {
        let milliseconds = try read(key) { (value: BSONValue) -> Int64? in
            if case .date(let milliseconds) = value { milliseconds } else { nil }
        }
        let seconds = (milliseconds - (milliseconds % 1000 + 1000) % 1000) / 1000
        let nanoseconds = self[key + "Nanos"]?.int64Value ?? (milliseconds - seconds * 1000) * 1_000_000
        return Timestamp(seconds: seconds, nanoseconds: Int32(clamping: nanoseconds))
    }
}
