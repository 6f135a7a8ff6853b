"""Configuration files: lines, types, rules, the environment, and how complaints read."""

import json
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import config_rules
from edge.config import Config
from edge.config_docs import field_texts
from edge.config_file import find, load, read, settings_paths, toml_value, variable_of
from edge.config_lines import lines_of
from edge.config_rules import RULES, bind_fault, filter_fault, rule_for
from edge.errors import ConfigError
from edge.ingest.decode import READERS


def complaints(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """What is said of a file with this text, without its folder."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, environ)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def loaded(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load(file, {"RFID3_STORAGE__DIRECTORY": str(tmp_path / "var"), **environ})


# --- lines ------------------------------------------------------------------------------------

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=5),
)
FILLERS = st.sampled_from(
    [
        '"a # ] } = b"',
        "'C:\\new]'",
        '"""two\n[lines]\nkey = 1 \\""" x"""',
        "'''it's\n}'''",
        "[1, # one\n  [2, 'x'], ]",
        "{ a = 'b', c = [1] }",
        "1979-05-27T07:32:00Z",
        "-1e3",
        "true",
        '""""quoted""""',
    ]
)


def quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[tuple[str | int, ...], int]]:
    """A valid TOML text in many spellings, and the line of each of its keys, counted in writing."""
    lines: list[str] = []
    where: dict[tuple[str | int, ...], int] = {}

    def write(text: str) -> int:
        start = sum(line.count("\n") + 1 for line in lines) + 1
        lines.append(text)
        return start

    def pairs(table: tuple[str | int, ...]) -> None:
        for key in draw(st.lists(KEYS, max_size=3, unique=True)):
            if draw(st.booleans()):
                write(draw(st.sampled_from(["", "# key = [", "  # '''"])))
            spelled = f"{quoted(key)} . sub" if draw(st.booleans()) else f" {quoted(key)}"
            line = write(f"{spelled} = {draw(FILLERS)} # ] end")
            where[(*table, key)] = line
            if "sub" in spelled.split(".")[-1] and spelled.endswith(" . sub"):
                where[(*table, key, "sub")] = line

    pairs(())
    taken = [path[0] for path in where]
    names = [n for n in draw(st.lists(KEYS, max_size=3, unique=True)) if n not in taken]
    for name in names:
        if draw(st.booleans()):
            where[(name,)] = write(f"[ {quoted(name)} ] # table")
            pairs((name,))
            continue
        for index in range(draw(st.integers(1, 3))):
            line = write(f"[[{quoted(name)}]]")
            where.setdefault((name,), line)
            where[(name, index)] = line
            pairs((name, index))
            if (name, index, "inner") not in where:
                where[(name, index, "inner")] = write(f"[{quoted(name)}.inner]")
                pairs((name, index, "inner"))
    return "\n".join(lines), where


@given(documents())
@settings(max_examples=200, deadline=None)
def test_the_line_of_every_key_is_where_it_was_written(
    document: tuple[str, dict[tuple[str | int, ...], int]],
) -> None:
    text, where = document
    tomllib.loads(text)
    found = lines_of(text)
    assert {path: found.get(path) for path in where} == where


def paths(tree: Any, at: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every key and array element of a parsed TOML text."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = set()
    for key, value in entries:
        found.add((*at, key))
        if isinstance(value, dict | list):
            found |= paths(value, (*at, key))
    return found


@given(documents())
@settings(max_examples=100, deadline=None)
def test_every_key_that_the_parser_finds_has_a_line(document: tuple[str, Any]) -> None:
    text, _ = document
    assert set(lines_of(text)) == paths(tomllib.loads(text))


# --- rules ------------------------------------------------------------------------------------


def test_every_number_of_the_settings_has_a_range() -> None:
    numbers = [path for path, kind in settings_paths() if kind in (int, float)]
    assert [path for path in numbers if rule_for(path) is None] == []


def test_every_rule_belongs_to_a_setting() -> None:
    known = {".".join(map(str, path)) for path, _ in settings_paths()}
    for table, entry in (
        ("sources", "SourceRule"),
        ("zones", "Zone"),
        ("mapping", "Mapping"),
        ("deliveries", "DeliveryRule"),
        ("crews", "Crew"),
    ):
        fields = msgspec.structs.fields(getattr(config_rules.settings, entry))
        known |= {f"{table}.*.{field.name}" for field in fields}
    assert set(RULES) <= known


def test_every_default_satisfies_its_rule() -> None:
    tree = msgspec.to_builtins(Config())
    for path, _ in settings_paths():
        value = tree
        for key in path:
            value = value[key]
        rule = rule_for(path)
        assert rule is None or rule.fault(value) == "", path


def test_the_known_formats_are_those_that_can_be_read() -> None:
    listed = set(config_rules.FORMATS)
    assert listed == {"auto", "bare", "ignore", *READERS} - {"discovery"}
    fields = field_texts(config_rules.settings.SourceRule)
    assert listed <= set(re.findall(r"\w+", fields["format"]))


@pytest.mark.parametrize("reader", ["", " ", "/1", "r/0", "r/65", "r/x", "r/1/2", "r/"])
def test_a_zone_names_readers_or_their_antennas(tmp_path: Path, reader: str) -> None:
    (said,) = complaints(tmp_path, f"[[zones]]\nname = 'a'\nreaders = ['r', '{reader}']")
    assert "reader/antenna" in said
    assert said.startswith("config.toml:3: zones[1].readers")


def test_one_antenna_may_look_elsewhere_than_its_reader(tmp_path: Path) -> None:
    text = """zones = [{ name = "dock", readers = ["r"] }, { name = "door", readers = ["r/4"] }]"""
    assert [zone.name for zone in loaded(tmp_path, text).zones] == ["dock", "door"]


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    empty = tmp_path / "config.toml"
    empty.write_text("")
    assert load(empty, {}) == load(None, {}) == Config()


@pytest.mark.parametrize(
    ("topic_filter", "fine"),
    [
        ("#", True),
        ("a/+/b/#", True),
        ("+", True),
        ("/", True),
        ("$share/shop/a/#", True),
        ("$SYS/#", True),
        ("", False),
        ("a#", False),
        ("a/#/b", False),
        ("a+/b", False),
        ("$share/shop", False),
        ("$share//a", False),
        ("$share/a+/b", False),
        ("a\0b", False),
        ("x" * 70_000, False),
    ],
)
def test_topic_filters_are_judged_as_mqtt_does(topic_filter: str, fine: bool) -> None:
    assert (filter_fault(topic_filter, share=True) == "") is fine


@pytest.mark.parametrize(
    ("bind", "fine"),
    [
        ("127.0.0.1:8099", True),
        ("127.8.9.1:0", True),
        ("localhost:1", True),
        ("[::1]:8099", True),
        ("::1:8099", False),
        ("0.0.0.0:8099", False),
        ("192.168.1.5:8099", False),
        ("[::]:8099", False),
        (":8099", False),
        ("127.0.0.1", False),
        ("127.0.0.1:65536", False),
        ("127.0.0.1:http", False),
        ("pi.local:8099", False),
    ],
)
def test_only_loopback_may_be_listened_on(bind: str, fine: bool) -> None:
    assert (bind_fault(bind) == "") is fine


# --- complaints -------------------------------------------------------------------------------

ONE_COMPLAINT = [
    (
        "[mqtt]\n\nport = 99999",
        "config.toml:3: mqtt.port = 99999: must be 1..65535; "
        "the usual ports are 1883 (plain) and 8883 (TLS)",
    ),
    (
        '[mqtt]\nhsot = "b"',
        'config.toml:2: mqtt.hsot = "b": [mqtt] has no such key; did you mean host?',
    ),
    ("[port]", "config.toml:1: port: the file has no such key; did you mean mqtt.port?"),
    (
        '[mqtt]\nport = "1883"',
        'config.toml:2: mqtt.port = "1883": must be a whole number, without quotes and without a unit',
    ),
    (
        "mqtt.tls.enabled = 'yes'",
        'config.toml:1: mqtt.tls.enabled = "yes": must be true or false, without quotes',
    ),
    ("mqtt = 3", "config.toml:1: mqtt = 3: must be a table, not a number; write [mqtt]"),
    (
        "[storage]\nretention_days = nan",
        "config.toml:2: storage.retention_days = nan: must be 0..3650",
    ),
    (
        '[log]\nlevel = "warn"',
        'config.toml:2: log.level = "warn": must be one of debug, info, warning, error; '
        "did you mean warning?",
    ),
    (
        '[shop]\ntimezone = "europe/berln"',
        'config.toml:2: shop.timezone = "europe/berln": must be an IANA time zone such as '
        "Europe/Berlin; did you mean Europe/Berlin?",
    ),
    (
        '[mqtt]\nhost = "mqtt://me:secret@broker:1883"',
        'config.toml:2: mqtt.host = "mqtt://…@broker:1883": must be only the host: broker',
    ),
    ("[[zones]]\nname = 'a'", "config.toml:1: zones[1]: lacks the key readers"),
    ("[zones]\na = 1", "config.toml:1: zones: must be a list of tables; write [[zones]]"),
    (
        "[ingest]\nbatch_max = 30_000",
        "config.toml:2: ingest.batch_max = 30000: must not exceed ingest.inbox_max = 20000",
    ),
    (
        "[mqtt]\nenabled = false\n[api]\nenabled = false",
        "config.toml:2: mqtt.enabled = false: must be true, or api.enabled: with both doors closed "
        "no event can ever arrive",
    ),
    (
        "[[sources]]\ntopic = 'a/#'\nformat = 'mapping:keon'\n"
        "[mapping.keonn.fields]\nepc = 'hexEpc'",
        'config.toml:3: sources[1].format = "mapping:keon": there is no [mapping.keon]; '
        "known mappings: keonn; did you mean keonn?",
    ),
    (
        "[mapping.a]\nkind = 'tag_reed'",
        "did you mean tag_read?",
    ),
    (
        "[mapping.a.fields]\nepc = 'e'\nrsi_dbm = 'r'",
        'config.toml:3: mapping.a.fields.rsi_dbm = "r": tag_read events have no field rsi_dbm; '
        "did you mean rssi_dbm?",
    ),
    (
        "[mapping.a]\nkind = 'item_scan'\nfields = { epc = 'e' }\nconstants = { by = 'me' }",
        "config.toml:1: mapping.a: item_scan events need scan_type; add to [mapping.a.fields] "
        'such as scan_type = "path.in.their.object"',
    ),
    (
        "[mapping.a]\nkind = 'item_scan'\nfields = { epc = 'e' }\nconstants = { scan_type = 'Rent' }",
        "must be one of Touch Scan, Rental, Return, Delivery, Pickup",
    ),
    (
        "[mapping.a]\nfields = { epc = 'e' }\nscale = { rssi_dbm = 0.01 }",
        "config.toml:3: mapping.a.scale.rssi_dbm = 0.01: translates a field that "
        "[mapping.a.fields] does not fill",
    ),
    (
        "[[zones]]\nname = 'a'\nreaders = ['r1', 'r2/1']\n[[zones]]\nname = 'b'\nreaders = ['r2/1']",
        'config.toml:6: zones[2].readers = ["r2/1"]: r2/1 already belongs to zone a; '
        "a reader or antenna looks at one zone",
    ),
    (
        "[demand.manual.classes]\n'TENT-3' = -2",
        'config.toml:1: demand.manual.classes: "TENT-3" must be 0..1_000_000; units a day',
    ),
    (
        "[[zones]]\nname = 'a'\nreaders = ['r1', 'r1']",
        "r1 already belongs to zone a",
    ),
    (
        "[[zones]]\nname = 'a'\nreaders = ['r1']\n[[zones]]\nname = 'a'\nreaders = ['r2']",
        'config.toml:5: zones[2].name = "a": stands twice',
    ),
    (
        "[limits]\nzones_max = 1\n[[zones]]\nname = 'a'\nreaders = ['1']\n"
        "[[zones]]\nname = 'b'\nreaders = ['2']",
        "config.toml:2: limits.zones_max = 1: must be at least 2",
    ),
    (
        "[mqtt.tls]\nenabled = true\nca_file = '/nowhere.pem'",
        'config.toml:3: mqtt.tls.ca_file = "/nowhere.pem": does not exist',
    ),
    (
        "[mqtt.tls]\nca_file = '/dev/null'",
        "is set but TLS is off",
    ),
    (
        "[storage]\ndirectory = '/dev/null/var'",
        'config.toml:2: storage.directory = "/dev/null/var": /dev/null is a file, not a folder',
    ),
    ('"\\u001b[2J" = 1', 'config.toml:1: "\\u001b[2J" = 1: the file has no such key'),
]


@pytest.mark.parametrize(("text", "expected"), ONE_COMPLAINT)
def test_a_mistake_is_told_once_with_line_key_value_and_cure(
    tmp_path: Path, text: str, expected: str
) -> None:
    (said,) = complaints(tmp_path, text)
    assert expected in said


def test_all_mistakes_are_told_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    text = """
[mqtt]
port = 0
qos = 2

[[sources]]
format = "zebra"

[[sources]]
topic = "ok/#"
format = "mapping:gone"

[api]
bind = "0.0.0.0:8099"
"""
    said = complaints(tmp_path, text, RFID3_SHOP__TIMEZONE="Mars")
    starts = [line.split(" ")[0] for line in said]
    assert starts == ["environment:", *(f"config.toml:{n}:" for n in (3, 4, 6, 11, 14))]
    assert "sources[2].format" in said[4], "entries are counted as they stand in the file"


@pytest.mark.parametrize("key", ["password", "pasword", "Password"])
def test_a_password_is_never_shown(tmp_path: Path, key: str) -> None:
    assert "geheim" not in "".join(complaints(tmp_path, f"[mqtt]\n{key} = ['geheim']"))
    assert "geheim" not in "".join(complaints(tmp_path, f"[mqtt]\n{key} = geheim"))


SYNTAX = [
    ("[mqtt]\nport 1883", 2, "a line reads key = value"),
    ("[mqtt]\nport = 18x", 2, "text needs quotes"),
    ("[mqtt]\nkeep_alive_s = 30s", 2, "text needs quotes"),
    ("[mqtt]\nhost = broker", 2, "text needs quotes"),
    ("[mqtt]\nenabled = True", 2, "lower case"),
    ("[mqtt]\nport = 1\nport = 2", 3, "stands twice"),
    ("[mqtt]\n[shop]\n[mqtt]", 3, "this table stands twice"),
    ("[mqtt\nport = 1", 1, "a table's name reads [name]"),
    ("[[sources]\n", 1, "an entry of a list [[name]]"),
    ('[mqtt]\nhost = "a\nport = 1', 2, "closing quote"),
    ('[mqtt]\nsubscriptions = ["a",\n', 2, "closing bracket"),
    ('[mqtt]\nhost = "C:\\x"', 2, "backslash"),
]


@pytest.mark.parametrize(("text", "line", "cure"), SYNTAX)
def test_what_is_not_toml_is_told_with_its_line_and_a_cure(
    tmp_path: Path, text: str, line: int, cure: str
) -> None:
    (said,) = complaints(tmp_path, text)
    assert said.startswith(f"config.toml:{line}: ")
    assert "is not TOML" in said
    assert cure in said


def test_a_file_that_cannot_be_read_is_told_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; start from config\.example\.toml"):
        load(tmp_path / "gone.toml", {})
    with pytest.raises(ConfigError, match="is a folder; name the file"):
        load(tmp_path, {})
    bad = tmp_path / "latin.toml"
    bad.write_bytes(b"# fine\n# M\xfcnchen\n")
    with pytest.raises(ConfigError, match=r"latin\.toml:2: is not UTF-8"):
        load(bad, {})
    bad.write_text("a = " + "[" * 20_000)
    with pytest.raises(ConfigError, match="nested too deep"):
        load(bad, {})


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbf[mqtt]\r\nport = 1884\r\nqos = 7\r\n")
    assert read(file, {}).config.mqtt.port == 1884
    with pytest.raises(ConfigError, match=r"config\.toml:3: mqtt\.qos = 7"):
        load(file, {})


# --- the environment --------------------------------------------------------------------------


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "[mqtt]\nport = 1884\nsubscriptions = ['x']\n",
        RFID3_MQTT__PORT="1885",
        RFID3_MQTT__HOST="1234",
        RFID3_MQTT__TLS__ENABLED="Yes",
        RFID3_MQTT__SUBSCRIPTIONS="a/#, $share/g/b",
        RFID3_MQTT__IGNORE='["c/#"]',
        RFID3_MQTT__RECONNECT_MIN_S="2",
        RFID3_INGEST__CLOCK="events",
        RFID3_ZONES='[{name = "a", readers = ["r"]}]',
        UNRELATED="1",
    )
    assert config.mqtt.port == 1885
    assert config.mqtt.host == "1234"
    assert config.mqtt.tls.enabled is True
    assert config.mqtt.subscriptions == ["a/#", "$share/g/b"]
    assert config.mqtt.ignore == ["c/#"]
    assert config.mqtt.reconnect_min_s == 2.0
    assert config.ingest.clock == "events"
    assert config.zones[0].readers == ["r"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RFID3_MQTT__PROT", "1", "did you mean RFID3_MQTT__PORT?"),
        ("RFID3_MQTT_PORT", "1", "did you mean RFID3_MQTT__PORT?"),
        ("RFID3_MQTT__TLS", "1", "did you mean RFID3_MQTT__TLS__"),
        ("RFID3_ELEPHANT", "1", "unset it"),
        ("RFID3_MQTT__PORT", "99999", "RFID3_MQTT__PORT = 99999: must be 1..65535"),
        ("RFID3_MQTT__PORT", "", 'RFID3_MQTT__PORT = "": must be a whole number'),
        ("RFID3_MQTT__PORT", "1\nx=2", "must be a whole number"),
        ("RFID3_EPC__DECODE", "maybe", "must be true or false"),
        ("RFID3_LOG__LEVEL", "warn", "did you mean warning?"),
        ("RFID3_SOURCES", '[{topic = "a", format = "zerba"}]', "sources[1].format"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(name: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {name: value})
    (said,) = str(caught.value).splitlines()
    assert said.startswith(f"environment: {name}")
    assert expected in said


def test_every_setting_can_be_given_by_a_variable_of_its_own() -> None:
    names = [variable_of(path) for path, _ in settings_paths()]
    assert len(set(names)) == len(names)
    tree = msgspec.to_builtins(Config())
    environ = {}
    for path, _ in settings_paths():
        value = tree
        for key in path:
            value = value[key]
        environ[variable_of(path)] = value if isinstance(value, str) else toml_value(value)
    assert load(None, environ) == Config()


def test_origins_say_where_a_setting_was_given(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[mqtt]\nport = 1\nhost = 'h'\n")
    origins = read(file, {"RFID3_MQTT__PORT": "2"}).origins
    assert origins["mqtt", "port"] == "RFID3_MQTT__PORT"
    assert origins["mqtt", "host"] == f"{file}:3"
    assert ("mqtt", "qos") not in origins


def test_the_file_is_found_by_variable_or_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find({"RFID3_CONFIG": "/x.toml"}) == Path("/x.toml")
    (tmp_path / "config.toml").write_text("")
    assert find({}) == Path("config.toml")


LEAVES = st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
WORDS = ["mqtt", "tls", "port", "name", "readers", "kind", "fields", "values", "topic", "x"]
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([f.name for f in msgspec.structs.fields(Config)]), VALUES, max_size=3
    )
)
@settings(max_examples=300, deadline=None)
def test_wrong_types_anywhere_end_in_a_complaint_and_nothing_else(
    tree: dict[str, Any],
) -> None:
    text = "\n".join(f"{name} = {toml_value(value)}" for name, value in tree.items())
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        problems = read(file.name, {}).problems
    assert all(":" in line for line in problems)


def test_rules_about_this_machine_can_be_left_out(tmp_path: Path) -> None:
    environ = {"RFID3_STORAGE__DIRECTORY": "/dev/null/var"}
    assert load(None, environ, machine=False).storage.directory == "/dev/null/var"
    with pytest.raises(ConfigError):
        load(None, environ)
