select customer_id as "user", {{ var('broken', 'days_ago') }} as days_ago
from {{ ref('stg_orders') }}
where days_ago > 180
