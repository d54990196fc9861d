-- Roles for a store on PostgreSQL, beside its owner, who alone runs `audience-sync db upgrade`, `db copy` and `erase`:
-- one that runs, and one that only reads the promised views. Run it in the store's database after `audience-sync db
-- upgrade`: the first two lines as somebody who may create roles, the rest as the owner (default privileges are the
-- giver's). Each of the two then gets a password, or whatever your server asks for.
create role audience_sync_runner login;
create role audience_sync_reader login;

grant usage on schema public to audience_sync_runner, audience_sync_reader;

-- The one that runs: rows of every table, no tables. Also of those that a later version brings.
grant select, insert, update, delete on all tables in schema public to audience_sync_runner;
grant usage, select on all sequences in schema public to audience_sync_runner;
alter default privileges in schema public grant select, insert, update, delete on tables to audience_sync_runner;
alter default privileges in schema public grant usage, select on sequences to audience_sync_runner;

-- The one that reads: the views of docs/database.md. To hide who is in which audience, leave out audience_members,
-- membership_changes, absent_members, held_out_members, refused_calls, refusals and rejected_rows.
grant select on
    sync_runs, audience_syncs, holds, freezes, deliveries, audience_members, scheduled_runs, alerts,
    absent_members, held_out_members, membership_changes, refused_calls, refusals, rejected_rows, pruned_history
to audience_sync_reader;
