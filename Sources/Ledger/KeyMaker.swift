import Glibc
import Keys
import LMDB
import Synchronization

/// Makes keys of scopes to come, on a thread of its own, so that the writer waits for none. Where there is no room for
/// more, it looks again and again: the calls that need one are refused meanwhile.
final class KeyMaker: Sendable {
    /// Microseconds between looks.
    private static let poll: UInt32 = 20_000
    /// Looks between two at where the tree's files are.
    private static let placed = 50
    private let supply: KeySupply
    private let tree: KeyTree
    private let fatal: @Sendable (any Error) -> Never
    private let isStopping = Atomic(false)

    /// - Parameter fatal: called where a write or sync fails for another reason than want of room.
    init(_ supply: KeySupply, _ tree: KeyTree, fatal: @escaping @Sendable (any Error) -> Never) {
        self.supply = supply
        self.tree = tree
        self.fatal = fatal
    }

    func run() {
        var looks = 0
        while !isStopping.load(ordering: .relaxed) {
            looks += 1
            do {
                if looks % KeyMaker.placed == 0 { try tree.requireInPlace() }
                if supply.isLow { try supply.refill() }
            } catch let refusal as KeyRefusal where [.noRoom, .full].contains(refusal.code) {
                // Who needs a key is told.
            } catch {
                fatal(error)
            }
            usleep(KeyMaker.poll)
        }
    }

    /// Asks `run` to return.
    func stop() { isStopping.store(true, ordering: .relaxed) }
}
