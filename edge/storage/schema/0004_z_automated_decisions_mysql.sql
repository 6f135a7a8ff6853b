-- engine: mysql
-- Decisions in the words of the RFID3 design. Its list of states knows no proposed, expired and undone.
CREATE VIEW automated_decisions AS SELECT
    id,
    kind AS decision_type,
    target AS target_entity,
    confidence AS decision_confidence,
    impact_cents / 100.0 AS predicted_impact,
    data AS decision_data,
    auto_approved,
    human_override,
    status AS execution_status,
    CASE WHEN executed_ms > 0 THEN TIMESTAMPADD(MICROSECOND, executed_ms * 1000, '1970-01-01') END AS execution_date,
    actual_impact_cents / 100.0 AS actual_impact,
    feedback_score,
    TIMESTAMPADD(MICROSECOND, created_ms * 1000, '1970-01-01') AS created_at,
    TIMESTAMPADD(MICROSECOND, changed_ms * 1000, '1970-01-01') AS updated_at,
    changed
FROM decision;
