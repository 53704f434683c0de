"""Receipts and the use of the eval set are parsed only in exactly our form."""

from __future__ import annotations

import pytest

from lynxgate.promotion.eval_set_usage import EvalSetUsage
from lynxgate.pull_request.receipt import ParsedReceipt, parse_receipt, parse_usage
from tests.pull_request.reports import (
    RECEIPT,
)
from tests.samples import MODEL


class TestReceipt:
    @pytest.mark.parametrize(
        ("text", "receipt"),
        [
            (f"promoted v0.3.1 {MODEL}\n", RECEIPT),
            (f"noise\nalready promoted v0.3.1 {MODEL}", ParsedReceipt("already promoted", RECEIPT.semver, MODEL)),
            (
                f"already promoted v0.3.1 {MODEL}, in production: v0.3.0",
                ParsedReceipt("already promoted", RECEIPT.semver, MODEL, "v0.3.0"),
            ),
            (
                f"already promoted v0.3.1 {MODEL}, in production: none",
                ParsedReceipt("already promoted", RECEIPT.semver, MODEL, "none"),
            ),
            (f"already promoted v0.3.1 {MODEL}, in production: <b>", None),
            ("", None),
            ("| bucket |\n", None),
            (f"promoted v0.3.1 {MODEL}\n| a table after it |", None),
            (f"not promoted v0.3.1 {MODEL}", None),
        ],
    )
    def test_receipts(self, text: str, receipt: ParsedReceipt | None) -> None:
        assert parse_receipt(text) == receipt


class TestUsage:
    @pytest.mark.parametrize(("used", "free"), [(12, False), (12, True), (45, False), (45, True)])
    def test_the_sentence_of_the_usage_is_parsed(self, used: int, free: bool) -> None:
        sentence = EvalSetUsage(used, 44, free=free).sentence
        assert parse_usage(f"{sentence}\n\npromoted v0.3.1 {MODEL}\n") == sentence
        assert parse_receipt(f"{sentence}\n\npromoted v0.3.1 {MODEL}\n") == RECEIPT

    @pytest.mark.parametrize(
        "text",
        [
            "",
            f"promoted v0.3.1 {MODEL}",
            "| bucket |\ngate 1 of 44 on this eval set",
            "gate 1 of 44 on this eval set, says @everyone",
            "gate many of 44 on this eval set",
        ],
    )
    def test_any_other_text_is_not_parsed(self, text: str) -> None:
        assert parse_usage(text) is None
