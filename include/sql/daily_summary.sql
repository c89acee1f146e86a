-- title: Daily summary
-- description: Per day of the export's time zone, status and currency: payments made, refunds made.
-- permission: payments
-- sources: payments transactions
-- sliced: no
-- sort: day
-- column: day date
-- column: status text
-- column: currency text [ISO 4217 code]
-- column: payment_count integer [payments created that day]
-- column: refund_count integer [refunds created that day]
-- column: gross_minor integer [minor units of currency]
-- column: refunded_minor integer [minor units of currency]
-- column: net_minor integer [minor units of currency]
-- column: gross_major major(currency) [major units of currency]
-- column: refunded_major major(currency) [major units of currency]
-- column: net_major major(currency) [major units of currency]
WITH movements AS (
    SELECT local_day(created_at) AS day, status, currency, amount AS paid, NULL AS refunded
    FROM payments
    UNION ALL
    SELECT local_day(created_at), status, currency, NULL, amount
    FROM transactions
    WHERE type = 'refund'
),
days AS (
    SELECT
        day,
        status,
        currency,
        count(paid)::BIGINT AS payment_count,
        count(refunded)::BIGINT AS refund_count,
        coalesce(sum(paid), 0)::BIGINT AS gross_minor,
        coalesce(sum(refunded), 0)::BIGINT AS refunded_minor
    FROM movements
    GROUP BY day, status, currency
)
SELECT
    *,
    gross_minor - refunded_minor AS net_minor,
    major(gross_minor, currency) AS gross_major,
    major(refunded_minor, currency) AS refunded_major,
    major(gross_minor - refunded_minor, currency) AS net_major
FROM days
ORDER BY day, status, currency
