-- title: Refunds
-- description: One row per refund made in the range, in the order of creation.
-- permission: refunds
-- sources: transactions
-- sliced: yes
-- sort: created_at_utc
-- column: refund_id text
-- column: payment_id text
-- column: created_at_utc timestamp
-- column: processed_at_utc timestamp
-- column: status text
-- column: amount_minor integer [minor units of currency]
-- column: amount_major major(currency) [major units of currency]
-- column: currency text [ISO 4217 code]
-- column: processor_id text
-- column: response_code text
-- column: response_text text
-- column: other_attributes attributes optional
SELECT
    id AS refund_id,
    payment_id,
    created_at AS created_at_utc,
    processed_at AS processed_at_utc,
    status,
    amount AS amount_minor,
    amount_major,
    currency,
    processor_id,
    response_code,
    response_text,
    attributes AS other_attributes
FROM transactions
WHERE type = 'refund'
