"""Endpoints, vaults, secrets and API keys through ngrok's own client for Python."""

import os
import uuid

from ngrok import Client, Error, NotFoundError

base = os.environ["TOLLGATE_CONTROL_URL"]
client = Client(os.environ["TOLLGATE_API_TOKEN"], base_url=base)
name = f"python-{uuid.uuid4().hex[:8]}"

POLICY = """
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: openai
          api_keys:
            - value: ${secrets.get('openai', 'api-key')}
"""


def refused(call, status, code):
    try:
        call()
    except Error as error:
        assert (error.http_status_code, error.error_code) == (status, code), error
        assert isinstance(error.details, dict), error
        return str(error)
    raise AssertionError("nothing was refused")


def gone(call):
    try:
        call()
    except NotFoundError:
        return
    raise AssertionError("it is still there")


# Vaults: create, read, update, list over pages.
vaults = [client.vaults.create(name=f"{name}-{number}", description="ours") for number in range(3)]
assert client.vaults.get(vaults[0].id).name == f"{name}-0"
changed = client.vaults.update(id=vaults[0].id, description="changed", metadata='{"team":"red"}')
assert (changed.name, changed.description, changed.metadata) == (f"{name}-0", "changed", '{"team":"red"}')
assert changed.updated_at >= changed.created_at and changed.created_by.startswith("ak_")
paged = [vault.id for vault in client.vaults.list(limit="1")]
assert paged == [vault.id for vault in reversed(vaults)], paged
refused(lambda: client.vaults.create(name=vaults[1].name), 409, "ERR_NGROK_23004")

# Secrets: the client sends an empty `vault_id` beside a name. No answer has a value.
secrets = [
    client.secrets.create(name="api-key", value="sk-canary", vault_id=vaults[0].id),
    client.secrets.create(name="other", value="sk-canary", vault_name=vaults[0].name, vault_id=""),
]
assert secrets[0].vault.id == vaults[0].id and secrets[1].vault_name == vaults[0].name
assert secrets[0].created_by.id.startswith("ak_") and secrets[0].created_by.uri.startswith(base)
rotated = client.secrets.update(id=secrets[0].id, value="sk-canary-2", description="rotated")
assert rotated.description == "rotated" and "canary" not in str(rotated)
assert client.secrets.get(secrets[0].id) == rotated
of_vault = client.vaults.get_secrets_by_vault(vaults[0].id, limit="1")
assert [secret.id for secret in of_vault] == [secrets[1].id, secrets[0].id]
assert {secret.id for secret in client.secrets.list()} == {secret.id for secret in secrets}
refused(lambda: client.vaults.delete(vaults[0].id), 409, "ERR_NGROK_23003")
refused(lambda: client.secrets.create(name="x", value="y", vault_name="nowhere"), 404, "ERR_NGROK_24009")

# Endpoints: a host with its policy.
host = f"{name}.example.com"
endpoint = client.endpoints.create(
    url=f"https://{host}", type="cloud", traffic_policy=POLICY, bindings=["public"], metadata="m"
)
assert (endpoint.url, endpoint.traffic_policy, endpoint.type) == (f"https://{host}", POLICY, "cloud")
assert (endpoint.hostport, endpoint.proto, endpoint.bindings) == (f"{host}:443", "https", ["public"])
assert endpoint.domain is None and endpoint.principal is None and endpoint.region
second = client.endpoints.create(url=f"https://second-{host}", type="cloud", traffic_policy=POLICY)
assert [each.id for each in client.endpoints.list(limit="1")] == [second.id, endpoint.id]
assert [each.id for each in client.endpoints.list(url=[endpoint.url])] == [endpoint.id]
chosen = client.endpoints.list(filter=f"obj.url == '{second.url}' && obj.type == 'cloud'")
assert [each.id for each in chosen] == [second.id]
client.endpoints.get(endpoint.id).update(description="changed")
assert client.endpoints.get(endpoint.id).description == "changed"
assert client.endpoints.get(endpoint.id).traffic_policy == POLICY
wrong = POLICY.replace("ai-gateway", "ai-gatway")
refused(lambda: client.endpoints.update(id=endpoint.id, traffic_policy=wrong), 400, "ERR_NGROK_18002")
third = dict(url=f"https://third-{host}", type="cloud", traffic_policy=wrong)
told = refused(lambda: client.endpoints.create(**third), 400, "ERR_NGROK_18002")
assert "line 3" in told and "ai-gateway" in told, told

# API keys: a new one may do what its creator may do.
key = client.api_keys.create(description="ci", metadata="m")
with_key = Client(key.token, base_url=base)
assert with_key.vaults.get(vaults[0].id).id == vaults[0].id
assert client.api_keys.get(key.id).token is None
assert client.api_keys.update(id=key.id, description="renamed").description == "renamed"
assert key.id in {each.id for each in client.api_keys.list(limit="1")}
client.api_keys.delete(key.id)
refused(lambda: with_key.vaults.list(), 403, "ERR_NGROK_202")

# What is deleted is gone.
for each in client.endpoints.list():
    each.delete()
    gone(lambda: client.endpoints.get(each.id))
for each in secrets:
    client.secrets.delete(each.id)
    gone(lambda: client.secrets.get(each.id))
for each in vaults:
    each.delete()
    gone(lambda: client.vaults.get(each.id))
assert list(client.endpoints.list()) == list(client.vaults.list()) == list(client.secrets.list()) == []

# Ranges of addresses, which traffic policies name.
office = client.ip_policies.create(description="office")
rule = client.ip_policy_rules.create(cidr="203.0.113.0/24", ip_policy_id=office.id, action="allow")
assert (rule.cidr, rule.action, rule.ip_policy.id) == ("203.0.113.0/24", "allow", office.id)
naming = f"on_http_request:\n  - {{type: restrict-ips, config: {{ip_policies: [{office.id}]}}}}\n  - type: ai-gateway\n"
endpoint = client.endpoints.create(url="https://office.example.com", type="cloud", traffic_policy=naming)
rule = client.ip_policy_rules.update(rule.id, cidr="203.0.113.128/25")
assert [each.cidr for each in client.ip_policy_rules.list()] == [rule.cidr] == ["203.0.113.128/25"]
assert client.ip_policies.update(office.id, metadata="m").metadata == "m"
refused(lambda: client.ip_policies.delete(office.id), 409, None)
endpoint.delete()
client.ip_policy_rules.delete(rule.id)
client.ip_policies.delete(office.id)
gone(lambda: client.ip_policies.get(office.id))
assert list(client.ip_policies.list()) == list(client.ip_policy_rules.list()) == []

# What is not offered says so.
refused(lambda: client.event_destinations.list(), 400, None)
