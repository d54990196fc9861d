with syncs as (
    select
        cast(r.started_at at time zone 'UTC' as date) as day,
        a.audience_key,
        a.members_after,
        a.entered,
        a."left",
        row_number() over (
            partition by cast(r.started_at at time zone 'UTC' as date), a.audience_key
            order by a.run desc
        ) as nth_last
    from {{ source('audience_sync', 'audience_syncs') }} a
    join {{ source('audience_sync', 'sync_runs') }} r on r.run = a.run
)
select
    day,
    audience_key,
    max(case when nth_last = 1 then members_after end) as members,
    sum(entered) as entered,
    sum("left") as "left"
from syncs
group by day, audience_key
