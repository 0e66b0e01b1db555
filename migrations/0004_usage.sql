-- Usage records, which are evidence of charges and never change; what tenants write beside them; and
-- where the ledger desk stands in each money shard.

-- One row for each of the 256 shards, whose number is the last byte of the account's id.
create table money_shards (
    shard smallint primary key check (shard between 0 and 255),
    -- A Redis that restarted, was promoted or was wiped begins a new one.
    era bigint not null default 0,
    -- The last entry of this era's stream whose records are here.
    position text not null default '0-0',
    -- Who may write: a desk whose number is no longer this one has been succeeded.
    fence bigint not null default 0
);
insert into money_shards (shard) select generate_series(0, 255);
grant select, update on money_shards to tollgate_runtime;

create sequence money_fences;
grant usage on sequence money_fences to tollgate_runtime;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is evidence of charges: its rows are never changed', tg_table_name
        using errcode = 'restrict_violation';
end
$$;

-- The id is a UUIDv7 and the whole key: a record that comes again a week later falls into the same
-- day and is recognised.
create table usage_records (
    id uuid not null primary key,
    request_id uuid not null,
    account_id uuid not null,
    gateway_id uuid not null,
    gateway_slug text not null,
    token text not null,
    step integer not null,
    attempt integer not null,
    provider text not null,
    model_asked text not null,
    model_served text not null,
    endpoint text not null,
    method text not null,
    path text not null,
    streamed boolean not null,
    key_source text,
    key_alias text not null,
    dialect text not null,
    input_tokens bigint not null,
    cached_input_tokens bigint not null,
    cache_write_tokens bigint not null,
    output_tokens bigint not null,
    reasoning_tokens bigint not null,
    audio_input_tokens bigint not null,
    audio_output_tokens bigint not null,
    image_input_tokens bigint not null,
    image_output_tokens bigint not null,
    -- Who counted the tokens.
    provenance text not null,
    price_version text not null,
    -- Nano-dollars; null when the model has no price.
    cost bigint,
    paid bigint not null,
    status integer not null,
    outcome text not null,
    error_code bigint not null,
    cause text not null,
    -- Microseconds.
    queue_time bigint not null,
    upstream_first_byte_time bigint not null,
    upstream_last_byte_time bigint not null,
    total_time bigint not null,
    own_time bigint not null,
    request_bytes bigint not null,
    response_bytes bigint not null,
    request_content_type text not null,
    response_content_type text not null,
    user_agent text not null,
    event_id text not null,
    metadata jsonb,
    collect_log boolean not null,
    trace_id bytea,
    -- The ledger's transaction that took `paid`; null where nothing was paid.
    transaction_id uuid,
    posted_at timestamptz not null default now()
) partition by range (id);
create index usage_records_gateway on usage_records (gateway_id, id desc);
create trigger usage_records_stay before update or delete on usage_records
    for each row execute function refuse_change();
create trigger usage_records_stay_whole before truncate on usage_records
    execute function refuse_change();
grant select, insert on usage_records to tollgate_runtime;

-- The real record of a request that had been posted as abandoned, because its proxy was thought dead.
-- There is no second correction.
create table usage_corrections (like usage_records including defaults, primary key (id));
create trigger usage_corrections_stay before update or delete on usage_corrections
    for each row execute function refuse_change();
create trigger usage_corrections_stay_whole before truncate on usage_corrections
    execute function refuse_change();
grant select, insert on usage_corrections to tollgate_runtime;

-- What arrived and could not be read or kept, such as a newer proxy's record: for people to look at.
create table usage_unreadable (
    id bigint generated always as identity primary key,
    shard smallint not null,
    era bigint not null,
    position text not null,
    body bytea not null,
    reason text not null,
    at timestamptz not null default now()
);
grant select, insert on usage_unreadable to tollgate_runtime;

-- What tenants write on a log: they may hide the row, never the record.
create table log_annotations (
    id uuid primary key,
    hidden boolean not null default false,
    feedback double precision check (feedback between -1 and 1),
    score double precision check (score between 0 and 100),
    -- In place of the metadata that the caller sent; `replaced` says that there is one, null or not.
    metadata jsonb,
    metadata_replaced boolean not null default false,
    modified_at timestamptz not null default now()
);
grant select, insert, update on log_annotations to tollgate_runtime;

-- The first UUIDv7 of a UTC day, or rather what stands before every one of its own.
create function usage_day_start(day date) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes sure that a day's records have a place. The runtime role owns nothing, so the function runs as
-- its owner. Attaching a finished table leaves readers and writers undisturbed.
create function ensure_usage_day(day date) returns void
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    partition text := 'usage_records_' || to_char(day, 'YYYYMMDD');
begin
    if to_regclass(partition) is not null then
        return;
    end if;
    -- Whoever comes second waits here and then sees the first one's table.
    lock table usage_records in share update exclusive mode;
    if to_regclass(partition) is not null then
        return;
    end if;
    execute format('create table %I (like usage_records including defaults including indexes)', partition);
    execute format(
        'create trigger usage_records_stay_whole before truncate on %I execute function refuse_change()',
        partition);
    execute format('alter table usage_records attach partition %I for values from (%L) to (%L)',
        partition, usage_day_start(day), usage_day_start(day + 1));
end
$$;
revoke execute on function ensure_usage_day from public;
grant execute on function ensure_usage_day to tollgate_runtime;

-- Records as they are known today: a correction stands in for the row that it corrects. Every column
-- is taken from the table, so that none is forgotten; what logs are found by comes from the record itself,
-- which has the indexes.
do $$
declare
    columns text;
begin
    select string_agg(
        case when column_name in ('id', 'account_id', 'gateway_id', 'collect_log') then format('r.%I', column_name)
        else format('case when c.id is null then r.%1$I else c.%1$I end as %1$I', column_name) end,
        ', ' order by ordinal_position)
    into columns from information_schema.columns
    where table_schema = current_schema() and table_name = 'usage_records';
    execute format(
        'create view usage_known as select %s from usage_records r left join usage_corrections c on c.id = r.id',
        columns);
end
$$;
grant select on usage_known to tollgate_runtime;

-- What the logs API shows and filters by, one row a log. Its column names are the filter keys.
create view logs as
select
    u.id,
    u.gateway_id,
    u.account_id,
    u.request_id,
    to_timestamp(('x' || left(replace(u.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) as created_at,
    u.provider,
    coalesce(nullif(u.model_asked, ''), u.model_served) as model,
    u.model_served,
    u.endpoint as request_type,
    case u.endpoint
        when 'chat_completions' then 'chat'
        when 'responses' then 'chat'
        when 'completions' then 'completion'
        when 'embeddings' then 'embedding'
        else split_part(u.endpoint, '_', 1)
    end as model_type,
    u.method,
    u.path,
    u.streamed,
    u.step,
    u.attempt,
    u.status as status_code,
    u.outcome = 'answered' and u.status between 200 and 299 as success,
    false as cached,
    u.outcome,
    u.error_code,
    u.cause,
    u.total_time / 1000.0 as duration,
    case when u.provenance <> 'none' then u.input_tokens + u.cached_input_tokens + u.cache_write_tokens
        + u.audio_input_tokens + u.image_input_tokens end as tokens_in,
    case when u.provenance <> 'none' then u.output_tokens + u.reasoning_tokens
        + u.audio_output_tokens + u.image_output_tokens end as tokens_out,
    case when u.provenance <> 'none' then u.input_tokens + u.cached_input_tokens + u.cache_write_tokens
        + u.audio_input_tokens + u.image_input_tokens + u.output_tokens + u.reasoning_tokens
        + u.audio_output_tokens + u.image_output_tokens end as tokens,
    u.input_tokens,
    u.cached_input_tokens,
    u.cache_write_tokens,
    u.output_tokens,
    u.reasoning_tokens,
    u.audio_input_tokens,
    u.audio_output_tokens,
    u.image_input_tokens,
    u.image_output_tokens,
    u.provenance,
    u.price_version,
    u.cost as cost_nanos,
    u.cost / 1e9::numeric as cost,
    u.paid as paid_nanos,
    false as custom_cost,
    u.queue_time,
    u.upstream_first_byte_time,
    u.upstream_last_byte_time,
    u.total_time,
    u.own_time,
    u.request_bytes,
    u.response_bytes,
    u.request_content_type,
    u.response_content_type,
    u.user_agent,
    u.event_id,
    case when a.metadata_replaced then a.metadata else u.metadata end as metadata,
    a.feedback,
    a.score,
    u.token <> '' as authentication,
    u.key_source,
    u.key_alias,
    coalesce(u.key_source in ('request', 'stored_key'), false) as byok,
    coalesce(u.key_source = 'credits', false) as wholesale,
    u.dialect = 'compat' as compatibility_mode,
    u.trace_id
from usage_known u
left join log_annotations a on a.id = u.id
where u.collect_log and a.hidden is not true;
grant select on logs to tollgate_runtime;
