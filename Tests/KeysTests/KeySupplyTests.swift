import OpenSSL
import Testing

@testable import Keys

@Suite("The supply of slots")
struct KeySupplyTests {
    @Test("hands out each slot once, with the key the tree has for it")
    func handsOut() throws {
        let fixture = try TreeFixture()
        let tree = try fixture.open()
        let supply = try KeySupply(tree, from: 0, nodes: 1)
        let slots = try (0..<200).map { _ in try supply.take() }
        #expect(slots.map(\.number) == Array(0..<200))
        for slot in slots { #expect(try tree.key(of: slot.number).living == slot.key) }
        #expect(Set(slots.map { $0.key.secret.withUnsafeBytes { Array($0) } }).count == 200)
    }

    @Test("hands out again what was given back, and after a restart what was not used")
    func goesOn() throws {
        let fixture = try TreeFixture()
        do {
            let supply = try KeySupply(fixture.open(), from: 0, nodes: 1)
            let first = try (0..<3).map { _ in try supply.take() }
            supply.giveBack(first[1...])
            #expect(try supply.take().number == 1)
            #expect(try supply.take().number == 2)
            #expect(try supply.take().number == 3)
        }
        let tree = try fixture.open()
        let supply = try KeySupply(tree, from: 4, nodes: 1)
        let slot = try supply.take()
        #expect(slot.number == 4)
        #expect(try tree.key(of: 4).living == slot.key)
    }

    @Test("makes slots ahead where there are few, and leaves none that were erased to be used")
    func refills() throws {
        let fixture = try TreeFixture()
        let tree = try fixture.open()
        let supply = try KeySupply(tree, from: 0, nodes: 2)
        #expect(supply.isLow && tree.slots == 0)
        try supply.refill()
        #expect(!supply.isLow && tree.slots == 128)
        try supply.refill()
        #expect(tree.slots == 128)
        try tree.erase([0, 2])
        let later = try KeySupply(tree, from: 0, nodes: 2)
        #expect(try [later.take(), later.take()].map(\.number) == [1, 3])
    }
}
