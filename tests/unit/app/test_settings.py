"""`closedwon.yaml`: a good file becomes typed values; everything wrong in a bad one is said at once, with its line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from closedwon.app.settings import Settings, load_settings
from closedwon.flows.invoicing import WonSettings
from closedwon.kernel.errors import Misconfigured
from settings_text import BOOKS_KEY, CRM_SECRET, GOOD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[[str], Settings]
    Complaints = Callable[[str], list[tuple[int, str, str]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return what loads a configuration from its text."""

    def load(text: str) -> Settings:
        path = tmp_path / "closedwon.yaml"
        path.write_text(text, "utf-8")
        return load_settings(path)

    return load


@pytest.fixture
def complaints(load: Load) -> Complaints:
    """Return what loads a bad configuration and gives its problems: line, place, text."""

    def complaints(text: str) -> list[tuple[int, str, str]]:
        with pytest.raises(Misconfigured) as caught:
            load(text)
        problems = caught.value.details["problems"]
        assert all(f"line {one['line']}: {one['place']}" in caught.value.text for one in problems if one["line"])
        return [(one["line"], one["place"], one["text"]) for one in problems]

    return complaints


def line_of(text: str, words: str) -> int:
    """Return the number of the only line with these words."""
    (found,) = [number for number, one in enumerate(text.splitlines(), 1) if words in one]
    return found


def test_a_good_file_is_read(load: Load) -> None:
    """Connections with their connectors and secrets, integrations with their flows."""
    settings = load(GOOD)
    crm, books = settings.connections["acme", "crm"], settings.connections["acme", "books"]
    assert (crm.connector.name, crm.webhook_secret) == ("dynamics", CRM_SECRET)
    assert (books.connector.name, books.webhook_secret) == ("xero", BOOKS_KEY)
    sales = settings.integrations["acme", "sales"]
    assert (sales.crm, sales.books, sales.feed_every_s) == ("crm", "books", 30)
    assert sales.flows["opportunity_won"] == WonSettings(account_code="200")
    assert settings.tenants == ["acme"]


def test_secrets_are_not_shown(load: Load) -> None:
    """Not even when somebody prints the settings."""
    shown = repr(load(GOOD))
    assert CRM_SECRET not in shown
    assert BOOKS_KEY not in shown
    assert "s3cr3t" not in shown


def test_a_relative_store_is_relative_to_the_file(load: Load, tmp_path: Path) -> None:
    """Wherever the program is started."""
    assert load(GOOD).store == f"sqlite:///{tmp_path / 'data' / 'closedwon.db'}"


def test_an_absolute_store_and_postgresql_stay_as_they_are(load: Load) -> None:
    """Only relative paths are completed."""
    for store in ("sqlite:////var/lib/closedwon.db", "postgresql://me@db.example:5433/closedwon"):
        assert load(GOOD.replace("sqlite:///data/closedwon.db", store)).store == store


def test_without_a_store_there_is_a_file_beside_the_configuration(load: Load, tmp_path: Path) -> None:
    """The default."""
    assert load(GOOD.partition("\n")[2]).store == f"sqlite:///{tmp_path / 'closedwon.db'}"


def test_webhook_addresses_follow_from_the_public_one(load: Load) -> None:
    """Connector and connection; none where nobody can reach us."""
    settings = load(GOOD)
    crm = settings.connections["acme", "crm"]
    assert settings.hook_url(crm) == "https://hooks.example.com/hooks/dynamics/acme.crm"
    assert load(GOOD.replace("public_url: https://hooks.example.com/", "")).hook_url(crm) == ""


def test_a_flow_takes_all_its_settings(load: Load) -> None:
    """Decimals, dates and rules by category."""
    text = GOOD.replace(
        '            account_code: "200"\n',
        '            {account_code: "200", since: 2026-01-31, rounding_tolerance: "0.02", '
        "categories: {Services: {tax_type: NONE}}}\n",
    )
    won = load(text).integrations["acme", "sales"].flows["opportunity_won"]
    assert (won.since, won.rounding_tolerance) == (date(2026, 1, 31), Decimal("0.02"))
    assert won.categories["Services"].tax_type == "NONE"


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("store: sqlite:///data/closedwon.db", "store: mysql://localhost/x", "store", "neither sqlite"),
        ("store: sqlite:///data/closedwon.db", "store: 5", "store", "must be a text"),
        ("store: sqlite:///data/closedwon.db", "store: postgresql://h:port/x", "store", "not an address"),
        ("store: sqlite:///data/closedwon.db", "ca_file: none.pem", "ca_file", "there is no file"),
        ("public_url: https://hooks.example.com/", "public_uri: x", "public_uri", "is not a setting"),
        ("    connections:", "    connection: {}\n    connections:", "tenants.acme.connection", "is not a setting"),
        ("connector: xero", "connector: zero", "tenants.acme.connections.books.connector", "dynamics, xero"),
        ("        connector: xero\n", "", "tenants.acme.connections.books.connector", "must be one of"),
        ("webhook_key:", "webhook_kee:", "tenants.acme.connections.books.webhook_kee", "is not a setting"),
        ("kind: custom_connection", "kind: magic", "tenants.acme.connections.books.auth", "magic"),
        ("          directory: acme.example\n", "", "tenants.acme.connections.crm.auth", "directory"),
        ("url: https://acme.crm.dynamics.com", "url: acme", "tenants.acme.connections.crm", "must be an address"),
        ("        crm: crm\n", "        crm: other\n", "tenants.acme.integrations.sales.crm", "no connection other"),
        ("        crm: crm\n", "        crm: books\n", "tenants.acme.integrations.sales.crm", "not a crm"),
        ("        crm: crm\n", "", "tenants.acme.integrations.sales.crm", "is required"),
        ("feed_every_s: 30", "feed_every_s: 31", "tenants.acme.integrations.sales.feed_every_s", "must be one of"),
        ("feed_every_s: 30", "feed_every_s: soon", "tenants.acme.integrations.sales.feed_every_s", "int"),
        ("invoice_status:", "invoice_stat:", "tenants.acme.integrations.sales.flows.invoice_stat", "is not a flow"),
        ("invoice_status:", "invoice_status: 5", "tenants.acme.integrations.sales.flows.invoice_status", "must be"),
        (
            'account_code: "200"',
            "timezone: Mars/Olympus",
            "tenants.acme.integrations.sales.flows.opportunity_won.timezone",
            "no time zone Mars/Olympus",
        ),
        (
            'account_code: "200"',
            "invoice_status: final",
            "tenants.acme.integrations.sales.flows.opportunity_won.invoice_status",
            "final",
        ),
        ("      sales:", "      eu/sales:", "tenants.acme.integrations.eu/sales", "is not a name"),
        ("  acme:", "  acme.nz:", "tenants.acme.nz", "is not a name"),
    ],
)
def test_each_problem_has_its_place(complaints: Complaints, old: str, new: str, place: str, said: str) -> None:
    """What is wrong, where, and on which line of the file."""
    text = GOOD.replace(old, new)
    assert text != GOOD
    found = complaints(text)
    assert any(where.startswith(place) and said in words and line > 0 for line, where, words in found), found


def test_all_problems_are_said_at_once_in_order(complaints: Complaints) -> None:
    """Not one a start."""
    text = (
        GOOD.replace("store: sqlite:///data/closedwon.db", "store: mysql://x")
        .replace("webhook_key:", "webhook_kee:")
        .replace("feed_every_s: 30", "feed_every_s: 31")
        .replace("invoice_status:", "invoice_stat:")
    )
    lines = [line for line, _, _ in complaints(text)]
    assert lines == [1, *(line_of(text, words) for words in ("webhook_kee", "feed_every_s", "invoice_stat"))]


def test_a_password_in_a_bad_address_is_not_repeated(load: Load) -> None:
    """`postgres://` is a common slip."""
    with pytest.raises(Misconfigured) as caught:
        load(GOOD.replace("sqlite:///data/closedwon.db", "postgres://me:s3cr3t-pw@db/closedwon"))
    assert "s3cr3t-pw" not in str(caught.value.as_dict())


@pytest.mark.parametrize("text", ["", "[]", "tenants:", "tenants: 5", "tenants: {acme: }", "tenants: {acme: [1]}"])
def test_files_of_another_shape_are_refused_in_words(load: Load, text: str) -> None:
    """Never with a traceback."""
    with pytest.raises(Misconfigured, match="problem"):
        load(text)
