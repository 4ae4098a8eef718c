"""What we use of other people's libraries without their promise is still there."""

from __future__ import annotations

import inspect

from dbos import DBOS
from dbos._serialization import Serializer

from closedwon.engine.runner import PlainJson


def test_the_durable_engine_still_lets_us_take_work_over() -> None:
    """DBOS still has the private call by which the work of a dead process is continued; it takes the dead ones' ids."""
    call = DBOS._recover_pending_workflows
    assert list(inspect.signature(call).parameters)[:1] == ["executor_ids"]


def test_our_serializer_still_has_the_form_the_durable_engine_expects() -> None:
    """Every method that DBOS wants of a serializer is one that ours defines itself."""
    wanted = {name for name, member in vars(Serializer).items() if getattr(member, "__isabstractmethod__", False)}
    assert wanted
    assert wanted <= vars(PlainJson).keys()
