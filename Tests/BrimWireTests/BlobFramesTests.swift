import BrimModel
import BrimWire
import NIOCore
import Testing

@Suite struct BlobFramesTests {
    private static let ids = (0..<4).compactMap { number in
        BlobID(bytes: [UInt8](repeating: 0, count: 11) + [UInt8(number)])
    }

    /// All frames, and whether what follows them is malformed.
    private func frames(_ answer: ByteBuffer) -> (read: [(BlobID, ByteBuffer?)], isCorrupt: Bool) {
        var frames = BlobFrames(answer)
        var read: [(BlobID, ByteBuffer?)] = []
        do {
            while let (blob, bytes) = try frames.next() { read.append((blob, bytes)) }
            return (read, false)
        } catch {
            #expect((error as? BrimError)?.code == .corrupt)
            return (read, true)
        }
    }

    private func sample() -> ByteBuffer {
        var answer = ByteBuffer()
        BlobFrames.append(Self.ids[0], ByteBuffer(string: "first"), to: &answer)
        BlobFrames.append(Self.ids[1], nil, to: &answer)
        BlobFrames.append(Self.ids[2], ByteBuffer(), to: &answer)
        BlobFrames.append(Self.ids[3], ByteBuffer(string: "last"), to: &answer)
        return answer
    }

    @Test func comeBackAsTheyWere() {
        let (read, isCorrupt) = frames(sample())
        #expect(read.map(\.0) == Self.ids && !isCorrupt)
        #expect(read.map { $0.1.map { String(buffer: $0) } } == ["first", nil, "", "last"])
        #expect(frames(ByteBuffer()).read.isEmpty)
    }

    /// Whatever is cut off, what came whole is read, and the rest is no blob.
    @Test func aTruncatedAnswerEndsAtTheLastWholeBlob() {
        let whole = sample()
        let ends = [0, 21, 37, 53, 73]
        for length in 0...whole.readableBytes {
            let (read, isCorrupt) = frames(whole.getSlice(at: 0, length: length) ?? ByteBuffer())
            #expect(read.count == ends.filter { $0 > 0 && $0 <= length }.count, "\(length)")
            #expect(isCorrupt == !ends.contains(length), "\(length)")
        }
    }

    @Test func aLengthBeyondTheAnswerIsCorrupt() {
        var answer = sample()
        answer.setInteger(UInt32.max - 1, at: 12)
        #expect(frames(answer).read.isEmpty && frames(answer).isCorrupt)
    }
}
