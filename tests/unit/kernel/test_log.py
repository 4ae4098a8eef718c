"""The log: one line per event, no secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import structlog

from closedwon.kernel.log import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def reset() -> Iterator[None]:
    """Leave the logging of other tests alone."""
    yield
    structlog.reset_defaults()


def test_a_line_is_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, time and what was given with it, on standard error."""
    set_up_logging(as_json=True)
    structlog.get_logger().info("feed read", events=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert {"event": "feed read", "level": "info", "events": 3}.items() <= json.loads(err).items()


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_never_pass(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    """By name, inside texts, and in exceptions."""
    set_up_logging(as_json=as_json)
    log = structlog.get_logger()
    log.info("call", client_secret="s3cr3t-one", url="https://me:s3cr3t-two@host/?token=s3cr3t-three")
    try:
        int("Authorization: Bearer s3cr3t-four")
    except ValueError:
        log.exception("failed")
    shown = capsys.readouterr().err
    assert "s3cr3t" not in shown
    assert "ValueError" in shown


def test_less_important_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the level that was asked for."""
    set_up_logging(level="warning", as_json=True)
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("but this")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["but this"]
