"""Writes ``config.example.toml`` and ``docs/configuration.md`` out of the structs of ``config``.

Not loaded by the daemon. After a change of a setting: ``python -m edge.config_docs`` in the
project's folder; a test tells when it was forgotten.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from edge import config as settings
from edge.config_file import toml_value, variable_of
from edge.config_lines import Path
from edge.config_rules import rule_for

EXAMPLE = FilePath("config.example.toml")
PAGE = FilePath("docs/configuration.md")
WIDTH = 96

ENTRIES: dict[str, tuple[str, type[Struct]]] = {
    "sources": ("[[sources]]", settings.SourceRule),
    "mapping": ("[mapping.<name>]", settings.Mapping),
    "zones": ("[[zones]]", settings.Zone),
    "deliveries": ("[[deliveries]]", settings.DeliveryRule),
    "crews": ("[[crews]]", settings.Crew),
}
"""Tables that are repeated: key -> how their header is written, and the struct of one entry."""


UNITS = {
    "ms": "ms",
    "s": "s",
    "bytes": "bytes",
    "days": "days",
    "db": "dB",
    "per_s": "dB/s",
    "h": "h",
    "cents": "cents",
}
"""Ending of a setting's name -> unit of its value."""


def unit_of(name: str) -> str:
    """The unit that a setting's name ends in; empty: a count, or no number.

    >>> unit_of("keep_alive_s"), unit_of("move_slope_db_per_s"), unit_of("port")
    ('s', 'dB/s', '')
    """
    fits = [ending for ending in UNITS if name.endswith(f"_{ending}")]
    return UNITS[max(fits, key=len)] if fits else ""


class Setting(Struct, frozen=True):
    """One setting, as it is documented."""

    path: Path
    """Where it stands; ``*`` for the number or name of a repeated entry."""
    kind: str
    """Its type in words."""
    default: Any
    """Its default; ``msgspec.NODEFAULT`` when it must be given."""
    text: str
    """Its docstring."""
    allowed: str
    """What it may be; empty: anything of its type."""

    @property
    def name(self) -> str:
        """The key alone."""
        return str(self.path[-1])

    @property
    def default_toml(self) -> str:
        """The default in TOML's spelling; empty when it must be given."""
        if self.default is msgspec.NODEFAULT:
            return ""
        whole = type(self.default) is int and self.default >= 100_000
        return f"{self.default:_}" if whole else toml_value(self.default)


class Table(Struct, frozen=True):
    """One table of the file, with the settings directly in it."""

    header: str
    """How its header is written."""
    path: Path
    """Where it stands, ``*`` for the number or name of a repeated entry."""
    text: str
    """Docstring of its struct."""
    settings: list[Setting]


def field_texts(struct: type[Struct]) -> dict[str, str]:
    """Field -> the docstring literal after it in the source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def tables(struct: type[Struct] = settings.Config, at: Path = ()) -> Iterator[Table]:
    """Every table of the configuration, in the order of the structs."""
    texts = field_texts(struct)
    own: list[Setting] = []
    inner: list[tuple[Path, type[Struct]]] = []
    for field in msgspec.structs.fields(struct):
        path = (*at, field.name)
        if field.name in ENTRIES and not at:
            inner.append(((field.name, "*"), ENTRIES[field.name][1]))
        elif isinstance(field.type, type) and issubclass(field.type, Struct):
            inner.append((path, field.type))
        else:
            text = texts.get(field.name, "")
            own.append(
                Setting(path, _kind(field.type), _default(field), text, _allowed(path, field))
            )
    if at:
        repeated = at[-1] == "*"
        header = ENTRIES[str(at[0])][0] if repeated else f"[{'.'.join(map(str, at))}]"
        yield Table(header, at, inspect.cleandoc(struct.__doc__ or ""), own)
    for path, kind in inner:
        yield from tables(kind, path)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _allowed(path: Path, field: msgspec.structs.FieldInfo) -> str:
    """What the rule or the type allows, with its unit."""
    rule = rule_for(path)
    text = rule.allowed if rule else _choices(field.type)
    return f"{text} {unit_of(field.name)}".strip()


def _choices(kind: Any) -> str:
    return ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""


def _kind(kind: Any) -> str:
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        list[str]: "list of texts",
        list[float]: "list of numbers",
        dict[str, str]: "table of texts",
        dict[str, float]: "table of numbers",
        dict[str, str | int | float]: "table of texts and numbers",
        dict[str, dict[str, str]]: "table of tables of texts",
    }
    return "text" if get_origin(kind) is Literal else names[kind]


# --- config.example.toml ----------------------------------------------------------------------

_TOP = """\
# rfid3: every setting with its default. Copy this file to config.toml, and change what must differ:
# take away the # directly before a setting. Lines with "# " and a space are explanations.
#
#   rfid3 check-config -c config.toml      tells everything that is wrong with it, line by line
#
# An environment variable wins over the file: RFID3_MQTT__HOST=broker is host in [mqtt].
"""

_EXAMPLES: dict[str, str] = {
    "sources": """\
# Examples:

# A Zebra reader behind topics zebra/<reader>/data: level 1 names the reader.
#[[sources]]
#topic = "zebra/+/data"
#format = "zebra"
#reader_level = 1

# One Impinj R700 that publishes to a topic of its own.
#[[sources]]
#topic = "dock/reads"
#format = "impinj"
#reader = "dock-1"

# Readers whose JSON nobody knows: the mapping below says what is what.
#[[sources]]
#topic = "keonn/+/tags"
#format = "mapping:keonn"
#reader_level = 1

#[[sources]]
#topic = "gate/#"
#format = "mapping:ifm-gate"
#timezone = "Europe/Berlin"

#[[sources]]
#topic = "workshop/scale"
#format = "mapping:home-made"

# Not ours: acknowledged, counted, not read.
#[[sources]]
#topic = "zigbee2mqtt/#"
#format = "ignore"
""",
    "mapping": """\
# Examples:

# Keonn AdvanNet, whose payload is written by its user; here
#   {"tags": [{"hexEpc": "3034…", "port": 2, "rssi": -61, "ts": 1760000000000}]}
#[mapping.keonn]
#kind = "tag_read"
#items = "tags"
#[mapping.keonn.fields]
#epc = "hexEpc"
#antenna = "port"
#rssi_dbm = "rssi"
#at = "ts"

# An ifm gate, if it writes more than the built-in format ifm knows; IN and OUT become in and out.
#[mapping.ifm-gate]
#kind = "tag_read"
#[mapping.ifm-gate.fields]
#epc = "EPC"
#tid = "TID"
#at = "timestamp"
#direction = "direction"
#[mapping.ifm-gate.values.direction]
#IN = "in"
#OUT = "out"

# A home-made return desk: {"card": {"uid": "04:7D:…"}, "strength": -4350, "when": "2026-…"},
# strength in hundredths of a dBm. Every tag it reads is a return.
#[mapping.return-desk]
#kind = "item_scan"
#constants = { scan_type = "Return", by = "desk" }
#[mapping.return-desk.fields]
#epc = "card.uid"
#at = "when"

#[mapping.home-made]
#[mapping.home-made.fields]
#epc = "card.uid"
#rssi_dbm = "strength"
#at = "when"
#[mapping.home-made.scale]
#rssi_dbm = 0.01
""",
    "zones": """\
# Examples:

#[[zones]]
#name = "shelf"
#readers = ["shelf-1", "shelf-2"]

# One antenna of a reader looks at the door, its others at the dock.
#[[zones]]
#name = "dock"
#readers = ["dock-1"]
#kind = "portal"

#[[zones]]
#name = "door"
#readers = ["dock-1/4"]
#kind = "exit"
""",
    "deliveries": """\
# Examples:

#[[deliveries]]
#channel = "file"
#target = "/var/lib/rfid3/orders"
#kinds = ["restock"]

#[[deliveries]]
#channel = "mqtt"
#target = "shop/price-tags"
#kinds = ["pricing"]
""",
    "crews": """\
# Examples:

#[[crews]]
#name = "tents"
#hours = 16
#categories = ["Tents", "Tops"]

#[[crews]]
#name = "linen"
#hours = 6
#weekdays = ["mon", "wed", "fri"]
#categories = ["Linen"]
""",
}

_SAMPLES: dict[str, tuple[str, dict[str, str]]] = {
    "sources": ("[[sources]]", {"topic": '"plain/+/reads"'}),
    "mapping": ("[mapping.sample]", {"fields": '{ epc = "tag" }'}),
    "zones": ("[[zones]]", {"name": '"sample"', "readers": '["sample-1"]'}),
    "crews": ("[[crews]]", {"name": '"tents"'}),
    "deliveries": ("[[deliveries]]", {"channel": '"mqtt"', "target": '"shop/decisions"'}),
}
"""A repeated table's header in the example, and values where there is no default or none fits."""


def example() -> str:
    """The text of ``config.example.toml``."""
    parts = [_TOP]
    parts += [_example_table(table) for table in tables()]
    return "\n".join(parts)


def _comment(text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _example_table(table: Table) -> str:
    header, values = table.header, dict[str, str]()
    lines = [_comment(part) for part in plain(table.text).split("\n\n")]
    if table.path[-1] == "*":
        header, values = _SAMPLES[str(table.path[0])]
        header = f"#{header}"
    lines += [header]
    for setting in table.settings:
        lines += ["", _comment(_explained(setting))]
        lines.append(f"#{setting.name} = {values.get(setting.name, setting.default_toml)}")
    if table.path[-1] == "*":
        lines += ["", _EXAMPLES[str(table.path[0])].rstrip()]
    return "\n".join(lines) + "\n"


def _explained(setting: Setting) -> str:
    """Docstring, what is allowed, and whether it must be given."""
    text = plain(setting.text)
    if setting.default is msgspec.NODEFAULT:
        text += " It must be given."
    known = setting.allowed and setting.allowed not in text
    return f"{text} ({setting.allowed})" if known else text


def plain(text: str) -> str:
    """A docstring without its markup."""
    return text.replace("``", "")


# --- docs/configuration.md --------------------------------------------------------------------

_INTRO = """\
# Configuration

<!-- Written by `python -m edge.config_docs` out of edge/config.py; change it there. -->

One TOML file, and over it environment variables. `config.example.toml` holds every setting with
its default; copy it to `config.toml` and change what must differ. All settings have defaults: an
empty file is a good configuration for a broker on the same machine.

```
cp config.example.toml config.toml
rfid3 check-config -c config.toml            # tells everything that is wrong, line by line
rfid3 check-config -c config.toml --show     # every setting, and where it comes from
```

**Which file.** `--config FILE`, else the one that the environment variable `RFID3_CONFIG` names,
else `./config.toml`, else `/etc/rfid3/config.toml`, else none.

**Environment variables.** `RFID3_` + table + `__` + key, in capitals: `RFID3_MQTT__HOST=broker`
is `host` in `[mqtt]`, `RFID3_MQTT__TLS__ENABLED=true` is `enabled` in `[mqtt.tls]`. Lists are
written `a,b` or as in TOML; `RFID3_SOURCES`, `RFID3_ZONES` and `RFID3_MAPPING` take the whole list
or table as in TOML. Passwords belong into a variable, not into the file. A variable that starts
with `RFID3_` and names no setting is refused.

**Mistakes** are all told at once, each with file, line, key, value and cure; nothing starts with
a configuration that is wrong:

```
config.toml:12: mqtt.port = 99999: must be 1..65535; the usual ports are 1883 (plain) and 8883 (TLS)
config.toml:14: mqtt.hsot = "broker": [mqtt] has no such key; did you mean host?
```
"""


def page() -> str:
    """The text of ``docs/configuration.md``."""
    return "\n".join([_INTRO, *(_page_table(table) for table in tables())])


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


def _page_table(table: Table) -> str:
    lines = [f"## `{table.header}`", "", table.text.replace("``", "`"), ""]
    if table.path[-1] != "*" and table.settings:
        variable = variable_of((*table.path, table.settings[0].name))
        lines += [f"Variables: `{variable}` and so on.", ""]
    lines += ["| key | type | default | meaning | allowed |", "|---|---|---|---|---|"]
    for setting in table.settings:
        default = f"`{_cell(setting.default_toml)}`" if setting.default_toml else "must be given"
        cells = (setting.kind, default, _cell(setting.text), _cell(setting.allowed))
        lines.append(f"| `{setting.name}` | {' | '.join(cells)} |")
    if table.path[-1] == "*":
        toml = _EXAMPLES[str(table.path[0])].partition("\n\n")[2]
        uncommented = "\n".join(uncomment(line) for line in toml.splitlines())
        lines += ["", "```toml", uncommented, "```"]
    return "\n".join(lines) + "\n"


def uncomment(line: str) -> str:
    """A setting without the # before it; explanations stay.

    >>> uncomment("#port = 1883"), uncomment("# The broker.")
    ('port = 1883', '# The broker.')
    """
    return line[1:] if line[:1] == "#" and line[1:2].strip() else line


def main() -> None:
    """Write both files in the current folder."""
    EXAMPLE.write_text(example())
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
