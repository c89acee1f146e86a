-- title: Payments
-- description: One row per payment created in the range, in the order of creation.
-- permission: payments
-- source: payments
-- column: payment_id text
-- column: created_at_utc timestamp
-- column: updated_at_utc timestamp
-- column: status text
-- column: amount_minor integer
-- column: currency text
-- column: payment_method text
-- column: customer_id text
-- column: description text
-- column: metadata json
SELECT
    id AS payment_id,
    created_at AS created_at_utc,
    updated_at AS updated_at_utc,
    status,
    amount AS amount_minor,
    currency,
    payment_method,
    customer_id,
    description,
    metadata
FROM payments
