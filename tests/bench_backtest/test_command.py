"""Every backtest goes through all its steps at a tiny size. No figure of a forecast is asserted."""

import importlib.util
import io
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from bench.backtest import __main__ as command
from bench.backtest import online_retail, peers, product
from bench.backtest.tables import bike_sharing
from bench.harness import Context, Result, Run
from trainer import backtest
from trainer.backtest_baselines import SeasonalAverage
from trainer.panel import Panel

spec = importlib.util.spec_from_file_location("made", Path(__file__).parent / "made.py")
assert spec is not None
assert spec.loader is not None
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)

WITH_FORECASTS = (
    "online_retail", "city_bike_rentals", "bike_sharing", "m4_hourly", "carparts"
)  # fmt: skip
"""Tables whose bench makes pages; the others judge no forecasts of series."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.everything(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def found(data, tmp_path_factory) -> tuple[Run, Path, list]:
    """All tables, without peers: the peers are no part of the product."""
    folder = tmp_path_factory.mktemp("results")
    context = Context(folder, quick=True, tiny=True)
    context.shared.update(data=data, series=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "available", lambda: False)
        # Fits of the real ladder take minutes; below, it is asked once through the same door.
        naive = SeasonalAverage()
        patch.setattr(
            product.Product, "fit", lambda self, panel, measure: naive.fit(panel, measure)
        )
        run = command.run(command.BENCHES, context, Console(file=io.StringIO(), width=170), None)
    pages = context.shared["pages"]
    command.write(run, pages, folder)
    return run, folder, pages


@pytest.mark.parametrize("name", [bench.name for bench in command.BENCHES])
def test_every_table_tells_its_figures_beside_goals_and_what_they_do_not_say(name, found) -> None:
    result = found[0].results[name]
    assert result.caveat.startswith("What it does not say")
    assert any(figure.goal is not None for figure in result.figures)
    assert all(rows for rows in result.tables.values())
    again = msgspec.json.decode(msgspec.json.encode(result), type=Result)
    assert [f.name for f in again.figures] == [f.name for f in result.figures]


def test_json_is_written_for_every_table_reports_and_summaries_where_forecasts_are(found) -> None:
    _, folder, pages = found
    for bench in command.BENCHES:
        assert (folder / f"{bench.name}.json").exists()
    for name in WITH_FORECASTS:
        assert any(page.name.startswith(name) for page in pages)
    for page in pages:
        assert "</html>" in (folder / f"{page.name}.html").read_text(encoding="utf-8")
        told = backtest.decode((folder / f"{page.name}.summary.json").read_bytes())
        assert told.scores


def test_without_statsforecast_the_peers_are_left_out_and_the_result_says_so(found) -> None:
    run = found[0]
    assert peers.MISSING in run.results["online_retail"].notes
    assert peers.MISSING in run.results["carparts"].notes
    assert not any("peer" in figure.name for figure in run.results["online_retail"].figures)


def test_the_products_own_forecaster_is_told_what_is_known_ahead(data) -> None:
    panel = bike_sharing.read(data, 7)
    plan = backtest.Plan((150,), 14, known_ahead=True)
    found = backtest.run(panel, "units", plan, [product.Product("US", 14)])
    assert found.runs[0].mean.shape == (1, 1, 14)
    assert (np.diff(found.runs[0].quantiles, axis=3) >= 0).all()


def test_a_table_that_is_not_there_is_left_out_and_said(tmp_path, capsys) -> None:
    code = command.main(["--data", str(tmp_path), "--results", str(tmp_path / "r"),
                         "--only", "carparts"])  # fmt: skip
    assert code == 1
    assert "left out" in capsys.readouterr().out


def test_the_best_peer_is_chosen_on_earlier_windows_only() -> None:
    chance = np.random.default_rng(6)
    panel = Panel(["a", "b"], np.arange(200), {"units": chance.poisson(5, (2, 200)) * 1.0})

    class Always:
        def __init__(self, name: str, value: float) -> None:
            self.name, self.value = name, value

        def fit(self, panel, measure):
            return self

        def forecast(self, horizon, levels):
            mean = np.full((2, horizon), self.value, dtype=np.float32)
            return mean, np.repeat(mean[..., None], len(levels), axis=2)

    panel.measures["units"][:, -56:] = 9.0  # what is judged; before it 5 was right
    at = tuple(200 - 28 * i for i in range(6, 0, -1))
    ours = backtest.run(panel, "units", backtest.Plan(at[2:], 28), [Always("rfid3", 7.0)])
    theirs = backtest.run(
        panel, "units", backtest.Plan(at, 28), [Always("five", 5.0), Always("nine", 9.0)]
    )
    late = online_retail.joined(ours, theirs, (2, 3), (4, 5), (2, 3))
    for name in online_retail.BEST.values():
        assert (late.run(name).mean == 5.0).all()


def test_a_peer_where_there_is_one_answers_with_quantiles_in_order_and_none_below_zero() -> None:
    chance = np.random.default_rng(7)
    y = chance.poisson(3.0, (3, 120)).astype(np.float32)
    y[1, :100] = np.nan
    y[2] *= chance.random(120) < 0.1
    panel = Panel(["a", "b", "c"], np.arange(120), {"units": y})
    for name in ("SeasonalNaive", "CrostonOptimized") if peers.available() else ():
        mean, quantiles = peers.Peer(name).fit(panel, "units").forecast(14, (0.1, 0.5, 0.9))
        assert mean.shape == (3, 14)
        assert (np.diff(quantiles, axis=2) >= 0).all()
        assert (quantiles >= 0).all()
