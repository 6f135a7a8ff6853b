"""Every endpoint, once: routing, validation, OpenAPI and the docs check derive from this table.

A list of areas; an area's own file says what its endpoints are.
"""

from edge.api import (
    catalogue,
    commands,
    contracts,
    correlations,
    data_quality,
    dead_letters,
    decisions,
    demand,
    documents,
    forecasts,
    gaps,
    health,
    inventory,
    jobs,
    kpis,
    maintenance,
    models,
    movements,
    packs,
    predictive,
    pricing,
    purchasing,
    quality,
    state,
    stock_takes,
    upload,
)
from edge.api.endpoint import Endpoint

AREAS: tuple[tuple[Endpoint, ...], ...] = (
    documents.ENDPOINTS,
    health.ENDPOINTS,
    state.ENDPOINTS,
    gaps.ENDPOINTS,
    movements.ENDPOINTS,
    kpis.ENDPOINTS,
    models.ENDPOINTS,
    demand.ENDPOINTS,
    forecasts.ENDPOINTS,
    predictive.ENDPOINTS,
    catalogue.ENDPOINTS,
    contracts.ENDPOINTS,
    maintenance.ENDPOINTS,
    quality.ENDPOINTS,
    pricing.ENDPOINTS,
    packs.ENDPOINTS,
    correlations.ENDPOINTS,
    inventory.ENDPOINTS,
    purchasing.ENDPOINTS,
    stock_takes.ENDPOINTS,
    upload.ENDPOINTS,
    data_quality.ENDPOINTS,
    dead_letters.ENDPOINTS,
    commands.ENDPOINTS,
    jobs.ENDPOINTS,
    decisions.ENDPOINTS,
)
"""One line an area, in the order in which people are told of them."""

ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for area in AREAS for endpoint in area)
