import BrimModel
import MongoDriver

extension MongoMetadataStore {
    /// One document of text, which people can read in a shell.
    private static let valuesID: BSONDocument = ["_id": "values"]

    public func settings() async throws -> StoredSettings {
        try await translatingErrors("reading the settings") {
            let found = try await collections.settings.findOne(Self.valuesID, FindOptions(maxTime: Self.timeLimit))
            return Self.settings(found ?? [:])
        }
    }

    public func changeSettings(_ change: SettingsChange) async throws -> StoredSettings {
        guard !change.isEmpty else { return try await settings() }
        return try await translatingErrors("changing the settings") {
            var (set, unset) = (BSONDocument(), BSONDocument())
            for (group, values) in [("values", change.values), ("started", change.started)] {
                for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                    if let value {
                        set.append("\(group).\(name)", .string(value))
                    } else {
                        unset.append("\(group).\(name)", .string(""))
                    }
                }
            }
            var update = BSONDocument()
            if !set.isEmpty { update.append("$set", .document(set)) }
            if !unset.isEmpty { update.append("$unset", .document(unset)) }
            for _ in 1..<Self.attempts {
                do {
                    return try await changed(update)
                } catch let error as MongoError where error.kind == .duplicateKey {
                    // Another master made the document at the same moment.
                    continue
                }
            }
            return try await changed(update)
        }
    }

    private func changed(_ update: BSONDocument) async throws -> StoredSettings {
        let document = try await collections.settings.findOneAndUpdate(
            Self.valuesID, .document(update), returnNew: true, upsert: true)
        return Self.settings(document ?? [:])
    }

    private static func settings(_ document: BSONDocument) -> StoredSettings {
        func texts(_ name: String) -> [String: String] {
            var texts: [String: String] = [:]
            // A number that somebody wrote in a shell is meant as its text.
            for (key, value) in document[name]?.documentValue ?? [:] {
                texts[key] = value.stringValue ?? value.int64Value.map { String($0) } ?? value.description
            }
            return texts
        }
        return StoredSettings(values: texts("values"), started: texts("started"))
    }
}
