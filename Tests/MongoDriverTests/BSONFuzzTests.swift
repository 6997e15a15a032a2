import Foundation
import MongoDriver
import Testing

/// Random documents survive a round trip; random damage gives an error or another document, never a crash.
///
/// `BRIM_SEED` repeats a run.
@Suite struct BSONFuzzTests {
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    static func seed() -> UInt64 {
        let seed = ProcessInfo.processInfo.environment["BRIM_SEED"].flatMap { UInt64($0) } ?? .random(in: .min ... .max)
        print("BSONFuzzTests: BRIM_SEED=\(seed)")
        return seed
    }

    @Test func roundTripsAndDamage() throws {
        var random = Generator(state: Self.seed())
        var refused = 0
        for _ in 0..<2000 {
            let document = Self.document(depth: 3, &random)
            let good = try document.bytes()
            #expect(try BSONDocument(bytes: good) == document)
            for _ in 0..<5 {
                let bad = Self.damaged(good, &random)
                do {
                    // What is accepted can be written and read again.
                    let accepted = try BSONDocument(bytes: bad)
                    _ = accepted.description
                    _ = try BSONDocument(bytes: try accepted.bytes())
                } catch {
                    #expect(error.kind == .corruptBSON)
                    refused += 1
                }
            }
        }
        #expect(refused > 1000)
    }

    @Test func garbage() throws {
        var random = Generator(state: Self.seed())
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...64, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if bytes.count >= 5, Bool.random(using: &random) {
                // A right length lets it come further.
                bytes.replaceSubrange(0..<4, with: [UInt8(bytes.count), 0, 0, 0])
                bytes[bytes.count - 1] = 0
            }
            do {
                _ = try BSONDocument(bytes: bytes).bytes()
            } catch {
                #expect(error.kind == .corruptBSON)
            }
        }
    }

    private static func damaged(_ bytes: [UInt8], _ random: inout Generator) -> [UInt8] {
        var bytes = bytes
        switch Int.random(in: 0...3, using: &random) {
        case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
        case 1: bytes.insert(.random(in: 0...255, using: &random), at: .random(in: 0...bytes.count, using: &random))
        default:
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
        }
        return bytes
    }

    private static func document(depth: Int, _ random: inout Generator) -> BSONDocument {
        var document = BSONDocument()
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            document.append(text(&random), value(depth: depth - 1, &random))
        }
        return document
    }

    private static func text(_ random: inout Generator) -> String {
        String(
            (0..<Int.random(in: 0...20, using: &random)).compactMap { _ in
                "aZ09.$é€😀 \"\\".randomElement(using: &random)
            })
    }

    private static func value(depth: Int, _ random: inout Generator) -> BSONValue {
        switch Int.random(in: depth > 0 ? 0...20 : 2...20, using: &random) {
        case 0: .document(document(depth: depth, &random))
        case 1: .array((0..<Int.random(in: 0...12, using: &random)).map { _ in value(depth: depth - 1, &random) })
        case 2: .double(Double.random(in: -1e300...1e300, using: &random))
        case 3: .string(text(&random))
        case 4: .binary(BSONBinary(Array(text(&random).utf8), subtype: UInt8.random(in: 0...5, using: &random)))
        case 5: .undefined
        case 6: .objectID(ObjectID())
        case 7: .bool(Bool.random(using: &random))
        case 8: .date(milliseconds: .random(in: .min ... .max, using: &random))
        case 9: .null
        case 10: .regex(BSONRegex(text(&random), options: "i"))
        case 11: .dbPointer(BSONDBPointer(namespace: text(&random), id: ObjectID()))
        case 12: .code(text(&random))
        case 13: .codeWithScope(BSONCodeWithScope(text(&random), scope: document(depth: depth - 1, &random)))
        case 14: .symbol(text(&random))
        case 15: .int32(.random(in: .min ... .max, using: &random))
        case 16: .timestamp(BSONTimestamp(seconds: .random(in: 0...9, using: &random), increment: 4))
        case 17: .int64(.random(in: .min ... .max, using: &random))
        case 18: .decimal128(BSONDecimal128(high: random.next(), low: random.next()))
        case 19: .minKey
        default: .maxKey
        }
    }
}
