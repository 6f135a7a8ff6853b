"""Contracts at check-in, as readers see them: expected, returned, missing, damaged, and what that costs.

Rows are the ledger's, charges are worked out here from the catalogue's prices and ``[contracts]``. No
storage: rows that left memory are handed in.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Literal

from msgspec import Struct

from edge.config import Contracts
from edge.features.business import class_key
from edge.ledger.catalogue import CatalogueClass
from edge.ledger.contracts import Contract, ContractItem, ContractLine
from edge.view_basis import Basis, Sources

DAY_MS = 86_400_000
FORMULA = (
    "expected and returned: the larger of what lines and scans tell; missing: what is overdue or the "
    "contract closed without; charges: catalogue prices and [contracts]"
)

ChargeKind = Literal["missing", "damage", "repair", "cleaning", "late"]


class ContractRow(Struct, kw_only=True):
    """One contract in a list."""

    contract: str
    """Contract number."""
    store: str
    """Store."""
    customer: str
    """Customer, pseudonymous key."""
    state: str
    """``open``, ``returned`` or ``closed``."""
    opened_ms: int
    """First event under it."""
    due_ms: int
    """When it is due back; 0: not told."""
    overdue: bool
    """Whether something is out beyond that."""
    last_ms: int
    """Newest event under it."""
    returned_ms: int
    """When the last of it came back; 0: something is out."""
    closed_ms: int
    """When it was closed; 0: it is not."""


class CheckedItem(Struct, kw_only=True):
    """One item under a contract."""

    epc: str
    """The item."""
    sku: str
    """Its class."""
    name: str
    """Its name."""
    state: str
    """``out``, ``picked_up`` or ``back``."""
    missing: bool
    """Whether it should be back and is not."""
    damaged: bool
    """Whether it came back with a defect that is charged, or had to be repaired."""
    out_ms: int
    """When it went out."""
    back_ms: int
    """When it came back; 0: it has not."""
    due_ms: int
    """When it is due back; 0: not told."""
    grade_out: str
    """Quality grade when it went out."""
    grade_back: str
    """Quality grade when it came back."""
    defects: list[str]
    """Defect flags set when it came back, or afterwards."""
    repair_cents: int
    """What repairing it cost since, cents."""


class CheckedClass(Struct, kw_only=True):
    """One class under a contract."""

    sku: str
    """Class."""
    name: str
    """Its name."""
    expected: float
    """Units that went out."""
    returned: float
    """Units that came back."""
    missing: float
    """Units that should be back and are not."""
    damaged: float
    """Items that came back damaged."""
    out: float
    """Units still out in time."""
    price_cents: int
    """Price of a unit for this rental, cents; 0: not told."""


class Charge(Struct, kw_only=True):
    """Something that may be charged for."""

    kind: ChargeKind
    """What for."""
    sku: str
    """Class."""
    epc: str
    """The item; empty: units that no scan told apart."""
    units: float
    """Units, or days for ``late``."""
    cents: int
    """Amount, cents."""
    why: str
    """How it is worked out, for people."""


class ContractAnswer(Struct, kw_only=True):
    """A contract at check-in."""

    basis: Basis
    """What it stands on."""
    row: ContractRow
    """The contract."""
    note: str
    """Words of whoever closed it."""
    closed_by: str
    """Who closed it; empty: nobody, or it closed by itself."""
    expected: float
    """Units that went out."""
    returned: float
    """Units that came back."""
    missing: float
    """Units that should be back and are not."""
    damaged: float
    """Items that came back damaged."""
    classes: list[CheckedClass]
    """By class."""
    items: list[CheckedItem]
    """Items that scans told."""
    charges: list[Charge]
    """What may be charged."""
    charges_cents: int
    """Sum of the charges, cents."""


class ContractsView:
    """Reads contracts in memory; judges those handed in alike."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._ledger = sources.core.ledger
        self._state = sources.core.state
        self._settings: Contracts = sources.config.contracts
        self.in_order = partial(self._ledger.in_order, Contract)

    def rows(self) -> Collection[Contract]:
        """Contracts in memory: those not closed, and those closed lately."""
        return self._ledger.rows(Contract).values()

    def overdue(self, contract: Contract) -> bool:
        """Whether something is out beyond its day."""
        return contract.state == "open" and 0 < contract.due_ms < self._sources.now_ms

    def basis(self) -> Basis:
        """What contracts stand on."""
        return self._sources.computed(FORMULA)

    def row(self, contract: Contract) -> ContractRow:
        """One contract in a list."""
        return ContractRow(
            contract=contract.contract,
            store=contract.store,
            customer=contract.customer,
            state=contract.state,
            opened_ms=contract.opened_ms,
            due_ms=contract.due_ms,
            overdue=self.overdue(contract),
            last_ms=contract.last_ms,
            returned_ms=contract.returned_ms,
            closed_ms=contract.closed_ms,
        )

    def one(self, number: str) -> ContractAnswer | None:
        """A contract at check-in; ``None``: its items are in the store alone, or it is not known."""
        contract = self._ledger.get(Contract, number)
        if contract is None or contract.state == "closed":
            return None
        items = self._ledger.by(ContractItem, "contract", number)
        return self.judged(contract, items, self._ledger.by(ContractLine, "contract", number))

    def judged(
        self, contract: Contract, items: Sequence[ContractItem], lines: Sequence[ContractLine]
    ) -> ContractAnswer:
        """A contract at check-in, from its rows."""
        checked = [self._item(contract, item) for item in items]
        classes = self._classes(contract, checked, lines)
        charges = [*self._of_items(checked), *self._of_classes(classes, checked)]
        charges += self._late(contract, checked, lines)
        return ContractAnswer(
            basis=self.basis(),
            row=self.row(contract),
            note=contract.note,
            closed_by=contract.closed_by,
            expected=sum(c.expected for c in classes),
            returned=sum(c.returned for c in classes),
            missing=sum(c.missing for c in classes),
            damaged=sum(c.damaged for c in classes),
            classes=classes,
            items=checked,
            charges=charges,
            charges_cents=sum(charge.cents for charge in charges),
        )

    # -- what is there --------------------------------------------------------------------------------

    def _item(self, contract: Contract, item: ContractItem) -> CheckedItem:
        due_ms = item.due_ms or contract.due_ms
        charged = set(self._settings.damage_defects)
        return CheckedItem(
            epc=item.epc,
            sku=item.sku or self._sku_of(item.epc),
            name=item.name,
            state=item.state,
            missing=item.state != "back" and self._due(contract, due_ms),
            damaged=item.repair_cents > 0 or not charged.isdisjoint(item.defects),
            out_ms=item.out_ms,
            back_ms=item.back_ms,
            due_ms=due_ms,
            grade_out=item.grade_out,
            grade_back=item.grade_back,
            defects=item.defects,
            repair_cents=item.repair_cents,
        )

    def _due(self, contract: Contract, due_ms: int) -> bool:
        """Whether something out should be back."""
        return contract.state == "closed" or 0 < due_ms < self._sources.now_ms

    def _sku_of(self, epc: str) -> str:
        row = self._state.item.keys.get(epc)
        class_row = int(self._state.item.col["class_row"][row]) if row >= 0 else -1
        return self._state.cls.keys.key(class_row).partition("\x1f")[2] if class_row >= 0 else ""

    def _classes(
        self, contract: Contract, items: Sequence[CheckedItem], lines: Sequence[ContractLine]
    ) -> list[CheckedClass]:
        skus = dict.fromkeys([line.sku for line in lines] + [item.sku for item in items])
        return [self._class(contract, sku, items, lines) for sku in skus]

    def _class(
        self,
        contract: Contract,
        sku: str,
        items: Sequence[CheckedItem],
        lines: Sequence[ContractLine],
    ) -> CheckedClass:
        """Lines and scans speak of the same units: the larger number holds."""
        mine = [item for item in items if item.sku == sku]
        told = [line for line in lines if line.sku == sku]
        rented = [line for line in told if line.kind == "rental"]
        expected = max(sum(line.units for line in rented), float(len(mine)))
        by_lines = sum(line.units for line in told if line.kind == "return")
        returned = max(by_lines, float(sum(item.state == "back" for item in mine)))
        returned = min(returned, expected)
        due_ms = max([line.due_ms for line in rented], default=0) or contract.due_ms
        late = self._due(contract, due_ms)
        missing = expected - returned if late else float(sum(item.missing for item in mine))
        missing = min(missing, expected - returned)
        names = [line.name for line in told if line.name] + [i.name for i in mine if i.name]
        return CheckedClass(
            sku=sku,
            name=names[0] if names else "",
            expected=expected,
            returned=returned,
            missing=missing,
            damaged=float(sum(item.damaged for item in mine)),
            out=expected - returned - missing,
            price_cents=max([line.price_cents for line in rented], default=0),
        )

    # -- what that costs ------------------------------------------------------------------------------

    def replacement_cents(self, sku: str) -> int:
        """What a unit that does not come back is charged before the share; 0: nobody said."""
        told = self._ledger.get(CatalogueClass, sku)
        if told is not None and (told.replacement_cents or told.cost_cents):
            return told.replacement_cents or told.cost_cents
        store = self._sources.config.shop.store
        row = self._state.cls.keys.get(class_key(store, sku))
        return int(self._state.cls.col["cost_cents"][row]) if row >= 0 else 0

    def _missing(self, sku: str, epc: str, units: float) -> Charge:
        unit, share = self.replacement_cents(sku), self._settings.missing_share
        cents = round(units * unit * share)
        why = f"{units:g} x {unit / 100:.2f} replacement x {share:g}"
        if not unit:
            why = "nobody said what a unit costs: put replacement_cents into the catalogue"
        return Charge(kind="missing", sku=sku, epc=epc, units=units, cents=cents, why=why)

    def _of_items(self, items: Sequence[CheckedItem]) -> list[Charge]:
        made = []
        for item in items:
            if item.missing:
                made.append(self._missing(item.sku, item.epc, 1.0))
            elif item.damaged:
                made.append(self._damage(item))
            cleaning = set(item.defects) & set(self._settings.cleaning_defects)
            if cleaning and self._settings.cleaning_cents:
                made.append(
                    Charge(
                        kind="cleaning",
                        sku=item.sku,
                        epc=item.epc,
                        units=1.0,
                        cents=self._settings.cleaning_cents,
                        why=", ".join(sorted(cleaning)),
                    )
                )
        return made

    def _damage(self, item: CheckedItem) -> Charge:
        if item.repair_cents:
            cents, kind, why = item.repair_cents, "repair", "what repairing it cost"
        else:
            told = self._ledger.get(CatalogueClass, item.sku)
            unit, share = self.replacement_cents(item.sku), self._settings.damage_share
            cents, kind = round(unit * share), "damage"
            why = f"{unit / 100:.2f} replacement x {share:g}"
            if told is not None and told.damage_cents:
                cents, why = told.damage_cents, "the catalogue's damage_cents"
            elif not unit:
                why = "nobody said what a unit costs: put damage_cents into the catalogue"
            flags = ", ".join(item.defects)
            why = f"{flags}: {why}" if flags else why
        return Charge(
            kind="repair" if kind == "repair" else "damage",
            sku=item.sku,
            epc=item.epc,
            units=1.0,
            cents=cents,
            why=why,
        )

    def _of_classes(
        self, classes: Sequence[CheckedClass], items: Sequence[CheckedItem]
    ) -> list[Charge]:
        """Missing units beyond the items that scans name."""
        made = []
        for one in classes:
            named = sum(item.missing for item in items if item.sku == one.sku)
            if one.missing - named > 1e-9:
                made.append(self._missing(one.sku, "", one.missing - named))
        return made

    def _late(
        self, contract: Contract, items: Sequence[CheckedItem], lines: Sequence[ContractLine]
    ) -> list[Charge]:
        """Days beyond the due day, for what came back; what has not is missing."""
        share, made = self._settings.late_share_a_day, []
        price = {line.sku: line.price_cents for line in lines if line.kind == "rental"}
        for item in items if share else ():
            late_ms = item.back_ms - item.due_ms
            if item.state != "back" or not item.due_ms or late_ms <= 0:
                continue
            days = -(-late_ms // DAY_MS)
            unit = price.get(item.sku, 0)
            made.append(
                Charge(
                    kind="late",
                    sku=item.sku,
                    epc=item.epc,
                    units=float(days),
                    cents=round(days * unit * share),
                    why=f"{days} days x {unit / 100:.2f} x {share:g}",
                )
            )
        return made
