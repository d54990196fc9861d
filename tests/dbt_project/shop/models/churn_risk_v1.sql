select customer_id from {{ ref('stg_orders') }} where days_ago > 60
