select trait_key, user_id, count(*) as "values"
from {{ source('audience_sync', 'trait_values') }}
group by trait_key, user_id
having count(*) > 1
