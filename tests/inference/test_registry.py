"""States, commands, judgement, history: which version answers, and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import Models
from edge.inference.folder import Folder
from edge.inference.history import FILE_NAME, HistoryFile
from edge.inference.manifest import Manifest, Service
from edge.inference.registry import (
    DAY_MS,
    FIELD_ROWS,
    Command,
    Deed,
    Line,
    Measured,
    Outcome,
    Registry,
)
from tests.inference import models

S: Service = "maintenance"
SETTINGS = Models(margin=0.02, shadow_days=7.0, canary_share=0.1)


class Told:
    """A registry, and a journal of what it was told."""

    def __init__(self, settings: Models = SETTINGS, **options: Any) -> None:
        self.registry = Registry(settings, "j", **options)
        self.ordinal = -1
        self.at_ms = 0
        self.payloads: list[bytes] = []

    def do(self, deed: Deed, version: str = "", **told: Any) -> Outcome:
        self.ordinal += 1
        payload = msgspec.json.encode(Command(do=deed, service=S, version=version, **told))
        self.payloads.append(payload)
        outcome = self.registry.apply(self.ordinal, self.at_ms, payload)
        assert outcome is not None
        return outcome

    def found(self, version: str, manifest: Manifest | None = None, **told: Any) -> None:
        self.do("found", version, mark=version)
        said = manifest or models.manifest(S, version, **told)
        self.registry.versions[S][version].manifest = said

    def due(self) -> list[tuple[Deed, str]]:
        """What is due is done, and told."""
        commands = self.registry.due(self.at_ms)
        for command in commands:
            self.do(command.do, command.version, why=command.why)
        return [(c.do, c.version) for c in commands]

    def states(self) -> dict[str, str]:
        return {v.version: v.state for v in self.registry.versions[S].values()}


def test_a_promoted_version_answers_and_the_one_before_waits_for_a_rollback() -> None:
    told = Told()
    for version in ("v1", "v2"):
        told.found(version)
        assert told.do("promote", version).version == version
    assert told.states() == {"v1": "previous", "v2": "active"}
    assert told.do("rollback", why="it smells").version == "v1"
    assert told.states() == {"v1": "active", "v2": "rejected"}
    assert told.do("rollback").version == ""
    assert told.states() == {"v1": "rejected", "v2": "rejected"}
    assert told.do("promote", "v2").version == "v2"


def test_what_changes_nothing_is_refused_with_its_reason() -> None:
    told = Told()
    assert told.do("promote").reason == "unknown-version"
    assert told.do("rollback").reason == "unknown-version"
    assert told.do("promote", "v9").reason == "unknown-version"
    told.found("v1")
    told.do("promote", "v1")
    assert told.do("promote", "v1").reason == "already"
    told.do("refuse", "v2", mark="x", why="bad_signature")
    refused = told.do("promote", "v2")
    assert (refused.reason, refused.version) == ("not-usable", "v1")
    assert "bad_signature" in refused.detail


def test_without_a_name_the_one_tried_out_is_promoted_before_any_candidate() -> None:
    told = Told()
    for version in ("v1", "v2", "v3"):
        told.found(version)
    told.do("promote", "v1")
    told.do("shadow", "v2")
    assert told.do("promote").version == "v2"


def test_only_one_is_tried_out_at_a_time() -> None:
    told = Told()
    for version in ("v1", "v2", "v3"):
        told.found(version)
    told.do("promote", "v1")
    told.do("shadow", "v2")
    told.do("canary", "v3")
    assert told.states() == {"v1": "active", "v2": "candidate", "v3": "canary"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["found", "refuse", "shadow", "canary", "promote", "rollback"]),
            st.sampled_from(["", "v1", "v2", "v3"]),
        ),
        max_size=30,
    ),
    st.integers(0, 30),
    st.integers(0, 30),
)
@settings(max_examples=150, deadline=None)
def test_a_replay_changes_nothing_and_the_lines_alone_give_the_registry_back(
    deeds: list[tuple[Deed, str]], kept: int, snapshot: int
) -> None:
    told = Told()
    kept = min(kept, len(deeds))
    lines: list[Line] = []
    for i, (deed, version) in enumerate(deeds):
        if i == kept:  # what comes later was not kept when the power went
            lines = told.registry.take_lines()
        told.at_ms += 1_000
        told.do(deed, version or ("v0" if deed in ("found", "refuse") else ""), mark=version)
    lines = lines if kept < len(deeds) else told.registry.take_lines()
    again = Registry(SETTINGS, "j", lines)
    for i, payload in list(enumerate(told.payloads))[min(snapshot, kept) :]:
        again.apply(i, (i + 1) * 1_000, payload)
    assert again.versions == told.registry.versions
    assert again.history == told.registry.history
    assert sum(v.state == "active" for v in again.versions[S].values()) <= 1
    assert sum(v.state in ("shadow", "canary") for v in again.versions[S].values()) <= 1
    assert all(v.usable for v in again.versions[S].values() if v.state != "rejected")


def test_a_journal_begun_anew_does_not_silence_its_commands() -> None:
    told = Told()
    told.found("v1")
    told.do("promote", "v1")
    again = Registry(SETTINGS, "another journal", told.registry.take_lines())
    assert again.active(S) is not None
    payload = msgspec.json.encode(Command(do="rollback", service=S))
    assert again.apply(0, 0, payload) is not None
    assert again.active(S) is None


def test_a_payload_that_is_no_command_is_counted_and_changes_nothing() -> None:
    registry = Registry(SETTINGS)
    for i, payload in enumerate((b"", b"\xff", b"{}", b'{"do":"explode","service":"demand"}')):
        outcome = registry.apply(i, 0, payload)
        assert outcome is not None
        assert outcome.reason == "unreadable"
    assert registry.counts["unreadable"] == 4


def test_the_first_model_goes_live_when_it_beats_the_simple_rules() -> None:
    told = Told()
    told.found("v1", metrics={"pinball": 0.97}, baselines={"naive": {"pinball": 1.0}})
    assert told.due() == [("promote", "v1")]
    assert told.due() == []


def test_a_first_model_that_is_no_better_than_a_rule_stays_in_the_shadow() -> None:
    told = Told()
    told.found("v1", metrics={"pinball": 0.99}, baselines={"naive": {"pinball": 1.0}})
    assert told.due() == [("shadow", "v1")]


@pytest.mark.parametrize(
    ("metrics", "baselines", "gain"),
    [
        ({"pinball": 0.5}, {"a": {"pinball": 1.0}, "b": {"pinball": 0.8}}, ("pinball", 0.375)),
        ({"pr_auc": 0.3}, {"a": {"pr_auc": 0.1}, "b": {"pr_auc": 0.2}}, ("pr_auc", 0.5)),
        ({"pr_auc": 0.3}, {"a": {"other": 0.1}}, None),
        ({"brier": 0.2}, {"active": {"brier": 0.1}}, None),
    ],
)
def test_skill_is_told_against_the_best_simple_rule(
    metrics: dict[str, float], baselines: dict[str, dict[str, float]], gain: Any
) -> None:
    from edge.inference.registry import skill

    found = skill(models.manifest(metrics=metrics, baselines=baselines))
    assert found == (pytest.approx(gain) if gain is None else (gain[0], pytest.approx(gain[1])))


def test_a_later_model_goes_the_way_through_shadow_and_canary() -> None:
    told = Told()
    told.found("v1", metrics={"pinball": 0.9}, baselines={"naive": {"pinball": 1.0}})
    told.due()
    told.found("v2", metrics={"pinball": 0.7}, baselines={"naive": {"pinball": 1.0}})
    assert told.due() == [("shadow", "v2")]
    told.at_ms += 6 * DAY_MS
    assert told.due() == []
    told.at_ms += 2 * DAY_MS
    assert told.due() == [("canary", "v2")]
    told.at_ms += DAY_MS
    assert told.due() == [("promote", "v2")]
    assert told.states() == {"v1": "previous", "v2": "active"}


def test_a_model_measured_beside_the_active_one_skips_the_shadow() -> None:
    told = Told()
    told.found("v1")
    told.due()
    beside = {"naive": {"pinball": 2.0}, "active": {"pinball": 1.2}}
    told.found("v2", metrics={"pinball": 1.0}, baselines=beside)
    assert told.due() == [("canary", "v2")]


def test_a_shadow_that_is_not_better_by_the_margin_is_let_go() -> None:
    told = Told()
    told.found("v1", metrics={"pinball": 0.7}, baselines={"naive": {"pinball": 1.0}})
    told.due()
    told.found("v2", metrics={"pinball": 0.69}, baselines={"naive": {"pinball": 1.0}})
    told.due()
    told.at_ms += 8 * DAY_MS
    assert told.due() == [("rollback", "v2")]
    assert told.states() == {"v1": "active", "v2": "rejected"}


def test_what_was_measured_in_the_field_counts_more_than_a_backtest() -> None:
    losses = {"v1": 1.0, "v2": 0.9}

    def field(service: Service, version: str) -> Measured | None:
        return Measured(rows=FIELD_ROWS, loss=losses[version])

    told = Told(field=field)
    told.found("v1", metrics={"pinball": 0.5}, baselines={"naive": {"pinball": 1.0}})
    told.due()
    told.found("v2", metrics={"pinball": 0.9}, baselines={"naive": {"pinball": 1.0}})
    told.due()
    told.at_ms += 8 * DAY_MS
    assert told.due() == [("canary", "v2")]
    losses["v2"] = 1.1
    told.at_ms += 2 * DAY_MS
    assert told.due() == [("rollback", "v2")]


def test_a_model_worse_than_the_simple_rule_in_the_field_is_rolled_back() -> None:
    measured = {"v1": Measured(rows=FIELD_ROWS, loss=1.0, baseline_loss=1.1)}
    told = Told(field=lambda service, version: measured.get(version))
    told.found("v1")
    told.due()
    assert told.due() == []
    measured["v1"] = Measured(rows=FIELD_ROWS, loss=1.2, baseline_loss=1.1)
    assert told.due() == [("rollback", "v1")]
    assert told.registry.active(S) is None


def test_nightly_candidates_wait_while_one_is_judged_and_only_the_newest_is_tried_next() -> None:
    told = Told(Models(shadow_days=3.0, canary_share=0.0))
    told.found("v1")
    told.due()
    told.found("v2")
    assert told.due() == [("shadow", "v2")]
    told.found("v3")
    told.found("v4")
    assert told.due() == []
    told.at_ms += 4 * DAY_MS
    assert told.due() == [("rollback", "v2")]
    assert told.due() == [("rollback", "v3")]
    assert told.due() == [("shadow", "v4")]


def test_an_older_version_is_never_promoted_by_itself() -> None:
    told = Told()
    told.found("v5")
    told.due()
    told.found("v4", metrics={"pinball": 0.1})
    assert told.due() == []


# -- files ----------------------------------------------------------------------------------------


def line(i: int, **told: Any) -> Line:
    return Line(at_ms=i, service=S, version=f"v{i}", state="candidate", who="w", why="é", **told)


def test_the_history_is_read_as_it_was_written_and_a_torn_end_is_cut(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "models")
    assert file.read() == []
    file.append([line(1), line(2, ordinal=7)])
    file.append([line(3)])
    assert [x.version for x in file.read()] == ["v1", "v2", "v3"]
    path = tmp_path / "models" / FILE_NAME
    content = path.read_bytes()
    for cut in (1, 9, 40):
        path.write_bytes(content[:-cut])
        assert [x.version for x in file.read()] == ["v1", "v2"]
        file.append([line(4)])
        assert [x.version for x in file.read()] == ["v1", "v2", "v4"]


def test_a_long_history_keeps_where_every_version_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.inference.history.FILE_MAX_BYTES", 4_000)
    file = HistoryFile(tmp_path)
    file.append([line(0)])
    for _ in range(60):
        file.append([line(1)])
    found = file.read()
    assert len(found) < 61
    assert found[0].version == "v0"
    assert found[-1].version == "v1"


def test_a_folder_tells_what_is_published_and_notices_what_changed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert list(folder.published()) == []
    models.publish(tmp_path, S, "v1")
    models.publish(tmp_path, "demand", "v2", features=models.CLASS_FEATURES)
    (tmp_path / S / ".half").mkdir()
    (tmp_path / S / "empty").mkdir()
    (tmp_path / "nonsense").mkdir()

    def told() -> Sequence[tuple[str, str, str]]:
        return [(p.service, p.version, p.mark) for p in folder.published()]

    first = told()
    assert [t[:2] for t in first] == [("demand", "v2"), (S, "v1")]
    assert told() == first
    (tmp_path / S / "v1" / "manifest.sig").write_bytes(b"signed")
    assert told()[0] == first[0]
    assert told()[1][2] != first[1][2]
