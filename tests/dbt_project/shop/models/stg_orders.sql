{{ config(materialized='ephemeral') }}
select 'C-1' as customer_id, 600 as total, 5 as days_ago
union all select 'C-2', 20, 90
union all select 'C-3', 700, 200
