-- The size in the last run of an audience is the number of its members now. (Without rows where `members_table` is off.)
with now as (
    select audience_key, count(*) as members
    from {{ source('audience_sync', 'audience_members') }}
    group by audience_key
)
select a.key, a.members, now.members as counted
from {{ source('audience_sync', 'audiences') }} a
join now on now.audience_key = a.key
where a.members <> now.members
