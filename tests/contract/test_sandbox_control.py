"""The control plane with both real simulators behind it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from sandbox_process import Simulators, simulators_on_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

ORGANISATION = "/api.xro/2.0/Organisation"
INVOICES = "/api.xro/2.0/Invoices"


@pytest.fixture
def simulators() -> Iterator[Simulators]:
    """Run both simulators on a thread."""
    with simulators_on_a_thread() as simulators:
        yield simulators


def xero_headers(simulators: Simulators) -> dict[str, str]:
    """Sign in to Xero as the app."""
    answer = httpx2.post(
        f"{simulators.xero_url}/connect/token",
        auth=(simulators.xero.client_id, simulators.xero.client_secret),
        data={"grant_type": "client_credentials", "scope": "accounting.settings accounting.invoices"},
        trust_env=False,
    )
    return {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept": "application/json"}


def sign_in_to_dynamics(simulators: Simulators, secret: str) -> httpx2.Response:
    """Ask Entra ID for a token."""
    settings = simulators.dynamics
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": secret,
        "scope": f"{simulators.dynamics_url}/.default",
    }
    url = f"{simulators.dynamics_url}/{settings.directory}/oauth2/v2.0/token"
    return httpx2.post(url, data=form, trust_env=False)


def get(simulators: Simulators, headers: dict[str, str], path: str = ORGANISATION) -> httpx2.Response:
    """Get something from Xero."""
    return httpx2.get(f"{simulators.xero_url}{path}", headers=headers, trust_env=False)


def test_callers_are_told_apart(simulators: Simulators) -> None:
    """Signing in counts as the app's call, the tools' token as tools, anything else as anonymous."""
    get(simulators, xero_headers(simulators))
    get(simulators, {"Authorization": f"Bearer {simulators.xero.token}"})
    get(simulators, {"Authorization": "Bearer wrong"})
    stats = simulators.stats()["xero"]
    assert stats["app"]["endpoints"] == {"GET Organisation": 1, "POST token": 1}
    assert stats["tools"]["total"] == 1
    assert stats["anonymous"]["total"] == 1


def test_signing_in_to_dynamics_is_counted(simulators: Simulators) -> None:
    """The right secret is the app's call, a wrong one anonymous."""
    assert sign_in_to_dynamics(simulators, simulators.dynamics.client_secret).status_code == 200
    assert sign_in_to_dynamics(simulators, "wrong").status_code == 401
    stats = simulators.stats()["dynamics"]
    assert stats["app"]["endpoints"] == {"POST token": 1}
    assert stats["anonymous"]["endpoints"] == {"POST token": 1}


def test_a_limit_set_at_run_time_is_kept_and_ends_with_its_window(simulators: Simulators) -> None:
    """With two calls a minute the third is refused, until the clock has moved on."""
    headers = xero_headers(simulators)
    simulators.limits("xero", minute=2)
    assert [get(simulators, headers).status_code for _ in range(3)] == [200, 200, 429]
    assert simulators.stats()["xero"]["app"]["throttled"] == 1
    simulators.clock(61)
    assert get(simulators, headers).status_code == 200


def test_tokens_expire_on_the_sandboxs_clock(simulators: Simulators) -> None:
    """Half an hour ahead the app must sign in again; the tools' token goes on."""
    headers = xero_headers(simulators)
    simulators.clock(1_801)
    assert get(simulators, headers).status_code == 401
    assert get(simulators, {"Authorization": f"Bearer {simulators.xero.token}"}).status_code == 200


def test_more_calls_at_once_than_xero_allows_are_refused(simulators: Simulators) -> None:
    """With a latency the calls overlap, and the sixth meets the limit of five."""
    headers = xero_headers(simulators)
    simulators.limits("xero", latency_ms=500)
    answers: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(get(simulators, headers))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429]
    (refused,) = [answer for answer in answers if answer.status_code == 429]
    assert refused.headers["x-rate-limit-problem"] == "concurrent"


def test_what_was_cut_after_the_commit_is_in_the_books(simulators: Simulators) -> None:
    """The client never hears of the invoice, and there it is."""
    headers = xero_headers(simulators)
    contact = get(simulators, {**headers, "Authorization": f"Bearer {simulators.xero.token}"}, "/api.xro/2.0/Contacts")
    invoice = {
        "Type": "ACCREC",
        "Contact": {"ContactID": contact.json()["Contacts"][0]["ContactID"]},
        "Reference": "never heard of",
        "LineItems": [{"Description": "Scanner", "Quantity": 1, "UnitAmount": 100, "AccountCode": "200"}],
    }
    simulators.fault("xero", "cut_after", match="PUT Invoices")
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.put(f"{simulators.xero_url}{INVOICES}", json={"Invoices": [invoice]}, headers=headers, trust_env=False)
    (organisation,) = simulators.state("xero")["organisations"]
    assert [entry["Reference"] for entry in invoices(organisation)] == ["never heard of"]
    assert simulators.faults()[0]["hits"] == 1


def invoices(organisation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the invoices of an organisation's state."""
    return list(organisation["invoices"])


def test_both_simulators_answer_on_each_others_control_plane(simulators: Simulators) -> None:
    """State and limits of both come from either port."""
    for url in (simulators.dynamics_url, simulators.xero_url):
        state = httpx2.get(f"{url}/_sandbox/state", trust_env=False).json()
        assert state.keys() == {"dynamics", "xero"}
        assert len(state["dynamics"]["opportunities"]) == 60


def test_a_call_is_quick(simulators: Simulators) -> None:
    """A hundred calls over one connection take well under a second: no packet waits for another."""
    with httpx2.Client(headers={"Authorization": f"Bearer {simulators.dynamics.token}"}, trust_env=False) as client:
        client.get(f"{simulators.dynamics_url}/api/data/v9.2/WhoAmI")
        started = time.monotonic()
        for _ in range(100):
            client.get(f"{simulators.dynamics_url}/api/data/v9.2/WhoAmI")
    assert time.monotonic() - started < 2
