import BrimModel

/// Servers leave.
extension SimulatedClient {
    func drain(_ server: ServerName, _ drains: Bool) async throws {
        world.changing.value.insert(server)
        defer { world.changing.value.remove(server) }
        let isDone = try await settle(conflictIsFinal: true) {
            if drains { try await $0.drain(server) } else { try await $0.undrain(server) }
        }
        world.note("client", drains ? "drains" : "undrains", isDone == true ? 1 : 0, server.rawValue)
        if isDone == true, drains { world.count(.drained) }
    }

    /// Strikes a server off, unless files would be lost or its copies count.
    func forget(_ machine: Machine) async throws {
        world.changing.value.insert(machine.name)
        defer { world.changing.value.remove(machine.name) }
        let isDone = try await settle(conflictIsFinal: true) { try await $0.forget(machine.name) }
        world.note("client", "forgets", isDone.map { $0 ? 1 : 0 } ?? 2, machine.name.rawValue)
        // Not found may also mean that it has never joined.
        let id = machine.disk.state.value.id
        guard await world.database.inspect({ $0.isForgotten(id: id) }) else {
            if isDone == true { world.fail("\(machine.name) is said to be forgotten and is not") }
            return
        }
        machine.isForgotten.value = true
        world.count(.forgotten)
    }
}
