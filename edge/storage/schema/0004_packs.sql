-- Packs that are offered, or were (edge/ledger/packs.py); parts are a JSON list.
CREATE TABLE packs (
    id VARCHAR(24) NOT NULL,
    name TEXT NOT NULL,
    sku VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    parts TEXT NOT NULL,
    price_cents BIGINT NOT NULL,
    separate_cents BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    created_ms BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_why TEXT NOT NULL,
    decision VARCHAR(24) NOT NULL,
    dissolved_ms BIGINT NOT NULL,
    dissolved_by TEXT NOT NULL,
    dissolved_why TEXT NOT NULL,
    changed_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX packs_changed ON packs (changed);
CREATE INDEX packs_sku ON packs (sku, status);
