"""Accounts, members and API tokens through Cloudflare's own client for Python."""

import os
from datetime import datetime, timedelta, timezone

from cloudflare import APIStatusError, AuthenticationError, Cloudflare, NotFoundError

BASE_URL = os.environ["TOLLGATE_API_URL"]
account = os.environ["TOLLGATE_ACCOUNT_ID"]
client = Cloudflare(base_url=BASE_URL, api_token=os.environ["TOLLGATE_API_TOKEN"], max_retries=0)

assert account in [each.id for each in client.accounts.list()]
assert client.accounts.get(account_id=account).id == account

groups = {group["name"]: group["id"] for group in map(dict, client.accounts.tokens.permission_groups.list(account_id=account))}
assert {"AI Gateway Read", "AI Gateway Write", "AI Gateway Run"} <= set(groups), groups


def policy(*names):
    resources = {f"com.cloudflare.api.account.{account}": "*"}
    return {"effect": "allow", "permission_groups": [{"id": groups[name]} for name in names], "resources": resources}


soon = (datetime.now(timezone.utc) + timedelta(hours=1)).replace(microsecond=0)
made = client.accounts.tokens.create(account_id=account, name="reader", policies=[policy("AI Gateway Read")], expires_on=soon)
assert made.value and made.status == "active" and made.expires_on == soon, made
assert made.id in [token.id for token in client.accounts.tokens.list(account_id=account)]
got = client.accounts.tokens.get(made.id, account_id=account)
assert got.name == "reader" and "value" not in got.to_dict(), got

reader = Cloudflare(base_url=BASE_URL, api_token=made.value, max_retries=0)
assert reader.user.tokens.verify().status == "active"
assert reader.accounts.tokens.verify(account_id=account).id == made.id
list(reader.ai_gateway.list(account_id=account))
try:
    reader.ai_gateway.create(account_id=account, id="not-allowed", cache_invalidate_on_update=False, cache_ttl=0,
                             collect_logs=True, rate_limiting_interval=0, rate_limiting_limit=0)
    raise AssertionError("a token that may only read has written")
except APIStatusError as error:
    assert error.status_code in (403, 404), error

rolled = client.accounts.tokens.value.update(made.id, account_id=account)
assert rolled and rolled != made.value
try:
    reader.user.tokens.verify()
    raise AssertionError("a rolled token still works")
except AuthenticationError as error:
    assert error.errors[0].code == 10000, error

updated = client.accounts.tokens.update(made.id, account_id=account, name="runner", policies=[policy("AI Gateway Run")])
assert updated.name == "runner"
client.accounts.tokens.delete(made.id, account_id=account)
try:
    client.accounts.tokens.get(made.id, account_id=account)
    raise AssertionError("a deleted token is still there")
except NotFoundError:
    pass

assert [member.id for member in client.accounts.members.list(account_id=account)]
print("every call was answered as it should be")
