-- Decisions, what limits them, what of them waits to be delivered. Times are epoch milliseconds, UTC;
-- truth is 0 or 1; lists and objects are JSON text. "changed" numbers the changes of all tables.

CREATE TABLE safeguards (
    name VARCHAR(32) NOT NULL PRIMARY KEY,
    dry_run SMALLINT NOT NULL,
    killed SMALLINT NOT NULL,
    restock_max_cents BIGINT NOT NULL,
    price_change_max_ratio DOUBLE NOT NULL,
    approval_above_cents BIGINT NOT NULL,
    auto_approve_confidence DOUBLE NOT NULL,
    review_confidence DOUBLE NOT NULL,
    daily_budget_cents BIGINT NOT NULL,
    expire_h DOUBLE NOT NULL,
    deliver_h DOUBLE NOT NULL,
    deliveries TEXT NOT NULL,
    source VARCHAR(64) NOT NULL,
    changed_ms BIGINT NOT NULL,
    changed_by VARCHAR(255) NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX safeguards_changed ON safeguards (changed);

CREATE TABLE decision (
    id VARCHAR(24) NOT NULL PRIMARY KEY,
    kind VARCHAR(16) NOT NULL,
    target VARCHAR(255) NOT NULL,
    store VARCHAR(255) NOT NULL,
    period VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    gate TEXT NOT NULL,
    confidence DOUBLE NOT NULL,
    impact_cents BIGINT NOT NULL,
    value_cents BIGINT NOT NULL,
    change_ratio DOUBLE NOT NULL,
    data TEXT NOT NULL,
    reasons TEXT NOT NULL,
    service VARCHAR(32) NOT NULL,
    version VARCHAR(64) NOT NULL,
    fallback SMALLINT NOT NULL,
    auto_approved SMALLINT NOT NULL,
    human_override SMALLINT NOT NULL,
    dry_run SMALLINT NOT NULL,
    proposed_by VARCHAR(255) NOT NULL,
    decided_by VARCHAR(255) NOT NULL,
    decided_why TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    decided_ms BIGINT NOT NULL,
    executed_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    actual_impact_cents BIGINT,
    feedback_score SMALLINT,
    feedback_note TEXT NOT NULL,
    feedback_ms BIGINT NOT NULL,
    failure TEXT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX decision_changed ON decision (changed);
CREATE INDEX decision_kind_status ON decision (kind, status);
CREATE INDEX decision_confidence ON decision (confidence);
CREATE INDEX decision_impact ON decision (impact_cents);

CREATE TABLE decision_spent (
    hour BIGINT NOT NULL PRIMARY KEY,
    cents BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX decision_spent_changed ON decision_spent (changed);

CREATE TABLE outbox (
    id VARCHAR(24) NOT NULL PRIMARY KEY,
    decision VARCHAR(24) NOT NULL,
    channel VARCHAR(16) NOT NULL,
    target TEXT NOT NULL,
    body TEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    error TEXT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX outbox_changed ON outbox (changed);
