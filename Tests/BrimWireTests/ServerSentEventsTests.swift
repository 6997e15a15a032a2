import BrimModel
import BrimWire
import NIOCore
import Testing

@Suite struct ServerSentEventsTests {
    private static func bytes(_ events: [ServerSentEvent]) -> [UInt8] {
        var buffer = ByteBuffer()
        for event in events { event.write(to: &buffer) }
        return Array(buffer.readableBytesView)
    }

    @Test func eventsComeThroughInWhateverPieces() throws {
        let events = [
            ServerSentEvent(event: "changes", id: "a1", data: #"[{"removed":7}]"#),
            ServerSentEvent(event: "alive", data: #"{"age":null}"#),
            ServerSentEvent(event: "changes", id: "a2", data: #"[{"name":"e\#u{301}: é"}]"#),
        ]
        let bytes = Self.bytes(events)
        for size in 1...bytes.count {
            var parser = ServerSentEvents()
            var found: [ServerSentEvent] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                found += try parser.take(ByteBuffer(bytes: bytes[start..<min(bytes.count, start + size)]))
            }
            #expect(found == events, "in pieces of \(size)")
        }
    }

    @Test func othersEventsAreReadToo() throws {
        var parser = ServerSentEvents()
        let text = ": a comment\r\nretry: 5\r\ndata: one\r\ndata:two\r\n\r\nevent: empty\n\nid\ndata\n\n"
        #expect(
            try parser.take(ByteBuffer(string: text)) == [
                ServerSentEvent(event: "message", data: "one\ntwo"),
                ServerSentEvent(event: "message", id: "", data: ""),
            ])
    }

    @Test func whatNeverEndsIsRefused() throws {
        var parser = ServerSentEvents()
        let piece = ByteBuffer(repeating: UInt8(ascii: "x"), count: 1 << 20)
        let refusal = #expect(throws: BrimError.self) {
            for _ in 0...(ServerSentEvents.eventBytes >> 20) { _ = try parser.take(piece) }
        }
        #expect(refusal?.code == .tooLarge)
    }
}
