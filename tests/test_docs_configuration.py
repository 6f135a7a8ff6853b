"""``config.example.toml`` and ``docs/configuration.md`` say what the settings are, all of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.config import Config
from edge.config_docs import ENTRIES, Setting, example, page, tables, uncomment, unit_of
from edge.config_file import load, settings_paths, toml_value

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.toml"
PAGE = ROOT / "docs/configuration.md"
SETTINGS = [setting for table in tables() for setting in table.settings]
WORDS = {
    "s": "seconds|long|span|older|later",
    "ms": "milliseconds",
    "bytes": "bytes|argest|larger|never grows|free space",
    "days": "days",
    "dB": "dB",
    "dB/s": "dB/s",
}


def uncommented() -> str:
    return "\n".join(uncomment(line) for line in EXAMPLE.read_text().splitlines())


@pytest.mark.parametrize(("file", "text"), [(EXAMPLE, example()), (PAGE, page())])
def test_the_written_files_are_up_to_date(file: Path, text: str) -> None:
    assert file.read_text() == text, "run: python -m edge.config_docs"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: ".".join(s.path))
def test_every_setting_is_explained_with_its_default_in_both(setting: Setting) -> None:
    assert setting.text.endswith((".", "…")), "a docstring after the field"
    if unit := unit_of(setting.name):
        assert unit in setting.allowed or re.search(WORDS[unit], setting.text)
    row = next(r for r in table_of(setting) if r.startswith(f"| `{setting.name}` |"))
    assert setting.default is msgspec.NODEFAULT or f"| `{setting.default_toml}` |" in row


def table_of(setting: Setting) -> list[str]:
    """The lines of the page below the header of this setting's table."""
    header = next(t.header for t in tables() if t.path == setting.path[:-1])
    return PAGE.read_text().partition(f"## `{header}`\n")[2].partition("\n## ")[0].splitlines()


def test_the_example_loads_as_it_is_and_is_the_defaults() -> None:
    assert load(EXAMPLE, {}, machine=False) == Config()


def test_the_example_loads_with_every_comment_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(uncommented())
    config = load(file, {}, machine=False)
    assert {f.removeprefix("mapping:") for f in (s.format for s in config.sources)} >= {
        "zebra",
        "impinj",
        "keonn",
    }
    assert {"keonn", "ifm-gate", "home-made"} <= set(config.mapping)
    assert {zone.kind for zone in config.zones} == {"shelf", "portal", "exit"}


def test_the_uncommented_example_holds_every_setting_with_its_default() -> None:
    tree = tomllib.loads(uncommented())
    defaults = msgspec.to_builtins(Config())
    for path, _ in settings_paths():
        if path[0] in ENTRIES:
            continue
        given, default = tree, defaults
        for key in path:
            given, default = given[key], default[key]
        assert (type(given), given) == (type(default), default), path


@pytest.mark.parametrize("name", list(ENTRIES))
def test_a_sample_entry_of_the_example_holds_every_key_with_its_default(name: str) -> None:
    tree: Any = tomllib.loads(uncommented())[name]
    sample = tree["sample"] if name == "mapping" else tree[0]
    own = [s for s in SETTINGS if s.path[0] == name]
    assert set(sample) == {s.name for s in own}
    free = ("topic", "fields", "name", "readers", "channel", "target")  # examples stand here
    for setting in own:
        if setting.name not in free:
            assert toml_value(sample[setting.name]) == toml_value(setting.default)


def test_nothing_but_settings_stands_in_the_example_and_nothing_is_left_out() -> None:
    documented = {s.path for s in SETTINGS}
    known = {path for path, _ in settings_paths() if path[0] not in ENTRIES}
    for name, (_, struct) in ENTRIES.items():
        known |= {(name, "*", f.name) for f in msgspec.structs.fields(struct)}
    assert documented == known
