import BrimModel
import BrimWire
import HTTPTypes
import Testing

@testable import BrimMaster

@Suite struct EntityTagsTests {
    private let tag = "\"3-0102030405060708090a0b0c\""

    @Test(arguments: ["*", "\"3\"", "3", "\"3-0102030405060708090a0b0c\"", "W/\"3\"", "\"7\", \"3\""])
    func matches(_ header: String) {
        #expect(EntityTags(header).match(tag))
    }

    @Test(arguments: ["", "\"4\"", "\"30\"", "\"3-ffffffffffffffffffffffff\"", "\"-3\""])
    func doesNotMatch(_ header: String) {
        #expect(!EntityTags(header).match(tag))
    }

    @Test func writePreconditions() throws {
        #expect(try IfMatch([:]) == .anything)
        #expect(try IfMatch([.ifMatch: "\"5-0102030405060708090a0b0c\""]) == .version(5))
        #expect(try IfMatch([.ifMatch: "*"]) == .present)
        #expect(try IfMatch([.ifNoneMatch: "*"]) == .absent)
        #expect(throws: BrimError.self) { try IfMatch([.ifMatch: "\"x\""]) }
        #expect(throws: BrimError.self) { try IfMatch([.ifMatch: "\"1\", \"2\""]) }
        #expect(throws: BrimError.self) { try IfMatch([.ifNoneMatch: "\"1\""]) }
    }
}
