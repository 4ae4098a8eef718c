"""What the durable runner keeps of finished work may go at any time: our own tables are the truth."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from product import Stage


def test_finished_work_is_forgotten_and_the_next_deal_goes_through(stage: Stage) -> None:
    """All of it, in pieces; nothing of it is missed afterwards."""
    deals = stage.clean_deals()
    with stage.product() as product:
        (first,) = stage.win(deals[0])
        product.work_off()
        soon = product.app.clock.now() + timedelta(minutes=1)
        product.wait_until(lambda: product.app.runner.forget(soon, at_once=1) > 0, "something to forget")
        (second,) = stage.win(deals[1])
        product.work_off()
        stage.assert_invoiced_once([first, second])
