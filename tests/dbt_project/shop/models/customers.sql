select customer_id, lower(customer_id) || '@example.com' as email, total as revenue from {{ ref('stg_orders') }}
