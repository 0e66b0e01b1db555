"""Reads through OpenAI's own client what a gateway's policy has compressed and redacted.

The environment says where; every check that fails ends the script with its reason.
"""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["GATEWAY_BASE_URL"], api_key="sk-caller-0123456789abcdef", max_retries=2)
plain = client.with_options(default_headers={"accept-encoding": "identity"})
MESSAGES = [{"role": "user", "content": "Hello, world!"}]
USAGE = {"include_usage": True}


def whole(client, encoding):
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=MESSAGES)
    assert raw.headers.get("content-encoding") == encoding, raw.headers
    assert "accept-encoding" in raw.headers["vary"]
    return raw.parse().choices[0].message.content


def streamed(client, encoding):
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=USAGE
    )
    assert raw.headers.get("content-encoding") == encoding, raw.headers
    chunks = list(raw.parse())
    assert chunks[-1].usage.total_tokens > 0
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


said = whole(plain, None)
assert "[gone]" in said and "simulated" not in said, said
assert whole(client, "gzip") == said
assert streamed(client, "gzip") == said
assert streamed(plain, None) == said
