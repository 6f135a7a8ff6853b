-- What people say of classes, categories and stores (edge/ledger/catalogue.py).
CREATE TABLE catalogue_classes (
    sku VARCHAR(255) NOT NULL,
    name TEXT NOT NULL,
    short_name TEXT NOT NULL,
    description TEXT NOT NULL,
    category VARCHAR(255) NOT NULL,
    subcategory TEXT NOT NULL,
    brand TEXT NOT NULL,
    bin TEXT NOT NULL,
    offered_for VARCHAR(16) NOT NULL,
    price_cents BIGINT NOT NULL,
    cost_cents BIGINT NOT NULL,
    replacement_cents BIGINT NOT NULL,
    damage_cents BIGINT NOT NULL,
    supplier VARCHAR(255) NOT NULL,
    lead_time_days DOUBLE NOT NULL,
    life_days BIGINT NOT NULL,
    turn_days DOUBLE NOT NULL,
    active SMALLINT NOT NULL,
    attributes TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (sku)
);
CREATE INDEX catalogue_classes_changed ON catalogue_classes (changed);
CREATE INDEX catalogue_classes_category ON catalogue_classes (category);
CREATE TABLE catalogue_categories (
    name VARCHAR(255) NOT NULL,
    parent VARCHAR(255) NOT NULL,
    crew TEXT NOT NULL,
    description TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE INDEX catalogue_categories_changed ON catalogue_categories (changed);
CREATE TABLE catalogue_stores (
    store VARCHAR(255) NOT NULL,
    name TEXT NOT NULL,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    latitude DOUBLE,
    longitude DOUBLE,
    opened_on TEXT NOT NULL,
    active SMALLINT NOT NULL,
    attributes TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (store)
);
CREATE INDEX catalogue_stores_changed ON catalogue_stores (changed);
