import BrimModel
import Testing

@Suite struct SwarmSettingTests {
    @Test(arguments: SwarmSetting.allCases)
    func whatIsShownIsRead(_ setting: SwarmSetting) throws {
        let usual = SwarmSettings()
        var again = usual
        try setting.set(setting.text(in: usual), in: &again)
        #expect(again == usual)
        #expect(try SwarmSetting(named: setting.rawValue) == setting)
        for wrong in ["", "x", "-", "1.5x", "99999999999999999999"] {
            #expect(throws: BrimError.self) { try setting.set(wrong, in: &again) }
        }
        #expect(again == usual, "a refused value changes nothing")
    }

    @Test func valuesAtTheEndsOfTheirRanges() throws {
        let good: [(SwarmSetting, [String])] = [
            (.copies, ["1", "1000"]), (.floor, ["-1000", "1000", "none", "0"]),
            (.headroom, ["0%", "100%", "10G", "0"]),
            (.scrubInterval, ["100ms", "3650d"]), (.scrubRate, ["1K", "1T"]), (.scrubLoad, ["1%", "100%"]),
            (.breakerCopies, ["1", "1000000000"]), (.breakerShare, ["0%", "100%", "2.5%"]),
            (.drillEvery, ["0", "1s", "24h", "365d"]),
        ]
        for (setting, texts) in good {
            for text in texts {
                var settings = SwarmSettings()
                try setting.set(text, in: &settings)
                var again = SwarmSettings()
                try setting.set(setting.text(in: settings), in: &again)
                #expect(again == settings, "\(setting) \(text)")
            }
        }
        let bad: [(SwarmSetting, [String])] = [
            (.copies, ["0", "1001", "-1"]), (.floor, ["-1001", "1001", "any"]), (.headroom, ["101%", "-1%"]),
            (.heartbeat, ["0s", "2h", "5"]), (.downAfter, ["31d"]), (.scrubInterval, ["99ms", "3651d"]),
            (.scrubRate, ["999", "2T"]), (.scrubLoad, ["0%", "101%", "0.5"]), (.breakerCopies, ["0"]),
            (.breakerShare, ["101%", "0.1", "nan%"]), (.drillEvery, ["999ms", "0s", "366d", "1"]),
        ]
        for (setting, texts) in bad {
            for text in texts {
                var settings = SwarmSettings()
                #expect(throws: BrimError.self, "\(setting) \(text)") { try setting.set(text, in: &settings) }
            }
        }
    }

    @Test func timesMustRise() throws {
        #expect(throws: BrimError.self) { try SwarmSettings().changed([.suspectAfter: "5m"]) }
        #expect(throws: BrimError.self) { try SwarmSettings().changed([.heartbeat: "15s"]) }
        let fast = try SwarmSettings().changed([.heartbeat: "1s", .suspectAfter: "2s", .downAfter: "3s"])
        #expect(fast.downAfter == .seconds(3))
    }

    @Test func unknownNamesAreRefused() {
        let error = #expect(throws: BrimError.self) { try SwarmSetting(named: "colour") }
        #expect(error?.code == .invalid && error?.advice?.contains("scrub-interval") == true)
    }
}
