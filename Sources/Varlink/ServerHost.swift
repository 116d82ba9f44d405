import JSON
import Synchronization

/// Has work done on one of the worker threads, at once or later; never in a host that is stopping.
typealias Workers = @Sendable (_ work: @escaping @Sendable () -> Void) -> Void

/// What the connections of one server share.
final class ServerHost: Sendable {
    let service: any VarlinkService
    let limits: VarlinkLimits
    let workers: Workers
    private let counts = Mutex<(total: Int, users: [UInt32: Int])>((0, [:]))

    init(service: any VarlinkService, limits: VarlinkLimits, workers: @escaping Workers) {
        self.service = service
        self.limits = limits
        self.workers = workers
    }

    var connections: Int { counts.withLock { $0.total } }

    /// Counts a connection in, or refuses it where its user or all have too many.
    func admit(_ peer: PeerCredentials) -> Bool {
        counts.withLock { counts in
            let own = counts.users[peer.uid, default: 0]
            guard counts.total < limits.connections, own < limits.connectionsPerUser else { return false }
            counts.total += 1
            counts.users[peer.uid] = own + 1
            return true
        }
    }

    func release(_ peer: PeerCredentials) {
        counts.withLock { counts in
            counts.total -= 1
            counts.users[peer.uid, default: 1] -= 1
            if counts.users[peer.uid] == 0 { counts.users[peer.uid] = nil }
        }
    }

    /// Answers what every Varlink service answers, and hands the rest on.
    func handle(_ call: VarlinkCall) {
        switch call.method {
        case "org.varlink.service.GetInfo": getInfo(call)
        case "org.varlink.service.GetInterfaceDescription": getInterfaceDescription(call)
        default:
            guard let dot = call.method.lastIndex(of: "."), dot != call.method.startIndex else {
                return call.fail(.methodNotFound(call.method))
            }
            let interface = String(call.method[..<dot])
            if interface == ServerHost.serviceInterface.name { return call.fail(.methodNotFound(call.method)) }
            guard service.interfaces.contains(where: { $0.name == interface }) else {
                return call.fail(.interfaceNotFound(interface))
            }
            service.handle(call)
        }
    }

    private func getInfo(_ call: VarlinkCall) {
        let names = [ServerHost.serviceInterface.name] + service.interfaces.map(\.name)
        call.reply(
            JSONValue.members([
                "vendor": .string(service.vendor), "product": .string(service.product),
                "version": .string(service.version), "url": .string(service.url),
                "interfaces": .array(names.map { .string($0) }),
            ]).canonicalBytes
        )
    }

    private func getInterfaceDescription(_ call: VarlinkCall) {
        guard let parameters = try? JSONReader.parse(call.parameters), let name = parameters["interface"]?.string else {
            return call.fail(.invalidParameter("interface"))
        }
        guard let interface = ([ServerHost.serviceInterface] + service.interfaces).first(where: { $0.name == name })
        else { return call.fail(.interfaceNotFound(name)) }
        call.reply(JSONValue.members(["description": .string(interface.description)]).canonicalBytes)
    }

    static let serviceInterface = VarlinkInterface(
        name: "org.varlink.service",
        description: """
            # What every Varlink service answers about itself.
            interface org.varlink.service

            method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)

            method GetInterfaceDescription(interface: string) -> (description: string)

            error InterfaceNotFound (interface: string)
            error MethodNotFound (method: string)
            error MethodNotImplemented (method: string)
            error InvalidParameter (parameter: string)
            error PermissionDenied ()
            error ExpectedMore ()
            error ExpectedUpgrade ()

            """
    )
}
