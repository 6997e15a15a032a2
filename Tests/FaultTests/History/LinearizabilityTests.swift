import Testing

extension FaultTests {
    /// The checker itself: what it lets pass, and what it must not.
    @Suite struct LinearizabilityTests {
        private func verdict(_ operations: [Operation]) -> Linearizability.Verdict {
            Linearizability(operations).check(paths: 2)
        }

        private func operation(
            _ began: Int, _ ended: Int, _ action: Operation.Action, _ outcome: Operation.Outcome = .done
        ) -> Operation {
            Operation(
                client: 0, action: action, outcome: outcome, began: .milliseconds(began), ended: .milliseconds(ended))
        }

        private func isViolated(_ operations: [Operation]) -> Bool {
            if case .violated = verdict(operations) { true } else { false }
        }

        @Test func whatHappensOneAfterTheOther() {
            #expect(
                verdict([
                    operation(0, 1, .get(0), .read(0)), operation(2, 3, .put(0, 7)), operation(4, 5, .get(0), .read(7)),
                    operation(6, 7, .rename(0, 1)), operation(8, 9, .get(0), .read(0)),
                    operation(10, 11, .get(1), .read(7)), operation(12, 13, .remove(1)),
                    operation(14, 15, .remove(1), .nothingThere), operation(16, 17, .rename(1, 0), .nothingThere),
                ]) == .linearizable)
        }

        @Test func whatHappensAtOnceMayComeInAnyOrder() {
            for last in [7, 8] {
                #expect(
                    verdict([
                        operation(0, 10, .put(0, 7)), operation(0, 10, .put(0, 8)),
                        operation(11, 12, .get(0), .read(last)),
                    ]) == .linearizable)
            }
            #expect(
                verdict([
                    operation(0, 10, .put(0, 7)), operation(1, 2, .get(0), .read(0)),
                    operation(3, 4, .get(0), .read(7)),
                ]) == .linearizable)
        }

        @Test func whatIsUnknownMayHaveHappenedLaterOrNever() {
            let put = operation(0, 1, .put(0, 7), .unknown)
            for read in [0, 7] { #expect(verdict([put, operation(50, 51, .get(0), .read(read))]) == .linearizable) }
            #expect(
                verdict([
                    put, operation(2, 3, .get(0), .read(0)), operation(4, 5, .get(0), .read(7)),
                ]) == .linearizable)
            // Once, however late.
            #expect(
                isViolated([
                    put, operation(2, 3, .get(0), .read(7)), operation(4, 5, .remove(0)),
                    operation(6, 7, .get(0), .read(7)),
                ]))
            for read in [0, 7] {
                #expect(
                    verdict([
                        operation(0, 1, .put(0, 7)), operation(2, 3, .rename(0, 1), .unknown),
                        operation(4, 5, .get(0), .read(read)), operation(6, 7, .get(1), .read(7 - read)),
                    ]) == .linearizable)
            }
        }

        @Test func anAcknowledgedWriteThatIsLost() {
            #expect(isViolated([operation(0, 1, .put(0, 7)), operation(2, 3, .get(0), .read(0))]))
            #expect(
                isViolated([
                    operation(0, 1, .put(0, 7)), operation(2, 3, .put(0, 8)), operation(4, 5, .get(0), .read(7)),
                ]))
        }

        @Test func aReadThatGoesBackInTime() {
            #expect(
                isViolated([
                    operation(0, 1, .put(0, 7)), operation(2, 10, .put(0, 8)), operation(3, 4, .get(0), .read(8)),
                    operation(5, 6, .get(0), .read(7)),
                ]))
        }

        @Test func whatWasRemovedComesBack() {
            #expect(
                isViolated([
                    operation(0, 1, .put(0, 7)), operation(2, 3, .remove(0)), operation(4, 5, .get(0), .read(7)),
                ]))
            #expect(
                isViolated([
                    operation(0, 1, .put(0, 7)), operation(2, 3, .rename(0, 1)), operation(4, 5, .get(0), .read(7)),
                ]))
        }

        @Test func whatIsDoneTwiceOrNotAtAll() {
            // A removal whose first try was carried out and whose second found nothing.
            #expect(isViolated([operation(0, 1, .put(0, 7)), operation(2, 3, .remove(0), .nothingThere)]))
            // One put that is there under two names.
            #expect(
                isViolated([
                    operation(0, 1, .put(0, 7)), operation(2, 3, .rename(0, 1)), operation(4, 5, .get(1), .read(7)),
                    operation(6, 7, .get(0), .read(7)),
                ]))
            #expect(isViolated([operation(0, 1, .get(0), .read(9))]))
        }

        /// As long as what a run of faults records, with as many of unknown outcome.
        @Test func longHistoriesAreDecided() {
            var operations: [Operation] = []
            for number in 1...100 {
                let outcome: Operation.Outcome = number % 9 == 0 ? .unknown : .done
                operations.append(operation(number * 10, number * 10 + 15, .put(number % 2, number), outcome))
            }
            #expect(verdict(operations + [operation(2000, 2001, .get(0), .read(100))]) == .linearizable)
            #expect(isViolated(operations + [operation(2000, 2001, .get(0), .read(50))]))
        }
    }
}
