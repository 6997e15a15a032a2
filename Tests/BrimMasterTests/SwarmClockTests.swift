import BrimModel
import Testing

@testable import BrimMaster

@Suite struct SwarmClockTests {
    private static let wrong = Duration.seconds(7200)

    private func clocks(_ ahead: [Duration]) -> MasterClocks {
        let named = ahead.enumerated().map { ("http://m\($0.offset + 1):4242", $0.element) }
        return MasterClocks(ahead: Dictionary(uniqueKeysWithValues: named))
    }

    /// Whichever clock of several is wrong, that of a master or the database's.
    @Test(arguments: [wrong, .zero - wrong]) func oneWrongClockIsCorrected(_ wrong: Duration) {
        for masters in 2...5 {
            for index in 0..<masters {
                var ahead = [Duration](repeating: .seconds(-1), count: masters)
                ahead[index] = wrong
                let clocks = clocks(ahead)
                #expect(abs((clocks.correction(ofOneAhead: wrong) + wrong).inSeconds) <= 1, "\(ahead)")
                #expect(clocks.correction(ofOneAhead: .seconds(-1)) == .zero, "\(ahead)")
                #expect(clocks.warnings.count == 1 && clocks.warnings[0].contains("m\(index + 1):"), "\(ahead)")
            }
            // Seen from the database all masters' clocks are wrong.
            let clocks = clocks([Duration](repeating: wrong, count: masters))
            #expect(clocks.correction(ofOneAhead: wrong) == .zero)
            #expect(clocks.warnings.count == 1 && clocks.warnings[0].contains("MongoDB"))
        }
    }

    @Test func oneMasterAloneGoesByItsOwnClock() {
        let clocks = clocks([Self.wrong])
        #expect(clocks.correction(ofOneAhead: Self.wrong) == .zero)
        #expect(clocks.warnings.count == 1 && clocks.warnings[0].contains("2h ahead of that of MongoDB"))
        #expect(MasterClocks(ahead: [:]).warnings.isEmpty)
        // Unless others have told it before.
        let left = MasterClocks(ahead: ["http://m1:4242": Self.wrong], known: .seconds(1))
        #expect(left.correction(ofOneAhead: Self.wrong) == .seconds(1) - Self.wrong)
        #expect(left.correction(ofOneAhead: .zero) == .zero, "its clock was set meanwhile")
        #expect(left.warnings.count == 1 && left.warnings[0].contains("m1:"))
    }

    @Test func clocksThatNearlyAgreeAreLeftAlone() {
        let ahead: [Duration] = [.seconds(9), .seconds(-1), .zero]
        for own in ahead { #expect(clocks(ahead).correction(ofOneAhead: own) == .zero) }
        #expect(clocks(ahead).warnings.isEmpty)
        #expect(MasterClocks.difference(.seconds(-10)) == nil)
        #expect(MasterClocks.difference(.milliseconds(-90_200)) == "90s behind")
        #expect(MasterClocks.difference(.milliseconds(7_199_900)) == "2h ahead of")
    }

    @Test func onlyTheCalendarIsCorrected() {
        let base = TestClock()
        let clock = SwarmClock(base)
        #expect(clock.timestamp == base.timestamp)
        #expect(!clock.correct(by: .zero))
        #expect(clock.correct(by: .zero - Self.wrong))
        #expect(clock.timestamp == base.timestamp.adding(.zero - Self.wrong))
        #expect(clock.now == base.now && clock.own == base.timestamp)
        // What a slow answer makes of it is no news.
        #expect(!clock.correct(by: .milliseconds(500) - Self.wrong))
        #expect(clock.timestamp == base.timestamp.adding(.zero - Self.wrong))
        #expect(!clock.correct(by: .seconds(5) - Self.wrong))
        #expect(clock.timestamp == base.timestamp.adding(.seconds(5) - Self.wrong))
        #expect(clock.correct(by: .zero))
        #expect(clock.timestamp == base.timestamp)
    }
}
