"""Tiny tables of the same shape as the public ones, made up here: nothing of the real data."""

import datetime as dt
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

START = dt.datetime(2020, 1, 6)  # a Monday


def everything(folder: Path) -> Path:
    """All demand tables below ``folder``."""
    online_retail(folder / "online_retail")
    city_bike_rentals(folder / "city_bike_rentals")
    bike_sharing(folder / "bike_sharing")
    m4_hourly(folder / "m4_hourly")
    carparts(folder / "carparts")
    return folder


def invoices(rows: list[tuple]) -> pa.Table:
    """Rows of (invoice, product, quantity, moment, price, customer)."""
    names = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return pa.table(columns, schema=pa.schema([
        ("InvoiceNo", pa.large_string()), ("StockCode", pa.large_string()),
        ("Quantity", pa.int64()), ("InvoiceDate", pa.timestamp("us")),
        ("UnitPrice", pa.float64()), ("CustomerID", pa.float64()),
    ]))  # fmt: skip


def online_retail(folder: Path, days: int = 260, products: int = 6) -> None:
    """A shop shut on Saturdays; one product is rare."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(1)
    rows = []
    for day in range(days):
        moment = START + dt.timedelta(days=day, hours=10)
        for product in range(products):
            sold = int(chance.poisson(30 if product == 0 else 4))
            if moment.weekday() != 5 and sold and (product != 1 or day % 9 == 0):
                rows.append((str(5000 + day), f"{20000 + product}", sold, moment, 2.5, 17.0))
    rows.append(("C1", "20000", -3, START + dt.timedelta(days=30), 2.5, None))
    rows.append(("7777", "POST", 1, START + dt.timedelta(days=31), 18.0, 17.0))
    pq.write_table(invoices(rows), folder / "made.parquet")


def city_bike_rentals(folder: Path) -> None:
    """Three stations, one month unknown."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(2)
    at, station = [], []
    for day in range(213):
        moment = START.replace(day=1) + dt.timedelta(days=day, hours=8)
        if moment.month == 2:
            continue
        for number, mean in ((3183, 25), (3186, 9), (3195, 1)):
            rented = int(chance.poisson(mean))
            at += [moment + dt.timedelta(minutes=i) for i in range(rented)]
            station += [number] * rented
    table = pa.table({"starttime": pa.array(at, pa.timestamp("us")), "startstationid": station})
    pq.write_table(table, folder / "made.parquet")


def bike_sharing(folder: Path, days: int = 182) -> None:
    """A city busier by day and in the warmth; empty hours are left out of the table."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(3)
    rows = []
    for hour in range(days * 24):
        moment = START + dt.timedelta(hours=hour)
        temp = 0.5 + 0.3 * np.sin(hour / 24 / 9)
        count = int(chance.poisson(40 * temp * (1 + np.sin((hour % 24 - 8) / 24 * 2 * np.pi))))
        if count:
            rows.append((moment.date(), moment.hour, count, temp, temp, 0.5, 0.1, 1))
    names = ("dteday", "hr", "cnt", "temp", "atemp", "hum", "windspeed", "weathersit")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pv.write_csv(pa.table(columns), folder / "made.csv")


def m4_hourly(folder: Path) -> None:
    """Three series, one shorter than the others."""
    folder.mkdir(parents=True)
    wave = 100 + 40 * np.sin(np.arange(400) / 24 * 2 * np.pi)
    chance = np.random.default_rng(4)
    with (
        gzip.open(folder / "Train.csv.gz", "wt") as train,
        gzip.open(folder / "test.csv.gz", "wt") as test,
    ):
        train.write(",".join(f'"V{i + 1}"' for i in range(353)) + "\n")
        test.write(",".join(f'"V{i + 1}"' for i in range(49)) + "\n")
        for name, length in (("H1", 352), ("H2", 300), ("H3", 352)):
            y = [f"{v:.1f}" for v in wave[:length] + chance.normal(0, 3, length)]
            train.write(",".join([f'"{name}"', *y, *["NA"] * (352 - length)]) + "\n")
            rest = [f"{v:.1f}" for v in wave[length % 24 :][:48] + chance.normal(0, 3, 48)]
            test.write(",".join([f'"{name}"', *rest]) + "\n")


def carparts(folder: Path, parts: int = 8, months: int = 51) -> None:
    """Rare parts; the last one was given up."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(5)
    names = [f"{1998 + m // 12}-{m % 12 + 1:02d}" for m in range(months)]
    lines = ["part," + ",".join(names)]
    for part in range(parts):
        demand = chance.poisson(0.4, months) * (1 + part % 3)
        texts = [f"{v:.1f}" for v in demand]
        if part == parts - 1:
            texts[-14:] = [""] * 14
        lines.append(f"p{part}," + ",".join(texts))
    (folder / "made.csv").write_text("\n".join(lines) + "\n")
