"""How the story is told: headings, lines, pauses that make it readable, and a spinner while something is awaited."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from closedwon.cli.demo.stage import CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

BREATH_S = 0.6
CHAPTER_S = 1.6
TEXT_WIDTH = 98
WHO_WIDTH = 12


@dataclass(slots=True)
class Narrator:
    """Tells the story on a console; only when `unhurried` it leaves time to read."""

    console: Console
    unhurried: bool
    chapters: int = 0

    def open(self, title: str, text: str) -> None:
        """Begin."""
        self.console.print(Panel(text, title=f"[bold]{title}[/]", title_align="left", width=TEXT_WIDTH, padding=(1, 2)))
        self._pause(CHAPTER_S)

    def chapter(self, title: str, text: str = "") -> None:
        """Begin a chapter."""
        self.chapters += 1
        self._pause(CHAPTER_S)
        self.console.print()
        self.console.rule(f"[bold cyan]{self.chapters}  {title}[/]", align="left", style="cyan")
        if text:
            self.console.print(f"[dim]{escape(text)}[/]", width=TEXT_WIDTH)
        self._pause(BREATH_S)

    def happens(self, who: str, text: str, style: str = "") -> None:
        """Tell that somebody did something."""
        colour = {"CRM": "magenta", "Xero": "blue", "Closedwon": "green"}.get(who, "yellow")
        body = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self._line(f"[{colour}]{who}[/]", body)
        self._pause(BREATH_S)

    def aside(self, text: str) -> None:
        """Add something to the line before."""
        self._line("", f"[dim]{escape(text)}[/]")
        self._pause(BREATH_S)

    def command(self, text: str) -> None:
        """Show a command that somebody could type."""
        self._line("", f"[bold]$ {escape(text)}[/]")
        self._pause(BREATH_S)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show on a terminal that something is awaited."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(f"[dim]{escape(text)}[/]", spinner="dots"):
            yield

    def _line(self, who: str, body: str) -> None:
        """Print a line whose continuation stands below its text."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=WHO_WIDTH)
        grid.add_column(overflow="fold")
        grid.add_row(f"  {who}", body)
        self.console.print(grid)

    def _pause(self, seconds: float) -> None:
        if self.unhurried:
            CLOCK.sleep(seconds)


def money(currency: str, amount: Decimal | str) -> str:
    """Render an amount for people."""
    return f"{currency} {Decimal(amount):,.2f}"
