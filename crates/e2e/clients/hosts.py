"""OpenAI behind hosts of its own: a managed key, the caller's key, a key that is kept, a named provider.

Everything is set up as people's scripts do it, with the control API's paths and shapes, and asked with
OpenAI's and Anthropic's clients as they are shipped. The environment says where and as whom.
"""

import json
import os
import socket
import time
import urllib.request

import anthropic
import openai
from openai import OpenAI

CONTROL = os.environ["TOLLGATE_CONTROL_URL"]
TOKEN = os.environ["TOLLGATE_API_TOKEN"]
GATEWAY = os.environ["TOLLGATE_GATEWAY_ADDRESS"]
HOSTS = ["your-ai-gateway.example.app", "kept-keys.example.app", "guarded.example.app"]
MESSAGES = [{"role": "user", "content": "Hello!"}]
MINIMAL = "on_http_request:\n  - type: ai-gateway\n    config: {}\n"
KEPT = """
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - id: "openai"
          api_keys:
            - value: ${secrets.get('openai', 'api-key')}
"""
GUARDED = """
on_http_request:
  - expressions:
      - req.headers['authorization'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')
    actions:
      - type: custom-response
        config:
          status_code: 401
          headers: { content-type: application/json }
          body: '{"error":{"message":"Invalid or missing authorization token","type":"authentication_error"}}'
  - actions:
      - type: ai-gateway
        config:
          providers:
            - id: openai
              api_keys: [{ value: "${secrets.get('openai', 'api-key')}" }]
"""

look_up = socket.getaddrinfo


def led_here(host, port, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if name in HOSTS:
        host, port = GATEWAY.rsplit(":", 1)
        port = int(port)
    return look_up(host, port, *more, **named)


socket.getaddrinfo = led_here


def control(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(CONTROL + path, data, method="GET" if body is None else "POST")
    for name, value in [
        ("authorization", f"Bearer {TOKEN}"),
        ("ngrok-version", "2"),
        ("content-type", "application/json"),
    ]:
        request.add_header(name, value)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == (200 if body is None else 201), answer.status
        return json.load(answer)


def client(host, key):
    return OpenAI(base_url=f"http://{host}/v1", api_key=key, max_retries=0)


def eventually(call):
    """Proxies are told of new hosts, keys and secrets while they serve."""
    until = time.monotonic() + 10
    while True:
        try:
            return call()
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            assert time.monotonic() < until, error
            time.sleep(0.05)


def used(path):
    """When a key was used last is known once the usage of it is posted."""
    until = time.monotonic() + 10
    while control(path)["last_used"] is None:
        assert time.monotonic() < until, path
        time.sleep(0.05)


def greeted(ai, model="gpt-4o"):
    response = ai.chat.completions.create(model=model, messages=MESSAGES)
    assert response.choices[0].message.content and response.usage.completion_tokens
    chunks = ai.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == response.choices[0].message.content
    return response


def refused(call, kind, code):
    try:
        call()
    except kind as error:
        assert code is None or code in str(error), error
        return error
    raise AssertionError("nothing was refused")


for vault, secret, value in [
    ("openai", "api-key", "sk-proj-kept-0123456789abcdef"),
    ("gateway-auth", "access-token", "let-me-in"),
]:
    control("/vaults", {"name": vault})
    control("/vault_secrets", {"vault_name": vault, "name": secret, "value": value})
endpoints = {}
for host, policy in zip(HOSTS, [MINIMAL, KEPT, GUARDED]):
    new = {"url": f"https://{host}", "type": "cloud", "bindings": ["public"], "traffic_policy": policy}
    made = control("/endpoints", new)
    endpoints[host] = made["id"]
    # Only the kept key that nothing guards is anybody's.
    assert bool(made["warnings"]) == (policy == KEPT), made["warnings"]
made = control("/ai_gateway_api_keys", {"endpoint_id": endpoints[HOSTS[0]]})
key = made["token"]
assert key.startswith("ng-") and "-g1-" in key and made["last_used"] is None

# A managed key: no account at the provider, credits pay.
managed = client(HOSTS[0], key)
eventually(lambda: managed.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=9))
greeted(managed)
story = managed.responses.create(model="gpt-5.1", input="Write a one-sentence bedtime story about a unicorn.")
assert story.status == "completed" and story.output_text
embedded = managed.embeddings.create(model="openai:text-embedding-3-small", input="one")
assert embedded.usage.prompt_tokens > 0
assert "gpt-4o" in [model.id for model in managed.models.list()]
used(f"/ai_gateway_api_keys/{made['id']}")

# A managed key that brings a provider key along.
attached = [{"provider_id": "openai", "value": "sk-proj-attached-0123456789abcdef"}]
made = control("/ai_gateway_api_keys", {"endpoint_id": endpoints[HOSTS[0]], "provider_keys": attached})
bringing = client(HOSTS[0], made["token"])
eventually(lambda: bringing.chat.completions.create(model="gpt-4o", messages=MESSAGES))
used(f"/ai_gateway_api_keys/{made['id']}")
used(f"/ai_gateway_provider_keys/{made['provider_keys'][0]['id']}")

# The caller's own key, and an explicit provider.
own = client(HOSTS[0], "sk-proj-caller-0123456789abcdef")
greeted(own)
greeted(own, "openai:gpt-4o")
answer = own.chat.completions.with_raw_response.create(model="openai:gpt-4o", messages=MESSAGES)
assert answer.headers["ngrok-aig-model"] == "openai:gpt-4o"
refused(lambda: greeted(own, "gpt-4oh"), openai.UnprocessableEntityError, "ERR_NGROK_3804")
refused(lambda: greeted(client(HOSTS[0], "ng-2x-g1-9")), openai.AuthenticationError, "ERR_NGROK_27007")
refused(lambda: greeted(client(HOSTS[1], key)), openai.PermissionDeniedError, "ERR_NGROK_27008")

# A key that is kept; clients send anything.
kept = client(HOSTS[1], "unused")
eventually(lambda: kept.chat.completions.create(model="gpt-4o", messages=MESSAGES))
greeted(kept)

# The same behind a word that callers must know.
guarded = client(HOSTS[2], "let-me-in")
eventually(lambda: guarded.chat.completions.create(model="gpt-4o", messages=MESSAGES))
error = refused(lambda: greeted(client(HOSTS[2], "wrong")), openai.AuthenticationError, None)
assert error.body["type"] == "authentication_error", error.body

# Anthropic's client, whose address ends with the host.
messages = {"model": "claude-opus-4-6", "max_tokens": 64, "messages": MESSAGES}
claude = anthropic.Anthropic(base_url=f"http://{HOSTS[0]}", api_key="sk-ant-caller-0123456789abcdef")
assert claude.messages.create(**messages).content[0].text
with claude.messages.stream(**messages) as stream:
    assert stream.get_final_message().usage.output_tokens
refused(
    lambda: claude.messages.create(**{**messages, "model": "gpt-4o"}),
    anthropic.UnprocessableEntityError,
    "ERR_NGROK_3813",
)
