import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import NIOCore

/// The HTTP interface of a slave.
struct SlaveRoutes: Sendable {
    let node: SlaveNode
    let desk: OrderDesk
    let membership: Membership
    let workers: [Worker]

    func add(to router: Router<BrimRequestContext>) {
        let uploads = Uploads(node: node)
        let downloads = Downloads(node: node)
        router.put("/v1/blobs/:id") { try await uploads.put(try blob($1), $0, $1) }
        router.get("/v1/blobs/:id") { try await downloads.get(try blob($1), $0, $1) }
        router.head("/v1/blobs/:id") { try await downloads.get(try blob($1), $0, $1) }
        let batchReads = BatchReads(node: node)
        router.post("/v1/blobs") { try await batchReads.read($0, $1) }
        router.post("/v1/orders") { request, context in
            _ = try context.requireNode()
            let batch = try await request.decodeJSON(OrderBatch.self)
            do {
                return try jsonResponse(try await desk.handle(batch))
            } catch let error as BrimError where error.code == .conflict {
                membership.refusedOrders()
                throw error
            }
        }
        router.post("/v1/confirm") { request, context in
            _ = try context.requireNode()
            let items = try await request.decodeJSON(ConfirmRequest.self).items
            _ = try await node.catalog.confirm(items.map { ($0.blob, $0.label) })
            return try jsonResponse(Empty())
        }
        router.post("/v1/introduce") { request, context in
            _ = try context.requireNode()
            node.masters.learn(more: try await request.decodeJSON(MasterURLs.self).masters)
            return try jsonResponse(Empty())
        }
        router.put("/v1/quota") { request, context in
            _ = try context.requireNode()
            let quota = try await request.decodeJSON(QuotaRequest.self).quota
            guard quota >= 0 else { throw BrimError(.invalid, "a quota is not negative") }
            try await node.apply(quota: quota)
            return try jsonResponse(node.quota.usage())
        }
        router.post("/v1/blobs/:id/verify") { _, context in
            try context.requireAdmin()
            return try jsonResponse(try await Verifier(node: node).checkNow(try blob(context)))
        }
        router.get("/v1/workers") { request, context in
            try context.requireAdmin()
            try request.requireNoMaster()
            return try jsonResponse(WorkersReply(workers: workers.map { $0.status(at: node.name.rawValue) }))
        }
        router.get("/v1/status") { request, context in
            try context.requireAdmin()
            try request.requireNoMaster()
            return try jsonResponse(node.quota.usage())
        }
        router.get("/readyz") { _, _ in
            try node.health.requireWell()
            guard membership.isJoined else {
                throw BrimError(.unavailable, "this server has not joined its swarm yet")
            }
            return Response(
                status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: "ok\n")))
        }
    }

    private func blob(_ context: BrimRequestContext) throws -> BlobID {
        guard let text = context.parameters.get("id"), let blob = BlobID(text) else {
            throw BrimError(.invalid, "a blob's id is 24 hex digits")
        }
        return blob
    }
}

extension DiskHealth {
    /// Throws `.unavailable` when the disk is failing: this server is not ready for all it is there for.
    fileprivate func requireWell() throws {
        if let fault {
            throw BrimError(
                .unavailable, "the disk is failing: \(fault.reason)",
                advice: "Mount or replace the disk, then start the slave again", retryable: false)
        }
    }
}
