"""Groq and DeepSeek without an account at either: OpenAI's client, as it is shipped, at a host and by path.

What the simulated providers say that they used is wished for in each question, so that whoever started this
knows what it must have cost. The environment says where and as whom.
"""

import json
import os
import socket
import time
import urllib.request

import openai
from openai import OpenAI

CONTROL = os.environ["TOLLGATE_CONTROL_URL"]
TOKEN = os.environ["TOLLGATE_API_TOKEN"]
GATEWAY = os.environ["TOLLGATE_GATEWAY_ADDRESS"]
BY_PATH = os.environ["GATEWAY_BASE_URL"]
GATEWAY_TOKEN = os.environ["GATEWAY_TOKEN"]
HOST = "sold.example.app"
POLICY = "on_http_request:\n  - type: ai-gateway\n    config: {}\n"

look_up = socket.getaddrinfo


def led_here(host, port, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if name == HOST:
        host, port = GATEWAY.rsplit(":", 1)
        port = int(port)
    return look_up(host, port, *more, **named)


socket.getaddrinfo = led_here


def control(path, body):
    request = urllib.request.Request(CONTROL + path, json.dumps(body).encode(), method="POST")
    for name, value in [
        ("authorization", f"Bearer {TOKEN}"),
        ("ngrok-version", "2"),
        ("content-type", "application/json"),
    ]:
        request.add_header(name, value)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201, answer.status
        return json.load(answer)


def question(**wishes):
    wished = "; ".join(f"{name}={value}" for name, value in wishes.items())
    return [{"role": "user", "content": f"What is a coin worth? [simulator: {wished}]"}]


def eventually(call):
    """Proxies are told of new hosts and keys while they serve."""
    until = time.monotonic() + 10
    while True:
        try:
            return call()
        except openai.APIStatusError as error:
            assert time.monotonic() < until, error
            time.sleep(0.05)


new = {"url": f"https://{HOST}", "type": "cloud", "bindings": ["public"], "traffic_policy": POLICY}
endpoint = control("/endpoints", new)["id"]
key = control("/ai_gateway_api_keys", {"endpoint_id": endpoint})["token"]
managed = OpenAI(base_url=f"http://{HOST}/v1", api_key=key, max_retries=0)
eventually(managed.models.list)

groq = "groq:openai/gpt-oss-120b"
answer = eventually(
    lambda: managed.chat.completions.create(
        model=groq, messages=question(input_tokens=1000, cached_tokens=400, output_tokens=200)
    )
)
assert answer.usage.prompt_tokens_details.cached_tokens == 400

asked = question(input_tokens=500, output_tokens=100)
chunks = list(managed.chat.completions.create(model=groq, messages=asked, stream=True))
assert chunks and all(chunk.choices for chunk in chunks), "the usage chunk is not the caller's"

answer = managed.chat.completions.create(
    model="deepseek:deepseek-v4-flash",
    messages=question(input_tokens=1000, cached_tokens=900, output_tokens=10),
    extra_body={"thinking": {"type": "disabled"}},
)
assert answer.choices[0].message.content

by_path = OpenAI(base_url=BY_PATH, api_key=GATEWAY_TOKEN, max_retries=0)
listed = [model.id for model in by_path.models.list()]
assert "openai/gpt-oss-120b" in listed and "whisper-large-v3" not in listed, listed
asked = question(input_tokens=100, output_tokens=10)
by_path.chat.completions.create(model="openai/gpt-oss-120b", messages=asked, max_tokens=50)

for more in [{"search_settings": {}}, {"service_tier": "performance"}, {"tools": [{"type": "browser_search"}]}]:
    try:
        by_path.chat.completions.create(model="openai/gpt-oss-120b", messages=asked, extra_body=more)
    except openai.BadRequestError as error:
        assert next(iter(more)) in str(error), error
    else:
        raise AssertionError(f"{more} was not refused")
