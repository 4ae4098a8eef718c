"""Plays the people around the product: a salesperson who wins deals in the CRM, a customer who pays in the books."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

JSON = msgspec.json.Encoder(decimal_format="number")
CENT = Decimal("0.01")


@dataclass
class People:
    """A salesperson and a paying customer, acting through the vendors' own APIs with the tools' token."""

    info: dict[str, Any]

    def __post_init__(self) -> None:
        crm, books = self.info["dynamics"], self.info["xero"]
        self.crm = httpx2.Client(
            base_url=f"{crm['url']}/api/data/v9.2/",
            headers={"Authorization": f"Bearer {crm['token']}", "Content-Type": "application/json"},
            timeout=120,
            trust_env=False,
        )
        self.books = httpx2.Client(
            base_url=f"{books['api_url']}/api.xro/2.0/",
            headers={
                "Authorization": f"Bearer {books['token']}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "Xero-Tenant-Id": books["organisations"][0]["id"],
            },
            timeout=120,
            trust_env=False,
        )
        self._catalogue: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.crm.close()
        self.books.close()

    def win(self, deal_id: str) -> None:
        """Close a deal as won."""
        close = {"subject": "Won", "opportunityid@odata.bind": f"/opportunities({deal_id})"}
        answer = self.crm.post("WinOpportunity", json={"Status": 3, "OpportunityClose": close})
        assert answer.status_code == 204, answer.text

    def sell(self, count: int, seed: int = 7, *, won: bool = True, customers: int = 40) -> list[str]:
        """Create deals that can be invoiced, in two `$batch` calls per 250, and win them; return their ids."""
        rng = random.Random(seed)
        ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]
        for start in range(0, count, 250):
            some = ids[start : start + 250]
            self._batch([("POST", "opportunities", self._deal(one, rng, customers)) for one in some])
            if won:
                self._batch(
                    [
                        (
                            "POST",
                            "WinOpportunity",
                            {
                                "Status": 3,
                                "OpportunityClose": {
                                    "subject": "Won",
                                    "opportunityid@odata.bind": f"/opportunities({one})",
                                },
                            },
                        )
                        for one in some
                    ]
                )
        return ids

    def deal(self, **changes: Any) -> str:
        """Create one deal with the given columns changed (None leaves a column out) and return its id."""
        deal_id = str(uuid.uuid4())
        body = self._deal(deal_id, random.Random(deal_id), 40) | changes
        answer = self.crm.post("opportunities", content=JSON.encode({k: v for k, v in body.items() if v is not None}))
        assert answer.status_code == 204, answer.text
        return deal_id

    def pay(self, invoices: Sequence[tuple[str, Decimal]]) -> None:
        """Pay invoices (id, amount) into the bank account, fifty a call."""
        for start in range(0, len(invoices), 50):
            payments = [
                {"Invoice": {"InvoiceID": one}, "Account": {"Code": "090"}, "Date": "2026-11-22", "Amount": amount}
                for one, amount in invoices[start : start + 50]
            ]
            answer = self.books.put("Payments", content=JSON.encode({"Payments": payments}))
            assert answer.status_code == 200, answer.text

    def _deal(self, deal_id: str, rng: random.Random, customers: int) -> dict[str, Any]:
        look = self._look()
        customer = rng.choice(look["accounts"][:customers])
        lines = [self._line(rng.choice(look["products"]), rng, look) for _ in range(rng.randint(1, 4))]
        return {
            "opportunityid": deal_id,
            "name": f"Deal {deal_id[:8]}",
            "customerid_account@odata.bind": f"/accounts({customer})",
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({look['currency']})",
            "pricelevelid@odata.bind": f"/pricelevels({look['pricelevel']})",
            "isrevenuesystemcalculated": True,
            "product_opportunities": lines,
        }

    def _line(self, product: dict[str, Any], rng: random.Random, look: dict[str, Any]) -> dict[str, Any]:
        quantity, price = Decimal(rng.randint(1, 12)), Decimal(rng.randint(100, 250_000)) / 100
        discount = (price * quantity * Decimal(rng.choice([0, 0, 5, 10])) / 100).quantize(CENT, ROUND_HALF_UP)
        tax = ((price * quantity - discount) * Decimal("0.15")).quantize(CENT, ROUND_HALF_UP)
        return {
            "productid@odata.bind": f"/products({product['productid']})",
            "uomid@odata.bind": f"/uoms({look['uom']})",
            "quantity": quantity,
            "ispriceoverridden": True,
            "priceperunit": price,
            "manualdiscountamount": discount,
            "tax": tax,
        }

    def _look(self) -> dict[str, Any]:
        if not self._catalogue:
            currency = self._rows("transactioncurrencies?$filter=isocurrencycode eq 'NZD'")[0]["transactioncurrencyid"]
            lists = self._rows(f"pricelevels?$filter=_transactioncurrencyid_value eq {currency}")
            # individuals and other currencies are for the demo; here it is volume that counts
            accounts = self._rows(
                f"accounts?$select=accountid,name&$filter=_transactioncurrencyid_value eq {currency}&$orderby=accountid"
            )
            names = [row["name"].casefold() for row in accounts]
            products = self._rows(
                "products?$select=productid,productnumber,_defaultuomid_value&$filter=productstructure eq 1"
            )
            self._catalogue = {
                "currency": currency,
                "pricelevel": lists[0]["pricelevelid"],
                "accounts": [row["accountid"] for row in accounts if _unlike(row["name"].casefold(), names)],
                "products": [row for row in products if not row["productnumber"].startswith("TRN-")],
                "uom": products[0]["_defaultuomid_value"],
            }
        return self._catalogue

    def _rows(self, query: str) -> list[dict[str, Any]]:
        answer = self.crm.get(query)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["value"]
        return rows

    def _batch(self, parts: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        boundary = "batch_people"
        text = "".join(
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            f"{method} /api/data/v9.2/{path} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"
            f"{JSON.encode(body).decode()}\r\n"
            for method, path, body in parts
        )
        answer = self.crm.post(
            "$batch",
            content=f"{text}--{boundary}--\r\n".encode(),
            headers={"Content-Type": f'multipart/mixed; boundary="{boundary}"'},
        )
        assert answer.status_code == 200, answer.text
        assert answer.text.count("HTTP/1.1 204") == len(parts), answer.text[:2000]


def _unlike(name: str, names: Sequence[str]) -> bool:
    """Leave out twins and near-twins, which a person has to decide about."""
    return sum(1 for other in names if other[:12] == name[:12]) == 1
