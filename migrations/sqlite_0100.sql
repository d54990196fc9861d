CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE alert_log (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	message TEXT NOT NULL, 
	started_run INTEGER NOT NULL, 
	started_at DATETIME NOT NULL, 
	notified_at DATETIME, 
	ended_run INTEGER, 
	ended_at DATETIME, 
	end_notified_at DATETIME, 
	CONSTRAINT pk_alert_log PRIMARY KEY (id)
);

CREATE INDEX ix_alert_log_ended_at ON alert_log (ended_at);

CREATE TABLE delivery_destinations (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_delivery_destinations PRIMARY KEY (id), 
	CONSTRAINT uq_delivery_destinations_name UNIQUE (name)
);

CREATE TABLE erasures (
	user_hash TEXT NOT NULL, 
	erased_at DATETIME NOT NULL, 
	CONSTRAINT pk_erasures PRIMARY KEY (user_hash)
);

CREATE TABLE installation (
	id INTEGER NOT NULL, 
	uuid TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	members_table BOOLEAN NOT NULL, 
	trait_values_table BOOLEAN, 
	state_folders TEXT, 
	CONSTRAINT pk_installation PRIMARY KEY (id)
);

CREATE TABLE lease (
	id INTEGER NOT NULL, 
	token INTEGER NOT NULL, 
	holder TEXT NOT NULL, 
	acquired_at FLOAT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	time_to_live FLOAT, 
	CONSTRAINT pk_lease PRIMARY KEY (id)
);

CREATE TABLE past_suppressions (
	user_id TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	since DATETIME NOT NULL, 
	until DATETIME NOT NULL, 
	CONSTRAINT pk_past_suppressions PRIMARY KEY (user_id, origin, since)
)
 WITHOUT ROWID

;

CREATE TABLE pruned_history (
	history TEXT NOT NULL, 
	through_run INTEGER NOT NULL, 
	next_run INTEGER NOT NULL, 
	after_user TEXT NOT NULL, 
	CONSTRAINT pk_pruned_history PRIMARY KEY (history)
);

CREATE TABLE runs (
	id INTEGER NOT NULL, 
	command TEXT NOT NULL, 
	status TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	committed_at DATETIME, 
	finished_at DATETIME, 
	seconds FLOAT, 
	holder TEXT NOT NULL, 
	version TEXT NOT NULL, 
	trait_users INTEGER, 
	trait_users_changed INTEGER, 
	error TEXT, 
	nonce TEXT, 
	clock_doubted BOOLEAN, 
	counted_at DATETIME, 
	inputs TEXT, 
	covers_all BOOLEAN, 
	started_by TEXT, 
	host TEXT, 
	entries INTEGER, 
	entries_loaded INTEGER, 
	active_at DATETIME, 
	CONSTRAINT pk_runs PRIMARY KEY (id)
);

CREATE TABLE stage_log (
	run_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	stage TEXT NOT NULL, 
	subject TEXT, 
	started_at DATETIME NOT NULL, 
	seconds FLOAT, 
	CONSTRAINT pk_stage_log PRIMARY KEY (run_id, number), 
	CONSTRAINT fk_stage_log_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE TABLE decision_log (
	id INTEGER NOT NULL, 
	decided_at DATETIME NOT NULL, 
	command TEXT NOT NULL, 
	subject TEXT, 
	run_id INTEGER, 
	decided_by TEXT NOT NULL, 
	host TEXT NOT NULL, 
	reason TEXT, 
	CONSTRAINT pk_decision_log PRIMARY KEY (id), 
	CONSTRAINT fk_decision_log_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_decision_log_run_id ON decision_log (run_id);

CREATE TABLE snapshot_chains (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	user_count INTEGER NOT NULL, 
	changed_run_id INTEGER, 
	CONSTRAINT pk_snapshot_chains PRIMARY KEY (id)
);

CREATE TABLE suppressions (
	user_id TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	since DATETIME NOT NULL, 
	CONSTRAINT pk_suppressions PRIMARY KEY (user_id, origin)
)
 WITHOUT ROWID

;

CREATE TABLE delivery_requests (
	id INTEGER NOT NULL, 
	destination_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	after_user TEXT NOT NULL, 
	through_user TEXT NOT NULL, 
	calls INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	http_status INTEGER, 
	answer TEXT, 
	answered_at DATETIME NOT NULL, 
	seeded_property_id INTEGER, 
	position INTEGER, 
	attempted_run INTEGER, 
	retried BOOLEAN, 
	sent_at DATETIME, 
	seconds FLOAT, 
	CONSTRAINT pk_delivery_requests PRIMARY KEY (id), 
	CONSTRAINT fk_delivery_requests_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_delivery_requests_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_delivery_requests_run_id ON delivery_requests (run_id, destination_id, seeded_property_id, through_user);

CREATE TABLE request_attempts (
	id INTEGER NOT NULL, 
	destination_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	seeded_property_id INTEGER, 
	after_user TEXT NOT NULL, 
	through_user TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	calls INTEGER NOT NULL, 
	sent_at DATETIME NOT NULL, 
	seconds FLOAT NOT NULL, 
	http_status INTEGER, 
	answer TEXT, 
	CONSTRAINT pk_request_attempts PRIMARY KEY (id), 
	CONSTRAINT fk_request_attempts_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_request_attempts_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_request_attempts_run_id ON request_attempts (run_id, destination_id, seeded_property_id, through_user);

CREATE TABLE held_snapshots (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	last_run_id INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	together BOOLEAN NOT NULL, 
	members_before INTEGER NOT NULL, 
	entered INTEGER NOT NULL, 
	"left" INTEGER NOT NULL, 
	held_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	ended_run_id INTEGER, 
	undone_run_id INTEGER, 
	CONSTRAINT pk_held_snapshots PRIMARY KEY (id), 
	CONSTRAINT fk_held_snapshots_ended_run_id FOREIGN KEY(ended_run_id) REFERENCES runs (id), 
	CONSTRAINT fk_held_snapshots_last_run_id FOREIGN KEY(last_run_id) REFERENCES runs (id), 
	CONSTRAINT fk_held_snapshots_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE TABLE missed_notifications (
	alert_id INTEGER NOT NULL, 
	is_end BOOLEAN NOT NULL, 
	recipient_number INTEGER NOT NULL, 
	CONSTRAINT pk_missed_notifications PRIMARY KEY (alert_id, is_end, recipient_number), 
	CONSTRAINT fk_missed_notifications_alert_id FOREIGN KEY(alert_id) REFERENCES alert_log (id)
);

CREATE TABLE open_refusals (
	destination_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	http_status INTEGER, 
	attempts INTEGER NOT NULL, 
	refused_at DATETIME NOT NULL, 
	CONSTRAINT pk_open_refusals PRIMARY KEY (destination_id, user_id), 
	CONSTRAINT fk_open_refusals_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_open_refusals_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID

;

CREATE TABLE properties (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	name TEXT NOT NULL, 
	origin TEXT, 
	definition TEXT, 
	chain_id INTEGER NOT NULL, 
	created_run_id INTEGER NOT NULL, 
	retired_at DATETIME, 
	fingerprint TEXT, 
	invalid INTEGER, 
	loaded_from TEXT, 
	loaded_from_run INTEGER, 
	min_stay TEXT, 
	source_columns TEXT, 
	holdout FLOAT, 
	holdout_salt TEXT, 
	source TEXT, 
	guard TEXT, 
	claims TEXT, 
	CONSTRAINT pk_properties PRIMARY KEY (id), 
	CONSTRAINT fk_properties_chain_id FOREIGN KEY(chain_id) REFERENCES snapshot_chains (id), 
	CONSTRAINT fk_properties_created_run_id FOREIGN KEY(created_run_id) REFERENCES runs (id), 
	CONSTRAINT uq_properties_key UNIQUE ("key")
);

CREATE TABLE run_requests (
	idempotency_key TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	requested_at DATETIME NOT NULL, 
	holder TEXT NOT NULL, 
	run_id INTEGER, 
	CONSTRAINT pk_run_requests PRIMARY KEY (idempotency_key), 
	CONSTRAINT fk_run_requests_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE INDEX ix_run_requests_run_id ON run_requests (run_id);

CREATE TABLE run_webhook_log (
	run_id INTEGER NOT NULL, 
	hook TEXT NOT NULL, 
	webhook_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	attempted_at DATETIME, 
	next_attempt_at DATETIME, 
	http_status INTEGER, 
	error TEXT, 
	CONSTRAINT pk_run_webhook_log PRIMARY KEY (run_id, hook), 
	CONSTRAINT fk_run_webhook_log_run_id FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE INDEX ix_run_webhook_log_status ON run_webhook_log (status, hook);

CREATE TABLE run_audiences (
	run_id INTEGER NOT NULL, 
	audience_key TEXT NOT NULL, 
	status TEXT NOT NULL, 
	members_before INTEGER NOT NULL, 
	members_after INTEGER NOT NULL, 
	entered INTEGER NOT NULL, 
	"left" INTEGER NOT NULL, 
	invalid INTEGER NOT NULL, 
	error TEXT, 
	absent INTEGER, 
	returned INTEGER, 
	held_out INTEGER, 
	name TEXT, 
	source TEXT, 
	config_changes TEXT, 
	CONSTRAINT pk_run_audiences PRIMARY KEY (run_id, audience_key), 
	CONSTRAINT fk_run_audiences_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_run_audiences_audience_key ON run_audiences (audience_key, run_id);

CREATE TABLE run_destinations (
	run_id INTEGER NOT NULL, 
	destination_id INTEGER NOT NULL, 
	calls INTEGER NOT NULL, 
	delivered INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	pending INTEGER NOT NULL, 
	retries INTEGER NOT NULL, 
	requests INTEGER NOT NULL, 
	seconds FLOAT NOT NULL, 
	error TEXT, 
	CONSTRAINT pk_run_destinations PRIMARY KEY (run_id, destination_id), 
	CONSTRAINT fk_run_destinations_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_run_destinations_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE TABLE run_invalid_rows (
	run_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	audience_key TEXT, 
	file TEXT NOT NULL, 
	"row" BIGINT NOT NULL, 
	user_id TEXT, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_run_invalid_rows PRIMARY KEY (run_id, number), 
	CONSTRAINT fk_run_invalid_rows_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE TABLE schedule_slots (
	schedule TEXT NOT NULL, 
	due_at DATETIME NOT NULL, 
	run_id INTEGER, 
	missed INTEGER NOT NULL, 
	missed_since DATETIME, 
	ended_at DATETIME, 
	CONSTRAINT pk_schedule_slots PRIMARY KEY (schedule, due_at), 
	CONSTRAINT fk_schedule_slots_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_schedule_slots_run_id ON schedule_slots (run_id);

CREATE TABLE snapshot_files (
	id INTEGER NOT NULL, 
	chain_id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	row_count INTEGER NOT NULL, 
	bytes BIGINT NOT NULL, 
	checksum TEXT NOT NULL, 
	object_url TEXT, 
	CONSTRAINT pk_snapshot_files PRIMARY KEY (id), 
	CONSTRAINT fk_snapshot_files_chain_id FOREIGN KEY(chain_id) REFERENCES snapshot_chains (id), 
	CONSTRAINT fk_snapshot_files_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_snapshot_files_chain_id ON snapshot_files (chain_id);

CREATE TABLE source_states (
	id INTEGER NOT NULL, 
	subject TEXT NOT NULL, 
	source TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	table_name TEXT NOT NULL, 
	row_count BIGINT NOT NULL, 
	left_out TEXT, 
	reread TEXT, 
	CONSTRAINT pk_source_states PRIMARY KEY (id), 
	CONSTRAINT uq_source_states_table_name UNIQUE (table_name)
);

CREATE INDEX ix_source_states_subject ON source_states (subject);

CREATE TABLE absences (
	property_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	CONSTRAINT pk_absences PRIMARY KEY (property_id, user_id), 
	CONSTRAINT fk_absences_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
)
 WITHOUT ROWID

;

CREATE TABLE audience_freezes (
	id INTEGER NOT NULL, 
	property_id INTEGER NOT NULL, 
	frozen_at DATETIME NOT NULL, 
	frozen_until DATETIME, 
	frozen_by TEXT NOT NULL, 
	reason TEXT, 
	unfrozen_at DATETIME, 
	unfrozen_by TEXT, 
	CONSTRAINT pk_audience_freezes PRIMARY KEY (id), 
	CONSTRAINT fk_audience_freezes_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
);

CREATE INDEX ix_audience_freezes_property_id ON audience_freezes (property_id);

CREATE TABLE changes (
	run_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	property_id INTEGER NOT NULL, 
	value TEXT, 
	previous_value TEXT, 
	CONSTRAINT pk_changes PRIMARY KEY (run_id, user_id, property_id)
)
 WITHOUT ROWID

;

CREATE INDEX ix_changes_user_id ON changes (user_id);

CREATE TABLE delivery_cursors (
	id INTEGER NOT NULL, 
	destination_id INTEGER NOT NULL, 
	seeded_property_id INTEGER, 
	position INTEGER NOT NULL, 
	attempted_run INTEGER, 
	pending_calls INTEGER, 
	pending_run INTEGER, 
	pending_since_run INTEGER, 
	waiting_calls INTEGER, 
	CONSTRAINT pk_delivery_cursors PRIMARY KEY (id), 
	CONSTRAINT fk_delivery_cursors_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_delivery_cursors_seeded_property_id FOREIGN KEY(seeded_property_id) REFERENCES properties (id)
);

CREATE INDEX ix_delivery_cursors_destination_id ON delivery_cursors (destination_id);

CREATE TABLE claimed_users (
	property_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	CONSTRAINT pk_claimed_users PRIMARY KEY (property_id, user_id), 
	CONSTRAINT fk_claimed_users_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
)
 WITHOUT ROWID

;

CREATE TABLE held_out_users (
	property_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	CONSTRAINT pk_held_out_users PRIMARY KEY (property_id, user_id), 
	CONSTRAINT fk_held_out_users_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
)
 WITHOUT ROWID

;

CREATE TABLE hold_samples (
	hold_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	entered BOOLEAN NOT NULL, 
	CONSTRAINT pk_hold_samples PRIMARY KEY (hold_id, user_id), 
	CONSTRAINT fk_hold_samples_hold_id FOREIGN KEY(hold_id) REFERENCES held_snapshots (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE TABLE members (
	property_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	CONSTRAINT pk_members PRIMARY KEY (property_id, user_id)
)
 WITHOUT ROWID

;

CREATE TABLE refused_values (
	destination_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	property_id INTEGER NOT NULL, 
	value TEXT, 
	run_id INTEGER NOT NULL, 
	former_names TEXT, 
	CONSTRAINT pk_refused_values PRIMARY KEY (destination_id, user_id, property_id), 
	CONSTRAINT fk_refused_values_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_refused_values_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
)
 WITHOUT ROWID

;

CREATE TABLE snapshot_file_chunks (
	file_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_snapshot_file_chunks PRIMARY KEY (file_id, number), 
	CONSTRAINT fk_snapshot_file_chunks_file_id FOREIGN KEY(file_id) REFERENCES snapshot_files (id) ON DELETE CASCADE
);

CREATE TABLE subscription_history (
	destination_id INTEGER NOT NULL, 
	property_id INTEGER NOT NULL, 
	from_run INTEGER NOT NULL, 
	since_run INTEGER NOT NULL, 
	backfill BOOLEAN NOT NULL, 
	ended_run INTEGER, 
	previously_delivered_run INTEGER, 
	seeding BOOLEAN NOT NULL, 
	sent_as TEXT, 
	CONSTRAINT pk_subscription_history PRIMARY KEY (destination_id, property_id, from_run), 
	CONSTRAINT fk_subscription_history_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_subscription_history_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
);

CREATE TABLE subscriptions (
	destination_id INTEGER NOT NULL, 
	property_id INTEGER NOT NULL, 
	since_run INTEGER NOT NULL, 
	backfill BOOLEAN NOT NULL, 
	ended_run INTEGER, 
	previously_delivered_run INTEGER, 
	sent_as TEXT, 
	CONSTRAINT pk_subscriptions PRIMARY KEY (destination_id, property_id), 
	CONSTRAINT fk_subscriptions_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_subscriptions_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
);

CREATE TABLE unaccepted_calls (
	request_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	reason TEXT, 
	http_status INTEGER, 
	accepted_run INTEGER, 
	refused_properties TEXT, 
	CONSTRAINT pk_unaccepted_calls PRIMARY KEY (request_id, user_id), 
	CONSTRAINT fk_unaccepted_calls_request_id FOREIGN KEY(request_id) REFERENCES delivery_requests (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;

CREATE INDEX ix_unaccepted_calls_user_id ON unaccepted_calls (user_id);

CREATE TABLE user_traits (
	user_id TEXT NOT NULL, 
	chain_id INTEGER NOT NULL, 
	traits TEXT NOT NULL, 
	CONSTRAINT pk_user_traits PRIMARY KEY (user_id, chain_id)
)
 WITHOUT ROWID

;

CREATE TABLE withheld_values (
	destination_id INTEGER NOT NULL, 
	user_id TEXT NOT NULL, 
	property_id INTEGER NOT NULL, 
	value TEXT, 
	run_id INTEGER NOT NULL, 
	former_names TEXT, 
	CONSTRAINT pk_withheld_values PRIMARY KEY (destination_id, user_id, property_id), 
	CONSTRAINT fk_withheld_values_destination_id FOREIGN KEY(destination_id) REFERENCES delivery_destinations (id), 
	CONSTRAINT fk_withheld_values_property_id FOREIGN KEY(property_id) REFERENCES properties (id)
)
 WITHOUT ROWID

;

CREATE TABLE delivered_ranges (
	cursor_id INTEGER NOT NULL, 
	after_user TEXT NOT NULL, 
	through_user TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	CONSTRAINT pk_delivered_ranges PRIMARY KEY (cursor_id, after_user), 
	CONSTRAINT fk_delivered_ranges_cursor_id FOREIGN KEY(cursor_id) REFERENCES delivery_cursors (id) ON DELETE CASCADE
);

CREATE VIEW deliveries as -- The result of each run at each destination
select
    d.run_id as "run", -- The run
    n.name as "destination", -- The destination: its name in the config
    cast(d.calls - coalesce(w.calls, 0) as integer) as "calls", -- Identify calls to deliver, one a user: of this run, and pending from earlier runs
    cast(coalesce(a.delivered, d.delivered) as integer) as "delivered", -- Calls that it accepted
    cast(coalesce(a.refused, d.refused) as integer) as "refused", -- Calls that it refused
    case when a.run_id is null then d.pending else cast(d.calls - coalesce(w.calls, 0) - a.delivered - a.refused as integer) end as "pending", -- Calls without an answer; after the run, as of its end
    cast(coalesce(u.attempts, 0) + d.retries as integer) as "retries", -- Requests that were sent again
    cast(coalesce(a.attempts, 0) + coalesce(u.unanswered, 0) + d.requests as integer) as "requests", -- Requests that were sent
    case when a.last_at is null then d.seconds else round(strftime('%s', substr(a.last_at, 1, 19)) - strftime('%s', substr(r.committed_at, 1, 19)) + ('0' || substr(a.last_at, 20)) - ('0' || substr(r.committed_at, 20)), 3) end as "seconds", -- Duration of the delivery, until the last answer
    d.error as "error" -- The reason why the delivery ended early
from run_destinations d
        join delivery_destinations n on n.id = d.destination_id
        join runs r on r.id = d.run_id
        left join (
            select q.run_id, q.destination_id, sum(q.calls - q.refused) as delivered, sum(q.refused) as refused,
                sum(q.attempts) as attempts, max(q.answered_at) as last_at
            from delivery_requests q where q.run_id = (select e.id from runs e where e.id = (select max(id) from runs) and e.status = 'running') group by q.run_id, q.destination_id
        ) a on a.run_id = d.run_id and a.destination_id = d.destination_id and r.status = 'running'
        left join (
            select e.run_id, e.destination_id, sum(e.attempts) as attempts,
                sum(case when e.request is null then e.number else 0 end) as unanswered
            from (
                select a.run_id, a.destination_id, count(*) as attempts, max(a.attempt) as number,
                    case when a.seeded_property_id is null then (select q.id from delivery_requests q where q.run_id = a.run_id
            and q.destination_id = a.destination_id and q.after_user = a.after_user
            and q.through_user = a.through_user and q.seeded_property_id is null limit 1)
            else (select q.id from delivery_requests q where q.run_id = a.run_id
            and q.destination_id = a.destination_id and q.after_user = a.after_user
            and q.through_user = a.through_user and q.seeded_property_id = a.seeded_property_id limit 1) end as request
                from request_attempts a where a.run_id = (select e.id from runs e where e.id = (select max(id) from runs) and e.status = 'running')
                group by a.run_id, a.destination_id, a.seeded_property_id, a.after_user, a.through_user
            ) e group by e.run_id, e.destination_id
        ) u on u.run_id = d.run_id and u.destination_id = d.destination_id and r.status = 'running'
        left join (
            select q.run_id, q.destination_id, count(*) as calls
            from delivery_requests q join unaccepted_calls u on u.request_id = q.id and u.reason is null
            where q.run_id = (select e.id from runs e where e.id = (select max(id) from runs) and e.status = 'running') group by q.run_id, q.destination_id
        ) w on w.run_id = d.run_id and w.destination_id = d.destination_id and r.status = 'running';

CREATE VIEW sync_runs as -- Sync runs, one row a run
select
    r.id as "run", -- The number of the run
    r.command as "command", -- The command that started it: sync, seed, ...
    case when r.status = 'running' and exists (select 1 from lease l where l.token > 0 and not (
            l.holder = r.holder and l.expires_at > (julianday('now') - 2440587.5) * 86400.0 and l.expires_at - ((julianday('now') - 2440587.5) * 86400.0) <= coalesce(l.time_to_live, 60) + 1
        )) then 'interrupted' else r.status end as "status", -- running, succeeded, partial, held, failed or interrupted
    r.started_at as "started_at", -- When it started (UTC)
    case when r.status = 'running' and exists (select 1 from lease l where l.token > 0 and not (
            l.holder = r.holder and l.expires_at > (julianday('now') - 2440587.5) * 86400.0 and l.expires_at - ((julianday('now') - 2440587.5) * 86400.0) <= coalesce(l.time_to_live, 60) + 1
        )) then (select max(s.at) from (
            select r.started_at as at union all select r.committed_at union all select r.active_at
            union all select max(q.answered_at) from delivery_requests q where q.run_id = r.id
        ) s) else r.finished_at end as "finished_at", -- When it ended, or was last active if its process was killed (UTC); NULL while it is running
    case when r.status = 'running' and exists (select 1 from lease l where l.token > 0 and not (
            l.holder = r.holder and l.expires_at > (julianday('now') - 2440587.5) * 86400.0 and l.expires_at - ((julianday('now') - 2440587.5) * 86400.0) <= coalesce(l.time_to_live, 60) + 1
        )) then round(strftime('%s', substr((select max(s.at) from (
            select r.started_at as at union all select r.committed_at union all select r.active_at
            union all select max(q.answered_at) from delivery_requests q where q.run_id = r.id
        ) s), 1, 19)) - strftime('%s', substr(r.started_at, 1, 19)) + ('0' || substr((select max(s.at) from (
            select r.started_at as at union all select r.committed_at union all select r.active_at
            union all select max(q.answered_at) from delivery_requests q where q.run_id = r.id
        ) s), 20)) - ('0' || substr(r.started_at, 20)), 3) else r.seconds end as "seconds", -- Its duration
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (select count(*) from run_audiences a where a.run_id = r.id and true) end as "audiences", -- Audiences that have a result in it
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (select coalesce(sum(a.entered), 0) from run_audiences a where a.run_id = r.id and true) end as "entered", -- Memberships that began, in all audiences
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (select coalesce(sum(a."left"), 0) from run_audiences a where a.run_id = r.id and true) end as "left", -- Memberships that ended, in all audiences
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (select count(*) from run_audiences a where a.run_id = r.id and a.status = 'held') end as "held", -- Audiences that a guard held
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (select count(*) from run_audiences a where a.run_id = r.id and a.status = 'failed') end as "failed", -- Audiences that could not be loaded
    coalesce(r.trait_users_changed, 0) as "trait_users_changed", -- Users whose computed traits changed
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (case when r.status = 'running' then (select coalesce(sum(q.calls - q.refused), 0) from delivery_requests q where q.run_id = r.id) else (select coalesce(sum(d.delivered), 0) from run_destinations d where d.run_id = r.id) end) end as "delivered", -- Identify calls that destinations accepted
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (case when r.status = 'running' then (select coalesce(sum(q.refused), 0) from delivery_requests q where q.run_id = r.id) else (select coalesce(sum(d.refused), 0) from run_destinations d where d.run_id = r.id) end) end as "refused", -- Identify calls that destinations refused
    case when exists (select 1 from pruned_history p where p.history = 'runs' and p.through_run >= r.id) then null else (case when r.status = 'running' then (select coalesce(sum(d.calls), 0) - (select coalesce(sum(q.calls), 0) from delivery_requests q where q.run_id = r.id) - (
            select count(*) from delivery_requests q join unaccepted_calls u on u.request_id = q.id and u.reason is null
            where q.run_id = r.id) from run_destinations d where d.run_id = r.id) else (select coalesce(sum(d.pending), 0) from run_destinations d where d.run_id = r.id) end) end as "pending", -- Identify calls without an answer; after the run, as of its end
    case when r.status = 'running' and exists (select 1 from lease l where l.token > 0 and not (
            l.holder = r.holder and l.expires_at > (julianday('now') - 2440587.5) * 86400.0 and l.expires_at - ((julianday('now') - 2440587.5) * 86400.0) <= coalesce(l.time_to_live, 60) + 1
        )) then 'The process ended before the run did. What it had committed stays; the next run continues there.' else r.error end as "error", -- The reason why it failed
    r.started_by as "started_by", -- The user who started it, or whose scheduler did; NULL = not recorded
    r.host as "host", -- The host that it ran on; NULL = not recorded
    r.entries as "entries", -- Audiences, and entries of computed traits, that it was to load
    r.entries_loaded as "entries_loaded" -- How many of them it has loaded
from runs r;

CREATE VIEW run_stages as -- The stages of each run: when each began, and how long it took
select
    s.run_id as "run", -- The run
    s.stage as "stage", -- load, compare, guard, pending, commit, deliver or record
    s.subject as "subject", -- The audience, `computed traits` or the destination; NULL = the whole run
    s.started_at as "started_at", -- When it began (UTC)
    s.seconds as "seconds" -- Its duration; NULL while it is in progress, or if its process was killed
from stage_log s;

CREATE VIEW audience_syncs as -- The result of each audience in each run
select
    a.run_id as "run", -- The run
    a.audience_key as "audience_key", -- The audience
    a.status as "status", -- created, synced, unchanged, held, failed, waiting, frozen or retired
    a.members_before as "members_before", -- Members before the run
    a.members_after as "members_after", -- Members after the run
    a.entered as "entered", -- Users who entered; on creation all members
    a."left" as "left", -- Users who left
    a.invalid as "invalid", -- Rows without a usable user id
    a.error as "error", -- The reason why it was held, failed or frozen
    a.absent as "absent", -- Members missing from the snapshot who stay for now (min_stay)
    a.returned as "returned", -- Members who had been missing and came back in time
    a.held_out as "held_out", -- Users of the source who are never sent true (holdout)
    a.config_changes as "config_changes" -- How its config had changed since it was last used
from run_audiences a;

CREATE VIEW holds as -- Snapshots that a guard held, and the decisions about them
select
    h.run_id as "run", -- The run that held it first
    h.last_run_id as "last_run", -- The last run that got the same snapshot
    h.kind as "kind", -- audience, computed_trait, mapping, or suppressed: the config's lists of suppressed users
    h.key as "key", -- The audience or computed trait; of a mapping its destination
    h.status as "status", -- held, approved, rejected, or superseded by another snapshot
    h.reason as "reason", -- Why it was held
    h.members_before as "members_before", -- Members before, or users with a value
    h.entered as "entered", -- Users who would enter
    h."left" as "left", -- Users who would leave, or lose their value
    h.held_at as "held_at", -- When it was held first (UTC)
    h.decided_at as "decided_at", -- When it was approved, rejected or superseded (UTC)
    h.ended_run_id as "ended_run" -- The run that used it after approval, or got another snapshot
from held_snapshots h;

CREATE VIEW held_changes as -- Users whom a held snapshot would change: some of each hold
select
    h.run_id as "run", -- The run that held it first
    h.kind as "kind", -- As in holds
    h.key as "key", -- As in holds
    s.user_id as "user_id", -- The user
    case when s.entered then 'entered' else 'left' end as "change" -- entered or left: what the snapshot would do; left also if the user would lose the value
from held_snapshots h join hold_samples s on s.hold_id = h.id;

CREATE VIEW freezes as -- Freezes of audiences: runs skip them
select
    p.key as "audience_key", -- The audience
    f.frozen_at as "frozen_at", -- When a person froze it (UTC)
    f.frozen_until as "frozen_until", -- When it ends by itself (UTC); NULL = only by `unfreeze`
    f.frozen_by as "frozen_by", -- The person: user and host
    f.reason as "reason", -- Why, in the person's words
    f.unfrozen_at as "unfrozen_at", -- When a person or another freeze ended it (UTC)
    f.unfrozen_by as "unfrozen_by" -- The person who ended it
from audience_freezes f join properties p on p.id = f.property_id;

CREATE VIEW audience_members as -- Current members of audiences
select
    p.key as "audience_key", -- The audience
    m.user_id as "user_id", -- The member
    r.started_at as "member_since", -- When the run started that found the member (UTC)
    m.run_id as "since_run" -- That run
from properties p cross join members m left join runs r on r.id = m.run_id where m.property_id = p.id;

CREATE VIEW trait_values as -- Current values of computed traits
select
    j.key as "trait_key", -- The computed trait
    t.user_id as "user_id", -- The user
    j.value as "value", -- The value as JSON
    coalesce(
        (select max(c.run_id) from changes c join properties p on p.id = c.property_id
            where c.user_id = t.user_id and p.key = j.key),
        (select p.created_run_id from properties p where p.key = j.key)) as "since_run", -- The run since which the user has it
    (select r.started_at from runs r where r.id = coalesce(
        (select max(c.run_id) from changes c join properties p on p.id = c.property_id
            where c.user_id = t.user_id and p.key = j.key),
        (select p.created_run_id from properties p where p.key = j.key))) as "value_since" -- When that run started (UTC)
from user_traits t, json_each(t.traits) j;

CREATE VIEW scheduled_runs as -- Runs by the schedules of the config
select
    s.schedule as "schedule", -- The schedule in the config
    s.due_at as "due_at", -- The scheduled time (UTC)
    s.run_id as "run", -- The run for it
    r.started_at as "started_at", -- When the run started (UTC)
    case when r.status = 'running' and exists (select 1 from lease l where l.token > 0 and not (
            l.holder = r.holder and l.expires_at > (julianday('now') - 2440587.5) * 86400.0 and l.expires_at - ((julianday('now') - 2440587.5) * 86400.0) <= coalesce(l.time_to_live, 60) + 1
        )) then 'interrupted' else r.status end as "status", -- The status of the run
    s.missed as "missed", -- Earlier times without a run, which this run makes up for
    s.missed_since as "missed_since" -- The first of those times (UTC)
from schedule_slots s join runs r on r.id = s.run_id;

CREATE VIEW alerts as -- Problems that need attention, and when people were notified
select
    a.kind as "kind", -- failed, held, refused, size or late
    a.subject as "subject", -- The audience, destination or schedule; run, computed traits, config
    a.message as "words", -- The problem, and what to do
    a.started_run as "began_run", -- The run that found it first
    a.started_at as "began_at", -- When that run found it (UTC)
    a.notified_at as "told_at", -- When the first notification was sent (UTC)
    a.ended_run as "ended_run", -- The run that no longer found it
    a.ended_at as "ended_at" -- When that run did not find it (UTC); NULL = the alert is open
from alert_log a;

CREATE VIEW run_webhooks as -- The webhooks about each run (on_run), one row a run and hook
select
    w.run_id as "run", -- The run
    w.hook as "hook", -- The hook: its name in on_run, or the host of its address
    w.status as "status", -- waiting, accepted or given up
    w.attempts as "attempts", -- How often it was posted
    w.attempted_at as "attempted_at", -- When it was posted last (UTC)
    case when w.status = 'waiting' then w.next_attempt_at end as "next_attempt_at", -- The first run after this time posts it again (UTC); NULL = the next run, or none
    w.http_status as "http_status", -- The status of the last answer; NULL = there was none
    w.error as "error", -- Why the last attempt failed
    w.webhook_id as "webhook_id" -- The webhook-id of every attempt
from run_webhook_log w;

CREATE VIEW absent_members as -- Members who are missing from their source and stay for now (min_stay)
select
    p.key as "audience_key", -- The audience
    a.user_id as "user_id", -- The member
    r.started_at as "missing_since", -- When the run started that first missed the member (UTC)
    a.run_id as "since_run", -- That run
    p.min_stay as "min_stay" -- How long the member stays, as in the config
from properties p cross join absences a left join runs r on r.id = a.run_id where a.property_id = p.id;

CREATE VIEW held_out_members as -- Users of a source who are never sent true (holdout)
select
    p.key as "audience_key", -- The audience
    h.user_id as "user_id", -- The user
    r.started_at as "held_out_since", -- When the run started since which the user is held out (UTC)
    h.run_id as "since_run", -- That run
    p.holdout as "holdout", -- The share of the audience's users who are held out, 0 to 1
    p.holdout_salt as "holdout_salt" -- With the user id it selects them
from properties p cross join held_out_users h left join runs r on r.id = h.run_id where h.property_id = p.id;

CREATE VIEW membership_changes as -- Users who entered and left, except the first members of an audience
select
    c.run_id as "run", -- The run that found the change
    p.key as "audience_key", -- The audience
    c.user_id as "user_id", -- The user
    case c.value when 'true' then 'entered' else 'left' end as "change", -- entered or left
    r.started_at as "changed_at" -- When that run started (UTC)
from changes c
        join properties p on p.id = c.property_id and p.kind = 'audience'
        left join runs r on r.id = c.run_id;

CREATE VIEW refused_calls as -- Identify calls that a destination refused and has not accepted since
select
    o.run_id as "run", -- The run whose call was refused last
    d.name as "destination", -- The destination that refuses it
    o.user_id as "user_id", -- The user of the call
    o.reason as "reason", -- The destination's reason
    o.http_status as "http_status", -- The status of its answer; NULL if the call was never sent
    o.attempts as "attempts", -- How often it was tried
    o.refused_at as "refused_at" -- When it was refused last (UTC)
from delivery_destinations d cross join open_refusals o where o.destination_id = d.id;

CREATE VIEW refusals as -- All refusals of identify calls, also of calls that were accepted later
select
    q.run_id as "run", -- The run whose call was refused
    d.name as "destination", -- The destination that refused it
    u.user_id as "user_id", -- The user of the call
    u.reason as "reason", -- The destination's reason
    u.http_status as "http_status", -- The status of its answer
    q.answered_at as "refused_at", -- When it was refused (UTC)
    case when u.accepted_run is not null then 'accepted'
            when exists (select 1 from open_refusals o where o.destination_id = q.destination_id
                and o.user_id = u.user_id) then 'refused'
            when exists (select 1 from withheld_values w where w.destination_id = q.destination_id
                and w.user_id = u.user_id) then 'withheld'
            else 'dropped' end as "outcome", -- refused (still), accepted (a later call), withheld (the user is suppressed, or the destination is no longer sent the values), dropped (nothing left to send)
    nullif(u.accepted_run, 0) as "accepted_run" -- The run whose call was accepted; NULL = none or not recorded
from unaccepted_calls u
        join delivery_requests q on q.id = u.request_id and u.reason is not null
        join delivery_destinations d on d.id = q.destination_id;

CREATE VIEW invalid_rows as -- Rows of snapshots that can't be used
select
    i.run_id as "run", -- The run that read the row
    i.audience_key as "audience_key", -- The audience; NULL = computed traits
    i.file as "file", -- The file, or the query
    i."row" as "row", -- The number of the row, from 1 for the first row of data
    i.user_id as "user_id", -- The user id as written
    i.reason as "reason" -- Why the row can't be used
from run_invalid_rows i;

CREATE VIEW pending_calls as -- Identify calls that are still to be sent, one row a destination
select
    d.name as "destination", -- The destination: its name in the config
    coalesce(w.calls, 0) as "calls", -- Calls that are still to be sent, one a user; the answered ones are not
    w.since_run as "since_run", -- The run since which some of them are pending; NULL = none is
    r.started_at as "since_at", -- When that run started (UTC)
    coalesce(w.waiting, 0) as "waiting" -- How many of them only the next seed sends
from delivery_destinations d
        left join (
            select p.destination_id, cast(sum(p.calls) as integer) as calls, cast(sum(p.waiting) as integer) as waiting,
                min(case when p.calls > 0 then p.since_run end) as since_run
            from (
                select n.destination_id, n.since_run, n.calls + n.unreached as calls,
                    case when n.is_seed = 0 then 0 when n.is_reached = 1 then n.unreached else n.calls end as waiting
                from (
                    select c.destination_id, c.pending_since_run as since_run,
                        coalesce(c.pending_calls, 0) - coalesce(a.calls, 0) - coalesce(u.calls, 0) as calls,
                        coalesce(c.waiting_calls, 0) as unreached,
                        case when c.seeded_property_id is null then 0 else 1 end as is_seed,
                        case when c.waiting_calls is null then 0 else 1 end as is_reached
                    from delivery_cursors c
                    left join (
                        select q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0) as seeded,
                            sum(q.calls) as calls
                        from delivery_requests q where q.run_id in (select b.pending_run from delivery_cursors b)
                        group by q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0)
                    ) a on a.run_id = c.pending_run and a.destination_id = c.destination_id
                        and a.seeded = coalesce(c.seeded_property_id, 0)
                    left join (
                        select q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0) as seeded,
                            count(*) as calls
                        from delivery_requests q
                        join unaccepted_calls u on u.request_id = q.id and u.reason is null
                        where q.run_id in (select b.pending_run from delivery_cursors b)
                        group by q.run_id, q.destination_id, coalesce(q.seeded_property_id, 0)
                    ) u on u.run_id = c.pending_run and u.destination_id = c.destination_id
                        and u.seeded = coalesce(c.seeded_property_id, 0)
                ) n
            ) p
            group by p.destination_id
        ) w on w.destination_id = d.id
        left join runs r on r.id = w.since_run;

CREATE VIEW destinations as -- Destinations, and what they are sent
select
    d.name as "name", -- Its name in the config
    d.type as "type", -- Its type in the config
    d.created_at as "created_at", -- When a run first delivered to it (UTC)
    nullif(c.position, 0) as "sent_through_run", -- Everything up to this run has been sent; NULL = none
    (
            select count(*) from subscriptions b join properties p on p.id = b.property_id
            where b.destination_id = d.id and b.ended_run is null and p.retired_at is null
                and p.kind = 'audience' and p.key <> '$alias'
        ) as "audiences", -- How many audiences it is sent
    (
            select count(*) from subscriptions b join properties p on p.id = b.property_id
            where b.destination_id = d.id and b.ended_run is null and p.retired_at is null
                and p.kind = 'computed_trait' and p.key <> '$alias'
        ) as "computed_traits", -- How many computed traits it is sent
    w.calls as "pending", -- Identify calls that are still to be sent
    (select count(*) from open_refusals o where o.destination_id = d.id) as "refused", -- Identify calls that it refused and has not accepted since
    case when e.sent_at > coalesce(q.sent_at, q.answered_at) or (q.id is null and e.id is not null) then e.sent_at else coalesce(q.sent_at, q.answered_at) end as "last_request_at", -- When its last request was sent (UTC)
    case when e.sent_at > coalesce(q.sent_at, q.answered_at) or (q.id is null and e.id is not null) then e.http_status else q.http_status end as "last_http_status", -- The HTTP status of the answer; NULL = there was none
    (
            select max(t.answered_at) from delivery_requests t
            where t.destination_id = d.id and t.calls > t.refused and t.run_id in (
                select b.run_id from (
                    select n.run_id from run_destinations n where n.destination_id = d.id and n.delivered > 0
                    order by n.run_id desc limit 1
                ) b union all select e.id from runs e where e.id = (select max(id) from runs) and e.status = 'running')
        ) as "last_accepted_at", -- When it last accepted a call (UTC)
    l.error as "last_error", -- Why its last delivery ended early; NULL = it did not
    l.run_id as "last_run" -- The last run with it; later runs did not have it in their config
from delivery_destinations d
        join delivery_cursors c on c.destination_id = d.id and c.seeded_property_id is null
        join pending_calls w on w.destination = d.name
        left join run_destinations l on l.destination_id = d.id and l.run_id = (
            select n.run_id from run_destinations n where n.destination_id = d.id order by n.run_id desc limit 1)
        left join delivery_requests q on q.id = (
            select max(t.id) from delivery_requests t
            where t.destination_id = d.id and t.attempts > 0 and t.run_id in (
                select b.run_id from (
                    select n.run_id from run_destinations n where n.destination_id = d.id and n.requests > 0
                    order by n.run_id desc limit 1
                ) b union all select e.id from runs e where e.id = (select max(id) from runs) and e.status = 'running'))
        left join request_attempts e on e.id = (
            select max(t.id) from request_attempts t where t.destination_id = d.id and t.run_id = (
                select n.run_id from request_attempts n where n.destination_id = d.id
                order by n.run_id desc limit 1));

CREATE VIEW audiences as -- Audiences, also those that have not been created yet
select
    x.key as "key", -- The name of the user property; it never changes
    x.name as "name", -- The name in the config
    x.source as "source", -- The source of its snapshots, as named in the config
    c.started_at as "created_at", -- When the run started that created it (UTC); NULL = it has yet to be
    x.created_run_id as "created_run", -- That run
    x.retired_at as "retired_at", -- When its key was closed for good (UTC)
    coalesce(s.user_count, 0) as "members", -- Members now
    case when x.holdout_salt is null then 0 else (select count(*) from held_out_users o where o.property_id = x.id) end as "held_out", -- Users of its source who are never sent true (holdout)
    (select count(*) from absences o where o.property_id = x.id) as "absent", -- Members missing from the last snapshot who stay for now (min_stay)
    l.run_id as "last_run", -- The last run with a result for it
    l.status as "last_status", -- That result, as in audience_syncs
    h.started_at as "changed_at", -- When the run started that changed its users last (UTC)
    substr(
            case when x.id in (
                select f.property_id from audience_freezes f
                where f.unfrozen_at is null and (f.frozen_until is null or f.frozen_until > strftime('%Y-%m-%d %H:%M:%f000', 'now'))) then ', frozen' else '' end
            || case when x.key in (select g.key from held_snapshots g where g.kind = 'audience' and g.status = 'held') then ', held' else '' end
            || case when l.status in ('waiting', 'failed') then ', ' || l.status else '' end
            || case when x.retired_at is not null then ', retired' else '' end
            || case when x.holdout > 0 then ', holdout' else '' end
            || case when x.min_stay is not null then ', min_stay' else '' end, 3) as "flags" -- Those of frozen, held, waiting, failed, retired, holdout and min_stay that apply
from (
            select p.id, p.key, p.name, p.source, p.chain_id, p.created_run_id, p.retired_at, p.holdout, p.holdout_salt,
                p.min_stay
            from properties p where p.kind = 'audience'
            union all
            select null, a.audience_key, a.name, a.source, null, null, null, null, null, null
            from run_audiences a
            where a.name is not null
                and a.run_id >= coalesce((select r.id from runs r where r.covers_all order by r.id desc limit 1), 0)
                and a.run_id = (select max(n.run_id) from run_audiences n where n.audience_key = a.audience_key)
                and not exists (select 1 from properties p where p.key = a.audience_key)
        ) x
        left join snapshot_chains s on s.id = x.chain_id
        left join runs c on c.id = x.created_run_id
        left join runs h on h.id = coalesce(s.changed_run_id, x.created_run_id)
        left join run_audiences l on l.audience_key = x.key and l.run_id = (
            select max(m.run_id) from run_audiences m where m.audience_key = x.key);

CREATE VIEW computed_traits as -- Computed traits
select
    p.key as "key", -- The name of the user property; it never changes
    p.name as "name", -- The name in the config, or the column
    p.source as "source", -- The source of its values, as named in the config
    c.started_at as "created_at", -- When the run started that created it (UTC)
    p.created_run_id as "created_run", -- That run
    p.retired_at as "retired_at", -- When its key was closed for good (UTC)
    case when p.retired_at is null then s.user_count else 0 end as "users", -- Users in its snapshot: those with a value of any trait that was created together with it
    h.started_at as "changed_at", -- When the run started that changed its snapshot last (UTC)
    substr(
            case when p.key in (select g.key from held_snapshots g where g.kind = 'computed_trait' and g.status = 'held') then ', held' else '' end
            || case when p.retired_at is not null then ', retired' else '' end, 3) as "flags" -- Those of held and retired that apply
from properties p
        join snapshot_chains s on s.id = p.chain_id
        left join runs c on c.id = p.created_run_id
        left join runs h on h.id = coalesce(s.changed_run_id, p.created_run_id)
        where p.kind = 'computed_trait' and p.key <> '$alias';

CREATE VIEW trait_changes as -- Changes of computed traits, except the first values of a new one
select
    c.run_id as "run", -- The run that found the change
    p.key as "trait_key", -- The computed trait
    c.user_id as "user_id", -- The user
    c.value as "value", -- The new value as JSON; NULL = it was lost
    nullif(c.previous_value, 'null') as "previous_value", -- The value before as JSON; NULL = none, or not recorded
    r.started_at as "changed_at" -- When that run started (UTC)
from changes c
        join properties p on p.id = c.property_id and p.kind = 'computed_trait' and p.key <> '$alias'
        left join runs r on r.id = c.run_id;

CREATE VIEW requests as -- Requests to destinations, one row for each attempt
select
    q.request as "request", -- The request; NULL if it has no final answer
    q.run_id as "run", -- The run that sent it
    d.name as "destination", -- The destination: its name in the config
    q.attempt as "attempt", -- The number of the attempt at this request, from 1
    q.sent_at as "sent_at", -- When it was sent (UTC); NULL = not recorded
    q.seconds as "seconds", -- How long the answer took; NULL = not recorded
    q.calls as "users", -- Users whose calls it carried
    q.refused as "refused", -- How many of them were refused
    q.status as "status", -- accepted, partly refused, refused, sent again or no answer
    q.http_status as "http_status", -- The status of the answer; NULL = there was none
    q.answer as "answer" -- What the answer means
from (
        select r.id as request, r.run_id, r.destination_id, r.attempts as attempt, r.sent_at, r.seconds, r.calls,
            r.refused, case when r.refused = 0 then 'accepted' when r.refused < r.calls then 'partly refused'
            else 'refused' end as status, r.http_status, r.answer
        from delivery_requests r where r.attempts > 0
        union all
        select case when a.seeded_property_id is null then (select q.id from delivery_requests q where q.run_id = a.run_id
            and q.destination_id = a.destination_id and q.after_user = a.after_user
            and q.through_user = a.through_user and q.seeded_property_id is null limit 1)
            else (select q.id from delivery_requests q where q.run_id = a.run_id
            and q.destination_id = a.destination_id and q.after_user = a.after_user
            and q.through_user = a.through_user and q.seeded_property_id = a.seeded_property_id limit 1) end, a.run_id, a.destination_id, a.attempt, a.sent_at, a.seconds, a.calls, 0,
            case when a.http_status is null then 'no answer' else 'sent again' end, a.http_status, a.answer
        from request_attempts a
    ) q join delivery_destinations d on d.id = q.destination_id;

CREATE VIEW decisions as -- Commands of people that changed something: who, when and why
select
    c.id as "decision", -- The number of the decision
    c.decided_at as "decided_at", -- When it was made (UTC)
    c.command as "command", -- approve, reject, undo, retry, resync, seed, retire, freeze, erase, ...
    c.subject as "subject", -- Keys, a run or a destination; of users only how many; NULL = everything
    c.run_id as "run", -- The run that carried it out; of reject, the run that was named
    c.decided_by as "decided_by", -- The user
    c.host as "host", -- The host on which the command was given
    c.reason as "reason" -- Why, in the person's words
from decision_log c;

insert into alembic_version values ('0100');
