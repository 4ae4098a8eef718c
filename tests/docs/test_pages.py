"""The documentation is true: generated pages are current, samples work, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from closedwon.app.settings import TOP_KEYS, load_settings
from closedwon.cli.main import build_cli
from closedwon.kernel.errors import Misconfigured
from docs import pages
from sandbox_process import running_sandbox

if TYPE_CHECKING:
    from docs.pages import Sample

CONFIGURATIONS = [one for one in pages.samples_in("yaml") if "closedwon" in one.info]
COMMANDS = pages.commands("closedwon")
ADR_LINES = 25


def load_generator() -> Any:
    """Return the program that writes the reference pages."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("generate_reference", pages.ROOT / "docs/reference/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


@pytest.mark.parametrize("name", sorted(GENERATOR.pages()))
def test_generated_pages_are_current(name: str) -> None:
    """A reference page says what the code says; `make docs` brings it up to date."""
    written = (pages.ROOT / "docs/reference" / name).read_text(encoding="utf-8")
    assert written == GENERATOR.pages()[name], "run `make docs`"


def test_every_top_level_setting_is_described() -> None:
    """The page of settings names exactly the keys that a file may have at its top."""
    assert set(GENERATOR.TOP) == set(TOP_KEYS)


@pytest.mark.parametrize("sample", CONFIGURATIONS, ids=str)
def test_samples_of_configurations_load(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration shown in the documentation is accepted as it stands."""
    for name in re.findall(r"env:(\w+)", sample.text):
        monkeypatch.setenv(name, "c2VjcmV0")
    file = tmp_path / "closedwon.yaml"
    file.write_text(sample.text, encoding="utf-8")
    assert load_settings(file).integrations


def test_a_wrong_configuration_would_be_noticed(tmp_path: Path) -> None:
    """The check above can fail: a misspelt setting is refused."""
    file = tmp_path / "closedwon.yaml"
    file.write_text("stroe: sqlite:///closedwon.db\ntenants: {}\n", encoding="utf-8")
    with pytest.raises(Misconfigured, match="stroe"):
        load_settings(file)


def test_there_are_samples_to_check() -> None:
    """The tests of this file find the samples; a change of their form would otherwise empty them."""
    assert len(CONFIGURATIONS) >= 2
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize(("sample", "line"), COMMANDS, ids=lambda value: str(value).replace(" ", "_"))
def test_commands_exist_with_these_options(sample: Sample, line: str) -> None:
    """A command shown in the documentation is one we have, with options and arguments it takes."""
    words = shlex.split(line)[1:]
    words = ["1" if word == "NUMBER" else word for word in words]
    function, _, ignored = build_cli().parse_args(words, exit_on_error=False, print_error=False)
    assert callable(function), sample
    assert not ignored


@pytest.mark.parametrize(("sample", "line"), pages.commands("make"), ids=lambda value: str(value).replace(" ", "_"))
def test_make_targets_exist(sample: Sample, line: str) -> None:
    """A make target shown in the documentation is in the Makefile's list."""
    listed = subprocess.run(["make", "help"], cwd=pages.ROOT, capture_output=True, text=True, check=True).stdout
    for target in line.split()[1:]:
        assert f"make {target} " in listed, sample


def test_yaml_and_json_samples_can_be_read() -> None:
    """Every sample in YAML or JSON is valid; JSON is YAML too."""
    for sample in pages.samples_in("yaml", "json"):
        assert yaml.safe_load(sample.text) is not None, sample


def test_links_lead_somewhere() -> None:
    """Every link from one page to another leads to a file that is there, and to a heading in it."""
    broken = []
    for path in pages.page_files():
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            file, _, anchor = target.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            aim = (path.parent / file).resolve() if file else path
            if not aim.exists() or (anchor and anchor not in pages.anchors(aim)):
                broken.append(f"{path.relative_to(pages.ROOT)}: {target}")
    assert broken == []


def test_every_page_can_be_reached() -> None:
    """Every page below docs is linked from the overview or, for a decision, numbered without a gap."""
    overview = (pages.ROOT / "docs/README.md").read_text(encoding="utf-8")
    folder = pages.ROOT / "docs"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} - {"README.md"}
    linked = set(re.findall(r"\]\(([^)#\s]+)", overview))
    assert {name for name in names if not name.startswith("adr/")} <= linked
    numbers = sorted(int(Path(name).name[:4]) for name in names if re.match(r"adr/\d{4}-", name))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", sorted((pages.ROOT / "docs/adr").glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_decisions_fit_one_screen_and_can_be_changed(path: Path) -> None:
    """A decision has at most 25 lines and says what would change our mind."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= ADR_LINES
    assert "What would change our mind" in text


@pytest.mark.parametrize("path", [*(pages.ROOT / "changes").glob("*.md")], ids=lambda path: path.stem)
def test_changes_are_named_by_their_kind(path: Path) -> None:
    """A fragment's name says what kind of change it is."""
    assert path.name == "README.md" or re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed|security)", path.stem)


def test_the_tutorial_s_program_wins_a_deal(tmp_path: Path) -> None:
    """The program of the first steps runs as it stands, against a sandbox in the folder it names."""
    (program,) = (one for one in pages.samples_in("python") if one.page == "docs/tutorial/first-steps.md")
    with running_sandbox(tmp_path / "sandbox") as sandbox:
        ended = subprocess.run(
            [sys.executable, "-c", program.text], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        won = [row for row in sandbox.state("dynamics")["opportunities"] if row["opportunityid"] in ended.stdout]
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("won: ")
    assert [row["statecode"] for row in won] == [1]
