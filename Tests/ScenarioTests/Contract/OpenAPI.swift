import Foundation
import Yams

/// `docs/openapi.yaml`.
struct OpenAPI {
    /// One method of one path.
    struct Operation: CustomStringConvertible {
        let method: String
        /// With `{name}` for what varies.
        let path: String
        let json: JSON
        let isOnSlave: Bool
        /// What it takes and what varies in its path.
        let parameters: [JSON]

        var id: String { json["operationId"]?.text ?? description }
        var description: String { "\(method) \(path)" }
        var isOpen: Bool { json["security"] == .array([]) }
        /// Leave to read or write one blob.
        var takesBlobToken: Bool { json["security"]?.items.contains { $0["blobToken"] != nil } == true }
        var isForNodes: Bool { json["tags"]?.items.contains(.string("node")) == true }
    }

    let root: JSON

    init() throws {
        let repository = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: repository.appending(path: "docs/openapi.yaml"), encoding: .utf8)
        root = try YAMLDecoder().decode(JSON.self, from: text)
    }

    func resolve(_ json: JSON) -> JSON {
        guard let reference = json["$ref"]?.text else { return json }
        var found = root
        for step in reference.split(separator: "/").dropFirst() { found = found[String(step)] ?? .null }
        return resolve(found)
    }

    var operations: [Operation] {
        (root["paths"]?.members ?? [:]).sorted { $0.key < $1.key }.flatMap { path, item in
            let methods = ["get", "head", "put", "post", "delete", "patch"]
            return methods.compactMap { method in
                item[method].map { operation in
                    Operation(
                        method: method.uppercased(), path: path, json: operation,
                        isOnSlave: (operation["servers"] ?? item["servers"]) != nil,
                        parameters: ((item["parameters"]?.items ?? []) + (operation["parameters"]?.items ?? []))
                            .map(resolve))
                }
            }
        }
    }

    /// What an operation takes as JSON.
    func body(of operation: Operation) -> Schema? {
        let body = operation.json["requestBody"].map(resolve)
        return body?["content"]?["application/json"]?["schema"].map { Schema(self, $0) }
    }

    /// What an operation answers as JSON with this status; nil when it is not described.
    func response(of operation: Operation, status: Int) -> Schema? {
        let responses = operation.json["responses"]
        guard let response = (responses?["\(status)"] ?? (status >= 400 ? responses?["default"] : nil)).map(resolve)
        else { return nil }
        return Schema(self, response["content"]?["application/json"]?["schema"] ?? .object([:]))
    }

    var error: Schema { Schema(self, .object(["$ref": .string("#/components/schemas/Error")])) }
}
