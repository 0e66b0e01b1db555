-- What `log` actions of a gateway's traffic policy leave of a request: an array of objects, null for nothing.

alter table usage_records add column policy_logs jsonb;
alter table usage_corrections add column policy_logs jsonb;

-- Records as they are known today, with the new column: a correction stands in for the row that it corrects.
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
        'create or replace view usage_known as select %s from usage_records r left join usage_corrections c on c.id = r.id',
        columns);
end
$$;

-- What the logs API shows and filters by, one row a log. Its column names are the filter keys.
create or replace view logs as
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
        + u.cache_write_long_tokens
        + u.audio_input_tokens + u.cached_audio_input_tokens + u.image_input_tokens + u.cached_image_input_tokens end as tokens_in,
    case when u.provenance <> 'none' then u.output_tokens + u.reasoning_tokens
        + u.audio_output_tokens + u.image_output_tokens end as tokens_out,
    case when u.provenance <> 'none' then u.input_tokens + u.cached_input_tokens + u.cache_write_tokens
        + u.cache_write_long_tokens
        + u.audio_input_tokens + u.cached_audio_input_tokens + u.image_input_tokens + u.cached_image_input_tokens + u.output_tokens + u.reasoning_tokens
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
    u.cache_write_long_tokens,
    u.cached_audio_input_tokens,
    u.cached_image_input_tokens,
    u.units,
    u.provenance,
    u.price_version,
    u.cost as cost_nanos,
    u.cost / 1e9::numeric as cost,
    u.paid as paid_nanos,
    u.charge as charge_nanos,
    u.custom_cost,
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
    u.trace_id,
    u.policy_logs
from usage_known u
left join log_annotations a on a.id = u.id
where u.collect_log and a.hidden is not true;
