"""Readers of public tables on tables made up here: what counts, what is unknown, what is refused."""

import datetime as dt
import importlib.util
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.backtest import city_bike_rentals as bikes_bench
from bench.backtest.tables import (
    ai4i,
    avocado,
    bike_sharing,
    carparts,
    city_bike_rentals,
    files,
    m4_hourly,
    machine_maintenance,
    online_retail,
)

spec = importlib.util.spec_from_file_location("made", Path(__file__).parent / "made.py")
assert spec is not None
assert spec.loader is not None
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)

MONDAY = dt.datetime(2020, 1, 6, 9)
NEXT = MONDAY + dt.timedelta(days=1)


def shop(folder: Path, rows: list[tuple]):
    pq.write_table(made.invoices(rows), folder / "x.parquet")
    return online_retail.read(folder)


def test_only_products_sold_at_a_price_are_demand(tmp_path) -> None:
    panel = shop(tmp_path, [
        ("1", "85123A", 6, MONDAY, 2.5, 1.0),
        ("2", "85123a", 4, MONDAY, 3.5, 2.0),  # the same product
        ("3", "POST", 1, MONDAY, 18.0, 1.0),
        ("4", "84406", -5, MONDAY, 0.0, None),  # written off
        ("5", "84406", 3, NEXT, 0.0, 1.0),  # given away
        ("6", "84406", 2, NEXT, 1.0, 1.0),
    ])  # fmt: skip
    assert panel.keys == ["84406", "85123A"]
    np.testing.assert_array_equal(panel.measures["units"], [[np.nan, 2], [10, 0]])
    np.testing.assert_allclose(panel.measures["price_cents"], [[np.nan, 100], [290, 290]])


def test_a_mistake_cancelled_the_same_day_was_never_sold_a_return_was(tmp_path) -> None:
    panel = shop(tmp_path, [
        ("1", "10000", 900, MONDAY, 1.0, 1.0),
        ("C2", "10000", -900, MONDAY, 1.0, 1.0),
        ("3", "10000", 9, MONDAY, 1.0, 1.0),
        ("4", "10000", 7, MONDAY, 1.0, 2.0),
        ("C5", "10000", -9, NEXT, 1.0, 1.0),  # returned the next day
        ("C6", "10000", -7, MONDAY, 1.0, 3.0),  # somebody else's
    ])  # fmt: skip
    np.testing.assert_array_equal(panel.measures["units"], [[16, 0]])


def test_the_top_products_are_chosen_without_the_future(tmp_path) -> None:
    panel = shop(tmp_path, [
        ("1", "10000", 1, MONDAY, 1.0, 1.0),
        ("2", "10001", 2, MONDAY, 1.0, 1.0),
        ("3", "10000", 99, NEXT, 1.0, 1.0),
    ])  # fmt: skip
    assert online_retail.top(panel, 1, 1).keys == ["10001"]
    assert online_retail.top(panel, 1, 2).keys == ["10000"]


def test_a_month_without_any_rental_is_unknown_not_empty(tmp_path) -> None:
    made.city_bike_rentals(tmp_path / "city_bike_rentals")
    panel = city_bike_rentals.read(tmp_path)
    assert panel.keys == ["3183", "3186", "3195"]
    assert city_bike_rentals.spans(panel) == [(0, 31), (60, 213)]
    assert not np.isnan(panel.measures["units"][0, 60:]).any()
    hourly = city_bike_rentals.read(tmp_path, 24)
    assert hourly.period == 24
    assert np.nansum(hourly.measures["units"]) == np.nansum(panel.measures["units"])


def test_windows_of_a_table_with_gaps_lie_in_known_days(tmp_path) -> None:
    made.city_bike_rentals(tmp_path / "city_bike_rentals")
    panel = city_bike_rentals.read(tmp_path)
    for origins in bikes_bench.spans_origins(panel).values():
        for origin in origins:
            came = panel.measures["units"][0, origin : origin + bikes_bench.HORIZON]
            assert len(came) == bikes_bench.HORIZON
            assert not np.isnan(came).any()
    assert list(bikes_bench.spans_origins(panel).values()) == [(157, 185)]


def test_an_hour_the_table_leaves_out_had_no_rental(tmp_path) -> None:
    made.bike_sharing(tmp_path / "bike_sharing", days=10)
    hourly, daily = bike_sharing.read(tmp_path), bike_sharing.read(tmp_path, 7)
    assert hourly.measures["units"].shape == (1, 240)
    assert not np.isnan(hourly.factors["temperature"]).any()
    np.testing.assert_array_equal(
        daily.measures["units"][0], hourly.measures["units"][0].reshape(10, 24).sum(axis=1)
    )
    assert hourly.days[0] == daily.days[0] * 24
    assert daily.factors["temperature"].shape == (10,)


def test_m4_series_of_different_length_end_together(tmp_path) -> None:
    made.m4_hourly(tmp_path / "m4_hourly")
    panel = m4_hourly.read(tmp_path)
    y = panel.measures["units"]
    assert y.shape == (3, 400)
    assert np.isnan(y[1, :52]).all()
    assert not np.isnan(y[1, 52:]).any()


def test_a_part_given_up_is_unknown_from_then_on(tmp_path) -> None:
    made.carparts(tmp_path / "carparts")
    panel = carparts.read(tmp_path)
    assert (panel.period, panel.days[0]) == (12, (1998 - 1970) * 12)
    assert np.isnan(panel.measures["units"][-1, -14:]).all()


def test_avocado_rows_are_sorted_and_sums_of_regions_left_out(tmp_path) -> None:
    (tmp_path / "a.csv").write_text(
        "date,average_price,total_volume,type,geography\n"
        "2015-01-11,1.5,20.5,organic,Albany\n"
        "2015-01-04,1.25,10,organic,Albany\n"
        "2015-01-04,1,900,organic,Total U.S.\n"
    )
    found = avocado.read(tmp_path)
    assert found.series == ["Albany|organic"] * 2
    assert found.price_cents.tolist() == [125, 150]
    assert found.day[1] - found.day[0] == 7
    assert len(avocado.read(tmp_path, sums=True).series) == 3


def test_machines_come_with_what_happened_in_order(tmp_path) -> None:
    (tmp_path / "machines.csv").write_text("machineID,model,age\n1,model3,18\n2,model4,7\n")
    for name, column, what in (("errors_x", "errorID", "error"), ("failures_x", "failure", "comp"),
                               ("maint_x", "comp", "comp")):  # fmt: skip
        (tmp_path / f"{name}.csv").write_text(
            f"datetime,machineID,{column}\n2015-01-05 06:00:00,1,{what}4\n"
            f"2015-01-03 07:00:00,2,{what}1\n"
        )
    found = machine_maintenance.read(tmp_path)
    assert found.failures.what == ["comp1", "comp4"]
    assert found.errors.machine.tolist() == [2, 1]
    assert found.replacements.hour[1] - found.replacements.hour[0] == 47
    assert found.telemetry.shape == (0, 4)


def test_ai4i_is_read_without_what_gives_the_answer_away(tmp_path) -> None:
    head = ("UDI,Product ID,Type,Air temperature [K],Process temperature [K],"
            "Rotational speed [rpm],Torque [Nm],Tool wear [min],Machine failure,TWF,HDF,PWF,OSF,RNF")  # fmt: skip
    (tmp_path / "a.csv").write_text(
        f"{head}\n1,M1,M,298.1,308.6,1551,42.8,0,0,0,0,0,0,0\n2,L2,L,298.2,308.7,1408,46.3,3,1,1,0,0,0,0\n"
    )
    found = ai4i.read(tmp_path)
    assert found.names[-1] == "grade"
    assert found.x[:, -1].tolist() == [1, 0]
    assert found.failed.tolist() == [False, True]
    assert found.x.shape == (2, 6)


def test_a_table_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(files.TableMissing, match="online_retail"):
        online_retail.read(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(files.TableMissing, match=r"x\.csv"):
        ai4i.read(tmp_path)
