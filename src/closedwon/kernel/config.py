"""Reads configuration files so that every problem is reported at once, each with its line and the next step.

A file is YAML without anchors. It is checked against msgspec structs; a text `env:NAME` or `file:PATH` anywhere in it
stands for a secret kept elsewhere.
"""

from __future__ import annotations

import difflib
import os
import re
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import yaml

from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

Struct = TypeVar("Struct", bound=msgspec.Struct)
Place = tuple[str, ...]

LARGEST_BYTES = 5_000_000
DEEPEST = 40
NO_ANCHORS = "anchors and aliases are not allowed"


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a file: where, what, and what to do. Line 0 is the file as a whole."""

    line: int
    place: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        key = f"{self.place}: " if self.place else ""
        return f"{where}{key}{self.text}" + (f" ({self.hint})" if self.hint else "")


@dataclass(slots=True)
class ConfigFile:
    """A file as read: its values, the line of each, and the problems found so far."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int]
    problems: list[ConfigProblem] = field(default_factory=list)

    def object(self, place: Place, text: str, hint: str = "") -> None:
        """Note a problem at a place."""
        self.problems.append(ConfigProblem(self._line(place), ".".join(place), text, hint))

    def _line(self, place: Place) -> int:
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def mapping(self, place: Place) -> dict[str, Any]:
        """Return the mapping at a place, {} with a problem when there is something else or nothing."""
        value: Any = self.data
        for key in place:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict):
            return value
        self.object(place, "is missing or is not a list of `key: value` lines")
        return {}

    def struct(self, kind: type[Struct], place: Place, value: dict[str, Any] | None = None) -> Struct | None:
        """Check the mapping at a place against a struct; None when it has problems, which are noted, all of them."""
        data = self.mapping(place) if value is None else value
        before = len(self.problems)
        fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
        hints = typing.get_type_hints(kind, include_extras=True)
        for key in data:
            if key not in fields:
                close = difflib.get_close_matches(str(key), fields, 1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(fields))}"
                self.object((*place, str(key)), "is not a setting here", hint)
        for name, one in fields.items():
            if name not in data:
                if one.required:
                    self.object((*place, name), "is required")
                continue
            self._check_value(hints[one.name], (*place, name), data[name])
        return self._convert(kind, place, data) if len(self.problems) == before else None

    def _check_value(self, kind: Any, place: Place, value: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.tag is None:
            if isinstance(value, dict):
                self.struct(kind, place, value)
            else:
                self.object(place, "must be a list of `key: value` lines")
            return
        self._convert(kind, place, value)

    def _convert(self, kind: Any, place: Place, value: Any) -> Any:
        try:
            return msgspec.convert(value, kind, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            text, inner = _read_complaint(str(error))
            self.object((*place, *inner), text)
            return None

    def refuse_if_problems(self) -> None:
        """Raise Misconfigured with every problem, in the order of the file."""
        if not self.problems:
            return
        ordered = sorted(set(self.problems), key=lambda one: (one.line, one.place))
        lines = "\n".join(f"  {self.path.name}: {one}" for one in ordered)
        raise Misconfigured(
            f"{self.path} has {len(ordered)} problem{'s' if len(ordered) > 1 else ''}:\n{lines}",
            hint="correct the file; `closedwon check` looks again",
            details={"problems": [{"line": one.line, "place": one.place, "text": one.text} for one in ordered]},
        )


def read_config(path: Path) -> ConfigFile:
    """Read a file and replace its references to secrets. Problems are noted in the result, not raised.

    *Raises* Misconfigured when the file cannot be read at all or is not YAML.
    """
    node = _compose(path, _read_text(path))
    lines: dict[Place, int] = {}
    config = ConfigFile(path, {}, lines)
    _note_lines(node, (), lines)
    data = _plain(node, (), config)
    if isinstance(data, dict):
        config.data = data
    else:
        config.object((), "the file must be a list of `key: value` lines")
    return config


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Misconfigured(f"{path} is larger than a configuration can be", hint="give another file to --config")
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise Misconfigured(
            f"there is no file {path}", hint="`closedwon init` writes one; --config names another place"
        ) from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is not UTF-8 text: {error}", hint="save it as UTF-8") from None
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        _refuse_anchors(text)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise Misconfigured(
            f"{path.name}: line {line}: {error.problem or 'this is not YAML'}",
            hint="look at quotes, colons and indentation there",
            details={"problems": [{"line": line, "place": "", "text": str(error.problem)}]},
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise Misconfigured(f"{path.name} is not YAML: {error}", hint="correct the file") from None


def _refuse_anchors(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem=NO_ANCHORS, problem_mark=cast("yaml.Mark", event.start_mark))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=cast("yaml.Mark", event.start_mark))


def _note_lines(node: yaml.Node | None, place: Place, lines: dict[Place, int]) -> None:
    if node is None:
        return
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            lines[inner] = key.start_mark.line + 1
            _note_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note_lines(value, (*place, str(number)), lines)


def _plain(node: yaml.Node | None, place: Place, config: ConfigFile) -> Any:
    """Build plain values; a key given twice is a problem, not a silent last one wins."""
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in built:
                config.object((*place, name), "is given twice", "remove one")
            built[name] = _plain(value, (*place, name), config)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, (*place, str(number)), config) for number, value in enumerate(node.value)]
    if node is None:
        return None
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:  # `!!bool maybe`, `!!timestamp soon`
        config.object(place, f"cannot be read as {node.tag.rpartition(':')[2]}: {error}")
        return None
    return _fetch_secret(value, place, config) if isinstance(value, str) else value


def _fetch_secret(value: str, place: Place, config: ConfigFile) -> str:
    kind, _, name = value.partition(":")
    if kind == "env":
        if name not in os.environ:
            config.object(place, f"the environment has no {name}", f"export {name}=…")
        return os.environ.get(name, "")
    if kind == "file":
        try:
            return (config.path.parent / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            config.object(place, f"the file {name} cannot be read: {error}", "a path is relative to this file")
            return ""
    return value


def _read_complaint(text: str) -> tuple[str, Place]:
    """Split a validator's complaint into a sentence and the place inside the value."""
    sentence, _, path = text.partition(" - at `")
    names = tuple(re.findall(r"[A-Za-z_][\w-]*|\d+", path.rstrip("`"))) if path else ()
    sentence = sentence.replace("Object missing required field", "is missing the setting")
    sentence = sentence.replace("Object contains unknown field", "does not know the setting")
    return sentence[:1].lower() + sentence[1:], names
