-- Ranges of addresses under one name, which `restrict-ips` of several traffic policies can refer to.

create table ip_policies (
    id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    description text not null default '',
    metadata text not null default '',
    created_at timestamptz not null default now(),
    -- What rules refer to, so that none can be of another account than its policy.
    constraint ip_policies_account_id_key unique (account_id, id)
);
grant select, insert, update, delete on ip_policies to tollgate_runtime;

create table ip_policy_rules (
    id uuid primary key,
    account_id uuid not null,
    ip_policy_id uuid not null,
    -- As its owner wrote it.
    cidr text not null,
    allows boolean not null,
    description text not null default '',
    metadata text not null default '',
    created_at timestamptz not null default now(),
    foreign key (account_id, ip_policy_id) references ip_policies (account_id, id) on delete cascade
);
create index ip_policy_rules_policy on ip_policy_rules (account_id, ip_policy_id, id);
grant select, insert, update, delete on ip_policy_rules to tollgate_runtime;

-- A traffic policy with the ranges of the IP policies that it names in their place, which is what proxies are
-- told; null where it names none. Which it names, so that a change of theirs finds it.
alter table gateways add column served_policy text;
alter table gateways add column ip_policies uuid[] not null default '{}';
create index gateways_ip_policies on gateways using gin (ip_policies);
