select
    user_id,
    count(*) as audiences,
    string_agg(audience_key, ', ' order by audience_key) as audience_keys,
    min(member_since) as first_member_since
from {{ source('audience_sync', 'audience_members') }}
group by user_id
