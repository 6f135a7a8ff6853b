"""docs/features.md and docs/events.md say what the catalogue and the event types are, all of them."""

import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from edge import events
from edge.features.catalog import FEATURES, Feature
from edge.ingest.decode import REASONS, Decoder
from edge.records import Message, Reason
from tools.describe import described, event_type, field_docs, files

ROOT = Path(__file__).parents[1]
FEATURES_PAGE = (ROOT / "docs/features.md").read_text()
EVENTS_PAGE = (ROOT / "docs/events.md").read_text()


@pytest.mark.parametrize("file", list(files()), ids=lambda file: file.name)
def test_the_written_tables_are_up_to_date(file: Path) -> None:
    text = file.read_text()
    assert text == described(file.name, text), "run: python -m tools.describe"


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f"{f.entity}.{f.name}")
def test_every_feature_has_a_line(feature: Feature) -> None:
    section = FEATURES_PAGE.split(f"<!-- features of {feature.entity}:")[1].split("<!-- end")[0]
    line = next(row for row in section.splitlines() if row.startswith(f"| `{feature.name}` |"))
    for word in (feature.unit, feature.measure, feature.description):
        assert f"| {word} |" in line


def test_every_window_is_explained() -> None:
    explained = FEATURES_PAGE.split("| window | buckets | covers |")[1].split("\n\n")[0]
    for window in {f.window for f in FEATURES if f.window and f.measure != "rate"}:
        assert re.search(rf"\b{window}\b", explained), window


@pytest.mark.parametrize("kind", events.BY_KIND)
def test_every_event_type_and_field_is_explained(kind: str) -> None:
    struct = events.BY_KIND[kind]
    assert f"### `{kind}`\n\n{event_type(kind)}" in EVENTS_PAGE
    docs = field_docs()[struct.__name__] | field_docs()["Event"]
    for field in msgspec.structs.fields(struct):
        assert docs[field.name].endswith((".", "…")), f"{field.name}: a docstring after the field"
        assert f"| `{field.name}` |" in EVENTS_PAGE


@pytest.mark.parametrize("name", [*REASONS, *Reason])
def test_every_reason_is_explained(name: str) -> None:
    assert f"| `{name}` |" in EVENTS_PAGE


def test_the_examples_are_read_as_they_stand() -> None:
    decoder = Decoder([], {}, store="main", timezone="UTC", payload_max_bytes=10_000)
    shell = re.findall(r"```sh\n(.*?)```", EVENTS_PAGE, re.DOTALL)
    commands = [c for block in shell for c in block.strip().split("\n\n")]
    assert commands
    for command in commands:
        words = shlex.split(command)
        topic, text = words[words.index("-t") + 1], words[words.index("-m") + 1]
        for payload in (text.encode(), msgspec.msgpack.encode(json.loads(text))):
            found = decoder.decode(Message(topic, payload, 1_772_400_000_000))
            assert found.events
            assert not found.rejects
