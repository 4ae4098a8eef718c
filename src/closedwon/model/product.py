"""The product: what is sold, as the CRM's catalogue and the books' item list know it."""

from __future__ import annotations

import msgspec


class Product(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A catalogue entry. `code` is the key both sides share; `category` the name of its family in the CRM.

    `account_code` and `tax_type` are what the books' item says about sales of it; empty where it says nothing.
    """

    id: str
    code: str
    name: str
    category: str = ""
    account_code: str = ""
    tax_type: str = ""
    sold: bool = True
