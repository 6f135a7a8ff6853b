-- Prices, their changes, what competitors charge, and tests of prices (edge/ledger/prices.py, price_tests.py).
CREATE TABLE prices (
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    price_cents BIGINT NOT NULL,
    baseline_cents BIGINT NOT NULL,
    before_cents BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    decided SMALLINT NOT NULL,
    decision VARCHAR(24) NOT NULL,
    asked_by TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (sku, store)
);
CREATE INDEX prices_changed ON prices (changed);
CREATE TABLE price_changes (
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    at_ms BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    price_cents BIGINT NOT NULL,
    before_cents BIGINT NOT NULL,
    decision VARCHAR(24) NOT NULL,
    asked_by TEXT NOT NULL,
    why TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (sku, store, at_ms, ordinal)
);
CREATE INDEX price_changes_changed ON price_changes (changed);
CREATE TABLE competitor_prices (
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    competitor VARCHAR(255) NOT NULL,
    price_cents BIGINT NOT NULL,
    before_cents BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (sku, store, competitor)
);
CREATE INDEX competitor_prices_changed ON competitor_prices (changed);
CREATE TABLE price_tests (
    id VARCHAR(24) NOT NULL,
    name TEXT NOT NULL,
    sku VARCHAR(255) NOT NULL,
    stores TEXT NOT NULL,
    design VARCHAR(16) NOT NULL,
    control_cents BIGINT NOT NULL,
    tested_cents BIGINT NOT NULL,
    measure VARCHAR(16) NOT NULL,
    first_day BIGINT NOT NULL,
    period_days BIGINT NOT NULL,
    washout_days BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    effect_least DOUBLE NOT NULL,
    alpha DOUBLE NOT NULL,
    power DOUBLE NOT NULL,
    sd DOUBLE NOT NULL,
    sd_blocks BIGINT NOT NULL,
    loss_most_cents BIGINT NOT NULL,
    block_cents DOUBLE NOT NULL,
    block_units DOUBLE NOT NULL,
    usual TEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    verdict VARCHAR(32) NOT NULL,
    stop VARCHAR(16) NOT NULL,
    stop_why TEXT NOT NULL,
    differences TEXT NOT NULL,
    effect DOUBLE,
    low DOUBLE,
    high DOUBLE,
    log_evidence DOUBLE NOT NULL,
    negligible SMALLINT NOT NULL,
    adherence DOUBLE NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    asked_by TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX price_tests_changed ON price_tests (changed);
CREATE INDEX price_tests_sku ON price_tests (sku, status);
CREATE TABLE price_test_blocks (
    test VARCHAR(24) NOT NULL,
    block BIGINT NOT NULL,
    first_day BIGINT NOT NULL,
    difference DOUBLE,
    control_units DOUBLE NOT NULL,
    tested_units DOUBLE NOT NULL,
    control_cents BIGINT NOT NULL,
    tested_cents BIGINT NOT NULL,
    adherence DOUBLE NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (test, block)
);
CREATE INDEX price_test_blocks_changed ON price_test_blocks (changed);
