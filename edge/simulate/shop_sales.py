"""Goods for sale in a simulated shop: sold, received, counted, priced, and sold by mistake. No tags."""

from collections import deque
from collections.abc import Mapping

from edge.events import Correction, PosLine, PriceObserved, StockCount, StockReceipt
from edge.simulate.shop_stage import Stage
from edge.simulate.stock import ARTICLES, Article

VOID_WITHIN_MS = 3_600_000
"""A clerk notices within the hour; a closed day is not opened again."""


class Sales:
    """The tills, as far as they sell, and the office that buys."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._recent: deque[tuple[PosLine, str]] = deque(maxlen=50)

    def open(self, on_hand: Mapping[str, int] | None = None) -> None:
        """Everything is counted before the first customer; ``on_hand``: SKU -> units there are."""
        stage = self._stage
        for article in ARTICLES:
            units = stage.rng.randrange(40, 160) if on_hand is None else on_hand[article.sku]
            stage.truth.ledger[article.sku] = units
            stage.tell(StockCount(sku=article.sku, quantity=units, at=stage.now_ms), "office")

    def forget_old(self) -> None:
        """Lines that a clerk would not take back any more."""
        while self._recent and int(self._recent[0][0].at) < self._stage.now_ms - VOID_WITHIN_MS:
            self._recent.popleft()

    @property
    def recent(self) -> int:
        """How many lines a clerk might take back."""
        return len(self._recent)

    def sell(self) -> None:
        """A receipt of one to three lines."""
        document, till = f"R-{next(self._stage.documents):06d}", self._stage.till()
        customer = (
            f"cust-{self._stage.rng.randrange(200):03d}" if self._stage.rng.random() < 0.6 else ""
        )
        for number in range(1, self._stage.rng.randrange(1, 4) + 1):
            article = self._stage.rng.choice(ARTICLES)
            if self._stage.truth.ledger[article.sku] < 10:
                self._receive(article)
            line = PosLine(
                document=document,
                line=number,
                kind="sale",
                sku=article.sku,
                quantity=self._stage.rng.randrange(1, 4),
                price_cents=article.price_cents,
                channel="counter",
                customer=customer,
                name=article.name,
                category="Resale",
                at=self._stage.now_ms,
            )
            self._stage.tell(line, till)
            self._stage.say_it_twice()
            self._sold(line, self._stage.day(), +1)
            self._recent.append((line, self._stage.day()))

    def _sold(self, line: PosLine, day: str, sign: int) -> None:
        units = sign * int(line.quantity)
        self._stage.truth.units["sold", line.sku, day] += units
        self._stage.truth.ledger[line.sku] -= units

    def _receive(self, article: Article) -> None:
        units = 12 * self._stage.rng.randrange(1, 5)
        cost_cents = article.price_cents // 2
        receipt = StockReceipt(
            sku=article.sku,
            quantity=units,
            cost_cents=cost_cents,
            supplier="Acme Events",
            order=f"PO-{next(self._stage.documents):06d}",
            at=self._stage.now_ms,
        )
        self._stage.tell(receipt, "office")
        self._stage.truth.ledger[article.sku] += units

    def recount(self) -> None:
        """Somebody counts a shelf and finds a unit more or less."""
        article = self._stage.rng.choice(ARTICLES)
        units = max(self._stage.truth.ledger[article.sku] + self._stage.rng.randrange(-1, 2), 0)
        self._stage.tell(
            StockCount(sku=article.sku, quantity=units, at=self._stage.now_ms), "office"
        )
        self._stage.truth.ledger[article.sku] = units

    def reprice(self) -> None:
        """A price of ours, or a competitor's, is seen."""
        article = self._stage.rng.choice(ARTICLES)
        competitor = self._stage.rng.choice(("", "party-place"))
        cents = article.price_cents * self._stage.rng.randrange(90, 111) // 100
        seen = PriceObserved(
            sku=article.sku, price_cents=cents, competitor=competitor, at=self._stage.now_ms
        )
        self._stage.tell(seen, "office")

    def sell_the_day_after_tomorrow(self) -> None:
        """A till whose clock is ahead."""
        article = self._stage.rng.choice(ARTICLES)
        line = PosLine(
            document=f"R-{next(self._stage.documents):06d}",
            line=1,
            kind="sale",
            sku=article.sku,
            at=self._stage.now_ms + 2 * 86_400_000,
        )
        self._stage.tell(line, "till-1")
        self._stage.truth.future += 1

    def void(self) -> None:
        """A clerk takes back a line, in one of the two ways there are."""
        place = self._stage.rng.randrange(len(self._recent))
        line, day = self._recent[place]
        del self._recent[place]
        if self._stage.rng.random() < 0.5:
            void = PosLine(
                document=line.document,
                line=line.line,
                kind="void",
                sku=line.sku,
                at=self._stage.now_ms,
            )
            self._stage.tell(void, "till-1")
        else:
            undo = Correction(
                action="void_line", document=line.document, line=line.line, at=self._stage.now_ms
            )
            self._stage.tell(undo, "office")
        self._sold(line, day, -1)
