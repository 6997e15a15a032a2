import BrimMetadata
import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// Has requests of people answered by the leader: here when this master leads, else by passing them on, so that it does not
/// matter which master somebody asks.
struct LeaderGate: Sendable {
    /// How long the leader may take to answer.
    private static let deadline = Duration.seconds(600)

    let leader: LeaseKeeper
    let peers: PeerClient

    /// Answers with `own` when this master leads. While nobody does, and when the leader goes away, it waits for one for
    /// `limit`; a request that must not be carried out twice is passed on only once.
    func serve(
        _ request: Request, _ context: BrimRequestContext, within limit: Duration = LeaseKeeper.patience,
        deadline: Duration = Self.deadline,
        _ own: @escaping @Sendable (Request, Leadership) async throws -> Response
    ) async throws -> Response {
        if let leadership = leader.leadership { return try await own(request, leadership) }
        // Two masters that each take the other for the leader: neither is.
        guard request.headers.value(of: .brimForwarded) == nil else { throw Refusal.doesNotLead }
        var request = request
        let body = try await request.collectBody(upTo: Limits.jsonBodyBytes)
        let (collected, token) = (request, context.token)
        return try await leader.asLeader(repeats: request.method != .delete, within: limit) { leadership in
            try await own(collected, leadership)
        } elsewhere: { url in
            try await pass(collected, body, token, to: url, deadline)
        }
    }

    private func pass(
        _ request: Request, _ body: ByteBuffer, _ token: String?, to leader: String, _ deadline: Duration
    ) async throws -> Response {
        var headers = HTTPHeaders([("accept", "application/json"), (BrimHeader.brimForwarded.rawValue, "1")])
        if let type = request.headers[.contentType] { headers.add(name: "content-type", value: type) }
        let (status, answer) = try await peers.exchange(
            HTTPMethod(rawValue: request.method.rawValue), leader + request.uri.string, headers: headers,
            body: body.readableBytes > 0 ? body : nil, token: token, deadline: deadline)
        if status == BrimError.Code.notLeader.httpStatus { throw Refusal.notLeader(leader) }
        return Response(
            status: .init(code: status), headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: answer))
    }
}
