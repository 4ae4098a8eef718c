"""What most commands share: which configuration, which tenant, how to print; and opening the product with them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from closedwon.app.compose import App
    from closedwon.app.desk import Desk

CONFIG_ENVIRONMENT_NAME = "CLOSEDWON_CONFIG"
DEFAULT_CONFIG = "closedwon.yaml"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Debug:
    """The option of commands that print no data."""

    debug: Annotated[bool, Parameter(negative="", show_default=False, help="Show the traceback of an error.")] = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Printing:
    """The options of commands that print data."""

    as_json: Annotated[
        bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON document instead of text.")
    ] = False
    debug: Annotated[bool, Parameter(negative="", show_default=False, help="Show the traceback of an error.")] = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Configured(Printing):
    """The options of commands that work with a whole configuration."""

    config: Annotated[
        Path | None,
        Parameter(
            name=["--config", "-c"],
            env_var=CONFIG_ENVIRONMENT_NAME,
            help=f"The configuration file; {DEFAULT_CONFIG} unless given.",
        ),
    ] = None

    @property
    def path(self) -> Path:
        """Return the configuration file."""
        return self.config or Path(DEFAULT_CONFIG)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Options(Configured):
    """The options of commands that work for one tenant."""

    tenant: Annotated[
        str, Parameter(show_default=False, help="Which tenant; may be left out where there is only one.")
    ] = ""


CONFIGURED = Configured()
PRINTING = Printing()
OPTIONS = Options()
DEBUG = Debug()


@contextmanager
def opened_app(path: Path, log_level: str = "ERROR") -> Iterator[App]:
    """Open the product and close it in the end. *Raises* Misconfigured, Unavailable."""
    from closedwon.app.compose import open_app  # noqa: PLC0415 - takes a second, which help pages need not wait for
    from closedwon.kernel.log import set_up_logging  # noqa: PLC0415

    set_up_logging(level=log_level)
    app = open_app(path)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def opened_desk(options: Options) -> Iterator[tuple[Desk, str]]:
    """Open the abilities for one tenant. *Raises* Misconfigured, Unavailable."""
    from closedwon.app.desk import Desk  # noqa: PLC0415

    with opened_app(options.path) as app:
        yield Desk(app), choose_tenant(options.tenant, app.settings.tenants)


def choose_tenant(wanted: str, tenants: Sequence[str]) -> str:
    """Return the wanted tenant, or the only one. *Raises* Misconfigured, listing them."""
    if wanted in tenants:
        return wanted
    listed = ", ".join(tenants) or "(none)"
    if wanted:
        raise Misconfigured(f"there is no tenant {wanted}", hint=f"the configuration has {listed}")
    if len(tenants) == 1:
        return tenants[0]
    raise Misconfigured(f"the configuration has {len(tenants)} tenants: {listed}", hint="choose one with --tenant")
