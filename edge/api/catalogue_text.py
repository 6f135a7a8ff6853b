"""CSV and JSON of the catalogue -> fields of its rows; whatever spelling the file has. No routing.

Read are our own export, RFID3's tables of rental classes (``rental_class_id``, ``short_common_name`` …,
with spaces in front of the names) and lists of products with prices in whole currency.
"""

from typing import Any

import msgspec
from msgspec import Struct

from edge.api.imports import Form, HeaderError, Read, plain
from edge.ledger.catalogue import KEYS, OWN, ROWS, Kind, wrong

SPELLINGS: dict[Kind, dict[str, str]] = {
    "class": {
        "rental_class_id": "sku",
        "rental_class_num": "sku",
        "class": "sku",
        "product_id": "sku",
        "common_name": "name",
        "short_common_name": "short_name",
        "bin_location": "bin",
        "supplier_id": "supplier",
        "manufacturer": "brand",
        "is_active": "active",
    },
    "category": {"category": "name", "category_name": "name"},
    "store": {"store_id": "store", "store_no": "store", "store_name": "name"},
}
"""Their names -> ours."""
MONEY = {
    "price": "price_cents",
    "current_price": "price_cents",
    "sell_price": "price_cents",
    "cost": "cost_cents",
    "cost_price": "cost_cents",
    "retail_price": "replacement_cents",
    "replacement_cost": "replacement_cents",
}
"""Their amounts in whole currency -> ours in cents."""
IGNORED = frozenset({"id", "created_at", "updated_at", "uuid_accounts_fk", *OWN})
"""Columns that say nothing to us."""
TRUE, FALSE = frozenset({"true", "1", "yes", "y", "t"}), frozenset({"false", "0", "no", "n", "f"})


def header(kind: Kind, names: list[str]) -> list[str]:
    """Our field of each column; empty: ignored. Raises HeaderError.

    >>> header("class", [" rental_class_id", " category", "short_common_name ", "created_at"])
    ['sku', 'category', 'short_name', '']
    """
    known = set(ROWS[kind].__struct_fields__) - OWN
    made = []
    for name in names:
        plain = name.strip().strip("\ufeff").lower().replace(" ", "_")
        ours = SPELLINGS[kind].get(plain, plain)
        if plain in IGNORED or not plain:
            made.append("")
        elif ours in known or (kind == "class" and plain in MONEY):
            made.append(ours)
        else:
            takes = ", ".join(n for n in ROWS[kind].__struct_fields__ if n not in OWN)
            raise HeaderError(f"{name.strip()!r} is no column of a {kind}. Columns: {takes}")
    fields = [_field(ours) for ours in made if ours]
    if KEYS[kind] not in fields:
        raise HeaderError(f"No column {KEYS[kind]!r}: it tells the rows apart")
    if twice := [n for n in fields if fields.count(n) > 1]:
        said = [n.strip() for n, ours in zip(names, made, strict=True) if _field(ours) == twice[0]]
        raise HeaderError(f"{' and '.join(said)} both speak of {twice[0]!r}: leave one out")
    return made


def _field(ours: str) -> str:
    """The field that a column in whole currency ends up in, else its own."""
    return MONEY.get(ours, ours)


def form(kind: Kind) -> Form:
    """How files of a kind are read."""
    types = {field.name: field.type for field in msgspec.structs.fields(ROWS[kind])}
    return Form(
        header=lambda names: header(kind, names),
        row=lambda line, cells: _row(line, cells, types),
        told=OWN,
        cure="Name the columns as docs/api-catalogue.md says; each field once.",
    )


def _row(line: int, cells: dict[str, str], types: dict[str, Any]) -> Read:
    fields: dict[str, Any] = {}
    for name, cell in cells.items():
        if not name:
            continue
        told = plain(cell.strip())
        try:
            ours, value = _value(name, told, types)
        except ValueError:
            return Read(line, {}, f"{name}: {cell.strip()!r} cannot be read")
        if value is not None:
            fields[ours] = value
    return Read(line, fields)


def _value(name: str, text: str, types: dict[str, Any]) -> tuple[str, Any]:
    """(our field, its value); ``None``: an empty cell, which leaves the field as it is by default."""
    if name in MONEY:
        amount = text.replace("$", "").replace(",", "").strip()
        return MONEY[name], round(float(amount) * 100) if amount else None
    wanted = types[name]
    if wanted is str:
        return name, text
    if not text:
        return name, None
    if wanted is bool:
        if text.lower() in TRUE | FALSE:
            return name, text.lower() in TRUE
        raise ValueError(text)
    if wanted is int:
        return name, int(float(text)) if float(text).is_integer() else _never(text)
    if (wanted is float or "float" in str(wanted)) and not str(wanted).startswith("dict"):
        return name, float(text)
    if str(wanted).startswith("dict"):
        return name, _json(text)
    return name, text


def _never(text: str) -> int:
    raise ValueError(text)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(text) from error


def checked(kind: Kind, read: Read) -> Read:
    """The same, with what is wrong with it by itself."""
    if read.wrong:
        return read
    wanted: type[Struct] = ROWS[kind]
    strange = [name for name in read.fields if name not in wanted.__struct_fields__]
    if strange:
        return Read(read.line, {}, f"{strange[0]!r} is not a field")
    if not read.fields.get(KEYS[kind]):
        return Read(read.line, {}, f"{KEYS[kind]!r} is empty")
    try:
        fault = wrong(msgspec.convert(read.fields, wanted))
    except msgspec.ValidationError as error:
        fault = str(error)
    return Read(read.line, {}, fault) if fault else read
