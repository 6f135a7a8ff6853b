"""Every view of a service, in one table: who wants one asks by its class. No code but the table.

A view is a class made from :class:`~edge.view_basis.Sources`; it reads and returns, and never
awaits.
"""

from typing import Any, TypeVar

from edge.view_availability import AvailabilityView
from edge.view_basis import Sources
from edge.view_catalogue import CatalogueView
from edge.view_components import ComponentsView
from edge.view_contracts import ContractsView
from edge.view_correlations import CorrelationsView
from edge.view_data_quality import DataQualityView
from edge.view_decisions import DecisionsView
from edge.view_demand import DemandView
from edge.view_forecasts import ForecastsView
from edge.view_inventory import InventoryView
from edge.view_known import KnownView
from edge.view_kpis import KpisView
from edge.view_maintenance import MaintenanceView
from edge.view_packs import PacksView
from edge.view_price_tests import PriceTestsView
from edge.view_pricing import PricingView
from edge.view_quality import QualityView
from edge.view_stock_history import StockHistoryView
from edge.view_stock_takes import StockTakesView

T = TypeVar("T")

VIEWS: tuple[type[Any], ...] = (
    AvailabilityView,
    CatalogueView,
    ComponentsView,
    ContractsView,
    CorrelationsView,
    DataQualityView,
    DecisionsView,
    DemandView,
    ForecastsView,
    KnownView,
    KpisView,
    MaintenanceView,
    QualityView,
    PacksView,
    PriceTestsView,
    PricingView,
    InventoryView,
    StockHistoryView,
    StockTakesView,
)
"""One line a view."""


PROPOSERS: tuple[type[Any], ...] = (InventoryView, MaintenanceView, PacksView, PricingView)
"""Those of ``VIEWS`` that know what is worth doing: they have ``proposals()``, a generator."""


class Views:
    """The views, each made once."""

    def __init__(self, sources: Sources) -> None:
        self._made: dict[type[Any], Any] = {kind: kind(sources) for kind in VIEWS}

    def of(self, kind: type[T]) -> T:
        """The view of that class. Raises KeyError when it has no line in ``VIEWS``."""
        made = self._made[kind]
        assert isinstance(made, kind), made
        return made
