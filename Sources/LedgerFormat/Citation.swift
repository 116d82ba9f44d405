import JSON

/// What is wrong with a citation, as far as it shows.
public enum CitationFault: Equatable, Sendable {
    /// The cited entry, or a tree of this size, was not there yet.
    case notThere
    /// The cited entry has a type that the field does not cite.
    case otherType(String)
    /// The cited entry is of another subject, contract or the like.
    case otherStream(StreamKind)
}

/// A citation in an entry's body.
public struct Citation: Equatable, Sendable {
    /// Name of the body's field that cites.
    public let field: String
    /// Index of the entry cited, or a tree size.
    public let cited: UInt64
    /// nil for a tree size.
    let rule: CitationRule?

    /// Whether it names an entry, and not the size of a tree.
    public var isOfEntry: Bool { rule != nil }

    /// What is wrong with it.
    ///
    /// - Parameters:
    ///   - entry: the entry it stands in.
    ///   - other: the entry it cites, where that is at hand; else only what shows without it is told.
    public func fault(in entry: Entry, citing other: Entry?) -> CitationFault? {
        guard let rule else { return cited > entry.index ? .notThere : nil }
        guard cited < entry.index else { return .notThere }
        guard let other else { return nil }
        if !rule.types.isEmpty, !rule.types.contains(where: { $0.utf8.elementsEqual(other.type.utf8) }) {
            return .otherType(other.type)
        }
        guard let kind = rule.shared else { return nil }
        let (own, others) = (entry.streams(of: kind), other.streams(of: kind))
        // An entry of no such stream says of nobody that it is his.
        return own.isEmpty || others.isEmpty || !own.isDisjoint(with: others) ? nil : .otherStream(kind)
    }
}

extension Entry {
    /// The citations in the body, of a type the catalogue has; in the order of its fields.
    public var citations: [Citation] {
        guard let type = EventCatalogue.type(named: type) else { return [] }
        var found: [Citation] = []
        for field in type.body where field.rule.isCitation {
            let rule = field.isTreeSize ? nil : CitationRule.rule(type: type.key, field: field.key)
            guard let member = body.values.first(where: { $0.name.utf8.elementsEqual(field.key) }) else { continue }
            let numbers = member.value.int.map { [$0] } ?? member.value.array?.compactMap(\.int) ?? []
            for number in numbers where number >= 0 {
                found.append(Citation(field: field.name, cited: UInt64(number), rule: rule))
            }
        }
        return found
    }

    /// The streams of a kind it belongs to; its actor's is one.
    public func streams(of kind: StreamKind) -> Set<StreamID> {
        var found = Set(streams.map(\.stream).filter { $0.kind == kind })
        if case .party(let stream) = actor, stream.kind == kind { found.insert(stream) }
        return found
    }
}
