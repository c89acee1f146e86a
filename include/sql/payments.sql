-- title: Payments
-- description: One row per payment created in the range, in the order of creation.
-- permission: payments
-- sources: payments
-- sliced: yes
-- sort: created_at_utc
-- column: payment_id text
-- column: created_at_utc timestamp
-- column: updated_at_utc timestamp
-- column: status text
-- column: amount_minor integer [minor units of currency]
-- column: amount_major major(currency) [major units of currency]
-- column: currency text [ISO 4217 code]
-- column: payment_method text
-- column: customer_id text
-- column: description text
-- column: metadata attribute
-- column: other_attributes attributes optional
SELECT
    id AS payment_id,
    created_at AS created_at_utc,
    updated_at AS updated_at_utc,
    status,
    amount AS amount_minor,
    amount_major,
    currency,
    payment_method,
    customer_id,
    description,
    metadata,
    attributes AS other_attributes
FROM payments
