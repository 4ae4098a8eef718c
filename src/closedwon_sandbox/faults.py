"""The fault script: failures the sandbox plays on purpose, chosen by rules that count what they see."""

from __future__ import annotations

import dataclasses
import itertools
from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from closedwon_sandbox.exchange import Request, Simulator

System = Literal["dynamics", "xero"]
SYSTEMS: tuple[System, ...] = ("dynamics", "xero")
WEBHOOK_FAULTS = frozenset({"webhook_lose", "webhook_duplicate", "webhook_delay"})
_NEEDS_SECONDS = frozenset({"slow", "webhook_delay"})
_ALWAYS_COMMITS = frozenset({"cut_after", "truncate", "empty", "slow"})
_MAY_COMMIT = _ALWAYS_COMMITS | {"500", "503", "html"}
_TAKES_STATUS = frozenset({"500", "503", "html", "empty"})
# the limits a vendor's 429 can speak of; the first is what a rule without a kind means
_KINDS: dict[System, tuple[str, ...]] = {
    "dynamics": ("requests", "time", "concurrent"),
    "xero": ("minute", "day", "appminute", "concurrent"),
}
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599


class InvalidRuleError(ValueError):
    """A fault rule makes no sense; the text says which and why."""


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which of the matching calls a rule hits: exactly one of the n-th, the first n, a seeded share, or all."""

    nth: int | None = None
    first: int | None = None
    rate: float | None = None
    seed: int = 0
    always: bool | None = None

    def complaint(self) -> str | None:
        """Say what is wrong with these conditions, None if nothing is."""
        given = [name for name in ("nth", "first", "rate", "always") if getattr(self, name) is not None]
        if len(given) != 1:
            return '"when" takes exactly one of "nth", "first", "rate" and "always"'
        if self.rate is not None and not 0 < self.rate <= 1:
            return '"rate" is a share above 0 and at most 1'
        if (self.nth is not None and self.nth < 1) or (self.first is not None and self.first < 1):
            return '"nth" and "first" count from 1'
        return '"always" can only be true' if self.always is False else None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of the script. *Units*: `seconds` real seconds for "slow", sandbox seconds for "webhook_delay".

    `match` is a glob on an endpoint's name, on a webhook's label for webhook faults. `times` ends the rule after so
    many hits. `commit` lets the vendor do its work before it fails. `kind` is the limit a 429 speaks of.
    """

    system: System
    do: Literal[
        "429",
        "500",
        "503",
        "cut_before",
        "cut_after",
        "slow",
        "html",
        "truncate",
        "empty",
        "webhook_lose",
        "webhook_duplicate",
        "webhook_delay",
    ]
    match: str = "*"
    when: When = When(first=1)
    times: int | None = None
    status: int | None = None
    kind: str | None = None
    seconds: float | None = None
    retry_after_s: int | None = None
    commit: bool = False

    @property
    def commits(self) -> bool:
        """Whether the vendor does its work before the fault shows."""
        return self.commit or self.do in _ALWAYS_COMMITS

    def complaint(self) -> str | None:
        """Say what is wrong with this rule, None if nothing is."""
        checks = (
            (self.times is not None and self.times < 1, '"times" counts from 1'),
            (self.do in _NEEDS_SECONDS and not (self.seconds or 0) > 0, f'"{self.do}" needs "seconds" above 0'),
            (self.do not in _NEEDS_SECONDS and self.seconds is not None, f'"{self.do}" takes no "seconds"'),
            (self.status is not None and self.do not in _TAKES_STATUS, f'"{self.do}" takes no "status"'),
            (
                self.status is not None and not _LOWEST_STATUS <= self.status <= _HIGHEST_STATUS,
                '"status" is 200 to 599',
            ),
            (self.kind is not None and self.do != "429", f'"{self.do}" takes no "kind"'),
            (self.kind not in {None, *_KINDS[self.system]}, f'"kind" is one of {", ".join(_KINDS[self.system])}'),
            (self.commit and self.do not in _MAY_COMMIT, f'"{self.do}" happens instead of the work: no "commit"'),
            ((self.retry_after_s or 0) < 0, '"retry_after_s" is 0 or more'),
        )
        return self.when.complaint() or next((text for wrong, text in checks if wrong), None)


class _Armed:
    """A rule with what it has counted."""

    def __init__(self, number: int, rule: Rule) -> None:
        self.number = number
        self.rule = rule
        self.seen = 0
        self.hits = 0
        self._rng = Random(rule.when.seed)  # noqa: S311 - a fault script must repeat with its seed

    def strikes(self, system: str, name: str, *, webhook: bool) -> bool:
        """Count a call if it matches, and tell whether the rule would hit it."""
        rule = self.rule
        if rule.system != system or (rule.do in WEBHOOK_FAULTS) != webhook or not fnmatchcase(name, rule.match):
            return False
        self.seen += 1
        return (rule.times is None or self.hits < rule.times) and self._due(rule.when)

    def _due(self, when: When) -> bool:
        if when.nth is not None:
            return self.seen == when.nth
        if when.first is not None:
            return self.seen <= when.first
        return when.rate is None or self._rng.random() < when.rate

    def as_json(self) -> dict[str, Any]:
        return {"id": self.number, **msgspec.to_builtins(self.rule), "seen": self.seen, "hits": self.hits}


class Faults:
    """The rules in force. The first rule that is due plays its fault; a call never gets two."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._numbers = itertools.count(1)

    def add(self, document: object) -> list[dict[str, Any]]:
        """Arm one rule or a list of rules given as JSON values; return them with their ids.

        *Raises* InvalidRuleError that names the rule; then none of the list is armed.
        """
        rows = document if isinstance(document, list) else [document]
        rules = [_parse(row, place) for place, row in enumerate(rows)]
        armed = [_Armed(next(self._numbers), rule) for rule in rules]
        self._armed += armed
        return [entry.as_json() for entry in armed]

    def clear(self) -> None:
        """Forget all rules."""
        self._armed.clear()

    def list(self) -> list[dict[str, Any]]:
        """Return every rule with how many calls it saw and hit."""
        return [entry.as_json() for entry in self._armed]

    def for_request(self, system: str, endpoint: str) -> Rule | None:
        """Count one request and return the rule that spoils it."""
        return self._pick(system, endpoint, webhook=False)

    def for_webhook(self, system: str, label: str) -> Rule | None:
        """Count one webhook and return the rule that spoils its delivery."""
        return self._pick(system, label, webhook=True)

    def _pick(self, system: str, name: str, *, webhook: bool) -> Rule | None:
        striking = [entry for entry in self._armed if entry.strikes(system, name, webhook=webhook)]
        if not striking:
            return None
        striking[0].hits += 1
        return striking[0].rule


def spoil(rule: Rule, simulator: Simulator, request: Request, reply: Reply | None) -> Reply | None:
    """Turn the vendor's answer (None if it did no work) into what the client gets; None closes the connection."""
    if rule.do in {"cut_before", "cut_after"}:
        return None
    if rule.do == "429":
        return _after(simulator.limit_reply(rule.kind or _KINDS[rule.system][0], request), rule)
    if rule.do in {"500", "503", "html"}:
        return _after(_failure(rule), rule)
    assert reply is not None, "what spoils an answer lets the vendor answer first"
    if rule.do == "truncate":
        return dataclasses.replace(reply, body=reply.body[: len(reply.body) // 2])
    if rule.do == "empty":
        return dataclasses.replace(reply, status=rule.status or reply.status, body=b"")
    return reply


# How the vendors word these is not established; clients must go by the status alone.
_DATAVERSE_500 = {"error": {"code": "0x80040216", "message": "An unexpected error occurred."}}
_XERO_500 = {"Title": "An error occurred", "Status": 500, "Detail": "An error occurred in Xero."}
_UNAVAILABLE = b"The service is temporarily unavailable"
_PROXY_PAGE = (
    b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1>"
    b"<p>The server behind this proxy gave no valid answer.</p></body></html>"
)
_PROXY_STATUS = 502


def _failure(rule: Rule) -> Reply:
    if rule.do == "html":
        return Reply(rule.status or _PROXY_STATUS, _PROXY_PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if rule.do == "503":
        return Reply(rule.status or 503, _UNAVAILABLE, {"Content-Type": "text/plain; charset=utf-8"})
    return Reply.json(rule.status or 500, _XERO_500 if rule.system == "xero" else _DATAVERSE_500)


def _after(reply: Reply, rule: Rule) -> Reply:
    if rule.retry_after_s is None:
        return reply
    kept = {name: value for name, value in reply.headers.items() if name.lower() != "retry-after"}
    return dataclasses.replace(reply, headers={**kept, "Retry-After": str(rule.retry_after_s)})


def _parse(row: object, place: int) -> Rule:
    try:
        rule = msgspec.convert(row, Rule)
    except msgspec.ValidationError as error:
        raise InvalidRuleError(f"rule {place + 1}: {error}") from None
    if complaint := rule.complaint():
        raise InvalidRuleError(f"rule {place + 1}: {complaint}")
    return rule
