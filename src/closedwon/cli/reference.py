"""Writes docs/reference/cli.md from the commands' own help: `python -m closedwon.cli.reference [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from closedwon.cli.main import EPILOGUE, build_cli

DEFAULT_FILE = Path("docs/reference/cli.md")
HEADER = f"""\
<!-- Written by `make docs` from the commands' help; change it there. -->

{EPILOGUE}
Every command that prints data has `--json`: one document on standard output, errors as JSON on standard error.
`NO_COLOR` is honoured, and `CLOSEDWON_CONFIG` names the configuration where `--config` does not.
`closedwon --install-completion` installs completion for bash, zsh, fish or PowerShell.

"""


def render_reference() -> str:
    """Render the page. Imports every command."""
    cli = build_cli(completion=False)  # its usage line would name the program that writes this page
    page = cli.generate_docs(recursive=True, heading_level=1, max_heading_level=4, usage_name="closedwon")
    title, _, rest = page.strip().partition("\n")
    lines = [line.rstrip() for line in f"{title}\n\n{HEADER}{rest.strip()}\n".splitlines()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_reference(), "utf-8")


if __name__ == "__main__":
    main()
