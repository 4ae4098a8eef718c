"""Finds the contact a customer belongs to, with reasons, and never guesses: what is not certain goes to review.

A contact is the customer's when it carries the customer's id, or when names are equal and nothing speaks against it.
Everything else that looks alike is a question for a person. Pure rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from closedwon.links.normalise import email_key, name_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.model.customer import Customer

Verdict = Literal["found", "none", "ask"]
ELSEWHERE = "linked to another customer"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact that may be the customer, and why; `owner` is the other customer it is linked to already, if any."""

    contact: Customer
    reasons: tuple[str, ...]
    against: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """The verdict over all candidates: one found, none, or a question with its reason."""

    verdict: Verdict
    contact: Customer | None = None
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""


def match(customer: Customer, contacts: Sequence[Customer], owners: Mapping[str, str]) -> Match:
    """Judge contacts that share number, name or e-mail with a customer.

    `owners` maps contact ids to the customer they are linked to.
    """
    candidates = [_judge(customer, contact, owners.get(contact.id, "")) for contact in contacts]
    ours = [one for one in candidates if one.contact.external_id == customer.id]
    if ours:
        return _own_number(next((one for one in ours if one.contact.active), ours[0]))
    alike = tuple(one for one in candidates if one.reasons and one.contact.active)
    if not alike:
        return Match("none")
    certain = [one for one in alike if "same name" in one.reasons and not one.against]
    if len(certain) == 1 and len(alike) == 1:
        return Match("found", certain[0].contact, alike, "same name, nothing against it")
    if len(certain) == 1 and "same e-mail" in certain[0].reasons:
        return Match("found", certain[0].contact, alike, "same name and same e-mail")
    return Match("ask", None, alike, _question(alike))


def _own_number(one: Candidate) -> Match:
    if not one.contact.active:
        return Match("ask", None, (one,), "the contact that carries this customer's number is archived")
    if ELSEWHERE in one.against:
        return Match("ask", None, (one,), f"the contact that carries this customer's number is {ELSEWHERE}")
    return Match("found", one.contact, (one,), "the contact carries this customer's number")


def _judge(customer: Customer, contact: Customer, owner: str) -> Candidate:
    reasons: list[str] = []
    against: list[str] = []
    same_name = name_key(contact.name) == name_key(customer.name)
    ours, theirs = email_key(customer.email), email_key(contact.email)
    if same_name:
        reasons.append("same name")
    if ours and ours == theirs:
        reasons.append("same e-mail")
        if not same_name:
            against.append("another name")
    elif ours and theirs:
        against.append("another e-mail")
    if owner and owner != customer.id:
        against.append(ELSEWHERE)
    return Candidate(contact, tuple(reasons), tuple(against), owner)


def _question(alike: tuple[Candidate, ...]) -> str:
    if len(alike) > 1:
        return f"{len(alike)} contacts look like this customer"
    one = alike[0]
    return f"the contact “{one.contact.name}” has the {' and the '.join(one.reasons)}, but {', '.join(one.against)}"
