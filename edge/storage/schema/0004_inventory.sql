-- Suppliers, terms of classes, purchase orders and stock-takes.
CREATE TABLE suppliers (
    supplier VARCHAR(255) NOT NULL,
    name TEXT NOT NULL,
    contact TEXT NOT NULL,
    lead_days DOUBLE NOT NULL,
    lead_sd_days DOUBLE,
    review_days DOUBLE NOT NULL,
    order_cost_cents BIGINT,
    minimum_cents BIGINT NOT NULL,
    active SMALLINT NOT NULL,
    note TEXT NOT NULL,
    orders_seen BIGINT NOT NULL,
    lead_seen_days DOUBLE NOT NULL,
    lead_seen_square DOUBLE NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (supplier)
);
CREATE INDEX suppliers_changed ON suppliers (changed);

CREATE TABLE supply (
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    supplier VARCHAR(255) NOT NULL,
    cost_cents BIGINT,
    pack_units DOUBLE NOT NULL,
    minimum_units DOUBLE NOT NULL,
    lead_days DOUBLE,
    lead_sd_days DOUBLE,
    holding_rate DOUBLE,
    service_level DOUBLE,
    fixed_reorder_point DOUBLE,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (sku, store)
);
CREATE INDEX supply_changed ON supply (changed);
CREATE INDEX supply_supplier ON supply (supplier);

CREATE TABLE purchase_orders (
    id VARCHAR(64) NOT NULL,
    supplier VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    ordered_ms BIGINT NOT NULL,
    expected_ms BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    value_cents BIGINT NOT NULL,
    decision VARCHAR(64) NOT NULL,
    placed_by TEXT NOT NULL,
    note TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX purchase_orders_changed ON purchase_orders (changed);
CREATE INDEX purchase_orders_ordered ON purchase_orders (ordered_ms);

CREATE TABLE purchase_order_lines (
    id VARCHAR(64) NOT NULL,
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    supplier VARCHAR(255) NOT NULL,
    units DOUBLE NOT NULL,
    received DOUBLE NOT NULL,
    tagged BIGINT NOT NULL,
    cost_cents BIGINT NOT NULL,
    ordered_ms BIGINT NOT NULL,
    expected_ms BIGINT NOT NULL,
    is_open SMALLINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id, sku)
);
CREATE INDEX purchase_order_lines_changed ON purchase_order_lines (changed);

CREATE TABLE stock_takes (
    id VARCHAR(64) NOT NULL,
    store VARCHAR(255) NOT NULL,
    zone VARCHAR(255) NOT NULL,
    bin VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    started_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    expected BIGINT NOT NULL,
    found BIGINT NOT NULL,
    missing BIGINT NOT NULL,
    unexpected BIGINT NOT NULL,
    epcs MEDIUMTEXT NOT NULL,
    started_by TEXT NOT NULL,
    note TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX stock_takes_changed ON stock_takes (changed);

CREATE TABLE stock_take_items (
    id VARCHAR(64) NOT NULL,
    epc VARCHAR(255) NOT NULL,
    sku VARCHAR(255) NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    elsewhere VARCHAR(255) NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id, epc)
);
CREATE INDEX stock_take_items_changed ON stock_take_items (changed);
