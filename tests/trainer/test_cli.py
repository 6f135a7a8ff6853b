"""The trainer's command line from rows of a file to a model that the door lets in; every refusal told.

One small shop's history is written once; the fits are real, small, and of one service.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edge.config_file import load
from edge.inference import door, drift, keys
from edge.inference.history import HistoryFile
from edge.inference.manifest import (
    MANIFEST,
    QUICK,
    SIGNATURE,
    decode_manifest,
    encode_manifest,
    is_quick,
)
from edge.inference.registry import Line
from edge.simulate.days import DaysSettings, ShopDays
from tests.inference import models
from trainer import export, fitting, places
from trainer.__main__ import COMMANDS, FAILED, OK, USAGE, main
from trainer.budget import Budget
from trainer.cli.fit import forget
from trainer.data import Data
from trainer.export import write_artifact
from trainer.history import feature_table
from trainer.imports import import_history
from trainer.orders import FitOrder
from trainer.services import RECIPES, Settings
from trainer.signals import drifted

SHOP = DaysSettings(days=200, rental_classes=6, articles=4, items_per_class=10, rentals_a_day=12.0)
SALES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,A,Tent,2,2024-01-02 10:00:00,9.99,7,X
2,B,Chair,1,2024-01-03 11:00:00,2.50,,X
3,A,Tent,1,2024-01-05 12:00:00,9.99,8,X
"""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "history.sqlite"
    import_history(ShopDays(SHOP), path)
    return path


@pytest.fixture(scope="module")
def trained(history: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One fit of one service: the configuration beside it, and what the command said."""
    room = tmp_path_factory.mktemp("trained")
    config = configured(room)
    done = called(
        "fit", "demand", "--quick", "--history", str(history), "--json", "-c", str(config)
    )
    assert done.returncode == OK, done.stderr
    return config, json.loads(done.stdout)


def configured(room: Path) -> Path:
    config = room / "config.toml"
    config.write_text(f'[storage]\ndirectory = "{room / "var"}"\n')
    return config


def called(*words: str) -> subprocess.CompletedProcess[str]:
    """``rfid3 train`` as people call it."""
    return subprocess.run(
        [sys.executable, "-m", "edge", "train", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


# --- from history to a model that answers -------------------------------------------------------------


def test_a_fit_leaves_a_model_with_its_figures_beside_simple_rules(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    _, told = trained
    (fit,) = told["fits"]
    assert fit["became"] == "fitted", fit
    assert 0 < fit["peak_mb"] <= 1_536
    assert {"seasonal_naive", "historical_average"} <= fit["baselines"].keys()
    assert all("pinball" in figures for figures in (fit["metrics"], *fit["baselines"].values()))
    manifest = decode_manifest((Path(fit["path"]) / MANIFEST).read_bytes())
    assert manifest.training.reason == "asked"
    assert manifest.training.seconds > 0
    assert "cost" in manifest.extra
    assert not (Path(fit["path"]) / SIGNATURE).exists()


def test_what_is_published_passes_the_door(
    trained: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = trained
    code, told = said(capsys, "compare", "demand", "--allow-quick", "-c", str(config))
    assert code == OK
    assert told["candidates"][0]["refusal"] == ""
    code, told = said(capsys, "publish", "--allow-quick", "-c", str(config))
    (one,) = told["published"]
    assert (code, one["became"]) == (OK, "published")
    trusted = keys.keys_directory(config.parent / "var") / keys.TRUSTED
    verdict = door.inspect(Path(one["path"]), trusted, door.Limits())
    assert verdict.ok, str(verdict)
    again = said(capsys, "publish", "--allow-quick", "-c", str(config))[1]["published"]
    assert again[0]["became"] == "already"


def test_a_quick_look_is_not_published_unless_it_is_allowed(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, made = trained
    look = Path(made["fits"][0]["path"])
    assert is_quick(decode_manifest((look / MANIFEST).read_bytes()))
    source = tmp_path / "looks" / "demand"
    shutil.copytree(look, source / look.name)
    words = ("--from", str(source.parent), "-c", str(configured(tmp_path)))
    for forced in ((), ("--force",)):
        assert main(["publish", *forced, *words]) == FAILED
        out = capsys.readouterr().out
        assert "a quick look" in out
        assert "--allow-quick" in out
    assert main(["export", "--to", str(tmp_path / "stick"), *words]) == FAILED
    assert "a quick look" in capsys.readouterr().err
    older = source / "20200101T000000Z-00000000"  # a whole one, from before
    shutil.copytree(look, older)
    whole = decode_manifest((older / MANIFEST).read_bytes())
    extra = {name: value for name, value in whole.extra.items() if name != QUICK}
    content = encode_manifest(replace(whole, version=older.name, extra=extra))
    (older / MANIFEST).write_bytes(content)
    code, told = said(capsys, "publish", *words)
    (one,) = told["published"]
    assert (code, one["became"], one["version"]) == (OK, "published", older.name)
    assert look.name in one["passed_over"]
    for i in range(places.KEPT + 1):
        shutil.copytree(look, source / f"{look.name}{i}")
    forget(source.parent, "demand")
    assert older in places.trained(source.parent, "demand")


def test_an_active_model_is_measured_on_later_days(
    history: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path)
    (tmp_path / "var" / "imported").mkdir(parents=True)
    shutil.copy(history, tmp_path / "var" / "imported")
    with Data([history]) as data:
        seen = data.last_day - 50
    with Data([history], last_day=seen) as data:
        folder = write_artifact(tmp_path / "made", RECIPES["inventory"].fit(data, Settings()))
    key = keys.machine_key(keys.keys_directory(tmp_path / "var"))
    export.publish(folder, tmp_path / "var" / "models", key)
    line = Line(at_ms=1, service="inventory", version=folder.name, state="active", who="a", why="")
    HistoryFile(tmp_path / "var" / "models").append([line])
    code, told = said(capsys, "compare", "--later", "inventory", "quality", "-c", str(config))
    assert code == OK, told
    later = {one["service"]: one for one in told["later"]}
    assert later["inventory"]["baselines"]["active"]["pinball"] > 0
    assert "no model of this shop's own" in later["quality"]["why"]


def test_an_export_is_signed_by_the_key_that_was_named(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = trained
    key = keys.new_key(keys.keys_directory(config.parent / "var"), "workstation")
    stick = ("--to", str(tmp_path / "stick"))
    words = ("export", "demand", "--allow-quick", *stick, "-c", str(config))
    code, told = said(capsys, *words, "--key", key.id)
    assert (code, told["key"]) == (OK, key.id)
    (folder,) = told["exported"]
    assert key.id.encode() in (Path(folder) / SIGNATURE).read_bytes()
    assert main([*words, "--key", key.id]) == FAILED
    assert "Cure:" in capsys.readouterr().err


def test_too_little_data_is_an_answer_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(SALES)
    config = configured(tmp_path)
    rows = ("--rows", str(tmp_path / "sales.csv"), "--mapping", "invoices")
    done = called("fit", "pricing", "demand", *rows, "--json", "-c", str(config))
    assert done.returncode == OK, done.stderr
    fits = json.loads(done.stdout)["fits"]
    assert [fit["service"] for fit in fits] == ["demand", "pricing"]
    assert {fit["became"] for fit in fits} <= {"too_little", "absent"}
    assert "needed" in fits[0]["detail"]
    kept = list((tmp_path / "var" / "imported").glob("sales-*.sqlite"))
    assert len(kept) == 1
    again = called("schedule", "--dry-run", "--json", "-c", str(config))
    assert again.returncode == OK, again.stderr
    assert {plan["service"] for plan in json.loads(again.stdout)["due"]} >= {"demand"}


def test_the_schedule_of_an_empty_shop_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = said(capsys, "schedule", "-c", str(configured(tmp_path)))
    assert code == OK
    assert {plan["reason"] for plan in told["due"]} == {None}


def test_a_night_trains_what_is_due_publishes_it_and_is_done(
    history: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path)
    (tmp_path / "var" / "imported").mkdir(parents=True)
    shutil.copy(history, tmp_path / "var" / "imported")
    code, told = said(capsys, "schedule", "packs", "-c", str(config))
    assert code == OK, told
    (fit,), (published,) = told["fits"], told["published"]
    assert (fit["became"], published["became"]) == ("fitted", "published")
    manifest = decode_manifest((Path(published["path"]) / MANIFEST).read_bytes())
    assert manifest.training.reason == "schedule"
    code, told = said(capsys, "schedule", "packs", "-c", str(config))
    assert (code, told["due"][0]["reason"]) == (OK, None)
    assert manifest.version in told["due"][0]["why"]


def test_a_fit_over_its_budget_is_ended_and_the_next_one_runs(tmp_path: Path) -> None:
    program = tmp_path / "work.py"
    program.write_text(
        "import sys, json, time\n"
        "order = json.loads(sys.stdin.read())\n"
        "if order['service'] == 'demand':\n"
        "    kept = [bytearray(b'x') * 200_000_000]; time.sleep(600)\n"
        "if order['service'] == 'quality':\n"
        "    raise ValueError('a broken library')\n"
        "print(json.dumps({'answer': {'service': order['service'], 'became': 'fitted'}}))\n"
    )
    orders = [
        FitOrder(service=service, history=[], out="", budget=Budget(memory_mb=100, seconds=300))
        for service in ("demand", "quality", "maintenance")
    ]
    made = fitting.fit_all(orders, 600.0, program=[str(program)])
    assert [fit.became for fit in made.fits] == ["over_memory", "failed", "fitted"]
    assert [fit.service for fit in made.broken] == ["demand", "quality"]
    assert "a broken library" in made.fits[1].detail


def test_children_compute_with_few_threads_unless_they_are_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for processors, threads in ((64, "4"), (2, "2")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=processors: set(range(n)))
        told = fitting.environment({})
        assert (told["OMP_NUM_THREADS"], told["OPENBLAS_NUM_THREADS"]) == (threads, threads)
    assert fitting.environment({"OMP_NUM_THREADS": "9"})["OMP_NUM_THREADS"] == "9"


def test_when_no_time_is_left_nothing_is_begun() -> None:
    order = FitOrder(service="demand", history=[], out="", budget=Budget())
    (fit,) = fitting.fit_all([order], 1.0, program=["-c", "raise SystemExit(9)"]).fits
    assert (fit.became, fit.seconds) == ("over_time", 0.0)


# --- what the newest days say -------------------------------------------------------------------------


def test_a_model_whose_features_have_moved_is_noticed(history: Path) -> None:
    names = ("rentals_total", "age_days", "scans_total")
    with Data([history]) as data:
        table = feature_table(data.sources, "item", names, first_day=data.last_day - 6)
        seen = table.x[table.on_turn()].astype(np.float64)
        same = {name: drift.bins_of(seen[:, i]) for i, name in enumerate(names)}
        other = {name: drift.bins_of(seen[:, i] * 3 + 500) for i, name in enumerate(names)}
        plain = models.manifest("maintenance", features=names)
        assert drifted(data, "maintenance", replace(plain, feature_bins=same)) == 0.0
        assert drifted(data, "maintenance", replace(plain, feature_bins=other)) == 1.0


# --- what is wrong is told ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("fit", FAILED, "there is no history yet"),
        ("backtest", FAILED, "there is no history yet"),
        ("publish", FAILED, "no trained model"),
        ("compare demand", FAILED, "no trained model"),
        ("fit weather", USAGE, "no service weather"),
        ("schedule weather", USAGE, "no service weather"),
        ("schedule --asked", USAGE, "none is named"),
        ("fit --rows {room}/sales.csv", USAGE, "--rows {room}/sales.csv: nothing says how"),
        ("fit --rows {room}/no.csv --mapping invoices", USAGE, "{room}/no.csv: No such file"),
        ("fit --rows {room} --mapping invoices", USAGE, "{room}: Is a directory"),
        ("fit --rows {room}/empty.csv --mapping invoices", USAGE, "{room}/empty.csv"),
        ("fit --rows {room}/head.csv --mapping invoices", USAGE, "no day of history came of it"),
        ("fit --rows {room}/sales.csv --mapping nonsense", USAGE, "nonsense"),
        ("fit --rows {room}/sales.csv --mapping bikes", USAGE, "bikes"),
        ("fit --rows {room}/bad.csv.gz --mapping invoices", USAGE, "it cannot be read"),
        ("fit --mapping invoices", USAGE, "--mapping says how to read --rows"),
        ("fit --history {room}/nowhere.sqlite", USAGE, "--history {room}/nowhere.sqlite: there is"),
        ("backtest --history {room}/sales.csv", USAGE, "{room}/sales.csv holds no history"),
        ("fit --nice 40", USAGE, "--nice 40"),
        ("fit --memory-mb 3", USAGE, "--memory-mb 3"),
        ("fit --minutes-all 0", USAGE, "--minutes-all 0"),
        ("backtest --horizon 0", USAGE, "--horizon"),
        ("publish --from {room}/nowhere", USAGE, "--from {room}/nowhere: there is no such folder"),
        ("publish --from {room}/sales.csv", USAGE, "sales.csv: there is no such folder"),
        (
            "fit --history {room}/good.sqlite --out {room}/sales.csv",
            USAGE,
            "no model can be written",
        ),
    ],
)
def test_every_refusal_says_what_and_where_and_the_cure(
    words: str,
    code: int,
    told: str,
    history: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "sales.csv").write_text(SALES)
    (tmp_path / "head.csv").write_text(SALES.splitlines()[0] + "\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "bad.csv.gz").write_bytes(b"\x1f\x8b rubbish")
    (tmp_path / "good.sqlite").symlink_to(history)
    given = [word.format(room=tmp_path) for word in words.split()]
    assert main([*given, "-c", str(configured(tmp_path))]) == code
    error = capsys.readouterr().err
    assert told.format(room=tmp_path) in error
    assert "Cure:" in error
    assert not list((tmp_path / "var" / "imported").glob("*.sqlite"))


def test_the_same_rows_are_imported_once_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "sales.csv"
    rows.write_text(SALES)
    config = configured(tmp_path)
    words = ["fit", "packs", "--mapping", "invoices", "-c", str(config), "--rows"]
    kept = tmp_path / "var" / "imported"
    assert main([*words, str(rows)]) == OK
    assert "admitted" in capsys.readouterr().out
    (first,) = kept.glob("*.sqlite")
    os.utime(rows, (1, 1))
    assert main([*words, str(rows)]) == OK
    out = capsys.readouterr().out
    assert "imported before" in out
    assert str(first) in out.replace("\n", "")
    rows.write_text(SALES + "4,A,Tent,5,2024-01-05 13:00:00,9.99,8,X\n")
    assert main([*words, str(rows)]) == OK
    assert "imported before" not in capsys.readouterr().out
    assert len(list(kept.glob("*.sqlite"))) == 2
    shop = load(config, {}, machine=False)
    assert places.history(shop)[0] == first  # the newer export stands last, and wins


def test_a_wrong_configuration_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("[shop]\ntimezone = 7\n")
    assert main(["compare", "-c", str(tmp_path / "config.toml")]) == USAGE
    assert "timezone" in capsys.readouterr().err


def test_a_wrong_word_is_exit_code_2() -> None:
    assert called("fitt").returncode == USAGE
    assert called("fit", "--memory", "3").returncode == USAGE


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_every_command_has_help_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == OK
    assert f"rfid3 train {name}" in capsys.readouterr().out.partition("examples:")[2]


WITHOUT = (
    "import sys\n"
    "for name in ('sklearn', 'scipy', 'skl2onnx', 'holidays', 'matplotlib'):\n"
    "    sys.modules[name] = None\n"
    "from trainer.__main__ import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


def without_libraries(*words: str) -> subprocess.CompletedProcess[str]:
    """The trainer where its extra is not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False
    )


def test_without_its_libraries_the_trainer_says_what_to_install(
    history: Path, tmp_path: Path
) -> None:
    config = ("-c", str(configured(tmp_path)))
    for words in (("fit",), ("backtest",), ("compare", "--later")):
        done = without_libraries(*words, *config)
        assert done.returncode == FAILED, words
        assert "make trainer" in done.stderr
        assert "scikit-learn" in done.stderr


def test_without_its_libraries_the_trainer_helps_and_looks(tmp_path: Path) -> None:
    config = ("-c", str(configured(tmp_path)))
    for words in (("--help",), ("fit", "--help"), ("schedule", "--dry-run", *config)):
        done = without_libraries(*words)
        assert done.returncode == OK, (words, done.stderr)
    done = without_libraries("publish", *config)
    assert "no trained model is there" in done.stderr
