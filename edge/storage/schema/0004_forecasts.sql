-- Forecasts that were asked for and kept, and what each says by class (edge/ledger/forecasts.py).
CREATE TABLE forecasts (
    id VARCHAR(24) NOT NULL,
    name TEXT NOT NULL,
    store VARCHAR(255) NOT NULL,
    skus TEXT NOT NULL,
    horizon_days BIGINT NOT NULL,
    minimum DOUBLE NOT NULL,
    maximum DOUBLE,
    first_day BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    total_units DOUBLE NOT NULL,
    service VARCHAR(32) NOT NULL,
    version VARCHAR(64) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    fallback SMALLINT NOT NULL,
    made_from_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    asked_by TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX forecasts_changed ON forecasts (changed);
CREATE TABLE forecast_days (
    forecast VARCHAR(24) NOT NULL,
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    first_day BIGINT NOT NULL,
    demand TEXT NOT NULL,
    low TEXT NOT NULL,
    high TEXT NOT NULL,
    interval_level DOUBLE NOT NULL,
    version VARCHAR(64) NOT NULL,
    fallback SMALLINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (forecast, sku)
);
CREATE INDEX forecast_days_changed ON forecast_days (changed);
CREATE INDEX forecast_days_sku ON forecast_days (sku);
