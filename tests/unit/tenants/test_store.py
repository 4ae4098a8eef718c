"""Connections and integrations: state, secrets, budgets, reference data."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from closedwon.db.schema import secret
from closedwon.kernel.clock import SystemClock
from closedwon.tenants.secrets import Vault
from closedwon.tenants.store import LEASE_S, TenantStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.db.connect import Database
    from stores import SetClock


def at_once(number: int, action: Callable[[], Any]) -> list[Any]:
    """Do something on many threads at the same moment; return what each got."""
    ready, answers = threading.Barrier(number), []

    def run() -> None:
        ready.wait()
        answers.append(action())

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == number
    return answers


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["books", "integration:sales"])
def test_a_pause_is_seen_until_it_is_resumed(tenants: TenantStore, any_database: Database, name: str) -> None:
    """Of a connection as of an integration, with the error that caused it."""
    with any_database.begin() as tx:
        tenants.pause(tx, "acme", name, {"code": "auth_expired"})
    assert tenants.list_paused("acme") == {name: {"code": "auth_expired"}}
    assert tenants.list_paused("globex") == {}
    with any_database.begin() as tx:
        tenants.resume(tx, "acme", name)
    assert tenants.list_paused("acme") == {}


def test_an_integration_starts_once(tenants: TenantStore, clock: SetClock) -> None:
    """Whoever asks first sets the moment."""
    first = tenants.started_on("acme", "sales")
    clock.advance(86_400)
    assert tenants.started_on("acme", "sales") == first == "2026-11-22T12:00:00.000Z"


# --- secrets -------------------------------------------------------------------


def test_a_secret_is_sealed_in_the_store(tenants: TenantStore, any_database: Database) -> None:
    """What stands in the table cannot be read."""
    assert tenants.find_secret("acme", "books", "token") is None
    tenants.renew_secret("acme", "books", "token", None, lambda _current: "s3cr3t-token")
    with any_database.read() as tx:
        sealed = bytes(tx.execute(sa.select(secret.c.sealed)).scalar_one())
    assert b"s3cr3t" not in sealed
    assert tenants.find_secret("acme", "books", "token") == "s3cr3t-token"


def test_only_a_stale_secret_is_renewed(tenants: TenantStore) -> None:
    """Who holds an older one gets what is there, without a call."""
    tenants.renew_secret("acme", "books", "token", None, lambda _current: "one")
    got = tenants.renew_secret("acme", "books", "token", "zero", lambda _current: pytest.fail("not needed"))
    assert got == "one"
    assert tenants.renew_secret("acme", "books", "token", "one", lambda current: f"{current}+") == "one+"


def test_eight_threads_renew_once(any_database: Database) -> None:
    """One fetches, the others get what it fetched; the store is not held meanwhile."""
    shared = TenantStore(any_database, SystemClock(), Vault(b"k" * 32))
    fetched: list[str | None] = []

    def fetch(current: str | None) -> str:
        fetched.append(current)
        with any_database.begin() as tx:
            shared.mark_stale(tx, "acme", "books")  # another writer gets through
        return "token"

    assert at_once(8, lambda: shared.renew_secret("acme", "books", "token", None, fetch)) == ["token"] * 8
    assert fetched == [None]


def test_a_failed_renewal_gives_the_lease_back(tenants: TenantStore, clock: SetClock) -> None:
    """The next try need not wait."""

    def fail(_current: str | None) -> str:
        raise OSError("the sign-in server is down")

    with pytest.raises(OSError, match="down"):
        tenants.renew_secret("acme", "books", "token", None, fail)
    tenants.renew_secret("acme", "books", "token", None, lambda _current: "one")
    assert clock.slept_s == []


def test_the_lease_of_a_dead_process_ends(tenants: TenantStore, clock: SetClock) -> None:
    """A process that died while it renewed holds the others up for a while, not for ever."""
    assert tenants._take_lease("acme", "books") is not None
    tenants.renew_secret("acme", "books", "token", None, lambda _current: "one")
    assert LEASE_S <= sum(clock.slept_s) < LEASE_S + 1


def test_a_lease_that_ran_out_is_not_given_back_for_another(tenants: TenantStore, clock: SetClock) -> None:
    """Who comes back too late leaves the lease to the process that has it by now."""
    late = tenants._take_lease("acme", "books")
    clock.sleep(LEASE_S + 1)
    assert late is not None
    assert tenants._take_lease("acme", "books") is not None
    tenants._give_lease_back("acme", "books", late)
    assert tenants._take_lease("acme", "books") is None


# --- budget and reference data ---------------------------------------------


def test_no_change_of_a_budget_is_lost(tenants: TenantStore) -> None:
    """Threads that change it at once each see what the one before left, also when the row is new."""

    def count(budget: dict[str, Any]) -> tuple[dict[str, Any], int]:
        number = budget.get("calls", 0) + 1
        return {"calls": number}, number

    answers = at_once(8, lambda: tenants.change_budget("acme", "books", count))
    assert sorted(answers) == list(range(1, 9))


def test_a_failed_change_of_a_budget_changes_nothing(tenants: TenantStore) -> None:
    """It is one transaction."""
    tenants.change_budget("acme", "books", lambda _budget: ({"calls": 5}, None))

    def fail(_budget: dict[str, Any]) -> tuple[dict[str, Any], None]:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        tenants.change_budget("acme", "books", fail)
    assert tenants.change_budget("acme", "books", lambda budget: (budget, budget)) == {"calls": 5}


def test_reference_data_is_kept_until_somebody_says_it_is_stale(tenants: TenantStore, any_database: Database) -> None:
    """Then it is read anew, and fresh again."""
    assert tenants.find_reference("acme", "books") is None
    tenants.save_reference("acme", "books", {"accounts": 1})
    assert tenants.find_reference("acme", "books") == {"accounts": 1}
    with any_database.begin() as tx:
        tenants.mark_stale(tx, "acme", "books")
    assert tenants.find_reference("acme", "books") is None
    tenants.save_reference("acme", "books", {"accounts": 2})
    assert tenants.find_reference("acme", "books") == {"accounts": 2}


def test_marking_stale_before_anything_is_cached_does_no_harm(tenants: TenantStore, any_database: Database) -> None:
    """Nor does it pause the connection."""
    with any_database.begin() as tx:
        tenants.mark_stale(tx, "acme", "books")
    assert tenants.find_reference("acme", "books") is None
    assert tenants.list_paused("acme") == {}
