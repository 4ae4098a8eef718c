"""One Xero organisation in memory: its tables, version stamps, document numbers and the events it has to announce."""

from __future__ import annotations

import unicodedata
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from closedwon_sandbox.xero.books.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from decimal import Decimal

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.xero.books.shapes import Record

ZERO_GUID: Final = "00000000-0000-0000-0000-000000000000"
_ONE_MS: Final = timedelta(milliseconds=1)
_ZONES: Final = {"NEWZEALANDSTANDARDTIME": ZoneInfo("Pacific/Auckland")}


def fold(text: str) -> str:
    """Bring a text to the form in which Xero compares names: without case and accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


class Table:
    """Records by id, kept in the order of their last change, with lookup indexes that stay true.

    An index maps a folded text to the ids that hold it; its name is the path a filter would use.
    """

    def __init__(self, key: str, indexes: Mapping[str, Callable[[Record], str | None]]) -> None:
        self.key = key
        self._rows: dict[str, Record] = {}
        self._extract = dict(indexes)
        self._index: dict[str, dict[str, dict[str, None]]] = {name: defaultdict(dict) for name in indexes}
        self._held: dict[str, list[str | None]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._rows.values())

    def newest_first(self) -> Iterator[Record]:
        """Walk the records from the last change back."""
        return reversed(self._rows.values())

    def get(self, record_id: str) -> Record:
        """Return the record of that id. *Raises* MissingError."""
        record = self._rows.get(record_id)
        if record is None:
            raise MissingError(record_id)
        return record

    def find(self, record_id: str | None) -> Record | None:
        """Return the record of that id, None when there is none."""
        return self._rows.get(record_id) if record_id else None

    def indexed(self, name: str) -> bool:
        """Say whether there is an index of that name."""
        return name in self._index

    def having(self, name: str, text: str) -> list[Record]:
        """List the records whose index `name` holds `text`, in the order of their last change to it."""
        return [self._rows[record_id] for record_id in self._index[name].get(fold(text), ())]

    def save(self, record: Record) -> None:
        """Keep a new or changed record, as the last one changed."""
        record_id = record[self.key]
        self._rows.pop(record_id, None)
        self._rows[record_id] = record
        self._reindex(record_id, record)

    def _reindex(self, record_id: str, record: Record) -> None:
        wanted = [fold(text) if (text := take(record)) else None for take in self._extract.values()]
        held = self._held.get(record_id)
        if held == wanted:
            return
        for position, entries in enumerate(self._index.values()):
            if held and (old := held[position]) is not None:
                entries[old].pop(record_id, None)
            if (new := wanted[position]) is not None:
                entries[new][record_id] = None
        self._held[record_id] = wanted

    def remove(self, record_id: str) -> None:
        """Forget a record."""
        del self._rows[record_id]
        for text, entries in zip(self._held.pop(record_id), self._index.values(), strict=True):
            if text is not None:
                entries[text].pop(record_id, None)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that subscribers of webhooks will hear about."""

    organisation_id: str
    category: str
    kind: str
    record_id: str
    moment: datetime
    data: Mapping[str, str] | None = None


def _field(*path: str) -> Callable[[Record], str | None]:
    def take(record: Record) -> str | None:
        value = record
        for name in path:
            value = value.get(name) or {}
        return value or None  # type: ignore[return-value]

    return take


def _contact_id(record: Record) -> str | None:
    contact: Record = record["Contact"]
    return contact["ContactID"]  # type: ignore[no-any-return]


def _target_id(name: str) -> Callable[[Record], str | None]:
    return _field(name, f"{name}ID")


class Books:
    """Everything one organisation holds. Records refer to each other directly, so a rename shows everywhere."""

    def __init__(self, profile: Record, clock: Clock) -> None:
        self.clock = clock
        self.profile = profile
        self.contacts = Table("ContactID", {name: _field(name) for name in ("Name", "ContactNumber", "EmailAddress")})
        self.invoices = Table(
            "InvoiceID",
            {
                "InvoiceNumber": _field("InvoiceNumber"),
                "Reference": _field("Reference"),
                "Contact.ContactID": _contact_id,
            },
        )
        self.credit_notes = Table(
            "CreditNoteID",
            {"CreditNoteNumber": _field("CreditNoteNumber"), "Contact.ContactID": _contact_id},
        )
        self.payments = Table("PaymentID", {"Invoice.InvoiceID": _target_id("Invoice")})
        self.accounts = Table("AccountID", {"Code": _field("Code"), "Name": _field("Name")})
        self.items = Table("ItemID", {"Code": _field("Code")})
        self.tax_rates = Table("TaxType", {"Name": _field("Name")})
        self.tracking = Table("TrackingCategoryID", {"Name": _field("Name")})
        self.currencies = Table("Code", {})
        self.themes = Table("BrandingThemeID", {})
        self.history: dict[str, list[Record]] = defaultdict(list)
        self.exchange_rates: dict[str, Decimal] = {}
        self.changes: list[Change] = []
        self._last_stamp = datetime(1970, 1, 1, tzinfo=UTC)
        self._numbers: dict[str, int] = defaultdict(int)

    @property
    def organisation_id(self) -> str:
        """The tenant id that callers send."""
        return str(self.profile["OrganisationID"])

    @property
    def base_currency(self) -> str:
        """The currency the ledger is kept in."""
        return str(self.profile["BaseCurrency"])

    def new_id(self) -> str:
        """Make an id for a new record."""
        return str(uuid.uuid4())

    def today(self) -> date:
        """Return the calendar date in the organisation's own time zone."""
        return self.clock.now().astimezone(_ZONES[self.profile["Timezone"]]).date()

    def stamp(self) -> datetime:
        """Return a change time that is later than every one before, to the millisecond."""
        now = self.clock.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last_stamp = max(now, self._last_stamp + _ONE_MS)
        return self._last_stamp

    def save(self, table: Table, record: Record) -> None:
        """Keep a record as changed just now."""
        record["UpdatedDateUTC"] = self.stamp()
        table.save(record)

    def next_number(self, prefix: str, taken: Callable[[str], bool]) -> str:
        """Take the next free document number, such as INV-0001."""
        while True:
            self._numbers[prefix] += 1
            number = f"{prefix}{self._numbers[prefix]:04d}"
            if not taken(number):
                return number

    def announce(self, category: str, kind: str, record: Record, data: Mapping[str, str] | None = None) -> None:
        """Note a change for the webhooks; they go out when the call has been answered."""
        key = {"CONTACT": "ContactID", "INVOICE": "InvoiceID", "CREDITNOTE": "CreditNoteID"}[category]
        self.changes.append(
            Change(self.organisation_id, category, kind, record[key], record["UpdatedDateUTC"], data),
        )

    def take_changes(self) -> list[Change]:
        """Hand over the changes noted since the last call."""
        taken, self.changes = self.changes, []
        return taken

    def note(self, record_id: str, change: str, details: str, user: str = "System Generated") -> None:
        """Add an entry to a record's history."""
        self.history[record_id].append(
            {"Changes": change, "DateUTC": self.clock.now(), "User": user, "Details": details},
        )


def first(records: Iterable[Record]) -> Record | None:
    """Return the first record, None when there is none."""
    return next(iter(records), None)
