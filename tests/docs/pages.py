"""The pages of the documentation, taken apart for the tests."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = frozenset({"console", "bash", "sh"})


@dataclass(frozen=True)
class Sample:
    """A fenced block: where it stands, the words after the fence, and its text."""

    page: str
    line: int
    info: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@functools.cache
def page_files() -> tuple[Path, ...]:
    """Return every page: docs, the README and its neighbours, the connectors' pages, the changes."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("src/**/README.md")]
    return tuple(sorted((*pages, *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/*.md"))))


@functools.cache
def samples() -> tuple[Sample, ...]:
    """Return every fenced block of every page."""
    found = []
    for path in page_files():
        for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
            if token.type == "fence" and token.map:
                page = path.relative_to(ROOT).as_posix()
                found.append(Sample(page, token.map[0] + 1, tuple(token.info.split()), token.content))
    return tuple(found)


def samples_in(*languages: str) -> list[Sample]:
    """Return the blocks of some languages."""
    return [one for one in samples() if one.info and one.info[0] in languages]


def commands(program: str) -> list[tuple[Sample, str]]:
    """Return each call of a program in the console samples: the lines that begin with `$`."""
    lines = [(one, line) for one in samples_in(*CONSOLE) for line in one.text.splitlines()]
    called = re.compile(rf"^\$ (?:\w+=\S+ )*({program} .*?)(?:\s+#.*)?$")
    return [(one, match.group(1)) for one, line in lines if (match := called.match(line))]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
