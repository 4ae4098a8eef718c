"""Brings names and addresses to a form in which equal things are equal. Never shown to people, never sent."""

from __future__ import annotations

import unicodedata


def name_key(name: str) -> str:
    """Fold case, width, accents' encoding and blanks; two names with one key are the same name in Xero's eyes."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def email_key(email: str) -> str:
    """Fold an e-mail address; "" for what is none."""
    folded = unicodedata.normalize("NFKC", email).strip().casefold()
    return folded if folded.count("@") == 1 and not any(sign.isspace() for sign in folded) else ""
