"""Where a setting came from, and what to say when it is wrong."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

__all__ = ["ENV_PREFIX", "ConfigError", "ConfigFile", "describe", "unknown_variables"]

ENV_PREFIX = "GATEWAY__"

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_SECRET_KEYS = frozenset({"password", "admin_token", "url", "tls_key"})


class ConfigError(Exception):
    """The configuration cannot be used.

    Args:
        problems: One sentence each: where, which key, what was expected, what came.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A TOML file as read, with the line of every key."""

    path: Path | None
    values: dict[str, Any]
    lines: dict[tuple[str, ...], int]

    @classmethod
    def empty(cls) -> Self:
        """Return what no file at all amounts to."""
        return cls(None, {}, {})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            ConfigError: it is missing, unreadable or not TOML.
        """
        try:
            text = path.read_bytes().decode("utf-8-sig")
            values = tomllib.loads(text)
        except OSError as exc:
            raise ConfigError([f"{path}: cannot be read: {exc.strerror}"]) from exc
        except UnicodeDecodeError as exc:
            raise ConfigError([f"{path}: expected UTF-8 text, byte {exc.start} is not"]) from exc
        except tomllib.TOMLDecodeError as exc:
            raise ConfigError([f"{path}: not valid TOML: {exc}"]) from exc
        return cls(path, values, _key_lines(text))

    def place(self, location: tuple[str, ...]) -> str:
        """Return `file, line N` of a key or, failing that, of its section."""
        for end in range(len(location), 0, -1):
            line = self.lines.get(location[:end])
            if line is not None:
                return f"{self.path}, line {line}"
        return str(self.path) if self.path is not None else "defaults"

    def unknown_keys(self, model: type[BaseModel]) -> list[str]:
        """Return a sentence for each key that is not an option, and drop it from `values`."""
        problems = []
        for key, value in list(self.values.items()):
            section = _section(model, key)
            if key not in model.model_fields:
                del self.values[key]
                kind = f"section [{key}]" if isinstance(value, dict) else key
                problems.append(
                    f"{self.place((key,))}: {kind} is not known{_nearest(key, model)}{_elsewhere(key, model)}"
                )
            elif section is not None and isinstance(value, dict):
                for name in [name for name in value if name not in section.model_fields]:
                    del value[name]
                    problems.append(
                        f"{self.place((key, name))}: [{key}] {name} is not an option"
                        f"{_nearest(name, section)}"
                    )
        return problems


def unknown_variables(environ: Mapping[str, str], model: type[BaseModel]) -> list[str]:
    """Return a sentence for each `GATEWAY__` variable that names no option."""
    problems = []
    for variable in sorted(environ):
        if not variable.upper().startswith(ENV_PREFIX):
            continue
        key, _, name = variable[len(ENV_PREFIX) :].lower().partition("__")
        section = _section(model, key)
        if key not in model.model_fields:
            problems.append(f"environment {variable}: {key} is not known{_nearest(key, model)}")
        elif section is not None and name and name not in section.model_fields:
            problems.append(
                f"environment {variable}: [{key}] {name} is not an option{_nearest(name, section)}"
            )
    return problems


def describe(exc: ValidationError, file: ConfigFile, environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each validation error."""
    variables = {name.upper(): name for name in environ}
    sentences = []
    for error in exc.errors(include_url=False):
        location = tuple(str(part) for part in error["loc"][:2])
        variable = variables.get(ENV_PREFIX + "__".join(location).upper())
        if error["type"] == "extra_forbidden":
            continue  # said better by unknown_keys and unknown_variables
        place = f"environment {variable}" if variable else file.place(location)
        key = f"[{location[0]}] {location[1]}" if len(location) == 2 else location[0]
        sentences.append(f"{place}: {key}: {_expectation(error, location)}")
    return sentences


def _expectation(error: ErrorDetails, location: tuple[str, ...]) -> str:
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    expected = {
        "int_parsing": "a whole number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "float_type": "a number",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "string_type": "text in quotes",
        "greater_than": f"more than {context.get('gt')}",
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than_equal": f"at most {context.get('le')}",
        "literal_error": f"one of {context.get('expected')}",
        "model_type": "a section with keys",
        "tuple_type": "a list",
    }.get(error["type"], error["msg"])
    shown = "(not shown)" if location[-1] in _SECRET_KEYS else repr(error["input"])[:80]
    return f"expected {expected}, got {shown}"


def _section(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key)
    annotation = field.annotation if field is not None else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _nearest(name: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _elsewhere(name: str, model: type[BaseModel]) -> str:
    homes = [
        f"[{key}]"
        for key in model.model_fields
        if (section := _section(model, key)) is not None and name in section.model_fields
    ]
    return f"; it belongs into {' or '.join(homes)}" if homes else ""


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = (header[1],)
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault((*section, key[1]), number)
    return lines
