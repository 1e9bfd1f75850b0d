"""Strict configuration: one YAML file is one frozen object, and every fault is named at once."""

import hashlib
import json
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any, NoReturn, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from cim_sim.paths import readable

SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: of a sweep hundreds of files are read."""
MOST_VALUES = 1_000_000
"""Of a YAML file, its aliases written out: a few lines of them can stand for more than memory."""

MERGE = "tag:yaml.org,2002:merge"
"""The key `<<`, which may well stand twice."""


class _OnceLoader(SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice, of which YAML keeps the last without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if key.value in seen:
                fault = f"the key {key.value} stands twice"
                raise yaml.constructor.ConstructorError(None, None, fault, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class UsageError(Exception):
    """The user can mend this: says what was found, where, what is allowed, what to type next.

    Every program of this project prints the message alone and exits with code 2.
    """


class Stopped(Exception):
    """The work ended before its end and cannot go on by itself: says why, and how to go on.

    Every program of this project prints the message alone and exits with code 1.
    """


class Config(BaseModel):
    """Base of all configuration and record types: immutable, no unknown keys, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ConfigT = TypeVar("ConfigT", bound=Config)


def load(path: Path | str, kind: type[ConfigT]) -> ConfigT:
    """Read one YAML or JSON file as `kind`.

    Raises:
        UsageError: the file is missing, damaged, or does not fit; lists every bad key.
    """
    return parse(read_yaml(path), kind, where=str(path))


def read_yaml(path: Path | str) -> Any:
    """Read one YAML file as plain data; JSON, by its name, with the quicker parser.

    Raises:
        UsageError: the file is missing or is neither.
    """
    path = Path(path)
    try:
        text = readable(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}{_similar_files(path)}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not a text: {error}") from None
    return plain(text, str(path), "JSON" if path.suffix == ".json" else "YAML")


def plain(text: str, where: str, kind: str = "YAML") -> Any:
    """Return the plain data that a text holds.

    Raises:
        UsageError: it is not of that kind, or stands for more than fits into memory.
    """
    try:
        if kind == "JSON":
            return json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
        return _bounded(yaml.load(text, Loader=_OnceLoader))
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: not {kind}: {error}") from None
    except RecursionError:
        raise UsageError(f"{where}: not {kind} that can be read: nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice, of which JSON keeps the last without a word."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key in made if [other for other, _ in pairs].count(key) > 1)
        raise ValueError(f"the key {twice} stands twice")
    return made


def parse(data: Any, kind: type[ConfigT], where: str) -> ConfigT:
    """Build `kind` from plain data; `where` (file, option or record) begins each line of an error.

    Raises:
        UsageError: lists every fault with its key and the nearest known name.
    """
    if not isinstance(data, dict):
        raise UsageError(f"{where}: expected keys of {kind.__name__}, found {in_short(data)}")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        faults = [_fault(kind, detail) for detail in error.errors()]
        raise UsageError("\n".join(f"{where}: {fault}" for fault in faults)) from None


def in_short(value: Any) -> str:
    """Return a value as an error shows it, in at most 80 characters, however large it is."""
    return _SHORT.repr(value)[:80]


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 20


def dump(config: Config) -> str:
    """Write a configuration as YAML that `load` reads back to an equal object.

    None is written too: where it is not the default (`recipe.clip_rms`), leaving it out would say
    something else.
    """
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text. No NaN."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the canonical JSON.

    Of a configuration, fields that are None are left out: a field that is added later defaults to
    None, and everything that was identified before keeps its digest.
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _bounded(data: Any) -> Any:
    """Return plain data unless its aliases multiply to more than anybody writes.

    Raises:
        ValueError: they do.
        RecursionError: it holds itself.
    """
    counted: dict[int, int] = {}

    def count(value: Any) -> int:
        if not isinstance(value, (dict, list)):
            return 1
        if id(value) not in counted:
            inside = value.values() if isinstance(value, dict) else value
            counted[id(value)] = 1 + sum(map(count, inside))
        return counted[id(value)]

    if count(data) > MOST_VALUES:
        raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
    return data


def _similar_files(path: Path) -> str:
    if path.is_dir():
        inside = sorted(file.name for file in path.glob("*"))
        return f"; name a file in it: {', '.join(inside[:12])}" if inside else ""
    names = [file.name for file in readable(path.parent).glob("*")]
    close = get_close_matches(path.name, names, n=1)
    if close:
        return f"; did you mean {path.parent / close[0]}?"
    return f"; {path.parent} holds {', '.join(sorted(names)[:12])}" if names else ""


def _fault(kind: type[BaseModel], detail: ErrorDetails) -> str:
    # A part in brackets is the tag of a union's member; no file has such a key.
    place = tuple(part for part in detail["loc"] if not str(part).startswith("("))
    key = ".".join(map(_shown, place)) or "the whole"
    if detail["type"] == "extra_forbidden":
        known = _field_names(kind, place[:-1])
        close = get_close_matches(str(place[-1]), known, n=1)
        near = ".".join(str(part) for part in (*place[:-1], *close))
        hint = f"did you mean {near}?" if close else f"known keys: {', '.join(known) or 'none'}"
        return f"{key} is not known; {hint}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    if detail["type"] == "value_error":
        return f"{key}: {detail['msg'].removeprefix('Value error, ')}"
    return f"{key}: {detail['msg']}, found {in_short(detail['input'])}"


def _shown(part: int | str) -> str:
    """Return a key as it may be printed: a file's may hold what a terminal obeys."""
    return str(part) if str(part).isprintable() else in_short(part)


def _field_names(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Known keys at a place inside `kind`; unions and containers are looked through."""
    kinds: list[type[BaseModel]] = [kind]
    for part in location:
        fields = [k.model_fields[part] for k in kinds if str(part) in k.model_fields]  # type: ignore[index]
        if fields:
            kinds = [model for field in fields for model in _models_in(field.annotation)]
    return sorted({name for k in kinds for name in k.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
