"""Calls a gateway and the management API at a vendor's own hosts, with the clients as they are shipped.

The hosts are led here as lines in `/etc/hosts` would, and an authority of ours is trusted. The environment
says where and as whom; every check that fails ends the script with its reason.
"""

import os
import socket
import ssl
import time

import cloudflare
import openai

GATEWAY, API = "gateway.ai.cloudflare.com", "api.cloudflare.com"
ACCOUNT = os.environ["TOLLGATE_ACCOUNT_ID"]
TOKEN = os.environ["TOLLGATE_API_TOKEN"]
AUTHORITY = os.environ["TOLLGATE_AUTHORITY"]
LED_TO = {GATEWAY: os.environ["TOLLGATE_GATEWAY_ADDRESS"], API: os.environ["TOLLGATE_API_ADDRESS"]}
MESSAGES = [{"role": "user", "content": "Hello, world!"}]

look_up = socket.getaddrinfo


def led_here(host, port, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if name in LED_TO:
        # Whoever asks for the port of HTTPS means one that tests do not choose.
        assert port == 443, port
        host, port = LED_TO[name].rsplit(":", 1)
        port = int(port)
    return look_up(host, port, *more, **named)


socket.getaddrinfo = led_here


def gateway(authority):
    trusted = ssl.create_default_context(cafile=authority)
    return openai.OpenAI(
        base_url=f"https://{GATEWAY}/v1/{ACCOUNT}/demo/openai",
        api_key=TOKEN,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(verify=trusted),
    )


def first_answer(client):
    """The proxy is told of new accounts and tokens while it serves."""
    until = time.monotonic() + 10
    while True:
        try:
            return client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        except (openai.AuthenticationError, openai.NotFoundError):
            assert time.monotonic() < until, "the token is not known in time"


trusting = gateway(AUTHORITY)
whole = first_answer(trusting).choices[0].message.content
assert whole
chunks = trusting.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
assert streamed == whole, (streamed, whole)

# Who trusts only the authorities of the world is warned off.
try:
    gateway(None).models.list()
    raise AssertionError("a stranger's certificate was believed")
except openai.APIConnectionError as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__), repr(error.__cause__)

trusted = ssl.create_default_context(cafile=AUTHORITY)
management = cloudflare.Cloudflare(
    api_token=TOKEN, max_retries=0, http_client=cloudflare.DefaultHttpxClient(verify=trusted)
)
assert "demo" in [gateway.id for gateway in management.ai_gateway.list(account_id=ACCOUNT)]
