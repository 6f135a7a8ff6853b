-- What people thought of answers, over all services: ratings of decisions, and of predictions that a
-- mechanic checked. Low ones are a reason to train a service again (edge/storage/feedback.py).
CREATE VIEW feedback AS
SELECT
    target AS entity,
    service,
    feedback_score AS rating,
    feedback_ms AS at_ms,
    feedback_note AS note
FROM decision
WHERE feedback_score IS NOT NULL
UNION ALL
SELECT epc, 'maintenance', rating, at_ms, note
FROM maintenance_feedback
WHERE rating > 0;
