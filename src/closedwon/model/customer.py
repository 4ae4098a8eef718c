"""The customer: a company or a person that buys."""

from __future__ import annotations

from typing import Literal

import msgspec


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A postal address; every part may be empty."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


class Customer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who buys. `id` is the record's id in the system it was read from, `number` the number people know it by.

    `external_id` is the id of the other side's record where this record carries one (Xero's ContactNumber holds ours).
    """

    id: str
    kind: Literal["company", "person"]
    name: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    number: str = ""
    address: Address = Address()
    currency: str = ""
    active: bool = True
    external_id: str = ""
    version: str = ""
