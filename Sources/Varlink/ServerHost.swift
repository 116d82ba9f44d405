import JSON
import Synchronization

/// What the connections of one server share.
final class ServerHost: Sendable {
    let service: any VarlinkService
    let limits: VarlinkLimits
    let budget: InputBudget
    let bodies: BodyPlaces
    private let work: WorkQueue
    private let strangers = Share(name: nil)
    private let principals = Mutex<[[UInt8]: Share]>([:])
    private let counts: Mutex<ConnectionCounts>

    /// - Parameters:
    ///   - threads: how many workers there are.
    ///   - submit: has something done on one of them.
    init(service: any VarlinkService, limits: VarlinkLimits, threads: Int, submit: @escaping Workers) {
        self.service = service
        self.limits = limits
        // A message of the longest kind fits, in whole steps.
        budget = InputBudget(limit: max(limits.inputBytes, limits.messageBytes) + InputLease.step)
        work = WorkQueue(threads: threads, submit: submit)
        counts = Mutex(ConnectionCounts(limits: limits, principals: service.principals))
        bodies = BodyPlaces(limits: limits, principals: service.principals)
    }

    /// Connections open now.
    var connections: Int { counts.withLock { $0.total } }

    /// Counts a connection in and says what it may have; nil where its user, its principal or all have too many.
    func admit(_ peer: PeerCredentials) -> ConnectionTerms? {
        let share = share(of: peer)
        guard counts.withLock({ $0.admit(peer, share) }) else { return nil }
        let isStranger = share.isStrangers
        return ConnectionTerms(
            peer: peer,
            share: share,
            messageBytes: isStranger ? min(limits.strangerMessageBytes, limits.messageBytes) : limits.messageBytes,
            messageSeconds: limits.messageSeconds,
            idleSeconds: limits.idleSeconds,
            lifeSeconds: isStranger ? limits.strangerSeconds : 0,
            drainBytes: isStranger ? ServerHost.strangerDrainBytes : ServerHost.drainBytes,
            workers: work.workers(for: share),
            bodyWorkers: work.bodyWorkers(for: share)
        )
    }

    func release(_ terms: ConnectionTerms) { counts.withLock { $0.release(terms.peer, terms.share) } }

    /// Has no more work begun.
    func stop() { work.stop() }

    private static let drainBytes = 32 << 20
    private static let strangerDrainBytes = 256 << 10

    private func share(of peer: PeerCredentials) -> Share {
        guard let name = service.principal(of: peer) else { return strangers }
        return principals.withLock { principals in
            let key = Array(name.utf8)
            if let known = principals[key] { return known }
            let share = Share(name: name)
            principals[key] = share
            return share
        }
    }

    /// What a call is answered with for its method and its caller alone, whatever its parameters are; nil where they
    /// have to be looked at.
    func refusal(of method: String, for peer: PeerCredentials) -> VarlinkError? {
        guard let dot = method.utf8.lastIndex(of: UInt8(ascii: ".")), dot != method.utf8.startIndex else {
            return .methodNotFound(method)
        }
        let interface = method.utf8[..<dot]
        if interface.elementsEqual(ServerHost.serviceInterface.name.utf8) {
            let isKnown = ServerHost.serviceMethods.contains { method.utf8.elementsEqual($0.utf8) }
            return isKnown ? nil : .methodNotFound(method)
        }
        guard service.interfaces.contains(where: { interface.elementsEqual($0.name.utf8) }) else {
            return .interfaceNotFound(String(Substring(interface)))
        }
        return service.refusal(of: method, for: peer)
    }

    /// The same, with what a call asks of its connection: a method that has a
    /// body is called with `upgrade`, and no other.
    func refusal(of method: String, upgrade: Bool, for peer: PeerCredentials) -> VarlinkError? {
        if let refusal = refusal(of: method, for: peer) { return refusal }
        let isService = method.utf8.starts(with: "\(ServerHost.serviceInterface.name).".utf8)
        let upgrades = !isService && service.upgrades(method)
        return upgrades == upgrade ? nil : upgrades ? .expectedUpgrade : .methodNotImplemented(method)
    }

    /// In how much of a long message its method is looked for, in bytes.
    private static let beginningBytes = 4 << 10

    /// The same for the method of a long message that begins with these bytes, where they tell.
    func refusal(ofBeginning message: some Collection<UInt8>, _ terms: ConnectionTerms) -> VarlinkError? {
        // As much as is there in any case, so that the answer does not depend on how the message comes.
        let length = min(ServerHost.beginningBytes, limits.promptBytes, terms.messageBytes)
        return CallMessage.method(beginning: Array(message.prefix(length))).flatMap { refusal(of: $0, for: terms.peer) }
    }

    /// Answers what every Varlink service answers, and hands the rest on.
    func handle(_ call: VarlinkCall) {
        if let refusal = refusal(of: call.method, upgrade: call.upgrade, for: call.peer) { return call.fail(refusal) }
        switch call.method {
        case ServerHost.serviceMethods[0]: getInfo(call)
        case ServerHost.serviceMethods[1]: getInterfaceDescription(call)
        default: service.handle(call)
        }
    }

    private static let serviceMethods = [
        "org.varlink.service.GetInfo", "org.varlink.service.GetInterfaceDescription",
    ]

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
        let interfaces = [ServerHost.serviceInterface] + service.interfaces
        guard let interface = interfaces.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            return call.fail(.interfaceNotFound(name))
        }
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
