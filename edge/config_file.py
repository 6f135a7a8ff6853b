"""TOML file + environment -> one frozen ``Config``, or every complaint at once.

Not the rules (``config_rules``) and not the settings (``config``): this file reads, compares with
the structs, and words the complaints as ``file:line: key = value: what is wrong; cure``.
"""

import difflib
import json
import re
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from edge.config import Config
from edge.config_lines import Path, lines_of
from edge.config_rules import BETWEEN, ON_THIS_MACHINE, SECRET, rule_for, suggestion, user_name
from edge.errors import ConfigError

PREFIX = "RFID3_"
FILE_VARIABLE = "RFID3_CONFIG"
"""Environment variable that names the configuration file."""

USUAL_FILES = (FilePath("config.toml"), FilePath("/etc/rfid3/config.toml"))
"""Where ``find`` looks, in this order."""

_ENTRIES = (("sources",), ("zones",), ("mapping",), ("deliveries",), ("crews",))
_SHOWN = 60  # characters of a wrong value that are shown


class Reading(Struct, frozen=True):
    """What was read: the settings, where each one given came from, and all complaints."""

    config: Config
    """The settings; where ``problems`` is not empty, defaults stand in for the wrong ones."""
    origins: dict[Path, str]
    """Setting -> ``config.toml:12`` or ``RFID3_MQTT__PORT``; absent: the default."""
    problems: list[str]
    """One line each; empty: the configuration is good."""


def find(environ: Mapping[str, str]) -> FilePath | None:
    """The configuration file to use when none is named: ``RFID3_CONFIG``, then the usual places."""
    if environ.get(FILE_VARIABLE):
        return FilePath(environ[FILE_VARIABLE])
    return next((f for f in USUAL_FILES if f.is_file()), None)


def load(
    path: FilePath | str | None, environ: Mapping[str, str], *, machine: bool = True
) -> Config:
    """Settings from a TOML file (``None``: only defaults) and the ``RFID3_`` variables over it.

    ``machine=False`` leaves out the rules that look at this machine's files and folders.
    Raises ConfigError, whose text holds one line for every complaint.
    """
    reading = read(path, environ, machine=machine)
    if reading.problems:
        raise ConfigError("\n".join(reading.problems))
    return reading.config


def read(
    path: FilePath | str | None, environ: Mapping[str, str], *, machine: bool = True
) -> Reading:
    """Like ``load``, but hands back the complaints beside whatever could be understood.

    Raises ConfigError only where the file cannot be read, or is not TOML.
    """
    tree, origins = _file(FilePath(path)) if path is not None else ({}, {})
    faults = list(_overlay(tree, origins, environ))
    clean = _Clean(faults)
    config = msgspec.convert(clean.struct((), tree, Config), Config)
    rules = (*BETWEEN, *ON_THIS_MACHINE) if machine else BETWEEN
    wrong = {at[:2] for at, _ in faults if at[:1] in _ENTRIES}
    between = [(clean.original(at), why) for rule in rules for at, why in rule(config)]
    faults += [(at, why) for at, why in between if at[:2] not in wrong]
    faults.sort(key=lambda fault: _place(fault[0], origins))
    problems = [_complaint(at, why, tree, config, origins) for at, why in faults]
    return Reading(config, origins, list(dict.fromkeys(problems)))


# --- the file ---------------------------------------------------------------------------------


def _file(path: FilePath) -> tuple[dict[str, Any], dict[Path, str]]:
    """Tree and origins of a TOML file. Raises ConfigError."""
    text = _text(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_complaint(path, text, str(error))) from None
    except RecursionError:
        raise ConfigError(f"{path}: brackets are nested too deep to be settings") from None
    return tree, {at: f"{path}:{line}" for at, line in lines_of(text).items()}


def _text(path: FilePath) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; start from config.example.toml: "
            f"cp config.example.toml {path}"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name the file: {path / 'config.toml'}") from None
    except PermissionError:
        raise ConfigError(
            f"{path}: user {user_name()} may not read it; run as the daemon's user, or: "
            f'sudo chgrp "$(id -gn)" {path} && sudo chmod 640 {path}'
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8; save the file as UTF-8") from None


_SYNTAX_CURES: tuple[tuple[str, str], ...] = (
    ("Cannot overwrite a value|Duplicate inline", "this key stands twice; remove one of them"),
    ("Cannot declare|Cannot mutate|Cannot redefine", "this table stands twice; join the two"),
    (r"Invalid value \(at end", "a value, a closing bracket or a comma is missing"),
    (
        "Invalid value",
        'text needs quotes ("…"), true and false are lower case, numbers carry no unit',
    ),
    ("Expected '=' after a key", "a line reads key = value, or [table]"),
    ("Expected newline", "one setting a line; text needs quotes, comments start with #"),
    ("Invalid initial character|Invalid statement", "a line reads key = value, or [table]"),
    ("Unclosed array|Unclosed inline", "a closing bracket or a comma is missing"),
    ('Unterminated|Expected "\'"|Illegal character', "a closing quote is missing"),
    ("Unescaped '\\\\'|Invalid hex", "write \\\\ for a backslash, or use '…' quotes"),
    ("Expected '\\]", "a table's name reads [name], an entry of a list [[name]]"),
)


def _syntax_complaint(path: FilePath, text: str, error: str) -> str:
    """``config.toml:3: port = : not TOML: …; cure`` for a text that tomllib refuses."""
    place = re.search(r" \(at line (\d+), column (\d+)\)", error)
    lines = text.splitlines() or [""]
    number = int(place[1]) if place else len(lines)
    reason = re.sub(r" \(at .*\)$", "", error)
    cure = next((c for pattern, c in _SYNTAX_CURES if re.search(pattern, error)), "")
    line = lines[min(number, len(lines)) - 1].strip()
    key = line.partition("=")[0].strip()
    shown = f"{key} = …" if _secret(key) else line[:_SHOWN]
    column = f", column {place[2]}" if place else ""
    return f"{path}:{number}: {shown}: is not TOML ({reason}{column})" + (
        f"; {cure}" if cure else ""
    )


# --- the environment --------------------------------------------------------------------------


def variable_of(path: Path) -> str:
    """The environment variable that overrides a setting.

    >>> variable_of(("mqtt", "tls", "ca_file"))
    'RFID3_MQTT__TLS__CA_FILE'
    """
    return PREFIX + "__".join(map(str, path)).upper()


def settings_paths(struct: type[Struct] = Config, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every setting with a path of its own, and its type; list and mapping entries are not."""
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from settings_paths(field.type, (*at, field.name))
        else:
            yield (*at, field.name), field.type


def _overlay(
    tree: dict[str, Any], origins: dict[Path, str], environ: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    """Write the environment's settings into ``tree`` and ``origins``; yields what is wrong."""
    known = {variable_of(path): (path, kind) for path, kind in settings_paths()}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        if name not in known:
            origins[(name,)] = name
            yield (name,), _unknown_variable(name, [*known, FILE_VARIABLE])
            continue
        path, kind = known[name]
        table = tree
        for key in path[:-1]:
            table = table.setdefault(str(key), {})
            if not isinstance(table, dict):
                break  # the file has a wrong value here and is told so
        else:
            for at in [at for at in origins if at[: len(path)] == path]:
                del origins[at]
            table[str(path[-1])] = _from_text(environ[name], kind)
            origins[path] = name


def _unknown_variable(name: str, known: list[str]) -> str:
    near = [k for k in known if k.startswith(f"{name.upper()}__")][:1]
    bare = [k.removeprefix(PREFIX) for k in known]
    close = difflib.get_close_matches(name.upper().removeprefix(PREFIX), bare, n=1, cutoff=0.6)
    near = near or [PREFIX + k for k in close]
    cure = f"did you mean {near[0]}?" if near else "unset it"
    return f"no setting has this variable; {cure} (two underscores part table and key)"


_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}


def _from_text(text: str, kind: Any) -> Any:
    """A variable's text as the setting's type; text that does not fit is left for the check."""
    if kind is str or get_origin(kind) is Literal:
        return text
    if kind is bool:
        return _WORDS.get(text.strip().lower(), text)
    if kind == list[str] and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        tree = tomllib.loads(f"value = {text.strip()}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return tree["value"] if len(tree) == 1 else text


# --- comparing with the structs ---------------------------------------------------------------


class _Clean:
    """Copies what is right out of a raw tree, and adds every complaint to ``faults``.

    What is wrong is left out, so that its default lets the remaining rules still be tried.
    """

    def __init__(self, faults: list[tuple[Path, str]]) -> None:
        self.faults = faults
        self.kept: dict[Path, list[int]] = {}  # list of entries -> their numbers in the file

    def struct(self, at: Path, raw: object, kind: type[Struct]) -> dict[str, Any] | None:
        """A table; ``None`` when it lacks a key that it must have."""
        if not isinstance(raw, dict):
            self.faults.append((at, f"must be a table, not {_noun(raw)}; write [{_dotted(at)}]"))
            return {}
        fields = {f.name: f for f in msgspec.structs.fields(kind)}
        for key in raw:
            if key not in fields:
                self.faults.append(((*at, key), _unknown_key(at, key, list(fields))))
        clean = {}
        for name, field in fields.items():
            if name in raw:
                value = self.value((*at, name), raw[name], field.type)
                if value is not None:
                    clean[name] = value
            elif field.required:
                self.faults.append((at, f"lacks the key {name}"))
        complete = all(n in clean for n, f in fields.items() if f.required)
        return clean if complete else None

    def value(self, at: Path, raw: object, kind: Any) -> Any:
        """A value of ``kind``, or ``None`` after a complaint."""
        inner = get_args(kind)[-1] if get_origin(kind) in (list, dict) else None
        if isinstance(kind, type) and issubclass(kind, Struct):
            return self.struct(at, raw, kind)
        if isinstance(inner, type) and issubclass(inner, Struct):
            entries = self.entries if get_origin(kind) is list else self.named
            return entries(at, raw, inner)
        try:
            value = msgspec.convert(raw, kind)
        except msgspec.ValidationError:
            self.faults.append((at, _wrong_kind(at, raw, kind)))
            return None
        rule = rule_for(at)
        fault = rule.fault(value) if rule is not None else ""
        if fault:
            self.faults.append((at, fault))
        return None if fault else value

    def entries(self, at: Path, raw: object, kind: type[Struct]) -> list[Any] | None:
        """``[[sources]]`` and the like."""
        if not isinstance(raw, list):
            self.faults.append((at, f"must be a list of tables; write [[{_dotted(at)}]]"))
            return None
        tried = [self.struct((*at, n), entry, kind) for n, entry in enumerate(raw)]
        self.kept[at] = [n for n, entry in enumerate(tried) if entry]
        return [entry for entry in tried if entry]

    def named(self, at: Path, raw: object, kind: type[Struct]) -> dict[str, Any] | None:
        """``[mapping.<name>]`` and the like."""
        if not isinstance(raw, dict):
            self.faults.append((at, f"must be a table; write [{_dotted(at)}.<name>]"))
            return None
        tried = {name: self.struct((*at, name), entry, kind) for name, entry in raw.items()}
        return {name: entry for name, entry in tried.items() if entry is not None}

    def original(self, at: Path) -> Path:
        """A path in the settings as it stood in the file, where entries may have been left out."""
        kept = self.kept.get(at[:1])
        if kept is None or len(at) < 2 or not isinstance(at[1], int):
            return at
        return (at[0], kept[at[1]], *at[2:])


def _unknown_key(at: Path, key: str, known: list[str]) -> str:
    """What to say of a key that no struct has."""
    cure = suggestion(key, known)
    home = next((_dotted(path) for path, _ in settings_paths() if path[-1] == key), "")
    if not cure and home:
        cure = f"did you mean {home}?"
    where = f"[{_dotted(at)}]" if at else "the file"
    return f"{where} has no such key; " + (cure or f"it has {', '.join(known)}")


_WANTED: dict[Any, str] = {
    str: 'text in quotes: "…"',
    int: "a whole number, without quotes and without a unit",
    float: "a number, without quotes and without a unit",
    bool: "true or false, without quotes",
    list[str]: 'a list of texts: ["…", "…"]',
    dict[str, str]: 'a table of texts: name = "…"',
    dict[str, float]: "a table of numbers: name = 0.01",
    dict[str, str | int | float]: 'a table of texts and numbers: name = "…"',
    dict[str, dict[str, str]]: 'a table of tables of texts: name = { theirs = "ours" }',
}


def _wrong_kind(at: Path, raw: object, kind: Any) -> str:
    """What to say of a value whose type does not fit."""
    if get_origin(kind) is Literal:
        words = [str(w) for w in get_args(kind)]
        near = suggestion(raw, words) if isinstance(raw, str) else ""
        return f"must be one of {', '.join(words)}" + (f"; {near}" if near else "")
    assert kind in _WANTED, (at, kind)
    return f"must be {_WANTED[kind]}"


_NOUNS = {
    bool: "true or false",
    str: "a text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
    types.NoneType: "nothing",
}


def _noun(raw: object) -> str:
    return _NOUNS.get(type(raw), "a date")


# --- wording ----------------------------------------------------------------------------------


def _dotted(at: Path) -> str:
    """A path as people write it: ``zones[1].readers`` counts entries from 1.

    >>> _dotted(("zones", 0, "readers"))
    'zones[1].readers'
    """
    text = ""
    for part in at:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{_key(part)}"
    return text.removeprefix(".")


def _complaint(
    at: Path, why: str, tree: dict[str, Any], config: Config, origins: dict[Path, str]
) -> str:
    """``config.toml:12: mqtt.port = 99999: must be 1..65535``, or with the variable or ``default``."""
    origin = _origin(at, origins)
    value = _value_at(at, tree)
    if origin.startswith(PREFIX):
        whole = origin in (at[0], variable_of(at))
        inside = "" if whole else f": {_dotted(at)}"
        return _printable(f"environment: {origin}{inside}{_shown(at, value)}: {why}")
    if value is None and origin == "default":
        value = _value_at(at, msgspec.to_builtins(config))
    return _printable(f"{origin}: {_dotted(at)}{_shown(at, value)}: {why}")


def _printable(text: str) -> str:
    """One line without control characters, whatever stands in a key or a name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _origin(at: Path, origins: dict[Path, str]) -> str:
    """Where a setting, or the nearest table around it, was given."""
    return next((origins[at[:n]] for n in range(len(at), 0, -1) if at[:n] in origins), "default")


def _place(at: Path, origins: dict[Path, str]) -> tuple[int, int]:
    """For sorting: the environment, then the file from top to bottom, then defaults."""
    origin = _origin(at, origins)
    line = origin.rpartition(":")[2]
    if origin == "default":
        return (2, 0)
    return (1, int(line)) if line.isdigit() else (0, 0)


def _secret(key: str) -> bool:
    """Whether a key, perhaps misspelt, asks for a password."""
    return bool(suggestion(key.rpartition(".")[2], ["password"]))


def _value_at(at: Path, tree: Any) -> Any:
    for part in at:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _shown(at: Path, value: Any) -> str:
    """``` = value``` in TOML's spelling, shortened; empty for tables, entries and nothing."""
    if _dotted(at) in SECRET or _secret(str(at[-1])):
        return " = …"
    if value is None or isinstance(value, dict):
        return ""
    text = re.sub("//[^/@]*@", "//…@", toml_value(value))
    return f" = {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"


def toml_value(value: Any) -> str:
    """A value in TOML's spelling.

    >>> toml_value(["a", True, 0.5])
    '["a", true, 0.5]'
    """
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    return str(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's spelling, and DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
