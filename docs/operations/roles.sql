-- Roles for a store on PostgreSQL, in addition to its owner, who alone runs `audience-sync db upgrade`, `db copy` and
-- `erase`: one that runs, and one that only reads the public views. Execute it in the store's database after
-- `audience-sync db upgrade`: the first three statements as a role that may create roles, the rest as the owner (default
-- privileges belong to the role that sets them). Then give each role a password, or what your server asks for.
create role audience_sync_runner login;
create role audience_sync_reader login;
alter role audience_sync_reader set search_path = audience_sync, public;
-- PostgreSQL would compile the views' queries, which takes longer than to run them.
alter role audience_sync_reader set jit = off;

grant usage on schema public, audience_sync to audience_sync_runner, audience_sync_reader;

-- The role that runs: it may write rows of every table, also of later versions, and changes no table.
grant select, insert, update, delete on all tables in schema public to audience_sync_runner;
grant usage, select on all sequences in schema public to audience_sync_runner;
alter default privileges in schema public grant select, insert, update, delete on tables to audience_sync_runner;
alter default privileges in schema public grant usage, select on sequences to audience_sync_runner;
grant select on all tables in schema audience_sync to audience_sync_runner;
alter default privileges in schema audience_sync grant select on tables to audience_sync_runner;

-- The role that reads: the views of docs/database.md. To hide who is in which audience, leave out audience_members,
-- trait_values, membership_changes, trait_changes, absent_members, held_out_members, held_changes, refused_calls,
-- refusals and invalid_rows.
set search_path = audience_sync, public;
grant select on
    sync_runs, run_stages, run_webhooks, audience_syncs, audiences, computed_traits, holds, held_changes, freezes, decisions,
    deliveries, pending_calls, destinations, requests,
    audience_members, scheduled_runs, alerts, absent_members, held_out_members, membership_changes, trait_changes,
    trait_values, refused_calls, refusals, invalid_rows, pruned_history
to audience_sync_reader;
