import BrimMetadata
import BrimModel
import BrimTestKit
import BrimWire
import Logging
import Testing

@testable import BrimMaster

@Suite struct SettingsKeeperTests {
    private let store: any MetadataStore = InMemoryMetadataStore()
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func start(_ given: [SwarmSetting: String] = [:]) async throws -> SwarmSettings {
        try await SettingsKeeper.begin(store, given: given).settings
    }

    private func keeper(_ live: LiveSettings, _ guardian: EvictionGuard) async throws -> SettingsKeeper {
        SettingsKeeper(
            store: store, settings: live, stored: StoredSettings(), guardian: guardian, logger: logger
        ) { _ in }
    }

    @Test func aFlagSetsItsValueOnlyWhenItIsAnotherOneThanLastTime() async throws {
        #expect(try await start([.floor: "-1"]).floor == -1)
        #expect(try await start([.floor: "-1"]).floor == -1)
        // Changed while it ran: the same flag leaves that.
        _ = try await store.changeSettings(SettingsChange(values: ["floor": "-3"]))
        #expect(try await start([.floor: "-1"]).floor == -3)
        #expect(try await start([.floor: "2"]).floor == 2)
        // Left out: its value goes with it.
        #expect(try await start().floor == 0)
        #expect(try await store.settings() == StoredSettings())
        // Left out, but changed since: that stays.
        #expect(try await start([.copies: "2"]).copies == 2)
        _ = try await store.changeSettings(SettingsChange(values: ["copies": "5"]))
        #expect(try await start().copies == 5)
        #expect(try await start().copies == 5)
    }

    @Test func flagsThatDoNotFitWhatIsStoredAreRefusedAndNotKept() async throws {
        _ = try await store.changeSettings(SettingsChange(values: ["suspect-after": "1s", "heartbeat": "300ms"]))
        await #expect(throws: BrimError.self) { try await start([.heartbeat: "2s"]) }
        #expect(try await start().suspectAfter == .seconds(1))
        #expect(try await store.settings().started.isEmpty)
    }

    @Test func changesAreCheckedStoredAndFollowed() async throws {
        let live = LiveSettings(SwarmSettings())
        let guardian = EvictionGuard(store: store, settings: live.current, logger: logger)
        let keeper = try await keeper(live, guardian)
        let reply = try await keeper.change(SettingsRequest(values: ["floor": "-2", "scrub-rate": "5M"]))
        #expect(live.floor == -2 && live.scrubRate == 5_000_000)
        #expect(reply.settings.first { $0.name == "floor" }?.value == "-2")
        #expect(Set(reply.settings.map(\.name)) == Set(SwarmSetting.allCases.map(\.rawValue) + ["breaker"]))
        for wrong in [
            ["floor": "x"], ["colour": "red"], ["floor": "1", "copies": "0"], ["breaker": "open"],
            ["heartbeat": "20s"],
        ] {
            let error = await #expect(throws: BrimError.self) {
                try await keeper.change(SettingsRequest(values: wrong.mapValues { .some($0) }))
            }
            #expect(error?.code == .invalid)
        }
        #expect(live.floor == -2)
        _ = try await keeper.change(SettingsRequest(values: ["floor": nil]))
        #expect(live.floor == 0)
        #expect(try await store.settings().values == ["scrub-rate": "5000000"])
    }

    @Test func theBreakerIsKeptInTheSettingsAndResetThere() async throws {
        var settings = SwarmSettings()
        settings.breakerCopies = 2
        settings.breakerShare = 0
        let live = LiveSettings(settings)
        let guardian = EvictionGuard(store: store, settings: settings, logger: logger)
        #expect(guardian.warning == nil)
        #expect(await guardian.admits(copies: 2, bytes: 20))
        #expect(await !guardian.admits(copies: 1, bytes: 10))
        #expect(guardian.isOpen)
        #expect(guardian.warning?.contains("3 copies") == true, "\(guardian.warning ?? "")")
        #expect(try await store.settings().values["breaker"] != nil)
        // The next master finds it open.
        let next = EvictionGuard(store: store, settings: settings, logger: logger)
        try await next.follow(try await store.settings().values["breaker"])
        #expect(next.isOpen && next.warning == guardian.warning)
        let keeper = try await keeper(live, guardian)
        let reply = try await keeper.change(SettingsRequest(values: ["breaker": "reset"]))
        #expect(reply.settings.first { $0.name == "breaker" }?.value == "closed")
        #expect(!guardian.isOpen && guardian.warning == nil)
        try await next.follow(try await store.settings().values["breaker"])
        #expect(!next.isOpen)
        #expect(await guardian.admits(copies: 2, bytes: 20))
    }

    @Test func blobsThatNobodyKnowsAreKeptWhenTooManyWouldBeDeleted() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        var settings = SwarmSettings()
        settings.breakerCopies = 3
        settings.breakerShare = 0
        let guardian = EvictionGuard(store: fixture.store, settings: settings, logger: logger)
        var reconciler = fixture.reconciler
        reconciler.breaker = guardian
        let few = (0..<3).map { _ in fixture.stranger() }
        #expect(Set(try await reconciler.settle(try fixture.pending(few, on: "alpha")).delete) == Set(few.map(\.blob)))
        let many = (0..<3).map { _ in fixture.stranger() }
        #expect(try await reconciler.settle(try fixture.pending(many, on: "alpha")).delete == [])
        #expect(guardian.isOpen)
    }
}
