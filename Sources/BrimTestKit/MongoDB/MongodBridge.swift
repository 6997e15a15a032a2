import NIOCore
import NIOPosix
import Synchronization

/// The way to one member of a replica set, as a TCP proxy on loopback: it can be cut for the other members, while clients go
/// on using it.
///
/// It tells members from clients by what they say first: with `enableTestCommands` a mongod names itself in its `hello`
/// (`hostInfo`), which is how MongoDB's own tests do the same. A way that is cut is silent, as a cable that was pulled: what
/// was sent does not arrive, connections that come are taken and not answered. When it is mended those are closed, as a
/// TCP that has waited for too long is.
final class MongodBridge: Sendable {
    private struct State {
        /// Ports of members that are cut off from this one.
        var cut: Set<Int> = []
        var passages: [ObjectIdentifier: NIOLoopBound<Passage>] = [:]
        var listener: (any Channel)?
    }

    /// Where it listens: the port by which everybody knows the member.
    let port: Int
    /// The port on which the member listens.
    private let target: Int
    private let loop = NIOSingletons.posixEventLoopGroup.next()
    private let state = Mutex(State())

    private init(port: Int, target: Int) {
        self.port = port
        self.target = target
    }

    static func open(to target: Int) async throws -> MongodBridge {
        let bridge = MongodBridge(port: try FreePort.any(), target: target)
        // All on one loop: what is of a passage is touched nowhere else.
        let listener = try await ServerBootstrap(group: bridge.loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let passage = Passage(bridge: bridge, channel: channel)
                    bridge.enter(passage)
                    try channel.pipeline.syncOperations.addHandler(PassageEnd(passage, isCaller: true))
                }
            }
            .bind(host: "127.0.0.1", port: bridge.port).get()
        bridge.state.withLock { $0.listener = listener }
        return bridge
    }

    /// Cuts these members off, by the ports on which they listen; those that were and are not named get through again, with
    /// new connections.
    func cut(_ members: Set<Int>) {
        loop.execute { [self] in
            state.withLock { $0.cut = members }
            for passage in passages { passage.value.heed(members) }
        }
    }

    func close() async {
        try? await state.withLock { $0.listener }?.close()
        loop.execute { [self] in
            for passage in passages { passage.value.shut() }
        }
    }

    // MARK: For passages

    private var passages: [NIOLoopBound<Passage>] { state.withLock { Array($0.passages.values) } }

    fileprivate func isCut(_ member: Int) -> Bool { state.withLock { $0.cut.contains(member) } }

    private func enter(_ passage: Passage) {
        let bound = NIOLoopBound(passage, eventLoop: loop)
        state.withLock { $0.passages[ObjectIdentifier(bound.value)] = bound }
    }

    fileprivate func leave(_ passage: Passage) {
        let id = ObjectIdentifier(passage)
        state.withLock { $0.passages[id] = nil }
    }

    fileprivate func reach(for passage: NIOLoopBound<Passage>) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PassageEnd(passage.value, isCaller: false))
                }
            }
            .connect(host: "127.0.0.1", port: target)
    }
}

/// Who has connected.
private enum Caller: Equatable {
    case client
    /// Listens on this port.
    case member(Int)

    /// By the first message of a connection; nil until all of it is there.
    init?(_ bytes: ByteBuffer) {
        guard let length = bytes.getInteger(at: bytes.readerIndex, endianness: .little, as: Int32.self),
            bytes.readableBytes >= Int(length)
        else { return nil }
        // A BSON string of that name, then its length in four bytes.
        let mark = Array("\u{02}hostInfo\0".utf8)
        let message = Array(bytes.readableBytesView.prefix(Int(length)))
        self = .client
        guard let found = message.indices.first(where: { message[$0...].starts(with: mark) }) else { return }
        let name = String(decoding: message.dropFirst(found + mark.count + 4).prefix { $0 != 0 }, as: UTF8.self)
        if let port = name.split(separator: ":").last.flatMap({ Int($0) }) { self = .member(port) }
    }
}

/// One connection through a bridge.
private final class Passage {
    private let bridge: MongodBridge
    private let near: any Channel
    private var far: (any Channel)?
    /// nil until it has said who it is.
    private var caller: Caller?
    /// What the caller said before there was anybody to hear it.
    private var said = ByteBuffer()
    private var isHeld = false
    private var isClosed = false

    init(bridge: MongodBridge, channel: any Channel) {
        self.bridge = bridge
        near = channel
    }

    /// Something comes from one end.
    func carry(_ data: ByteBuffer, fromCaller: Bool) {
        guard !isHeld else { return }
        guard fromCaller else { return near.writeAndFlush(data, promise: nil) }
        if let far { return far.writeAndFlush(data, promise: nil) }
        said.writeImmutableBuffer(data)
        if caller == nil, let known = Caller(said) {
            caller = known
            begin(known)
        }
    }

    private func begin(_ caller: Caller) {
        if case .member(let port) = caller, bridge.isCut(port) {
            isHeld = true
            return
        }
        let bound = NIOLoopBound(self, eventLoop: near.eventLoop)
        bridge.reach(for: bound).whenComplete { bound.value.reached($0) }
    }

    private func reached(_ result: Result<any Channel, any Error>) {
        guard case .success(let channel) = result else { return shut() }
        far = channel
        if isClosed { return channel.close(promise: nil) }
        if !isHeld { channel.writeAndFlush(said, promise: nil) }
        said.clear()
    }

    /// Holds what comes from a member that is cut off; one that is not any more begins anew.
    func heed(_ cut: Set<Int>) {
        guard case .member(let port) = caller else { return }
        if cut.contains(port) { isHeld = true } else if isHeld { shut() }
    }

    /// One end is gone: the other one goes, too, but hears nothing of it while the way is cut.
    func ended() {
        if !isHeld { shut() }
    }

    func shut() {
        guard !isClosed else { return }
        isClosed = true
        bridge.leave(self)
        near.close(promise: nil)
        far?.close(promise: nil)
    }
}

/// One end of a passage.
private final class PassageEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let passage: Passage
    private let isCaller: Bool

    init(_ passage: Passage, isCaller: Bool) {
        self.passage = passage
        self.isCaller = isCaller
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        passage.carry(unwrapInboundIn(data), fromCaller: isCaller)
    }

    func channelInactive(context: ChannelHandlerContext) { passage.ended() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
