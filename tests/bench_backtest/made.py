"""Tiny tables of the same shape as the public ones, made up here: nothing of the real data."""

import csv
import datetime as dt
import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

START = dt.datetime(2020, 1, 6)  # a Monday


def everything(folder: Path) -> Path:
    """All tables below ``folder``."""
    online_retail(folder / "online_retail")
    city_bike_rentals(folder / "city_bike_rentals")
    bike_sharing(folder / "bike_sharing")
    m4_hourly(folder / "m4_hourly")
    carparts(folder / "carparts")
    avocado(folder / "avocado")
    groceries(folder / "groceries")
    machine_maintenance(folder / "machine_maintenance")
    ai4i(folder / "ai4i")
    return folder


def written(path: Path, names: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A CSV file with a head."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


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
    """A shop shut on Saturdays; one product is rare, and the last two go on one invoice."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(1)
    rows = []
    for day in range(days):
        moment = START + dt.timedelta(days=day, hours=10)
        for product in range(products):
            sold = int(chance.poisson(30 if product == 0 else 4))
            if moment.weekday() != 5 and sold and (product != 1 or day % 9 == 0):
                invoice = f"{5000 + day}{min(product, products - 2)}"
                rows.append((invoice, f"{20000 + product}", sold, moment, 2.5, 17.0))
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


def avocado(folder: Path, weeks: int = 110) -> None:
    """Six cities and two kinds that sell less when dearer, and a sum over all cities."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(6)
    rows = []
    for kind, base, answer in (("conventional", 1.0, -1.5), ("organic", 1.6, -1.0)):
        for city in ("Aville", "Beton", "Ceburg", "Deham", "Efield", "Total U.S."):
            price = base * np.exp(chance.normal(0, 0.15, weeks))
            level = 9 + chance.normal() + 0.2 * np.sin(np.arange(weeks) / 52 * 2 * np.pi)
            volume = np.exp(level + answer * np.log(price / base) + chance.normal(0, 0.1, weeks))
            for week in range(weeks):
                date = (START + dt.timedelta(days=6 + 7 * week)).date()
                rows.append((date, f"{price[week]:.2f}", f"{volume[week]:.1f}", kind, city))
    names = ("date", "average_price", "total_volume", "type", "geography")
    written(folder / "made.csv", names, rows)


def groceries(folder: Path, baskets: int = 400) -> None:
    """Baskets filled by chance."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(7)
    rows = []
    for number in range(baskets):
        date = START + dt.timedelta(days=number // 4)
        items = chance.choice(12, chance.integers(1, 5), replace=False).tolist()
        rows += [(1000 + number, f"{date:%d-%m-%Y}", f"thing {item}") for item in items]
    written(folder / "made.csv", ("Member_number", "Date", "itemDescription"), rows)


def machine_maintenance(folder: Path, machines: int = 10, days: int = 200) -> None:
    """Machines visited every 15 days; an error comes some days before most failures.

    Telemetry: two machines, in the first weeks.
    """
    folder.mkdir(parents=True)
    chance = np.random.default_rng(8)
    errors, failures, visits = [], [], []
    for machine in range(1, machines + 1):
        for day in range(machine % 15, days, 15):
            at = START + dt.timedelta(days=day, hours=6)
            part = f"comp{1 + day // 15 % 2}"
            visits.append((at, machine, part))
            if chance.random() < 0.4:
                failures.append((at, machine, part))
                before = dt.timedelta(days=int(chance.integers(1, 7)), hours=3)
                errors.append((at - before, machine, "error1"))
        by_chance = np.flatnonzero(chance.random(days) < 0.03).tolist()
        errors += [(START + dt.timedelta(days=d, hours=9), machine, "error2") for d in by_chance]
    for name, column, rows in (
        ("errors", "errorID", errors),
        ("failures", "failure", failures),
        ("maint", "comp", visits),
    ):
        written(folder / f"{name}_made.csv", ("datetime", "machineID", column), rows)
    about = [(m, f"model{1 + m % 3}", m % 20) for m in range(1, machines + 1)]
    written(folder / "machines.csv", ("machineID", "model", "age"), about)
    told = [
        (START + dt.timedelta(hours=hour), machine, *np.round(chance.normal(100, 9, 4), 2).tolist())
        for machine in (1, 2)
        for hour in range(24 * 40)
    ]
    names = ("datetime", "machineID", "volt", "rotate", "pressure", "vibration")
    written(folder / "telemetry_made.csv", names, told)


def ai4i(folder: Path, states: int = 400) -> None:
    """Machines that fail where torque and wear are high together, some by chance."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(9)
    air = chance.normal(300, 2, states)
    torque = np.maximum(chance.normal(40, 10, states), 5)
    wear = chance.integers(0, 250, states)
    failed = (torque * wear > 8000) | (chance.random(states) < 0.02)
    rows = zip(
        chance.choice(["L", "M", "H"], states).tolist(),
        air.round(1).tolist(),
        (air + 10 + chance.normal(0, 1, states)).round(1).tolist(),
        chance.integers(1200, 2500, states).tolist(),
        torque.round(1).tolist(),
        wear.tolist(),
        failed.astype(int).tolist(),
        strict=True,
    )
    names = ("Type", "Air temperature [K]", "Process temperature [K]", "Rotational speed [rpm]",
             "Torque [Nm]", "Tool wear [min]", "Machine failure")  # fmt: skip
    written(folder / "made.csv", names, rows)
