"""The books' own rules stop a deal before the call: tax types, locked periods; a person's answer lets it go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from product import Stage


def test_an_unknown_tax_type_is_asked_about(stage: Stage) -> None:
    """A tax type that the books do not have parks the deal; ones that fit are proposed, and one makes the invoice."""
    config = stage.configure(zero_tax_type="NOSUCHTAX")
    deal = stage.clean_deals("AUD")[0]
    with stage.product(config) as product:
        (deal_id,) = stage.win(deal)
        product.work_off()
        item = product.item(deal_id)
        assert item["text"].startswith("the books have no tax type NOSUCHTAX")
        assert {"tax_type": "ZERORATED"} in [one["decision"] for one in item["proposals"]]
        product.resolve(deal_id, tax_type="ZERORATED")
        assert product.items() == []
    stage.assert_invoiced_once([deal_id])


def test_a_locked_period_is_asked_about_and_another_date_can_be_decided(stage: Stage) -> None:
    """Books locked up to a day ahead park the deal; a date after the lock, decided by a person, makes the invoice."""
    lock = datetime.now(UTC).date() + timedelta(days=1)
    stage.profile()["PeriodLockDate"] = lock
    with stage.product() as product:
        (deal_id,) = stage.win(stage.clean_deals()[0])
        product.work_off()
        item = product.item(deal_id)
        assert f"the books are locked up to {lock}" in item["text"]
        later = (lock + timedelta(days=1)).isoformat()
        product.resolve(deal_id, date=later)
        assert product.items() == []
    stage.assert_invoiced_once([deal_id])
    assert stage.invoice(deal_id)["Date"] == later
