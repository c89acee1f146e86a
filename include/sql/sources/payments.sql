-- The typed relation `payments`: one row per payment of the export, in the order of the index.
--
-- Reads `pages`, one text column `page`: DynamoDB's answers to Query as they came. The export's
-- bounds and filters are variables: range_start and range_end (half-open, instants), status_is,
-- customer_is, amount_from and amount_to (minor units; NULL: no filter).
--
-- A time or an amount that does not read is an error that names the payment, known to the engine by
-- its first words, "malformed record: ". Records outside the range are left out by their createdAt
-- before anything else of them is looked at.
WITH items AS (
    SELECT unnest(json_transform(page, '{"Items": [{
        "id": {"S": "VARCHAR"},
        "createdAt": {"S": "VARCHAR"},
        "updatedAt": {"S": "VARCHAR"},
        "status": {"S": "VARCHAR"},
        "amount": {"N": "VARCHAR"},
        "currency": {"S": "VARCHAR"},
        "paymentMethod": {"S": "VARCHAR"},
        "customerID": {"S": "VARCHAR"},
        "description": {"S": "VARCHAR"},
        "metadata": "JSON"
    }]}').Items) AS item
    FROM pages
),
dated AS (
    SELECT
        item,
        CASE
            WHEN try_cast(upper(item.createdAt.S) AS TIMESTAMPTZ) IS NULL THEN
                error('malformed record: payment ' || item.id.S
                      || ': createdAt is not an instant: ' || coalesce(item.createdAt.S, 'missing'))
            ELSE try_cast(upper(item.createdAt.S) AS TIMESTAMPTZ)
        END AS created_at
    FROM items
),
-- A CASE looks at in_range before it raises: a filter may be evaluated in any order.
ranged AS (
    SELECT
        item,
        created_at,
        created_at >= getvariable('range_start')
            AND created_at < getvariable('range_end') AS in_range
    FROM dated
),
typed AS (
    SELECT
        item.id.S AS id,
        in_range,
        created_at,
        CASE
            WHEN NOT in_range OR item.updatedAt.S IS NULL OR item.updatedAt.S = '' THEN NULL
            WHEN try_cast(upper(item.updatedAt.S) AS TIMESTAMPTZ) IS NULL THEN
                error('malformed record: payment ' || item.id.S
                      || ': updatedAt is not an instant: ' || item.updatedAt.S)
            ELSE try_cast(upper(item.updatedAt.S) AS TIMESTAMPTZ)
        END AS updated_at,
        item.status.S AS status,
        CASE
            WHEN NOT in_range THEN NULL
            WHEN try_cast(item.amount.N AS BIGINT) IS NULL
                 OR NOT regexp_full_match(item.amount.N, '[+-]?[0-9]+') THEN
                error('malformed record: payment ' || item.id.S
                      || ': amount is not a whole number of minor units: '
                      || coalesce(item.amount.N, 'missing'))
            ELSE try_cast(item.amount.N AS BIGINT)
        END AS amount,
        item.currency.S AS currency,
        item.paymentMethod.S AS payment_method,
        item.customerID.S AS customer_id,
        item.description.S AS description,
        plain_json(item.metadata) AS metadata
    FROM ranged
)
SELECT * EXCLUDE (in_range)
FROM typed
WHERE in_range
  AND (getvariable('status_is') IS NULL OR status = getvariable('status_is'))
  AND (getvariable('customer_is') IS NULL OR customer_id = getvariable('customer_is'))
  AND (getvariable('amount_from') IS NULL OR amount >= getvariable('amount_from'))
  AND (getvariable('amount_to') IS NULL OR amount <= getvariable('amount_to'))
