-- title: Settlements
-- description: One row per settlement batch whose date is in the range, in the order of dates.
-- permission: settlements
-- sources: settlements
-- sliced: yes
-- sort: settlement_date
-- column: settlement_id text
-- column: settlement_date date
-- column: batch_id text
-- column: created_at_utc timestamp
-- column: processed_at_utc timestamp
-- column: status text
-- column: transaction_count integer [transactions]
-- column: total_minor integer [minor units of currency]
-- column: total_major major(currency) [major units of currency]
-- column: currency text [ISO 4217 code]
-- column: transactions attribute [amounts in minor units]
-- column: other_attributes attributes optional
SELECT
    id AS settlement_id,
    date AS settlement_date,
    batch_id,
    created_at AS created_at_utc,
    processed_at AS processed_at_utc,
    status,
    transaction_count,
    amount AS total_minor,
    amount_major AS total_major,
    currency,
    transactions,
    attributes AS other_attributes
FROM settlements
