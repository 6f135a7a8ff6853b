-- Contracts at check-in (edge/ledger/contracts.py).
CREATE TABLE contracts (
    contract VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    customer TEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    classes_out BIGINT NOT NULL,
    items BIGINT NOT NULL,
    lines_known BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    returned_ms BIGINT NOT NULL,
    closed_ms BIGINT NOT NULL,
    closed_by TEXT NOT NULL,
    note TEXT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (contract)
);
CREATE INDEX contracts_changed ON contracts (changed);
CREATE INDEX contracts_opened ON contracts (opened_ms);
CREATE TABLE contract_items (
    contract VARCHAR(255) NOT NULL,
    epc VARCHAR(255) NOT NULL,
    sku VARCHAR(255) NOT NULL,
    name TEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    out_ms BIGINT NOT NULL,
    back_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    grade_out VARCHAR(8) NOT NULL,
    grade_back VARCHAR(8) NOT NULL,
    defects TEXT NOT NULL,
    repair_cents BIGINT NOT NULL,
    closed SMALLINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (contract, epc)
);
CREATE INDEX contract_items_changed ON contract_items (changed);
CREATE TABLE contract_lines (
    id VARCHAR(24) NOT NULL,
    contract VARCHAR(255) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    line BIGINT NOT NULL,
    sku VARCHAR(255) NOT NULL,
    name TEXT NOT NULL,
    units DOUBLE NOT NULL,
    price_cents BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    closed SMALLINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX contract_lines_changed ON contract_lines (changed);
CREATE INDEX contract_lines_contract ON contract_lines (contract);
CREATE TABLE contract_units (
    contract VARCHAR(255) NOT NULL,
    sku VARCHAR(255) NOT NULL,
    rented DOUBLE NOT NULL,
    returned DOUBLE NOT NULL,
    items_out BIGINT NOT NULL,
    items_back BIGINT NOT NULL,
    closed SMALLINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (contract, sku)
);
CREATE INDEX contract_units_changed ON contract_units (changed);
