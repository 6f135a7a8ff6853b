"""Documentation that lies is a bug: what the pages name exists, and what they tell to try works.

Commands, flags, make targets, endpoints, settings, variables, files, topics, log lines, metrics and
reasons are looked up where they are defined. Configurations are loaded, event examples decoded, and
every ``mosquitto_pub`` and ``curl`` line is sent to a running daemon. (Which settings, endpoints and
features must be documented is held by the tests beside those pages.)
"""

import argparse
import asyncio
import importlib
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from edge.__main__ import COMMANDS, Parser
from edge.api.table import ENDPOINTS
from edge.app import Daemon, running
from edge.broker import Broker
from edge.checks import Case
from edge.checks.machine import memory_rows
from edge.clock import SystemClock
from edge.config import Config
from edge.config_file import PREFIX, read, settings_paths, variable_of
from edge.events import BY_KIND
from edge.ingest import topics
from edge.ingest.decode import REASONS, Decoder
from edge.ingest.mqtt import publisher
from edge.records import Message, Reason
from edge.replay import mappings
from trainer.__main__ import parser as trainer_parser

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    p.relative_to(ROOT).as_posix()
    for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("systemd/*.md"))
)
TRIED = ("docs/connect.md", "docs/operations.md", "README.md", "docs/api.md")
"""Pages whose mosquitto_pub and curl lines are sent to a daemon, in this order."""
INDEX = "docs/README.md"
FOLDERS = "edge|trainer|docs|systemd|tools|tests|bench|requirements"


# --- reading a page ---------------------------------------------------------------------------------


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [Block(*b) for b in found if b[0] in languages]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```\w*[^\n]*\n.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def spans(page: str) -> list[str]:
    """Inline code."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def rows(page: str, head: str) -> list[str]:
    """First cells of the tables whose first column is called ``head``."""
    tables = re.findall(
        rf"^\| {re.escape(head)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text_of(page), re.M
    )
    return [line.split("|")[1].strip() for table in tables for line in table.splitlines()]


def commands(page: str) -> list[list[str]]:
    """Every command line of the page's shell blocks, in words; a pipe or ``&&`` ends one."""
    found: list[list[str]] = []
    for block in blocks(page, "sh", "bash", "shell", ""):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip().startswith(("#", "|")) or not line.strip():
                continue
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                continue  # a block without language that is no shell
            found += split(words)
    return found


def split(words: list[str]) -> Iterator[list[str]]:
    start = 0
    for i, word in enumerate([*words, "|"]):
        if word in ("|", "&&", "||", ";", ">", ">>"):
            if words[start:i]:
                yield words[start:i]
            start = i + 1


def uses(page: str, program: str) -> list[list[str]]:
    """Arguments of every use of a program, also behind sudo or systemd-run, and inline."""
    found = []
    told = [shlex.split(span) for span in spans(page) if re.match(rf"(\S*/)?{program} [-\w]", span)]
    for words in [*commands(page), *told]:
        names = [i for i, word in enumerate(words) if re.fullmatch(rf"(\S*bin/)?{program}", word)]
        first = next((i for i, w in enumerate(words) if "=" not in w and w != "sudo"), 0)
        if names and (names[0] == first or "/" in words[names[0]]):
            found.append(words[names[0] + 1 :])
    return found


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {slug(h) for h in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)}


# --- what exists ------------------------------------------------------------------------------------


def parser() -> Parser:
    """The whole command line, with every command's options."""
    whole = Parser(prog="rfid3")
    whole.add_argument("-V", "--version", action="store_true")
    subparsers = whole.add_subparsers(dest="command")
    for _, _, module in COMMANDS:
        importlib.import_module(module).add_parser(subparsers)
    return whole


def options_of(command: str) -> set[str]:
    """Every option of a command, those of its verbs too."""
    subparsers = next(
        a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)
    ).choices
    chosen = trainer_parser() if command == "train" else subparsers[command]
    actions = list(chosen._actions)
    for action in chosen._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions += [a for verb in action.choices.values() for a in verb._actions]
    return {o for action in actions for o in action.option_strings}


NAMES = [name for name, _, _ in COMMANDS]
TARGETS = set(re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(), re.M))
MAKE_VARIABLES = set(re.findall(r"^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.M))
PATHS = [re.compile(re.sub(r"\{\w+\}", "[^/]+", e.path)) for e in ENDPOINTS]
SETTINGS = {".".join(map(str, path)) for path, _ in settings_paths()}
SETTINGS |= {f"sources.{name}" for name in ("topic", "format", "reader", "reader_level")}
TABLES = {key.partition(".")[0] for key in SETTINGS} | {"mqtt.tls", "mapping", "zones"}
VARIABLES = {variable_of(path) for path, _ in settings_paths()}


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_heading_that_exist(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_rfid3_command_and_flag_exists(page: str) -> None:
    for words in uses(page, "rfid3"):
        if words[:1] in (["--help"], ["--version"]):
            continue
        if not words or words[0] not in NAMES:
            pytest.fail(f"{page}: rfid3 {' '.join(words)}")
        flags = {w.partition("=")[0] for w in words[1:] if re.match(r"--?[a-z]", w)}
        assert flags <= options_of(words[0]), f"{page}: rfid3 {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_its_arguments_exist(page: str) -> None:
    for words in uses(page, "make"):
        for word in words:
            name, given, value = word.partition("=")
            if not given:
                assert word in TARGETS, f"{page}: make {word}"
                continue
            assert name in MAKE_VARIABLES, f"{page}: make … {word}"
            if name == "ARGS" and words[0] in NAMES:
                flags = {w for w in value.split() if w.startswith("--")}
                assert flags <= options_of(words[0]), f"{page}: make {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_endpoint_exists(page: str) -> None:
    found = re.findall(
        r"(?<![a-zA-Z_.$}])/(?:healthz|readyz|metrics|openapi\.json|api/[\w{}./-]*)", text_of(page)
    )
    for path in found:
        path = path.rstrip("./")
        assert any(p.fullmatch(path) for p in PATHS), f"{page}: {path}"


OF_OTHERS = {"inventory.count.updated", "inventory.low"}
"""Names of other programs' events and topics that look like settings."""


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_and_variable_exists(page: str) -> None:
    for span in spans(page):
        if re.fullmatch(rf"({'|'.join(TABLES)})\.[a-z_.]+", span):
            assert span in SETTINGS or span in OF_OTHERS, f"{page}: {span}"
    for name, table in re.findall(r"`(\w+)`\s+in\s+`\[(\w+(?:\.\w+)?)\]`", prose(page)):
        assert f"{table}.{name}" in SETTINGS, f"{page}: {name} in [{table}]"
    for table in re.findall(r"setting in `\[(\w+)\]`", text_of(page)):
        for cell in rows(page, f"setting in `[{table}]`"):
            assert f"{table}.{cell.strip('`')}" in SETTINGS, f"{page}: {cell}"
    for name in re.findall(rf"\b{PREFIX}[A-Z_]+__[A-Z_]+\b", text_of(page)):
        assert name in VARIABLES, f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_repository_exists(page: str) -> None:
    told = [s for s in spans(page) if re.fullmatch(rf"({FOLDERS})/[\w./*-]*", s)]
    told += [w for words in commands(page) for w in words if re.match(rf"({FOLDERS})/\S+$", w)]
    for name in told:
        if name.startswith("bench/results/"):
            continue  # written by a run of the bench
        assert any(ROOT.glob(name.rstrip("/"))), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_native_topic_names_an_event_type(page: str) -> None:
    for topic in re.findall(r"\brfid3/[\w<>+-]+/([\w<>]+)/[\w<>+-]+", text_of(page)):
        assert topic in {*BY_KIND, "events", "<kind>", "bin"}, f"{page}: rfid3/…/{topic}/…"


def test_every_command_and_make_target_is_in_the_index() -> None:
    assert {cell.strip("`").removeprefix("rfid3 ") for cell in rows(INDEX, "command")} == set(NAMES)
    told = set(re.findall(r"`make ([a-z]+)`", text_of(INDEX)))
    assert told >= TARGETS - {"help", "mosquitto", "stale"}


def test_every_page_is_in_the_index() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", text_of(INDEX))
    linked = {(ROOT / "docs" / target).resolve() for target in targets}
    assert {(ROOT / page) for page in PAGES} - linked == {ROOT / INDEX}


# --- configurations and payloads ----------------------------------------------------------------------


def is_replay_mapping(text: str) -> bool:
    return "[[messages]]" in text


def configuration(page: str) -> str:
    """All settings that a page shows, as one file."""
    shown = (b.text for b in blocks(page, "toml") if not is_replay_mapping(b.text))
    return "\n".join(shown)


def load(text: str, folder: Path) -> Config:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    reading = read(file, {}, machine=False)
    assert reading.problems == []
    return reading.config


@pytest.mark.parametrize("page", PAGES)
def test_every_configuration_loads(page: str, tmp_path: Path) -> None:
    load(configuration(page), tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_every_replay_mapping_loads(page: str, tmp_path: Path) -> None:
    for i, block in enumerate(b for b in blocks(page, "toml") if is_replay_mapping(b.text)):
        file = tmp_path / f"{i}.toml"
        file.write_text(block.text, encoding="utf-8")
        assert mappings.load(str(file)).messages


def decoder(config: Config) -> Decoder:
    return Decoder(
        config.sources,
        config.mapping,
        store=config.shop.store,
        timezone=config.shop.timezone,
        payload_max_bytes=config.ingest.payload_max_bytes,
    )


@pytest.mark.parametrize("page", [p for p in PAGES if p != "docs/api.md"])  # there: answers
def test_every_event_in_json_decodes(page: str, tmp_path: Path) -> None:
    decode = decoder(load(configuration(page), tmp_path)).decode
    for block in blocks(page, "json", "jsonl"):
        try:
            payloads = [bytes(msgspec.json.decode(block.text, type=msgspec.Raw))]
        except msgspec.DecodeError:  # one event a line
            payloads = [line.encode() for line in block.text.splitlines() if line.strip()]
        for payload in payloads:
            decoded = decode(Message("$http/events/docs", payload, 1_750_000_000_000))
            assert decoded.rejects == [], block.text
            assert decoded.events, block.text


def test_every_log_line_of_the_operations_page_is_said_somewhere() -> None:
    said = {
        name
        for file in (ROOT / "edge").rglob("*.py")
        for name in re.findall(r"\blog\.\w+\(\s*\"(\w+)\"", file.read_text(encoding="utf-8"))
    }
    told = {n for cell in rows("docs/operations.md", "line") for n in re.findall(r"\w+", cell)}
    assert told
    assert told <= said
    events = re.findall(r"RFID3_EVENT=(\w+)", text_of("docs/operations.md"))
    assert set(events) <= said


def test_every_reason_of_a_dead_letter_has_its_cure_on_the_operations_page() -> None:
    told = {n for c in rows("docs/operations.md", "reason") for n in re.findall(r"`(\w+)`", c)}
    assert told == set(REASONS) | {str(Reason.FUTURE), str(Reason.KEY_LIMIT), "poison"}


def test_the_memory_of_the_default_limits_is_as_told() -> None:
    needed = sum(memory_rows(Case(Config(), {})).values()) / 1e6
    told = re.search(r"about (\d+) MB for the state", text_of("docs/operations.md"))
    assert told
    assert needed == pytest.approx(int(told[1]), rel=0.05)


def test_the_picture_has_words_for_those_who_cannot_see_it() -> None:
    picture = text_of("docs/data-path.svg")
    assert re.search(r"<title[^>]*>\w.*</title>", picture)
    assert re.search(r"<desc[^>]*>\w.*</desc>", picture)
    assert "prefers-color-scheme: dark" in picture
    assert re.search(r"!\[\w[^\]]+\]\(docs/data-path\.svg\)", text_of("README.md"))


# --- what the pages tell to try -----------------------------------------------------------------------


class Tried(NamedTuple):
    """What became of the examples."""

    answers: list[tuple[str, int, Any]]
    topics: list[str]
    readers: set[str]
    blind: set[str]
    letters: list[dict[str, Any]]
    dependencies: set[str]
    metrics: str


def option(words: list[str], *names: str) -> str:
    """The last value of an option."""
    return next((words[i + 1] for i in reversed(range(len(words))) if words[i] in names), "")


def body_of(page: str, words: list[str]) -> bytes | None:
    """What a curl line sends; a file ``x.csv`` is the page's block of CSV, or links by class."""
    given = option(words, "-d", "--data", "--data-binary")
    if not given.startswith("@"):
        return given.encode() if given else None
    found = [b.text for b in blocks(page, "csv") if given == "@lines.csv"]
    return (found or ["epc,sku,name\nE2801160600002040000A001,65020,Garden chair\n"])[0].encode()


class Trial:
    """A daemon that listens to what the pages tell to try."""

    def __init__(self, daemon: Daemon, http: aiohttp.ClientSession) -> None:
        assert daemon.bound is not None
        self.url = daemon.bound.url
        self.http = http
        self.answers: list[tuple[str, int, Any]] = []
        self.topics: list[str] = []

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            return msgspec.json.decode(await answer.read())

    async def curl(self, page: str, words: list[str]) -> None:
        url = next(w for w in words if re.match(r"(http://)?(localhost|127\.0\.0\.1):8099", w))
        path = re.sub(r"^(http://)?[^/]+", "", url)
        body = body_of(page, words)
        method = option(words, "-X") or ("POST" if body is not None else "GET")
        headers = dict([option(words, "-H").split(": ", 1)]) if "-H" in words else {}
        async with self.http.request(method, self.url + path, data=body, headers=headers) as answer:
            text = await answer.read()
            told = msgspec.json.decode(text) if "json" in answer.content_type else text
            self.answers.append((f"{page}: {method} {path}", answer.status, told))

    async def settle(self) -> None:
        """Until everything that was published has been applied."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            stats = (await self.get("/api/stats"))["stats"]
            arrived = stats["mqtt"]["acknowledged"] >= len(self.topics)
            if arrived and not stats["corridor"]["inbox"] + stats["corridor"]["batches_ahead"]:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(stats)


async def _try(config: Config) -> Tried:
    async with (
        running(config, SystemClock()) as daemon,
        aiohttp.ClientSession() as http,
        publisher(config.mqtt, "docs") as client,
    ):
        assert daemon.source is not None
        await daemon.source.wait_connected(60)
        trial = Trial(daemon, http)
        for page in TRIED:
            for words in commands(page):
                if words[0] == "mosquitto_pub":
                    topic = option(words, "-t")
                    await client.publish(topic, option(words, "-m").encode(), 1)
                    trial.topics.append(topic)
                elif words[0] == "curl":
                    await trial.settle()
                    await trial.curl(page, words)
        await trial.settle()
        letters = (await trial.get("/api/dead-letters"))["letters"]
        # a mistake for each counter that only mistakes bring to life
        ahead = {"type": "tag_read", "epc": "ABCDEF01", "at": int(time.time() * 1000) + 86_400_000}
        await http.post(trial.url + "/api/events", json=ahead)
        async with http.get(trial.url + "/metrics") as answer:
            metrics = await answer.text()
        readers = (await trial.get("/api/readers"))["readers"]
        return Tried(
            trial.answers,
            trial.topics,
            {r["name"] for r in readers},
            {r["name"] for r in readers if r["blind"]},
            letters,
            {d["name"] for d in (await trial.get("/readyz"))["dependencies"]},
            metrics,
        )


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    folder = tmp_path_factory.mktemp("docs")
    with Broker(folder / "broker") as broker:
        config = load(configuration("docs/connect.md"), folder)
        replace = msgspec.structs.replace
        config = replace(
            config,
            mqtt=replace(config.mqtt, port=broker.port),
            api=replace(config.api, bind="127.0.0.1:0"),
            storage=replace(config.storage, directory=str(folder / "var")),
        )
        return asyncio.run(_try(config))


def test_every_curl_line_is_answered(tried: Tried) -> None:
    assert len(tried.answers) > 10
    assert [a for a in tried.answers if a[1] != 200] == []


def test_every_event_sent_by_curl_is_taken(tried: Tried) -> None:
    reports = [a for a in tried.answers if "POST /api/events" in a[0]]
    assert reports
    assert [a for a in reports if a[2]["refused"] or not a[2]["accepted"] + a[2]["repeated"]] == []


def test_every_message_of_mosquitto_pub_is_understood(tried: Tried) -> None:
    assert len(tried.topics) > 8
    assert tried.letters == []


def test_every_reader_goes_by_the_name_that_the_connect_page_promises(tried: Tried) -> None:
    tags = [t for t in tried.topics if not topics.matches("rfid3/+/pos_line/+", t)]
    named = {topics.device_of(t) for t in tags if "/" in topics.device_of(t)}
    assert named == {"handheld/7/scans", "smartreader/reads", "keonn/fitting-room/tags"}
    promised = {"shelf-1", "dock-1", "gate-2", "topshelf", "desk", "fitting-room", "bench-1"}
    assert promised <= tried.readers
    assert "dock-1" in tried.blind  # its last will came


def test_every_dependency_of_readyz_has_its_cure_on_the_operations_page(tried: Tried) -> None:
    assert {cell.strip("`") for cell in rows("docs/operations.md", "name")} == tried.dependencies


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_exists(page: str, tried: Tried) -> None:
    for name, label in re.findall(r"`(rfid3_[a-z_]+)(\{[^}`]*\})?`", text_of(page)):
        sample = f"{name}{label}" if label else rf"{name}"
        assert re.search(rf"^{re.escape(sample)}(_bucket)?[{{ ]", tried.metrics, re.M), sample


# --- the searches can find something -------------------------------------------------------------------


def test_the_pages_are_read_as_meant() -> None:
    assert slug("## `[[sources]]` and more: a, b"[3:]) == "sources-and-more-a-b"
    assert list(split(["a", "b", "|", "c", "&&", "d"])) == [["a", "b"], ["c"], ["d"]]
    assert ["check-config", "-c", "config.toml"] in uses("docs/configuration.md", "rfid3")
    assert ["doctor", "--config", "/etc/rfid3/config.toml"] in uses("docs/operations.md", "rfid3")
    assert ["bench"] in uses(INDEX, "make")
    assert "mapping:keonn" in configuration("docs/connect.md")
    assert len(blocks("docs/connect.md", "toml")) > 4
    assert rows("docs/operations.md", "setting in `[storage]`")
