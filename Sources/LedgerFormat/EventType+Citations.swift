public import JSON

/// What the body of an event says of earlier entries (`ledger-format.md` section 6, the rules index and indexes).
extension EventType {
    /// The first field that cites an entry not before this index, or speaks of a larger tree than the one of all entries
    /// before it; nil where none does.
    ///
    /// An index is a number with room for that of a phone; one of an entry that is there is not.
    public func fieldCitingBeyond(_ index: UInt64, in body: JSONObjectText) -> String? {
        citations(body.bytes.span, body.members.span) { field, number in
            field.isTreeSize ? number > index : number >= index
        }
    }

    /// The smallest index an entry with this body may have.
    ///
    /// - Parameters:
    ///   - text: where the body's members stand in.
    ///   - members: the body's.
    func earliestIndex(_ text: Span<UInt8>, _ members: Span<JSONObjectText.Member>) -> UInt64 {
        var earliest: UInt64 = 0
        _ = citations(text, members) { field, number in
            earliest = max(earliest, field.isTreeSize ? number : number + 1)
            return false
        }
        return earliest
    }

    /// The first field with a citation that `isWanted`, of those that keep their rules.
    private func citations(
        _ text: Span<UInt8>,
        _ members: Span<JSONObjectText.Member>,
        _ isWanted: (Field, UInt64) -> Bool
    ) -> String? {
        for place in members.indices {
            let member = members[place]
            let name = text.extracting(member.name)
            guard let field = body.first(where: { $0.key.span.isSame(as: name) }), field.rule.isCitation else {
                continue
            }
            var number: UInt64?
            for position in member.value {
                let digit = text[position] &- UInt8(ascii: "0")
                if digit < 10 {
                    // Below 2^53, as all numbers are.
                    number = (number ?? 0) * 10 + UInt64(digit)
                } else if let cited = number {
                    if isWanted(field, cited) { return field.name }
                    number = nil
                }
            }
            if let cited = number, isWanted(field, cited) { return field.name }
        }
        return nil
    }
}

extension FieldRule {
    /// Whether the field cites entries.
    var isCitation: Bool { self == .index || self == .indexes }
}

extension Field {
    /// Whether the field's number is the size of a tree: its name is `size` or ends with it.
    var isTreeSize: Bool { rule == .index && key.suffix(4).elementsEqual("size".utf8) }
}
