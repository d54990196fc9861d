CREATE TABLE public.absences (
    property_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    run_id integer NOT NULL
);
CREATE TABLE public.properties (
    id integer NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    origin text,
    definition text,
    chain_id integer NOT NULL,
    created_run_id integer NOT NULL,
    retired_at timestamp with time zone,
    mark text,
    invalid integer,
    loaded_from text,
    loaded_from_run integer,
    source_columns text,
    min_stay text,
    holdout double precision,
    holdout_salt text
);
CREATE TABLE public.runs (
    id integer NOT NULL,
    command text NOT NULL,
    status text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    committed_at timestamp with time zone,
    finished_at timestamp with time zone,
    seconds double precision,
    holder text NOT NULL,
    version text NOT NULL,
    trait_users integer,
    trait_users_changed integer,
    error text,
    nonce text,
    clock_doubted boolean,
    counted_at timestamp with time zone
);
CREATE VIEW public.absent_members AS
 SELECT p.key AS audience_key,
    a.user_id,
    r.started_at AS missing_since,
    a.run_id AS since_run,
    p.min_stay
   FROM ((public.absences a
     JOIN public.properties p ON ((p.id = a.property_id)))
     JOIN public.runs r ON ((r.id = a.run_id)));
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.alert_log (
    id integer NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    words text NOT NULL,
    began_run integer NOT NULL,
    began_at timestamp with time zone NOT NULL,
    told_at timestamp with time zone,
    ended_run integer,
    ended_at timestamp with time zone,
    end_told_at timestamp with time zone
);
CREATE SEQUENCE public.alert_log_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.alert_log_id_seq OWNED BY public.alert_log.id;
CREATE VIEW public.alerts AS
 SELECT kind,
    subject,
    words,
    began_run,
    began_at,
    told_at,
    ended_run,
    ended_at
   FROM public.alert_log;
CREATE TABLE public.audience_freezes (
    id integer NOT NULL,
    property_id integer NOT NULL,
    frozen_at timestamp with time zone NOT NULL,
    frozen_until timestamp with time zone,
    frozen_by text NOT NULL,
    reason text,
    unfrozen_at timestamp with time zone,
    unfrozen_by text
);
CREATE SEQUENCE public.audience_freezes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audience_freezes_id_seq OWNED BY public.audience_freezes.id;
CREATE TABLE public.members (
    property_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    run_id integer NOT NULL
);
CREATE VIEW public.audience_members AS
 SELECT p.key AS audience_key,
    m.user_id,
    r.started_at AS member_since,
    m.run_id AS since_run
   FROM ((public.members m
     JOIN public.properties p ON ((p.id = m.property_id)))
     JOIN public.runs r ON ((r.id = m.run_id)));
CREATE TABLE public.run_audiences (
    run_id integer NOT NULL,
    audience_key text NOT NULL,
    status text NOT NULL,
    members_before integer NOT NULL,
    members_after integer NOT NULL,
    entered integer NOT NULL,
    "left" integer NOT NULL,
    invalid integer NOT NULL,
    error text,
    absent integer,
    returned integer,
    held_out integer
);
CREATE VIEW public.audience_syncs AS
 SELECT run_id AS run,
    audience_key,
    status,
    members_before,
    members_after,
    entered,
    "left",
    invalid,
    error,
    absent,
    returned,
    held_out
   FROM public.run_audiences;
CREATE TABLE public.chains (
    id integer NOT NULL,
    kind text NOT NULL,
    users integer NOT NULL,
    changed_run_id integer
);
CREATE SEQUENCE public.chains_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.chains_id_seq OWNED BY public.chains.id;
CREATE TABLE public.changes (
    run_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    property_id integer NOT NULL,
    value text,
    before text
);
CREATE TABLE public.destinations (
    id integer NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE TABLE public.requests (
    id bigint NOT NULL,
    destination_id integer NOT NULL,
    run_id integer NOT NULL,
    after_user text NOT NULL COLLATE pg_catalog."C",
    through_user text NOT NULL COLLATE pg_catalog."C",
    calls integer NOT NULL,
    refused integer NOT NULL,
    attempts integer NOT NULL,
    http_status integer,
    answer text,
    answered_at timestamp with time zone NOT NULL,
    seeding_id integer,
    "position" integer,
    attempted_run integer,
    retried boolean
);
CREATE TABLE public.run_destinations (
    run_id integer NOT NULL,
    destination_id integer NOT NULL,
    calls integer NOT NULL,
    delivered integer NOT NULL,
    refused integer NOT NULL,
    pending integer NOT NULL,
    retries integer NOT NULL,
    requests integer NOT NULL,
    seconds double precision NOT NULL,
    error text
);
CREATE TABLE public.untaken_calls (
    request_id bigint NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    reason text,
    http_status integer,
    accepted_run integer,
    refused_properties text
);
CREATE VIEW public.deliveries AS
 SELECT d.run_id AS run,
    n.name AS destination,
    ((d.calls - COALESCE(w.calls, (0)::bigint)))::integer AS calls,
    (COALESCE(a.delivered, (d.delivered)::bigint))::integer AS delivered,
    (COALESCE(a.refused, (d.refused)::bigint))::integer AS refused,
        CASE
            WHEN (a.run_id IS NULL) THEN d.pending
            ELSE ((((d.calls - COALESCE(w.calls, (0)::bigint)) - a.delivered) - a.refused))::integer
        END AS pending,
    (COALESCE((a.attempts - a.answered), (d.retries)::bigint))::integer AS retries,
    (COALESCE(a.attempts, (d.requests)::bigint))::integer AS requests,
        CASE
            WHEN (a.last_at IS NULL) THEN d.seconds
            ELSE (round(EXTRACT(epoch FROM (a.last_at - r.committed_at)), 3))::double precision
        END AS seconds,
    d.error
   FROM ((((public.run_destinations d
     JOIN public.destinations n ON ((n.id = d.destination_id)))
     JOIN public.runs r ON ((r.id = d.run_id)))
     LEFT JOIN ( SELECT q.run_id,
            q.destination_id,
            sum((q.calls - q.refused)) AS delivered,
            sum(q.refused) AS refused,
            sum(q.attempts) AS attempts,
            count(*) AS answered,
            max(q.answered_at) AS last_at
           FROM public.requests q
          WHERE (q.run_id = ( SELECT max(runs.id) AS max
                   FROM public.runs))
          GROUP BY q.run_id, q.destination_id) a ON (((a.run_id = d.run_id) AND (a.destination_id = d.destination_id) AND (r.status = 'running'::text))))
     LEFT JOIN ( SELECT q.run_id,
            q.destination_id,
            count(*) AS calls
           FROM (public.requests q
             JOIN public.untaken_calls u ON (((u.request_id = q.id) AND (u.reason IS NULL))))
          WHERE (q.run_id = ( SELECT max(runs.id) AS max
                   FROM public.runs))
          GROUP BY q.run_id, q.destination_id) w ON (((w.run_id = d.run_id) AND (w.destination_id = d.destination_id) AND (r.status = 'running'::text))));
CREATE SEQUENCE public.destinations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.destinations_id_seq OWNED BY public.destinations.id;
CREATE TABLE public.erasures (
    user_hash text NOT NULL,
    erased_at timestamp with time zone NOT NULL
);
CREATE TABLE public.feeds (
    id integer NOT NULL,
    destination_id integer NOT NULL,
    seeding_id integer,
    "position" integer NOT NULL,
    attempted_run integer
);
CREATE SEQUENCE public.feeds_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.feeds_id_seq OWNED BY public.feeds.id;
CREATE VIEW public.freezes AS
 SELECT p.key AS audience_key,
    f.frozen_at,
    f.frozen_until,
    f.frozen_by,
    f.reason,
    f.unfrozen_at,
    f.unfrozen_by
   FROM (public.audience_freezes f
     JOIN public.properties p ON ((p.id = f.property_id)));
CREATE TABLE public.held_out (
    property_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    run_id integer NOT NULL
);
CREATE VIEW public.held_out_members AS
 SELECT p.key AS audience_key,
    h.user_id,
    r.started_at AS held_out_since,
    h.run_id AS since_run,
    p.holdout,
    p.holdout_salt
   FROM ((public.held_out h
     JOIN public.properties p ON ((p.id = h.property_id)))
     JOIN public.runs r ON ((r.id = h.run_id)));
CREATE TABLE public.held_snapshots (
    id integer NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    run_id integer NOT NULL,
    last_run_id integer NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    together boolean NOT NULL,
    members_before integer NOT NULL,
    entered integer NOT NULL,
    "left" integer NOT NULL,
    held_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    ended_run_id integer,
    undone_run_id integer
);
CREATE SEQUENCE public.held_snapshots_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.held_snapshots_id_seq OWNED BY public.held_snapshots.id;
CREATE TABLE public.hold_samples (
    hold_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    entered boolean NOT NULL
);
CREATE VIEW public.holds AS
 SELECT run_id AS run,
    last_run_id AS last_run,
    kind,
    key,
    status,
    reason,
    members_before,
    entered,
    "left",
    held_at,
    decided_at,
    ended_run_id AS ended_run
   FROM public.held_snapshots h;
CREATE TABLE public.installation (
    id integer NOT NULL,
    uuid text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    members_table boolean NOT NULL
);
CREATE SEQUENCE public.installation_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.installation_id_seq OWNED BY public.installation.id;
CREATE TABLE public.lease (
    id integer NOT NULL,
    token integer NOT NULL,
    holder text NOT NULL,
    acquired_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    time_to_live double precision
);
CREATE SEQUENCE public.lease_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.lease_id_seq OWNED BY public.lease.id;
CREATE VIEW public.membership_changes AS
 SELECT c.run_id AS run,
    p.key AS audience_key,
    c.user_id,
        CASE c.value
            WHEN 'true'::text THEN 'entered'::text
            ELSE 'left'::text
        END AS change,
    r.started_at AS changed_at
   FROM ((public.changes c
     JOIN public.properties p ON (((p.id = c.property_id) AND (p.kind = 'audience'::text))))
     JOIN public.runs r ON ((r.id = c.run_id)));
CREATE TABLE public.missed_alerts (
    alert_id integer NOT NULL,
    is_over boolean NOT NULL,
    place integer NOT NULL
);
CREATE TABLE public.open_refusals (
    destination_id integer CONSTRAINT refusals_destination_id_not_null NOT NULL,
    user_id text CONSTRAINT refusals_user_id_not_null NOT NULL COLLATE pg_catalog."C",
    run_id integer CONSTRAINT refusals_run_id_not_null NOT NULL,
    reason text CONSTRAINT refusals_reason_not_null NOT NULL,
    http_status integer,
    attempts integer CONSTRAINT refusals_attempts_not_null NOT NULL,
    refused_at timestamp with time zone CONSTRAINT refusals_refused_at_not_null NOT NULL
);
CREATE TABLE public.past_suppressions (
    user_id text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.properties_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.properties_id_seq OWNED BY public.properties.id;
CREATE TABLE public.pruned_history (
    history text NOT NULL,
    through_run integer NOT NULL,
    next_run integer NOT NULL,
    after_user text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.withheld_values (
    destination_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    property_id integer NOT NULL,
    value text,
    run_id integer NOT NULL
);
CREATE VIEW public.refusals AS
 SELECT q.run_id AS run,
    d.name AS destination,
    u.user_id,
    u.reason,
    u.http_status,
    q.answered_at AS refused_at,
        CASE
            WHEN (u.accepted_run IS NOT NULL) THEN 'accepted'::text
            WHEN (EXISTS ( SELECT 1
               FROM public.open_refusals o
              WHERE ((o.destination_id = q.destination_id) AND (o.user_id = u.user_id)))) THEN 'refused'::text
            WHEN (EXISTS ( SELECT 1
               FROM public.withheld_values w
              WHERE ((w.destination_id = q.destination_id) AND (w.user_id = u.user_id)))) THEN 'withheld'::text
            ELSE 'dropped'::text
        END AS outcome,
    NULLIF(u.accepted_run, 0) AS accepted_run
   FROM ((public.untaken_calls u
     JOIN public.requests q ON ((q.id = u.request_id)))
     JOIN public.destinations d ON ((d.id = q.destination_id)))
  WHERE (u.reason IS NOT NULL);
CREATE VIEW public.refused_calls AS
 SELECT f.run_id AS run,
    d.name AS destination,
    f.user_id,
    f.reason,
    f.http_status,
    f.attempts,
    f.refused_at
   FROM (public.open_refusals f
     JOIN public.destinations d ON ((d.id = f.destination_id)));
CREATE TABLE public.refused_values (
    destination_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    property_id integer NOT NULL,
    value text,
    run_id integer NOT NULL
);
CREATE TABLE public.rejections (
    run_id integer NOT NULL,
    number integer NOT NULL,
    audience_key text,
    file text NOT NULL,
    "row" bigint NOT NULL,
    user_id text,
    reason text NOT NULL
);
CREATE VIEW public.rejected_rows AS
 SELECT run_id AS run,
    audience_key,
    file,
    "row",
    user_id,
    reason
   FROM public.rejections;
CREATE SEQUENCE public.requests_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.requests_id_seq OWNED BY public.requests.id;
CREATE SEQUENCE public.runs_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.runs_id_seq OWNED BY public.runs.id;
CREATE TABLE public.schedule_slots (
    schedule text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    run_id integer,
    missed integer NOT NULL,
    missed_since timestamp with time zone,
    ended_at timestamp with time zone
);
CREATE VIEW public.scheduled_runs AS
 SELECT s.schedule,
    s.due_at,
    s.run_id AS run,
    r.started_at,
        CASE
            WHEN ((r.status = 'running'::text) AND (EXISTS ( SELECT 1
               FROM public.lease l
              WHERE ((l.token > 0) AND (NOT ((l.holder = r.holder) AND (l.expires_at > (EXTRACT(epoch FROM clock_timestamp()))::double precision) AND ((l.expires_at - (EXTRACT(epoch FROM clock_timestamp()))::double precision) <= (COALESCE(l.time_to_live, (60)::double precision) + (1)::double precision)))))))) THEN 'interrupted'::text
            ELSE r.status
        END AS status,
    s.missed,
    s.missed_since
   FROM (public.schedule_slots s
     JOIN public.runs r ON ((r.id = s.run_id)));
CREATE TABLE public.segment_parts (
    segment_id integer NOT NULL,
    number integer NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE public.segments (
    id integer NOT NULL,
    chain_id integer NOT NULL,
    kind text NOT NULL,
    run_id integer NOT NULL,
    row_count integer NOT NULL,
    bytes bigint NOT NULL,
    checksum text NOT NULL
);
CREATE SEQUENCE public.segments_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.segments_id_seq OWNED BY public.segments.id;
CREATE TABLE public.subscription_terms (
    destination_id integer NOT NULL,
    property_id integer NOT NULL,
    from_run integer NOT NULL,
    since_run integer NOT NULL,
    tell_everyone boolean NOT NULL,
    ended_run integer,
    told_before integer,
    seeding boolean NOT NULL
);
CREATE TABLE public.subscriptions (
    destination_id integer NOT NULL,
    property_id integer NOT NULL,
    since_run integer NOT NULL,
    tell_everyone boolean NOT NULL,
    ended_run integer,
    told_before integer
);
CREATE TABLE public.suppressions (
    user_id text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE VIEW public.sync_runs AS
 SELECT id AS run,
    command,
        CASE
            WHEN ((status = 'running'::text) AND (EXISTS ( SELECT 1
               FROM public.lease l
              WHERE ((l.token > 0) AND (NOT ((l.holder = r.holder) AND (l.expires_at > (EXTRACT(epoch FROM clock_timestamp()))::double precision) AND ((l.expires_at - (EXTRACT(epoch FROM clock_timestamp()))::double precision) <= (COALESCE(l.time_to_live, (60)::double precision) + (1)::double precision)))))))) THEN 'interrupted'::text
            ELSE status
        END AS status,
    started_at,
    finished_at,
    seconds,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            ELSE ( SELECT count(*) AS count
               FROM public.run_audiences a
              WHERE (a.run_id = r.id))
        END AS audiences,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            ELSE ( SELECT COALESCE(sum(a.entered), (0)::bigint) AS "coalesce"
               FROM public.run_audiences a
              WHERE (a.run_id = r.id))
        END AS entered,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            ELSE ( SELECT COALESCE(sum(a."left"), (0)::bigint) AS "coalesce"
               FROM public.run_audiences a
              WHERE (a.run_id = r.id))
        END AS "left",
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            ELSE ( SELECT count(*) AS count
               FROM public.run_audiences a
              WHERE ((a.run_id = r.id) AND (a.status = 'held'::text)))
        END AS held,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            ELSE ( SELECT count(*) AS count
               FROM public.run_audiences a
              WHERE ((a.run_id = r.id) AND (a.status = 'failed'::text)))
        END AS failed,
    COALESCE(trait_users_changed, 0) AS trait_users_changed,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            WHEN (status = 'running'::text) THEN ( SELECT COALESCE(sum(v.delivered), (0)::bigint) AS "coalesce"
               FROM public.deliveries v
              WHERE (v.run = r.id))
            ELSE ( SELECT COALESCE(sum(d.delivered), (0)::bigint) AS "coalesce"
               FROM public.run_destinations d
              WHERE (d.run_id = r.id))
        END AS delivered,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            WHEN (status = 'running'::text) THEN ( SELECT COALESCE(sum(v.refused), (0)::bigint) AS "coalesce"
               FROM public.deliveries v
              WHERE (v.run = r.id))
            ELSE ( SELECT COALESCE(sum(d.refused), (0)::bigint) AS "coalesce"
               FROM public.run_destinations d
              WHERE (d.run_id = r.id))
        END AS refused,
        CASE
            WHEN (EXISTS ( SELECT 1
               FROM public.pruned_history p
              WHERE ((p.history = 'runs'::text) AND (p.through_run >= r.id)))) THEN NULL::bigint
            WHEN (status = 'running'::text) THEN ( SELECT COALESCE(sum(v.pending), (0)::bigint) AS "coalesce"
               FROM public.deliveries v
              WHERE (v.run = r.id))
            ELSE ( SELECT COALESCE(sum(d.pending), (0)::bigint) AS "coalesce"
               FROM public.run_destinations d
              WHERE (d.run_id = r.id))
        END AS pending,
    error
   FROM public.runs r;
CREATE TABLE public.told_ranges (
    feed_id integer NOT NULL,
    after_user text NOT NULL COLLATE pg_catalog."C",
    through_user text NOT NULL COLLATE pg_catalog."C",
    run_id integer NOT NULL
);
ALTER TABLE ONLY public.alert_log ALTER COLUMN id SET DEFAULT nextval('public.alert_log_id_seq'::regclass);
ALTER TABLE ONLY public.audience_freezes ALTER COLUMN id SET DEFAULT nextval('public.audience_freezes_id_seq'::regclass);
ALTER TABLE ONLY public.chains ALTER COLUMN id SET DEFAULT nextval('public.chains_id_seq'::regclass);
ALTER TABLE ONLY public.destinations ALTER COLUMN id SET DEFAULT nextval('public.destinations_id_seq'::regclass);
ALTER TABLE ONLY public.feeds ALTER COLUMN id SET DEFAULT nextval('public.feeds_id_seq'::regclass);
ALTER TABLE ONLY public.held_snapshots ALTER COLUMN id SET DEFAULT nextval('public.held_snapshots_id_seq'::regclass);
ALTER TABLE ONLY public.installation ALTER COLUMN id SET DEFAULT nextval('public.installation_id_seq'::regclass);
ALTER TABLE ONLY public.lease ALTER COLUMN id SET DEFAULT nextval('public.lease_id_seq'::regclass);
ALTER TABLE ONLY public.properties ALTER COLUMN id SET DEFAULT nextval('public.properties_id_seq'::regclass);
ALTER TABLE ONLY public.requests ALTER COLUMN id SET DEFAULT nextval('public.requests_id_seq'::regclass);
ALTER TABLE ONLY public.runs ALTER COLUMN id SET DEFAULT nextval('public.runs_id_seq'::regclass);
ALTER TABLE ONLY public.segments ALTER COLUMN id SET DEFAULT nextval('public.segments_id_seq'::regclass);
INSERT INTO public.absences VALUES (5, 'kim', 2);
INSERT INTO public.alembic_version VALUES ('0022');
INSERT INTO public.alert_log VALUES (1, 'refused', 'seg', '1 of 11 calls refused. The reasons: audience-sync show 1', 1, '2026-11-29 15:06:34.133729+00', '2026-11-29 15:06:37.608319+00', 2, '2026-11-29 15:06:45.92577+00', '2026-11-29 15:06:49.718012+00');
INSERT INTO public.alert_log VALUES (2, 'held', 'held', 'audience ''held'' is held: the new snapshot is empty, and the last one had 3 members. Nothing of it was changed or sent. It is held since run 2. If this is right: audience-sync approve 4 held. If not, correct the source, or: audience-sync reject 4 held', 2, '2026-11-29 15:06:45.92577+00', '2026-11-29 15:06:49.718012+00', NULL, NULL, NULL);
INSERT INTO public.alert_log VALUES (3, 'refused', 'seg', '1 of 3 calls refused. The reasons: audience-sync show 4', 4, '2026-11-29 15:07:04.565746+00', '2026-11-29 15:07:08.48247+00', NULL, NULL, NULL);
INSERT INTO public.alert_log VALUES (4, 'failed', 'late', 'HTTP 401: the key is not accepted. Correct it under `destinations.late`. 1 call pending; the next run sends them', 4, '2026-11-29 15:07:04.565746+00', '2026-11-29 15:07:08.48247+00', NULL, NULL, NULL);
INSERT INTO public.audience_freezes VALUES (1, 4, '2026-11-29 15:06:42.17579+00', NULL, 'root on vm', 'a campaign', NULL, NULL);
INSERT INTO public.chains VALUES (1, 'audience', 6, 4);
INSERT INTO public.chains VALUES (2, 'audience', 3, 4);
INSERT INTO public.chains VALUES (3, 'audience', 3, 1);
INSERT INTO public.chains VALUES (4, 'audience', 2, 1);
INSERT INTO public.chains VALUES (5, 'audience', 2, 1);
INSERT INTO public.chains VALUES (6, 'audience', 2, 1);
INSERT INTO public.chains VALUES (7, 'computed_trait', 2, 2);
INSERT INTO public.chains VALUES (8, 'audience', 4, 3);
INSERT INTO public.changes VALUES (2, 'ada', 1, 'false', 'true');
INSERT INTO public.changes VALUES (2, 'bob', 7, '"gold"', '"free"');
INSERT INTO public.changes VALUES (2, 'dan', 1, 'true', 'false');
INSERT INTO public.changes VALUES (2, 'gus', 7, NULL, '"free"');
INSERT INTO public.changes VALUES (4, 'fay', 1, 'true', 'false');
INSERT INTO public.changes VALUES (4, 'fay', 2, 'true', 'false');
INSERT INTO public.changes VALUES (4, 'gus', 1, 'true', 'false');
INSERT INTO public.changes VALUES (4, 'hal', 1, 'true', 'false');
INSERT INTO public.destinations VALUES (1, 'seg', 'segment', '2026-11-29 15:06:33.670112+00');
INSERT INTO public.destinations VALUES (2, 'late', 'segment', '2026-11-29 15:06:33.679685+00');
INSERT INTO public.destinations VALUES (3, 'log', 'file', '2026-11-29 15:06:33.69608+00');
INSERT INTO public.erasures VALUES ('9cc6d4350501227236303ab1abfc534cad2c7c0f8747499fd0d0e843452484f8', '2026-11-29 15:06:59.371776+00');
INSERT INTO public.feeds VALUES (1, 1, NULL, 4, NULL);
INSERT INTO public.feeds VALUES (2, 2, NULL, 2, 4);
INSERT INTO public.feeds VALUES (3, 3, NULL, 4, NULL);
INSERT INTO public.feeds VALUES (4, 1, 8, 0, 3);
INSERT INTO public.feeds VALUES (5, 2, 8, 0, 3);
INSERT INTO public.feeds VALUES (6, 3, 8, 0, 3);
INSERT INTO public.held_out VALUES (6, 'user-0', 1);
INSERT INTO public.held_out VALUES (6, 'user-2', 1);
INSERT INTO public.held_out VALUES (6, 'user-3', 1);
INSERT INTO public.held_out VALUES (6, 'user-4', 1);
INSERT INTO public.held_out VALUES (6, 'user-5', 1);
INSERT INTO public.held_out VALUES (6, 'user-7', 1);
INSERT INTO public.held_snapshots VALUES (1, 'audience', 'held', 2, 4, 'held', 'audience ''held'' is held: the new snapshot is empty, and the last one had 3 members', false, 3, 0, 3, '2026-11-29 15:06:45.491564+00', NULL, NULL, NULL);
INSERT INTO public.hold_samples VALUES (1, 'ada', false);
INSERT INTO public.hold_samples VALUES (1, 'bob', false);
INSERT INTO public.hold_samples VALUES (1, 'hal', false);
INSERT INTO public.installation VALUES (1, '8bce93da91304374bab6ad3e8aeb0f52', '2026-11-29 15:06:25.115067+00', true);
INSERT INTO public.lease VALUES (1, 1, '', 1795964909.337762, 0, 60);
INSERT INTO public.members VALUES (1, 'bob', 1);
INSERT INTO public.members VALUES (1, 'cyd', 1);
INSERT INTO public.members VALUES (1, 'dan', 2);
INSERT INTO public.members VALUES (1, 'fay', 4);
INSERT INTO public.members VALUES (1, 'gus', 4);
INSERT INTO public.members VALUES (1, 'hal', 4);
INSERT INTO public.members VALUES (2, 'ada', 1);
INSERT INTO public.members VALUES (2, 'eve', 1);
INSERT INTO public.members VALUES (2, 'fay', 4);
INSERT INTO public.members VALUES (3, 'ada', 1);
INSERT INTO public.members VALUES (3, 'bob', 1);
INSERT INTO public.members VALUES (3, 'hal', 1);
INSERT INTO public.members VALUES (4, 'ida', 1);
INSERT INTO public.members VALUES (4, 'joe', 1);
INSERT INTO public.members VALUES (5, 'kim', 1);
INSERT INTO public.members VALUES (5, 'leo', 1);
INSERT INTO public.members VALUES (6, 'user-1', 1);
INSERT INTO public.members VALUES (6, 'user-6', 1);
INSERT INTO public.members VALUES (8, 'mia', 3);
INSERT INTO public.members VALUES (8, 'ned', 3);
INSERT INTO public.members VALUES (8, 'oli', 3);
INSERT INTO public.members VALUES (8, 'pam', 3);
INSERT INTO public.missed_alerts VALUES (1, false, 2);
INSERT INTO public.missed_alerts VALUES (2, false, 2);
INSERT INTO public.missed_alerts VALUES (3, false, 2);
INSERT INTO public.missed_alerts VALUES (4, false, 2);
INSERT INTO public.open_refusals VALUES (1, 'fay', 4, 'HTTP 400: bad timezone', 400, 1, '2026-11-29 15:07:04.44371+00');
INSERT INTO public.properties VALUES (1, 'audience', 'vip', 'VIP', NULL, '46a2336c94c75122c247ae0e83dde337', 1, 1, NULL, 'ec1d7efc67a697dbdf5452bfdf7dcebf', 0, 'vip.csv of shop', 1, NULL, NULL, NULL, NULL);
INSERT INTO public.properties VALUES (2, 'audience', 'churn', 'Churn', NULL, '73ad86be55d89f9be060a0161213f132', 2, 1, NULL, '02cbc83a7d422a6076cfa0017e169654', 0, 'churn.csv of shop', 1, NULL, NULL, NULL, NULL);
INSERT INTO public.properties VALUES (3, 'audience', 'held', 'Held', NULL, 'd6eabae466e098da20da3d098cc71f5f', 3, 1, NULL, NULL, 0, 'held.csv of shop', 1, NULL, NULL, NULL, NULL);
INSERT INTO public.properties VALUES (4, 'audience', 'frozen', 'Frozen', NULL, '10892f233509e9ce4889cabde11cc2c2', 4, 1, NULL, NULL, 0, 'frozen.csv of shop', 1, NULL, NULL, NULL, NULL);
INSERT INTO public.properties VALUES (5, 'audience', 'patient', 'Patient', NULL, '4f602e45d5bd371f49591800ec592915', 5, 1, NULL, 'e31ae9a770ae22a899a03c32f7b2b563', 0, 'patient.csv of shop', 1, NULL, '365000d', NULL, NULL);
INSERT INTO public.properties VALUES (6, 'audience', 'ads', 'Ads', NULL, '64766c60051ddcfa379771b4ccb0c08a', 6, 1, NULL, '532b700b83bd8e31968b12d00f1001a2 holdout 0.5', 0, 'ads.csv of shop', 1, NULL, NULL, 0.5, 'ads');
INSERT INTO public.properties VALUES (7, 'computed_trait', 'plan', 'plan', NULL, NULL, 7, 1, NULL, '6ff30852cb15dae9ab5501f3019b664a', 0, 'traits.csv of shop', 1, NULL, NULL, NULL, NULL);
INSERT INTO public.properties VALUES (8, 'audience', 'slow', 'Slow', NULL, 'fbc3a156362907300adbf67d51ba3035', 8, 3, NULL, 'a5b7ef9939e579ca4a6f3039e18936fa', 0, 'slow.csv of shop', 3, NULL, NULL, NULL, NULL);
INSERT INTO public.pruned_history VALUES ('rejected_rows', 0, 1, '');
INSERT INTO public.refused_values VALUES (1, 'fay', 1, 'true', 4);
INSERT INTO public.refused_values VALUES (1, 'fay', 2, 'true', 4);
INSERT INTO public.rejections VALUES (1, 1, 'vip', 'vip.csv', 4, ' ', 'empty user id');
INSERT INTO public.requests VALUES (1, 3, 1, '', 'user-6', 11, 0, 1, NULL, NULL, '2026-11-29 15:06:33.861348+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (2, 2, 1, '', 'bob', 2, 0, 1, 200, NULL, '2026-11-29 15:06:33.944759+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (3, 1, 1, '', 'ada', 1, 1, 1, 400, 'HTTP 400: no such user', '2026-11-29 15:06:33.94833+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (4, 2, 1, 'bob', 'gus', 2, 0, 1, 200, NULL, '2026-11-29 15:06:33.963243+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (5, 2, 1, 'gus', 'ida', 2, 0, 1, 200, NULL, '2026-11-29 15:06:33.963249+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (6, 2, 1, 'ida', 'kim', 2, 0, 1, 200, NULL, '2026-11-29 15:06:33.963251+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (7, 2, 1, 'kim', 'user-1', 2, 0, 1, 200, NULL, '2026-11-29 15:06:33.963252+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (8, 2, 1, 'user-1', 'user-6', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.963255+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (9, 1, 1, 'ada', 'bob', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978245+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (10, 1, 1, 'bob', 'cyd', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.97825+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (11, 1, 1, 'cyd', 'gus', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978252+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (12, 1, 1, 'gus', 'hal', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978253+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (13, 1, 1, 'hal', 'ida', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978255+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (14, 1, 1, 'ida', 'joe', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978256+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (15, 1, 1, 'joe', 'kim', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978257+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (16, 1, 1, 'kim', 'leo', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978258+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (17, 1, 1, 'leo', 'user-1', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.97826+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (18, 1, 1, 'user-1', 'user-6', 1, 0, 1, 200, NULL, '2026-11-29 15:06:33.978261+00', NULL, 0, 1, false);
INSERT INTO public.requests VALUES (19, 3, 2, '', 'gus', 4, 0, 1, NULL, NULL, '2026-11-29 15:06:45.764822+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (20, 2, 2, '', 'bob', 2, 0, 1, 200, NULL, '2026-11-29 15:06:45.853535+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (21, 1, 2, '', 'ada', 1, 0, 1, 200, NULL, '2026-11-29 15:06:45.85679+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (22, 2, 2, 'bob', 'gus', 2, 0, 1, 200, NULL, '2026-11-29 15:06:45.869653+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (23, 1, 2, 'ada', 'bob', 1, 0, 1, 200, NULL, '2026-11-29 15:06:45.877801+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (24, 1, 2, 'bob', 'dan', 1, 0, 1, 200, NULL, '2026-11-29 15:06:45.87781+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (25, 1, 2, 'dan', 'gus', 1, 0, 1, 200, NULL, '2026-11-29 15:06:45.877812+00', NULL, 1, 2, false);
INSERT INTO public.requests VALUES (26, 3, 3, '', 'ned', 2, 0, 1, NULL, NULL, '2026-11-29 15:06:54.351232+00', 8, 0, 3, false);
INSERT INTO public.requests VALUES (27, 2, 3, '', 'ned', 2, 0, 1, 200, NULL, '2026-11-29 15:06:54.58593+00', 8, 0, 3, false);
INSERT INTO public.requests VALUES (28, 1, 3, '', 'mia', 1, 0, 1, 200, NULL, '2026-11-29 15:06:54.598387+00', 8, 0, 3, false);
INSERT INTO public.requests VALUES (29, 1, 3, 'mia', 'ned', 1, 0, 1, 200, NULL, '2026-11-29 15:06:54.614136+00', 8, 0, 3, false);
INSERT INTO public.requests VALUES (30, 3, 4, '', 'hal', 3, 0, 1, NULL, NULL, '2026-11-29 15:07:04.233382+00', NULL, 2, 4, false);
INSERT INTO public.requests VALUES (31, 2, 4, '', 'gus', 2, 0, 1, 200, NULL, '2026-11-29 15:07:04.407251+00', NULL, 2, 4, false);
INSERT INTO public.requests VALUES (32, 1, 4, '', 'fay', 1, 1, 1, 400, 'HTTP 400: bad timezone', '2026-11-29 15:07:04.442461+00', NULL, 2, 4, false);
INSERT INTO public.requests VALUES (33, 1, 4, 'fay', 'gus', 1, 0, 1, 200, NULL, '2026-11-29 15:07:04.4872+00', NULL, 2, 4, false);
INSERT INTO public.requests VALUES (34, 1, 4, 'gus', 'hal', 1, 0, 1, 200, NULL, '2026-11-29 15:07:04.487208+00', NULL, 2, 4, false);
INSERT INTO public.run_audiences VALUES (1, 'ads', 'created', 0, 2, 2, 0, 0, NULL, 0, 0, 6);
INSERT INTO public.run_audiences VALUES (1, 'churn', 'created', 0, 2, 2, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (1, 'frozen', 'created', 0, 2, 2, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (1, 'held', 'created', 0, 3, 3, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (1, 'patient', 'created', 0, 2, 2, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (1, 'slow', 'waiting', 0, 0, 0, 0, 0, 'waiting for `audience-sync seed slow`', 0, 0, 0);
INSERT INTO public.run_audiences VALUES (1, 'vip', 'created', 0, 3, 3, 0, 1, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (2, 'ads', 'unchanged', 2, 2, 0, 0, 0, NULL, 0, 0, 6);
INSERT INTO public.run_audiences VALUES (2, 'churn', 'unchanged', 2, 2, 0, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (2, 'frozen', 'frozen', 2, 2, 0, 0, 0, 'frozen since 2026-11-29 15:06:42 UTC (a campaign). To sync it again: audience-sync unfreeze frozen', 0, 0, 0);
INSERT INTO public.run_audiences VALUES (2, 'held', 'held', 3, 3, 0, 0, 0, 'audience ''held'' is held: the new snapshot is empty, and the last one had 3 members. Nothing of it was changed or sent. If this is right: audience-sync approve 2 held. If not, correct the source, or: audience-sync reject 2 held', 0, 0, 0);
INSERT INTO public.run_audiences VALUES (2, 'patient', 'unchanged', 2, 2, 0, 0, 0, NULL, 1, 0, 0);
INSERT INTO public.run_audiences VALUES (2, 'slow', 'waiting', 0, 0, 0, 0, 0, 'waiting for `audience-sync seed slow`', 0, 0, 0);
INSERT INTO public.run_audiences VALUES (2, 'vip', 'synced', 3, 3, 1, 1, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (3, 'slow', 'created', 0, 4, 4, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (4, 'ads', 'unchanged', 2, 2, 0, 0, 0, NULL, 0, 0, 6);
INSERT INTO public.run_audiences VALUES (4, 'churn', 'synced', 2, 3, 1, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (4, 'frozen', 'frozen', 2, 2, 0, 0, 0, 'frozen since 2026-11-29 15:06:42 UTC (a campaign). To sync it again: audience-sync unfreeze frozen', 0, 0, 0);
INSERT INTO public.run_audiences VALUES (4, 'held', 'held', 3, 3, 0, 0, 0, 'audience ''held'' is held: the new snapshot is empty, and the last one had 3 members. Nothing of it was changed or sent. It is held since run 2. If this is right: audience-sync approve 4 held. If not, correct the source, or: audience-sync reject 4 held', 0, 0, 0);
INSERT INTO public.run_audiences VALUES (4, 'patient', 'unchanged', 2, 2, 0, 0, 0, NULL, 1, 0, 0);
INSERT INTO public.run_audiences VALUES (4, 'slow', 'unchanged', 4, 4, 0, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_audiences VALUES (4, 'vip', 'synced', 3, 6, 3, 0, 0, NULL, 0, 0, 0);
INSERT INTO public.run_destinations VALUES (1, 1, 11, 10, 1, 0, 0, 11, 0.26, NULL);
INSERT INTO public.run_destinations VALUES (1, 2, 11, 11, 0, 0, 0, 6, 0.25, NULL);
INSERT INTO public.run_destinations VALUES (1, 3, 11, 11, 0, 0, 0, 1, 0.155, NULL);
INSERT INTO public.run_destinations VALUES (2, 1, 4, 4, 0, 0, 0, 4, 0.37, NULL);
INSERT INTO public.run_destinations VALUES (2, 2, 4, 4, 0, 0, 0, 2, 0.357, NULL);
INSERT INTO public.run_destinations VALUES (2, 3, 4, 4, 0, 0, 0, 1, 0.293, NULL);
INSERT INTO public.run_destinations VALUES (3, 1, 4, 2, 0, 2, 0, 2, 0.388, NULL);
INSERT INTO public.run_destinations VALUES (3, 2, 4, 2, 0, 2, 0, 1, 0.381, NULL);
INSERT INTO public.run_destinations VALUES (3, 3, 4, 2, 0, 2, 0, 1, 0.241, NULL);
INSERT INTO public.run_destinations VALUES (4, 1, 3, 2, 1, 0, 0, 3, 0.525, NULL);
INSERT INTO public.run_destinations VALUES (4, 2, 3, 2, 0, 1, 1, 2, 0.453, 'HTTP 401: the key is not accepted. Correct it under `destinations.late`');
INSERT INTO public.run_destinations VALUES (4, 3, 3, 3, 0, 0, 0, 1, 0.267, NULL);
INSERT INTO public.runs VALUES (1, 'sync', 'partial', '2026-11-29 15:06:32.82917+00', '2026-11-29 15:06:33.669828+00', '2026-11-29 15:06:33.987484+00', 1.157, 'process 26271 on vm (665b2e80-c570-4a0e-84f0-da9f452094b7-4026531836/4397262)', '0.1.0', 3, 3, NULL, 'bdec7780bfba8321', false, NULL);
INSERT INTO public.runs VALUES (2, 'sync', 'held', '2026-11-29 15:06:44.75335+00', '2026-11-29 15:06:45.499441+00', '2026-11-29 15:06:45.889508+00', 1.135, 'process 27806 on vm (665b2e80-c570-4a0e-84f0-da9f452094b7-4026531836/4398540)', '0.1.0', 2, 2, NULL, 'b64a70c0df7fd809', false, NULL);
INSERT INTO public.runs VALUES (3, 'seed', 'partial', '2026-11-29 15:06:53.335959+00', '2026-11-29 15:06:54.194246+00', '2026-11-29 15:06:54.623434+00', 1.286, 'process 28870 on vm (665b2e80-c570-4a0e-84f0-da9f452094b7-4026531836/4399278)', '0.1.0', 0, 0, NULL, '915bb38c37bf0f2e', false, NULL);
INSERT INTO public.runs VALUES (4, 'sync', 'held', '2026-11-29 15:07:02.247545+00', '2026-11-29 15:07:03.9364+00', '2026-11-29 15:07:04.528328+00', 2.279, 'process 30063 on vm (665b2e80-c570-4a0e-84f0-da9f452094b7-4026531836/4400239)', '0.1.0', 2, 0, 'destination late: HTTP 401: the key is not accepted. Correct it under `destinations.late`', 'e2d9f3318270f0bb', false, NULL);
INSERT INTO public.schedule_slots VALUES ('every 1h', '2026-11-29 06:00:00+00', 1, 2, '2026-11-29 04:00:00+00', '2026-11-29 06:00:03+00');
INSERT INTO public.segment_parts VALUES (1, 0, '\x504152311500152a153c2c1506150015061506000028b52ffd2015a900000300000061646103000000626f620300000063796415001518152a2c1506150015061506000028b52ffd200c6100000100000001000000010000001500150215142c1506150015061506000028b52ffd2001090000071502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001606191c193c26001c150c191500191807757365725f6964150c1606164c165e26083c18036379641803616461160028036379641803616461111100191c15001500150200000026001c150219150019180672756e5f6964150c1606163a164c26663c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150019150019180770726573656e74150c16061624163626b2013c1801011801011600280101180101111100191c15001500150200000016aa011606260816e0010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (2, 0, '\x504152311500151c152e2c1504150015061506000028b52ffd200e71000003000000616461030000006576651500151015222c1504150015061506000028b52ffd200841000001000000010000001500150215142c1504150015061506000028b52ffd2001090000031502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001604191c193c26001c150c191500191807757365725f6964150c1604163e165026083c18036576651803616461160028036576651803616461111100191c15001500150200000026001c150219150019180672756e5f6964150c16041632164426583c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150019150019180770726573656e74150c160416241636269c013c1801011801011600280101180101111100191c1500150015020000001694011604260816ca010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (3, 0, '\x504152311500152a153c2c1506150015061506000028b52ffd2015a900000300000061646103000000626f620300000068616c15001518152a2c1506150015061506000028b52ffd200c6100000100000001000000010000001500150215142c1506150015061506000028b52ffd2001090000071502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001606191c193c26001c150c191500191807757365725f6964150c1606164c165e26083c180368616c18036164611600280368616c1803616461111100191c15001500150200000026001c150219150019180672756e5f6964150c1606163a164c26663c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150019150019180770726573656e74150c16061624163626b2013c1801011801011600280101180101111100191c15001500150200000016aa011606260816e0010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (4, 0, '\x504152311500151c152e2c1504150015061506000028b52ffd200e71000003000000696461030000006a6f651500151015222c1504150015061506000028b52ffd200841000001000000010000001500150215142c1504150015061506000028b52ffd2001090000031502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001604191c193c26001c150c191500191807757365725f6964150c1604163e165026083c18036a6f651803696461160028036a6f651803696461111100191c15001500150200000026001c150219150019180672756e5f6964150c16041632164426583c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150019150019180770726573656e74150c160416241636269c013c1801011801011600280101180101111100191c1500150015020000001694011604260816ca010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (5, 0, '\x504152311500151c152e2c1504150015061506000028b52ffd200e710000030000006b696d030000006c656f1500151015222c1504150015061506000028b52ffd200841000001000000010000001500150215142c1504150015061506000028b52ffd2001090000031502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001604191c193c26001c150c191500191807757365725f6964150c1604163e165026083c18036c656f18036b696d160028036c656f18036b696d111100191c15001500150200000026001c150219150019180672756e5f6964150c16041632164426583c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150019150019180770726573656e74150c160416241636269c013c1801011801011600280101180101111100191c1500150015020000001694011604260816ca010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (6, 0, '\x5041523115001528153a2c1504150015061506000028b52ffd2014a1000006000000757365722d3106000000757365722d361500151015222c1504150015061506000028b52ffd200841000001000000010000001500150215142c1504150015061506000028b52ffd2001090000031502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001604191c193c26001c150c191500191807757365725f6964150c1604164a165c26083c1806757365722d361806757365722d3116002806757365722d361806757365722d31111100191c15001500150200000026001c150219150019180672756e5f6964150c16041632164426643c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150019150019180770726573656e74150c16041624163626a8013c1801011801011600280101180101111100191c15001500150200000016a0011604260816d6010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000005701000050415231');
INSERT INTO public.segment_parts VALUES (7, 0, '\x504152311500152a153c2c1506150015061506000028b52ffd2015a900000300000061646103000000626f620300000067757315001518152a2c1506150015061506000028b52ffd200c6100000100000001000000010000001500153c154e2c1506150015061506000028b52ffd201ef100000600000022676f6c642206000000226672656522060000002266726565221502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f6964252200150c2500180a74726169745f706c616e2500001606191c193c26001c150c191500191807757365725f6964150c1606164c165e26083c18036775731803616461160028036775731803616461111100191c15001500150200000026001c150219150019180672756e5f6964150c1606163a164c26663c1804010000001804010000001600280401000000180401000000111100191c15001500150200000026001c150c19150019180a74726169745f706c616e150c1606165e167026b2013c180622676f6c642218062266726565221600280622676f6c64221806226672656522111100191c15001500150200000016e40116062608169a020028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000006701000050415231');
INSERT INTO public.segment_parts VALUES (8, 0, '\x504152311500151c152e2c1504150015061506000028b52ffd200e710000030000006164610300000064616e1500151015222c1504150015061506000028b52ffd200841000002000000020000001500150215142c1504150015061506000028b52ffd2001090000021502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001604191c193c26001c150c191500191807757365725f6964150c1604163e165026083c180364616e18036164611600280364616e1803616461111100191c15001500150200000026001c150219150019180672756e5f6964150c16041632164426583c1804020000001804020000001600280402000000180402000000111100191c15001500150200000026001c150019150019180770726573656e74150c160416241636269c013c1801011801001600280101180100111100191c1500150015020000001694011604260816ca010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (9, 0, '\x504152311500151c152e2c1504150015061506000028b52ffd200e71000003000000626f62030000006775731500151015222c1504150015061506000028b52ffd200841000002000000020000001500155e15402c1504150015061506000028b52ffd202fbd000088210000004101000600000022676f6c642201002230021502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f6964252200150c2502180a74726169745f706c616e2500001604191c193c26001c150c191500191807757365725f6964150c1604163e165026083c18036775731803626f62160028036775731803626f62111100191c15001500150200000026001c150219150019180672756e5f6964150c16041632164426583c1804020000001804020000001600280402000000180402000000111100191c15001500150200000026001c150c19150019180a74726169745f706c616e150c16041680011662269c013c180622676f6c6422180622676f6c64221602280622676f6c6422180622676f6c6422111100191c15001500150200000016f0011604260816f6010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000006801000050415231');
INSERT INTO public.segment_parts VALUES (10, 0, '\x5041523115001538154a2c1508150015061506000028b52ffd201ce10000030000006d6961030000006e6564030000006f6c690300000070616d1500152015322c1508150015061506000028b52ffd2010810000030000000300000003000000030000001500150215142c1508150015061506000028b52ffd20010900000f1502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001608191c193c26001c150c191500191807757365725f6964150c1608165a166c26083c180370616d18036d69611600280370616d18036d6961111100191c15001500150200000026001c150219150019180672756e5f6964150c16081642165426743c1804030000001804030000001600280403000000180403000000111100191c15001500150200000026001c150019150019180770726573656e74150c16081624163626c8013c1801011801011600280101180101111100191c15001500150200000016c0011608260816f6010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (11, 0, '\x504152311500152a153c2c1506150015061506000028b52ffd2015a9000003000000666179030000006775730300000068616c15001518152a2c1506150015061506000028b52ffd200c6100000400000004000000040000001500150215142c1506150015061506000028b52ffd2001090000071502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001606191c193c26001c150c191500191807757365725f6964150c1606164c165e26083c180368616c18036661791600280368616c1803666179111100191c15001500150200000026001c150219150019180672756e5f6964150c1606163a164c26663c1804040000001804040000001600280404000000180404000000111100191c15001500150200000026001c150019150019180770726573656e74150c16061624163626b2013c1801011801011600280101180101111100191c15001500150200000016aa011606260816e0010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004b01000050415231');
INSERT INTO public.segment_parts VALUES (12, 0, '\x504152311500150e15202c1502150015061506000028b52ffd20073900000300000066617915001508151a2c1502150015061506000028b52ffd2004210000040000001500150215142c1502150015061506000028b52ffd2001090000011502194c3500180d6475636b64625f736368656d61150600150c25001807757365725f696425000015022500180672756e5f696425220015002500180770726573656e74001602191c193c26001c150c191500191807757365725f6964150c16021630164226083c18036661791803666179160028036661791803666179111100191c15001500150200000026001c150219150019180672756e5f6964150c1602162a163c264a3c1804040000001804040000001600280404000000180404000000111100191c15001500150200000026001c150019150019180770726573656e74150c1602162416362686013c1801011801011600280101180101111100191c150015001502000000167e1602260816b4010028284475636b44422076657273696f6e2076322e302e3020286275696c64206435346362626533646629193c1c00001c00001c0000004a01000050415231');
INSERT INTO public.segments VALUES (1, 1, 'base', 1, 3, 455, '7be79704a6a3c153f0dd575b11995608');
INSERT INTO public.segments VALUES (2, 2, 'base', 1, 2, 444, '238f9451c3c545ee920d169077c66122');
INSERT INTO public.segments VALUES (3, 3, 'base', 1, 3, 455, '35e4793318e3ab2c2365cfbab615eb11');
INSERT INTO public.segments VALUES (4, 4, 'base', 1, 2, 444, '72ea7fe43bffb352d695db781ccc9a13');
INSERT INTO public.segments VALUES (5, 5, 'base', 1, 2, 444, '51e098c25a3948457fec19beffa12dcf');
INSERT INTO public.segments VALUES (6, 6, 'base', 1, 2, 462, '8dd2f8d66777b90ff413d1ff2c16b48d');
INSERT INTO public.segments VALUES (7, 7, 'base', 1, 3, 512, '3c58e9bc3aac93b608110123ecc79b66');
INSERT INTO public.segments VALUES (8, 1, 'delta', 2, 2, 444, 'a1410d6ae5c7b8492b7ec747cb245fc5');
INSERT INTO public.segments VALUES (9, 7, 'delta', 2, 2, 495, 'adc9e83d53a8ee26d546566e07577807');
INSERT INTO public.segments VALUES (10, 8, 'base', 3, 4, 466, '3c443a8271b79aea0c38bcb513278787');
INSERT INTO public.segments VALUES (11, 1, 'delta', 4, 3, 455, 'a00c2e46ca2db8f1edfdfb4e3eb65d8d');
INSERT INTO public.segments VALUES (12, 2, 'delta', 4, 1, 432, '63e408b57a098a478d270cb051623f47');
INSERT INTO public.subscription_terms VALUES (1, 1, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 2, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 3, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 4, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 5, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 6, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 7, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (1, 8, 3, 3, true, NULL, NULL, true);
INSERT INTO public.subscription_terms VALUES (2, 1, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 2, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 3, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 4, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 5, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 6, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 7, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (2, 8, 3, 3, true, NULL, NULL, true);
INSERT INTO public.subscription_terms VALUES (3, 1, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 2, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 3, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 4, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 5, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 6, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 7, 1, 1, true, NULL, NULL, false);
INSERT INTO public.subscription_terms VALUES (3, 8, 3, 3, true, NULL, NULL, true);
INSERT INTO public.subscriptions VALUES (1, 1, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 2, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 3, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 4, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 5, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 6, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 7, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (1, 8, 3, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 1, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 2, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 3, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 4, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 5, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 6, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 7, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (2, 8, 3, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 1, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 2, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 3, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 4, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 5, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 6, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 7, 1, true, NULL, NULL);
INSERT INTO public.subscriptions VALUES (3, 8, 3, true, NULL, NULL);
INSERT INTO public.suppressions VALUES ('eve', 'command', '2026-11-29 15:06:27.562969+00');
INSERT INTO public.told_ranges VALUES (2, '', 'gus', 4);
INSERT INTO public.told_ranges VALUES (4, '', 'ned', 3);
INSERT INTO public.told_ranges VALUES (5, '', 'ned', 3);
INSERT INTO public.told_ranges VALUES (6, '', 'ned', 3);
INSERT INTO public.untaken_calls VALUES (3, 'ada', 'HTTP 400: no such user', 400, 2, NULL);
INSERT INTO public.untaken_calls VALUES (32, 'fay', 'HTTP 400: bad timezone', 400, NULL, NULL);
INSERT INTO public.withheld_values VALUES (1, 'eve', 2, 'true', 1);
INSERT INTO public.withheld_values VALUES (2, 'eve', 2, 'true', 1);
INSERT INTO public.withheld_values VALUES (3, 'eve', 2, 'true', 1);
SELECT pg_catalog.setval('public.alert_log_id_seq', 5, false);
SELECT pg_catalog.setval('public.audience_freezes_id_seq', 2, false);
SELECT pg_catalog.setval('public.chains_id_seq', 9, false);
SELECT pg_catalog.setval('public.destinations_id_seq', 4, false);
SELECT pg_catalog.setval('public.feeds_id_seq', 7, false);
SELECT pg_catalog.setval('public.held_snapshots_id_seq', 2, false);
SELECT pg_catalog.setval('public.installation_id_seq', 1, false);
SELECT pg_catalog.setval('public.lease_id_seq', 1, false);
SELECT pg_catalog.setval('public.properties_id_seq', 9, false);
SELECT pg_catalog.setval('public.requests_id_seq', 35, false);
SELECT pg_catalog.setval('public.runs_id_seq', 5, false);
SELECT pg_catalog.setval('public.segments_id_seq', 13, false);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.absences
    ADD CONSTRAINT pk_absences PRIMARY KEY (property_id, user_id);
ALTER TABLE ONLY public.alert_log
    ADD CONSTRAINT pk_alert_log PRIMARY KEY (id);
ALTER TABLE ONLY public.audience_freezes
    ADD CONSTRAINT pk_audience_freezes PRIMARY KEY (id);
ALTER TABLE ONLY public.chains
    ADD CONSTRAINT pk_chains PRIMARY KEY (id);
ALTER TABLE ONLY public.changes
    ADD CONSTRAINT pk_changes PRIMARY KEY (run_id, user_id, property_id);
ALTER TABLE ONLY public.destinations
    ADD CONSTRAINT pk_destinations PRIMARY KEY (id);
ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT pk_erasures PRIMARY KEY (user_hash);
ALTER TABLE ONLY public.feeds
    ADD CONSTRAINT pk_feeds PRIMARY KEY (id);
ALTER TABLE ONLY public.held_out
    ADD CONSTRAINT pk_held_out PRIMARY KEY (property_id, user_id);
ALTER TABLE ONLY public.held_snapshots
    ADD CONSTRAINT pk_held_snapshots PRIMARY KEY (id);
ALTER TABLE ONLY public.hold_samples
    ADD CONSTRAINT pk_hold_samples PRIMARY KEY (hold_id, user_id);
ALTER TABLE ONLY public.installation
    ADD CONSTRAINT pk_installation PRIMARY KEY (id);
ALTER TABLE ONLY public.lease
    ADD CONSTRAINT pk_lease PRIMARY KEY (id);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT pk_members PRIMARY KEY (property_id, user_id);
ALTER TABLE ONLY public.missed_alerts
    ADD CONSTRAINT pk_missed_alerts PRIMARY KEY (alert_id, is_over, place);
ALTER TABLE ONLY public.open_refusals
    ADD CONSTRAINT pk_open_refusals PRIMARY KEY (destination_id, user_id);
ALTER TABLE ONLY public.past_suppressions
    ADD CONSTRAINT pk_past_suppressions PRIMARY KEY (user_id, origin, since);
ALTER TABLE ONLY public.properties
    ADD CONSTRAINT pk_properties PRIMARY KEY (id);
ALTER TABLE ONLY public.pruned_history
    ADD CONSTRAINT pk_pruned_history PRIMARY KEY (history);
ALTER TABLE ONLY public.refused_values
    ADD CONSTRAINT pk_refused_values PRIMARY KEY (destination_id, user_id, property_id);
ALTER TABLE ONLY public.rejections
    ADD CONSTRAINT pk_rejections PRIMARY KEY (run_id, number);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT pk_requests PRIMARY KEY (id);
ALTER TABLE ONLY public.run_audiences
    ADD CONSTRAINT pk_run_audiences PRIMARY KEY (run_id, audience_key);
ALTER TABLE ONLY public.run_destinations
    ADD CONSTRAINT pk_run_destinations PRIMARY KEY (run_id, destination_id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (id);
ALTER TABLE ONLY public.schedule_slots
    ADD CONSTRAINT pk_schedule_slots PRIMARY KEY (schedule, due_at);
ALTER TABLE ONLY public.segment_parts
    ADD CONSTRAINT pk_segment_parts PRIMARY KEY (segment_id, number);
ALTER TABLE ONLY public.segments
    ADD CONSTRAINT pk_segments PRIMARY KEY (id);
ALTER TABLE ONLY public.subscription_terms
    ADD CONSTRAINT pk_subscription_terms PRIMARY KEY (destination_id, property_id, from_run);
ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT pk_subscriptions PRIMARY KEY (destination_id, property_id);
ALTER TABLE ONLY public.suppressions
    ADD CONSTRAINT pk_suppressions PRIMARY KEY (user_id, origin);
ALTER TABLE ONLY public.told_ranges
    ADD CONSTRAINT pk_told_ranges PRIMARY KEY (feed_id, after_user);
ALTER TABLE ONLY public.untaken_calls
    ADD CONSTRAINT pk_untaken_calls PRIMARY KEY (request_id, user_id);
ALTER TABLE ONLY public.withheld_values
    ADD CONSTRAINT pk_withheld_values PRIMARY KEY (destination_id, user_id, property_id);
ALTER TABLE ONLY public.destinations
    ADD CONSTRAINT uq_destinations_name UNIQUE (name);
ALTER TABLE ONLY public.properties
    ADD CONSTRAINT uq_properties_key UNIQUE (key);
CREATE INDEX ix_alert_log_ended_at ON public.alert_log USING btree (ended_at);
CREATE INDEX ix_audience_freezes_property_id ON public.audience_freezes USING btree (property_id);
CREATE INDEX ix_changes_user_id ON public.changes USING btree (user_id);
CREATE INDEX ix_feeds_destination_id ON public.feeds USING btree (destination_id);
CREATE INDEX ix_requests_run_id ON public.requests USING btree (run_id, destination_id, seeding_id, through_user);
CREATE INDEX ix_run_audiences_audience_key ON public.run_audiences USING btree (audience_key, run_id);
CREATE INDEX ix_schedule_slots_run_id ON public.schedule_slots USING btree (run_id);
CREATE INDEX ix_segments_chain_id ON public.segments USING btree (chain_id);
CREATE INDEX ix_untaken_calls_user_id ON public.untaken_calls USING btree (user_id);
ALTER TABLE ONLY public.absences
    ADD CONSTRAINT fk_absences_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.audience_freezes
    ADD CONSTRAINT fk_audience_freezes_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.changes
    ADD CONSTRAINT fk_changes_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.changes
    ADD CONSTRAINT fk_changes_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.feeds
    ADD CONSTRAINT fk_feeds_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.feeds
    ADD CONSTRAINT fk_feeds_seeding_id FOREIGN KEY (seeding_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.held_out
    ADD CONSTRAINT fk_held_out_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.held_snapshots
    ADD CONSTRAINT fk_held_snapshots_ended_run_id FOREIGN KEY (ended_run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.held_snapshots
    ADD CONSTRAINT fk_held_snapshots_last_run_id FOREIGN KEY (last_run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.held_snapshots
    ADD CONSTRAINT fk_held_snapshots_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.hold_samples
    ADD CONSTRAINT fk_hold_samples_hold_id FOREIGN KEY (hold_id) REFERENCES public.held_snapshots(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.members
    ADD CONSTRAINT fk_members_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.missed_alerts
    ADD CONSTRAINT fk_missed_alerts_alert_id FOREIGN KEY (alert_id) REFERENCES public.alert_log(id);
ALTER TABLE ONLY public.open_refusals
    ADD CONSTRAINT fk_open_refusals_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.open_refusals
    ADD CONSTRAINT fk_open_refusals_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.properties
    ADD CONSTRAINT fk_properties_chain_id FOREIGN KEY (chain_id) REFERENCES public.chains(id);
ALTER TABLE ONLY public.properties
    ADD CONSTRAINT fk_properties_created_run_id FOREIGN KEY (created_run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.refused_values
    ADD CONSTRAINT fk_refused_values_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.refused_values
    ADD CONSTRAINT fk_refused_values_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.rejections
    ADD CONSTRAINT fk_rejections_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT fk_requests_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.requests
    ADD CONSTRAINT fk_requests_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.run_audiences
    ADD CONSTRAINT fk_run_audiences_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.run_destinations
    ADD CONSTRAINT fk_run_destinations_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.run_destinations
    ADD CONSTRAINT fk_run_destinations_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.schedule_slots
    ADD CONSTRAINT fk_schedule_slots_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.segment_parts
    ADD CONSTRAINT fk_segment_parts_segment_id FOREIGN KEY (segment_id) REFERENCES public.segments(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.segments
    ADD CONSTRAINT fk_segments_chain_id FOREIGN KEY (chain_id) REFERENCES public.chains(id);
ALTER TABLE ONLY public.segments
    ADD CONSTRAINT fk_segments_run_id FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.subscription_terms
    ADD CONSTRAINT fk_subscription_terms_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.subscription_terms
    ADD CONSTRAINT fk_subscription_terms_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT fk_subscriptions_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT fk_subscriptions_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
ALTER TABLE ONLY public.told_ranges
    ADD CONSTRAINT fk_told_ranges_feed_id FOREIGN KEY (feed_id) REFERENCES public.feeds(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.untaken_calls
    ADD CONSTRAINT fk_untaken_calls_request_id FOREIGN KEY (request_id) REFERENCES public.requests(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.withheld_values
    ADD CONSTRAINT fk_withheld_values_destination_id FOREIGN KEY (destination_id) REFERENCES public.destinations(id);
ALTER TABLE ONLY public.withheld_values
    ADD CONSTRAINT fk_withheld_values_property_id FOREIGN KEY (property_id) REFERENCES public.properties(id);
