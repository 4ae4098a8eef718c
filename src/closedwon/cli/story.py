"""Tells a record's story as a timeline, with what identifies persons masked. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

MASK = "***"
SHORTEST_NAME = 3  # shorter ones would be found in half of all texts
EMAIL = re.compile(r"([A-Za-z0-9])[A-Za-z0-9._%+'-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
PHONE = re.compile(r"(?<![\w.:/-])(?:\+\d|\(0\d|0\d{1,3} )[\d ()-]{5,}\d(?!\w)")  # dates and ids look otherwise

# Compared in lower case without "_" and "-": what names a person or says where they live or how to reach them.
PERSONAL_NAMES = frozenset(
    {
        "addresses",
        "addressline1",
        "addressline2",
        "city",
        "contactpersons",
        "customer",
        "email",
        "emailaddress",
        "emailaddress1",
        "firstname",
        "fullname",
        "lastname",
        "mobile",
        "mobilephone",
        "phone",
        "phonenumber",
        "phones",
        "postalcode",
        "street",
        "telephone",
        "telephone1",
        "yominame",
    }
)
# Objects that are a customer: their names are a person's as often as a company's.
CUSTOMER_KEYS = frozenset({"contact", "contacts", "candidates", "customer", "newcontact"})
CUSTOMER_OPERATIONS = ("contact", "customer")


class Moment(NamedTuple):
    """One line of the timeline: when, what kind of thing, and what happened."""

    at: str
    kind: str
    state: str
    text: str


def mask(value: Any) -> Any:
    """Return the same value without e-mail addresses, telephone numbers, postal addresses and names of persons.

    A customer's name is masked in every text in which it occurs, such as the name of a deal.
    """
    masked = _mask(value, of_customer=False)
    for name in sorted(_list_names(value, of_customer=False), key=len, reverse=True):
        masked = _replace(masked, name)
    return masked


def _list_names(value: Any, *, of_customer: bool) -> set[str]:
    """List the names of customers that stand in a value."""
    found: set[str] = set()
    if isinstance(value, dict):
        inside = of_customer or _is_about_customer(value)
        for key, item in value.items():
            plain = _plain(str(key))
            if isinstance(item, str) and (plain in CUSTOMER_KEYS or (inside and plain == "name")):
                found |= {item} if len(item) >= SHORTEST_NAME else set()
            else:
                found |= _list_names(item, of_customer=plain in CUSTOMER_KEYS or (inside and plain == "payload"))
    elif isinstance(value, (list, tuple)):
        for item in value:
            found |= _list_names(item, of_customer=of_customer)
    return found


def _replace(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, name) for item in value]
    return value.replace(name, name[0] + MASK) if isinstance(value, str) else value


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _mask(value: Any, *, of_customer: bool) -> Any:
    if isinstance(value, dict):
        inside = of_customer or _is_about_customer(value)
        return {key: _mask_item(str(key), item, of_customer=inside) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mask(item, of_customer=of_customer) for item in value]
    return mask_text(value) if isinstance(value, str) else value


def _mask_item(key: str, item: Any, *, of_customer: bool) -> Any:
    plain = _plain(key)
    if plain in PERSONAL_NAMES or (of_customer and plain == "name"):
        return _blank(item)
    if plain == "payload" and of_customer:
        return _mask(item, of_customer=True)
    return _mask(item, of_customer=plain in CUSTOMER_KEYS)


def _is_about_customer(value: dict[str, Any]) -> bool:
    operation = str(value.get("operation", ""))
    return any(word in operation for word in CUSTOMER_OPERATIONS)


def _blank(value: Any) -> Any:
    """Keep the shape and the first letters, so that two customers can still be told apart."""
    if isinstance(value, dict):
        return {key: _blank(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_blank(item) for item in value]
    if isinstance(value, str) and value:
        return value[0] + MASK
    return value if value is None or value == "" or isinstance(value, bool) else MASK


def mask_text(text: str) -> str:
    """Return a text without e-mail addresses and telephone numbers."""
    return PHONE.sub(MASK, EMAIL.sub(rf"\1{MASK}", text))


def tell(story: dict[str, Any]) -> list[Moment]:
    """Put a story's events, runs, steps, intents, links and review items in the order in which they happened."""
    lanes = {row["id"]: row["lane"] for row in story["runs"]}
    moments = [_tell_event(row) for row in story["events"]]
    for row in story["runs"]:
        moments += _tell_run(row)
    moments += [_tell_step(row, lanes) for row in story["steps"]]
    for row in story["intents"]:
        moments += _tell_intent(row)
    moments += [_tell_link(row) for row in story["links"]]
    for row in story["review"]:
        moments += _tell_item(row)
    return sorted(moments, key=lambda one: one.at)


def _tell_event(row: dict[str, Any]) -> Moment:
    text = f"{row['record_type']} {row['record_id']} {row['name']} (by {row['source']} of {row['connection']})"
    return Moment(row["received_at"], "event", "", text)


def _tell_run(row: dict[str, Any]) -> list[Moment]:
    told = [Moment(row["created_at"], "run", "", f"{row['lane']}: queued")]
    reason = row["reason"] or (row["error"] or {}).get("text", "")
    text = ", ".join(part for part in (row["outcome"], reason) if part) or "no outcome yet"
    if row["decision"]:
        text += f"; decided: {_words(row['decision'])}"
    if row["not_before"]:
        text += f"; again at {row['not_before']}"
    at = row["finished_at"] or row["started_at"] or row["created_at"]
    return [*told, Moment(at, "run", row["state"], f"{row['lane']}: {text}")]


def _tell_step(row: dict[str, Any], lanes: dict[str, str]) -> Moment:
    flow = lanes.get(row["run_id"], "").rpartition("/")[2]
    return Moment(row["started_at"], "step", row["outcome"], f"{flow}.{row['step']} ({row['took_ms']} ms)")


def _tell_intent(row: dict[str, Any]) -> list[Moment]:
    what = f"{row['operation']} on {row['connection']}"
    told = [Moment(row["created_at"], "intent", "", f"{what}: about to write")]
    if row["settled_at"]:
        text = (row["error"] or {}).get("text") or row["remote_id"] or "did not happen"
        told.append(Moment(row["settled_at"], "receipt", row["state"], f"{what}: {text}"))
    return told


def _tell_link(row: dict[str, Any]) -> Moment:
    number = f" ({row['books_number']})" if row["books_number"] else ""
    text = f"{row['record_type']}: CRM {row['crm_id']} is {row['books_id']}{number} in the books"
    return Moment(row["linked_at"], "link", "", text)


def _tell_item(row: dict[str, Any]) -> list[Moment]:
    told = [Moment(row["opened_at"], "review", "open", f"item {row['number']}: {row['text']}")]
    if row["closed_at"]:
        told.append(Moment(row["closed_at"], "review", row["state"], f"item {row['number']}"))
    return told


def _words(decision: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in decision.items())
