"""Configuration files: everything wrong is found at once and has its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closedwon.kernel.config import LARGEST_BYTES, ConfigFile, read_config
from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[[str | bytes], ConfigFile]


class Inner(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Settings inside."""

    size: int = 1


class Outer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Settings outside."""

    name: str
    timeout_s: int = 5
    inner: Inner = msgspec.field(default_factory=Inner)
    parts: list[Inner] = []


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return what reads a file from its content."""

    def read(content: str | bytes) -> ConfigFile:
        path = tmp_path / "closedwon.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_config(path)

    return read


def problems(config: ConfigFile) -> list[tuple[int, str]]:
    """Return line and place of every problem."""
    return [(one.line, one.place) for one in config.problems]


def test_values_are_plain(read: Read) -> None:
    """Texts, numbers, truth, lists, nothing."""
    config = read("a: text\nb: 5\nc: yes\nd: [1, x]\ne:\n")
    assert config.data == {"a": "text", "b": 5, "c": True, "d": [1, "x"], "e": None}
    assert config.problems == []


def test_every_problem_is_found_with_its_line(read: Read) -> None:
    """Unknown, missing and wrong ones together."""
    config = read("top:\n  timeout: 5\n  timeout_s: soon\n  inner:\n    size: big\n    colour: red\n")
    assert config.struct(Outer, ("top",)) is None
    assert sorted(problems(config)) == [
        (1, "top.name"),
        (2, "top.timeout"),
        (3, "top.timeout_s"),
        (5, "top.inner.size"),
        (6, "top.inner.colour"),
    ]


def test_a_slip_gets_a_suggestion(read: Read) -> None:
    """Where a setting of a similar name is known; else the known ones are listed."""
    config = read("name: x\ntimeout: 5\nxyz: 1\n")
    config.struct(Outer, ())
    assert [one.hint for one in config.problems] == [
        "did you mean timeout_s?",
        "known are inner, name, parts, timeout_s",
    ]


def test_a_good_mapping_becomes_its_struct(read: Read) -> None:
    """With defaults for what is not said."""
    assert read("name: x\ninner: {size: 3}\n").struct(Outer, ()) == Outer(name="x", inner=Inner(size=3))


def test_problems_inside_lists_have_their_line(read: Read) -> None:
    """The element's own."""
    config = read("name: x\nparts:\n  - size: 1\n  - size: big\n")
    config.struct(Outer, ())
    assert problems(config) == [(4, "parts.1.size")]


def test_a_key_given_twice_is_a_problem(read: Read) -> None:
    """The last one does not silently win; the line is the second one's."""
    assert problems(read("a: 1\nb: 2\na: 3\n")) == [(3, "a")]


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: &x {b: 1}\n", "- *nobody\n"])
def test_anchors_are_refused(read: Read, text: str) -> None:
    """They would let a small file become a huge one."""
    with pytest.raises(Misconfigured, match=r"line 1: .*not allowed|line 1: anchors"):
        read(text)


@pytest.mark.parametrize("text", ["[" * 10_000, "a: " + "[" * 50 + "]" * 50, "{a: " * 10_000])
def test_deep_nesting_is_refused(read: Read, text: str) -> None:
    """Before anything runs out of stack."""
    with pytest.raises(Misconfigured, match="nested too deep"):
        read(text)


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\nb: [1,\n", 3), ("a: 'x\n", 2), ("a: b: c\n", 1), ("a: 1\n\tb: 2\n", 2)]
)
def test_what_is_no_yaml_is_refused_with_its_line(read: Read, text: str, line: int) -> None:
    """And with where to look."""
    with pytest.raises(Misconfigured, match=f"line {line}:") as caught:
        read(text)
    assert "quotes" in caught.value.hint


@pytest.mark.parametrize("text", ["- 1\n", "text\n", ""])
def test_a_file_must_be_a_mapping(read: Read, text: str) -> None:
    """A list or a text is none."""
    assert len(read(text).problems) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [ls]\n",
        "a: !!python/name:os.system x\n",
        "a: !secret x\n",
        "a: !!bool maybe\n",
        "a: !!timestamp soon\n",
        "a: !!int ''\n",
        "a: 2026-02-31\n",
    ],
)
def test_odd_values_are_problems_at_their_line(read: Read, text: str) -> None:
    """Nothing is executed, nothing crashes; a list under an odd tag is just a list."""
    config = read(f"first: 1\n{text}")
    assert problems(config) == [(2, "a")] or config.data["a"] == ["ls"]


def test_a_secret_is_fetched_from_the_environment(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """`env:NAME`, anywhere."""
    monkeypatch.setenv("A_SECRET", "s3cr3t")
    assert read("a: {b: [env:A_SECRET]}\n").data == {"a": {"b": ["s3cr3t"]}}


def test_a_missing_variable_is_a_problem(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next step is said."""
    monkeypatch.delenv("A_SECRET", raising=False)
    config = read("a: 1\nb: env:A_SECRET\n")
    assert problems(config) == [(2, "b")]
    assert "export A_SECRET" in config.problems[0].hint


def test_a_secret_is_fetched_from_a_file_beside(read: Read, tmp_path: Path) -> None:
    """Without the line break that editors add."""
    (tmp_path / "secret.txt").write_text("s3cr3t\n")
    assert read("a: file:secret.txt\n").data == {"a": "s3cr3t"}


@pytest.mark.parametrize("name", ["missing.txt", ".", "binary"])
def test_a_file_that_cannot_be_read_is_a_problem(read: Read, tmp_path: Path, name: str) -> None:
    """Missing, a folder, not text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert problems(read(f"a: file:{name}\n")) == [(1, "a")]


def test_a_file_that_is_too_large_is_refused(read: Read) -> None:
    """It is not even parsed."""
    with pytest.raises(Misconfigured, match="larger"):
        read(b"#" * (LARGEST_BYTES + 1))


def test_a_file_that_is_not_utf_8_is_refused(read: Read) -> None:
    """As some editors still save it."""
    with pytest.raises(Misconfigured, match="not UTF-8"):
        read("name: Müller".encode("latin-1"))


def test_a_byte_order_mark_does_no_harm(read: Read) -> None:
    """As other editors write it."""
    assert read(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the command that writes one."""
    with pytest.raises(Misconfigured, match="there is no file") as caught:
        read_config(tmp_path / "none.yaml")
    assert "closedwon init" in caught.value.hint


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It cannot be read as a file."""
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_config(tmp_path)


def test_problems_are_refused_together_in_the_order_of_the_file(read: Read) -> None:
    """Each once."""
    config = read("b: 1\na: 2\n")
    config.object(("a",), "is wrong")
    config.object(("b",), "is wrong")
    config.object(("a",), "is wrong")
    with pytest.raises(Misconfigured, match="2 problems") as caught:
        config.refuse_if_problems()
    assert [one["place"] for one in caught.value.details["problems"]] == ["b", "a"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="ab:- []{}!&*#'\"\n|>%@,?1", max_size=60).map(str.encode)))
def test_no_file_crashes_the_reader(read: Read, content: bytes) -> None:
    """Whatever is in it: values, or a refusal in words."""
    try:
        said = read(content).data
    except Misconfigured as error:
        said = {"hint": error.hint} if error.hint else {}
        refused = True
    else:
        refused = False
    assert isinstance(said, dict)
    assert said or not refused
