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

from edge.inference import door, drift, keys
from edge.inference.manifest import MANIFEST, SIGNATURE, decode_manifest
from edge.simulate.days import DaysSettings, ShopDays
from tests.inference import models
from trainer import fitting
from trainer.__main__ import COMMANDS, FAILED, OK, USAGE, main
from trainer.budget import Budget
from trainer.data import Data
from trainer.history import feature_table
from trainer.imports import import_history
from trainer.orders import FitOrder
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
    code, told = said(capsys, "compare", "demand", "-c", str(config))
    assert code == OK
    assert told["candidates"][0]["refusal"] == ""
    code, told = said(capsys, "publish", "-c", str(config))
    (one,) = told["published"]
    assert (code, one["became"]) == (OK, "published")
    trusted = keys.keys_directory(config.parent / "var") / keys.TRUSTED
    verdict = door.inspect(Path(one["path"]), trusted, door.Limits())
    assert verdict.ok, str(verdict)
    assert said(capsys, "publish", "-c", str(config))[1]["published"][0]["became"] == "already"


def test_an_export_is_signed_by_the_key_that_was_named(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = trained
    key = keys.new_key(keys.keys_directory(config.parent / "var"), "workstation")
    words = ("export", "demand", "--to", str(tmp_path / "stick"), "-c", str(config))
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
        "    kept = [bytearray(b'x') * 200_000_000]; time.sleep(60)\n"
        "if order['service'] == 'quality':\n"
        "    raise ValueError('a broken library')\n"
        "print(json.dumps({'answer': {'service': order['service'], 'became': 'fitted'}}))\n"
    )
    orders = [
        FitOrder(service=service, history=[], out="", budget=Budget(memory_mb=100, seconds=30))
        for service in ("demand", "quality", "maintenance")
    ]
    made = fitting.fit_all(orders, 60.0, program=[str(program)])
    assert [fit.became for fit in made.fits] == ["over_memory", "failed", "fitted"]
    assert [fit.service for fit in made.broken] == ["demand", "quality"]
    assert "a broken library" in made.fits[1].detail


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
        (("fit",), FAILED, "there is no history yet"),
        (("fit", "weather"), FAILED, "no service weather"),
        (("fit", "--rows", "sales.csv"), FAILED, "--mapping NAME"),
        (("fit", "--history", "nowhere.sqlite", "--nice", "40"), FAILED, "--nice"),
        (("publish",), FAILED, "no trained model"),
        (("compare", "demand"), FAILED, "no trained model"),
        (("backtest",), FAILED, "there is no history yet"),
    ],
)
def test_every_refusal_says_what_and_the_cure(
    words: tuple[str, ...], code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sales.csv").write_text(SALES)
    given = [str(tmp_path / word) if word == "sales.csv" else word for word in words]
    assert main([*given, "-c", str(configured(tmp_path))]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Cure:" in error


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


def test_without_its_libraries_the_trainer_says_what_to_install() -> None:
    blocked = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'sklearn' else real(name, *a)\n"
        "from edge.__main__ import main\n"
        "sys.exit(main(['train', 'fit']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, check=False
    )
    assert done.returncode == FAILED
    assert "make trainer" in done.stderr
    assert "scikit-learn" in done.stderr
