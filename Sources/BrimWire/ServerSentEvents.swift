import BrimModel
import NIOCore

/// One event of a `text/event-stream` (WHATWG HTML, section 9.2).
public struct ServerSentEvent: Sendable, Equatable {
    /// `message` when none is named.
    public var event: String
    public var id: String?
    /// JSON, so without line ends.
    public var data: String
    public init(event: String, id: String? = nil, data: String) {
        self.event = event
        self.id = id
        self.data = data
    }

    public func write(to buffer: inout ByteBuffer) {
        buffer.writeString("event: \(event)\n")
        if let id { buffer.writeString("id: \(id)\n") }
        buffer.writeString("data: \(data)\n\n")
    }
}

/// Takes a stream of events apart, in whatever pieces it arrives.
public struct ServerSentEvents: Sendable {
    /// Bytes of a line, and of one event's data.
    public static let eventBytes = 16 << 20

    private var rest = ByteBuffer()
    private var event = "message"
    private var id: String?
    private var data: [String] = []
    private var dataBytes = 0

    public init() {}

    /// The events that are complete with these bytes. Throws `.tooLarge`.
    public mutating func take(_ bytes: ByteBuffer) throws -> [ServerSentEvent] {
        var bytes = bytes
        rest.writeBuffer(&bytes)
        var events: [ServerSentEvent] = []
        while let length = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")).map({ $0 - rest.readerIndex }) {
            var line = rest.readString(length: length) ?? ""
            rest.moveReaderIndex(forwardBy: 1)
            if line.utf8.last == UInt8(ascii: "\r") { line.removeLast() }
            try take(line: line, &events)
        }
        guard rest.readableBytes <= Self.eventBytes else { throw Self.tooLarge }
        rest.discardReadBytes()
        return events
    }

    private mutating func take(line: String, _ events: inout [ServerSentEvent]) throws {
        guard !line.isEmpty else {
            if !data.isEmpty {
                events.append(ServerSentEvent(event: event, id: id, data: data.joined(separator: "\n")))
            }
            (event, id, data, dataBytes) = ("message", nil, [], 0)
            return
        }
        let field = line.utf8.prefix { $0 != UInt8(ascii: ":") }
        var value = line.utf8[field.endIndex...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(Substring(field)) {
        case "event": event = String(Substring(value))
        case "id": id = String(Substring(value))
        case "data":
            dataBytes += value.count
            guard dataBytes <= Self.eventBytes else { throw Self.tooLarge }
            data.append(String(Substring(value)))
        default: break
        }
    }

    private static let tooLarge = BrimError(.tooLarge, "an event has more than \(eventBytes) bytes")
}
