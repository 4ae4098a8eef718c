"""What a user may set for a Dynamics connection, and what the vendor has set for all of us (`manifest.yaml`)."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from closedwon.connectors.limits import Limits as CallLimits

Column = Annotated[str, msgspec.Meta(pattern="^([a-z][a-z0-9_]*)?$")]
DocumentKind = Literal["invoice", "order", "opportunity"]


class ClientCredentials(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="client_credentials"
):
    """Sign in as an application user: the app registration's directory (tenant id or domain), id and secret."""

    directory: str
    client_id: str
    client_secret: str
    authority_url: str = "https://login.microsoftonline.com"

    def __repr__(self) -> str:
        return f"ClientCredentials(directory={self.directory!r}, client_id={self.client_id!r}, client_secret=…)"


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The custom columns that show the invoice on the CRM record; an empty name leaves that fact out."""

    books_id: Column = "new_xeroinvoiceid"
    books_number: Column = "new_xeroinvoicenumber"
    books_status: Column = "new_xerostatus"
    books_link: Column = "new_xerolink"
    amount_paid: Column = "new_xeroamountpaid"
    amount_due: Column = "new_xeroamountdue"
    paid_on: Column = "new_xeropaidon"

    def names(self) -> list[str]:
        """Return the columns in use."""
        return [name for name in msgspec.structs.astuple(self) if name]


class DynamicsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Dataverse environment: its address, how to sign in, and which record shows the invoice.

    `url` is the environment's address such as https://acme.crm.dynamics.com; `webhook_secret` is what the environment
    sends with each webhook, and none is accepted while it is empty.
    """

    url: str
    auth: ClientCredentials
    api_version: Annotated[str, msgspec.Meta(pattern=r"^v\d+\.\d+$")] = "v9.2"
    webhook_secret: str = ""
    write_back: DocumentKind = "invoice"
    columns: Columns = Columns()

    def __post_init__(self) -> None:
        for name, address in (("url", self.url), ("auth.authority_url", self.auth.authority_url)):
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https"} or not parts.netloc:
                raise ValueError(f"{name} must be an address such as https://acme.crm.dynamics.com, not {address!r}")

    def __repr__(self) -> str:
        return f"DynamicsSettings(url={self.url!r}, auth={self.auth!r}, write_back={self.write_back!r}, …)"

    def call_limits(self) -> CallLimits:
        """Return the budget of this connection: the vendor's service protection limits."""
        vendor = MANIFEST.limits
        return CallLimits(concurrent=vendor.concurrent, minute=vendor.requests, window_s=vendor.window_s)

    @property
    def base_url(self) -> str:
        """Return the environment's address without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def api_path(self) -> str:
        """Return the path of the Web API on the host, without a slash at its end."""
        return f"{urlsplit(self.base_url).path}/api/data/{self.api_version}"

    @property
    def token_url(self) -> str:
        """Return where access tokens are issued."""
        return f"{self.auth.authority_url.rstrip('/')}/{self.auth.directory}/oauth2/v2.0/token"


class Limits(msgspec.Struct, frozen=True):
    """The vendor's limits: requests of a batch, characters of a URL, rows of a page, calls of a window."""

    batch_requests: int
    url_characters: int
    page_rows: int
    requests: int
    window_s: int
    concurrent: int


class Timeouts(msgspec.Struct, frozen=True):
    """How long a call may take, in seconds."""

    call_s: float


class OpportunityFacts(msgspec.Struct, frozen=True):
    """Our word for each statecode of an opportunity."""

    states: dict[int, Literal["open", "won", "lost"]]


class DocumentFacts(msgspec.Struct, frozen=True):
    """How the vendor names one kind of document, our word for each of its statecodes, and what creates it."""

    table: str
    set: str
    key: str
    states: dict[int, Literal["active", "paid", "cancelled", "closed"]]
    number: str = ""
    navigation: str = ""
    action: str = ""


class StepFacts(msgspec.Struct, frozen=True):
    """One webhook: the message and table it is for; `columns` limits an Update to changes of these."""

    message: str
    table: str
    columns: list[str] = []
    optional: bool = False


class WebhookFacts(msgspec.Struct, frozen=True):
    """The codes of a webhook registration, the header of its secret, and the steps we want."""

    contract: int
    auth_type: int
    message_format: int
    stage: int
    mode: int
    header: str
    steps: list[StepFacts]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The vendor facts of `manifest.yaml`."""

    limits: Limits
    timeouts: Timeouts
    write_tag: str
    opportunity: OpportunityFacts
    documents: dict[DocumentKind, DocumentFacts]
    invoice_states: dict[Literal["new", "billed", "paid", "cancelled"], dict[str, int]]
    webhooks: WebhookFacts
    clock_difference_s: float


def _load() -> Manifest:
    text = resources.files(__package__).joinpath("manifest.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=Manifest)


MANIFEST = _load()
