-- Parts in items, how long parts lasted, what mechanics say (edge/ledger/workshop.py), and what people
-- found when they looked (edge/ledger/inspections.py).
CREATE TABLE components (
    epc VARCHAR(255) NOT NULL,
    component VARCHAR(64) NOT NULL,
    installed_ms BIGINT NOT NULL,
    replaced BIGINT NOT NULL,
    expected_days DOUBLE NOT NULL,
    serial_number TEXT NOT NULL,
    updated_ms BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (epc, component)
);
CREATE INDEX components_changed ON components (changed);
CREATE TABLE component_kinds (
    component VARCHAR(64) NOT NULL,
    lives_days TEXT NOT NULL,
    replaced BIGINT NOT NULL,
    cost_cents BIGINT NOT NULL,
    minutes BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (component)
);
CREATE INDEX component_kinds_changed ON component_kinds (changed);
CREATE TABLE maintenance_feedback (
    id VARCHAR(24) NOT NULL,
    epc VARCHAR(255) NOT NULL,
    at_ms BIGINT NOT NULL,
    verdict VARCHAR(16) NOT NULL,
    work VARCHAR(16) NOT NULL,
    rating SMALLINT NOT NULL,
    predicted DOUBLE,
    version VARCHAR(64) NOT NULL,
    minutes BIGINT NOT NULL,
    cost_cents BIGINT NOT NULL,
    component VARCHAR(64) NOT NULL,
    note TEXT NOT NULL,
    said_by VARCHAR(255) NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX maintenance_feedback_changed ON maintenance_feedback (changed);
CREATE INDEX maintenance_feedback_epc ON maintenance_feedback (epc, at_ms);
CREATE TABLE maintenance_verdicts (
    verdict VARCHAR(16) NOT NULL,
    times BIGINT NOT NULL,
    predicted_sum DOUBLE NOT NULL,
    predicted_times BIGINT NOT NULL,
    rating_sum BIGINT NOT NULL,
    ratings BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (verdict)
);
CREATE INDEX maintenance_verdicts_changed ON maintenance_verdicts (changed);
CREATE TABLE inspections (
    id VARCHAR(24) NOT NULL,
    epc VARCHAR(255) NOT NULL,
    at_ms BIGINT NOT NULL,
    result VARCHAR(16) NOT NULL,
    grade VARCHAR(4) NOT NULL,
    grade_before VARCHAR(4) NOT NULL,
    defects TEXT NOT NULL,
    minutes BIGINT NOT NULL,
    note TEXT NOT NULL,
    said_by VARCHAR(255) NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX inspections_changed ON inspections (changed);
CREATE INDEX inspections_epc ON inspections (epc, at_ms);
CREATE TABLE inspection_results (
    result VARCHAR(16) NOT NULL,
    times BIGINT NOT NULL,
    minutes BIGINT NOT NULL,
    defects BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (result)
);
CREATE INDEX inspection_results_changed ON inspection_results (changed);
