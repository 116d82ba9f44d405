import JSON

extension ServerHost {
    /// Answers a call whose parameters are the body of a request: one strict JSON object.
    func handleRequest(_ call: VarlinkCall) {
        guard ServerHost.isObject(call.parameters) else {
            return call.fail(.invalidParameter("body: must be one strict JSON object"))
        }
        handle(call)
    }

    /// The answer to a GET or HEAD. Runs on a worker.
    func resource(_ path: String, _ query: String?, isHead: Bool, _ terms: ConnectionTerms) -> CallEvent {
        do throws(VarlinkError) {
            let resource = service.get(path, query: query, peer: terms.peer)
            return .resource(try resource.admitted(isHead: isHead, bodies, terms))
        } catch {
            return .fail(error)
        }
    }

    private static func isObject(_ text: [UInt8]) -> Bool {
        var reader = JSONReader(text)
        do throws(JSONError) {
            let range = try reader.skip()
            try reader.finish()
            return text[range.lowerBound] == UInt8(ascii: "{")
        } catch {
            return false
        }
    }
}
