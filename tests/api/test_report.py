"""A report tells every line's fate once, whatever the order in which receipts are told."""

import asyncio
from collections import Counter

from edge.api.report import ACCEPTED, REPEATS, Report
from edge.records import Reason

REFUSED = {Reason.FUTURE, Reason.KEY_LIMIT, Reason.UNREADABLE}


def test_every_reason_is_either_accepted_repeated_or_refused() -> None:
    assert set(Reason) == ACCEPTED | REPEATS | REFUSED
    for reason in Reason:
        report = Report(Counter())
        report.note(1, reason, "")
        told = report.summary()
        numbers = (told.accepted, told.repeated, told.refused_count)
        assert numbers == (reason in ACCEPTED, reason in REPEATS, reason in REFUSED), reason
        assert told.outcomes == {reason.value: 1}


def test_a_decoders_own_reason_is_a_refusal() -> None:
    report = Report(Counter())
    report.note(3, "missing_field", "epc")
    (refusal,) = report.summary().refused
    assert (refusal.line, refusal.reason, refusal.detail) == (3, "missing_field", "epc")


def test_receipts_in_any_order_give_refusals_by_line() -> None:
    report = Report(Counter())
    receipts = [report.receipt(line) for line in (1, 2, 3)]
    report.submitted = 3
    for receipt in reversed(receipts):
        receipt.committed()
        receipt.applied([("future", ""), ("admitted", "")])
    told = report.summary()
    assert [row.line for row in told.refused] == [1, 2, 3]
    assert (told.accepted, told.pending, report.durable) == (3, 0, True)


def test_waiting_ends_when_progress_does() -> None:
    async def main() -> None:
        report = Report(Counter())
        report.submitted = 2
        asyncio.get_running_loop().call_later(0.01, report.receipt(1).applied, [])
        assert not await report.settle(0, 0.05)
        assert report.pending == 1
        assert await report.settle(1, 0.05)

    asyncio.run(main())
