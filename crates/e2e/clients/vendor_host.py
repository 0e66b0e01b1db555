"""Calls a gateway at a vendor's own host with OpenAI's client for Python, as it is shipped.

The host is led to the gateway as a line in `/etc/hosts` would, and an authority of ours is trusted. The
environment says where and as whom; every check that fails ends the script with its reason.
"""

import os
import socket
import ssl
import time
from urllib.parse import urlsplit

import openai
from openai import DefaultHttpxClient, OpenAI

BASE_URL = os.environ["GATEWAY_BASE_URL"]
HOST = urlsplit(BASE_URL).hostname
GATEWAY = os.environ["GATEWAY_ADDRESS"].rsplit(":", 1)
MESSAGES = [{"role": "user", "content": "Hello, world!"}]

look_up = socket.getaddrinfo


def led_to_the_gateway(host, port, *more, **named):
    if host in (HOST, HOST.encode()):
        # Whoever asks for the port of HTTPS means that of the gateway, which tests do not choose.
        assert port == 443, port
        host, port = GATEWAY[0], int(GATEWAY[1])
    return look_up(host, port, *more, **named)


socket.getaddrinfo = led_to_the_gateway


def client(authority):
    trusted = ssl.create_default_context(cafile=authority)
    return OpenAI(
        base_url=BASE_URL,
        api_key=os.environ["GATEWAY_API_KEY"],
        max_retries=0,
        http_client=DefaultHttpxClient(verify=trusted),
    )


def first_answer(client):
    """The proxy is told of new accounts and tokens while it serves."""
    until = time.monotonic() + 10
    while True:
        try:
            return client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        except (openai.AuthenticationError, openai.NotFoundError):
            assert time.monotonic() < until, "the token is not known in time"


trusting = client(os.environ["GATEWAY_AUTHORITY"])
whole = first_answer(trusting).choices[0].message.content
assert whole
chunks = trusting.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
assert streamed == whole, (streamed, whole)

# Who trusts only the authorities of the world is warned off.
try:
    client(None).models.list()
    raise AssertionError("a stranger's certificate was believed")
except openai.APIConnectionError as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error.__cause__), repr(error.__cause__)

print("every call was answered as it should be")
