"""Servers of a tenant's own behind his gateway: one that wants no key, as Ollama, and one that does, as vLLM.

The first of them is this script's, without TLS and with it: it keeps what it was asked. OpenAI's client asks, as it is shipped. The
environment says where and as whom.
"""

import http.server
import json
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request

import openai
from openai import OpenAI

CONTROL = os.environ["TOLLGATE_CONTROL_URL"]
TOKEN = os.environ["TOLLGATE_API_TOKEN"]
GATEWAY = os.environ["TOLLGATE_GATEWAY_ADDRESS"]
VLLM = os.environ["VLLM_URL"]
OLLAMA_PORT = int(os.environ["OLLAMA_PORT"])
CERTIFICATE, ITS_KEY = os.environ["CERTIFICATE"], os.environ["ITS_KEY"]
HOST = "models.example.app"
MESSAGES = [{"role": "user", "content": "Hello!"}]
POLICY = """
on_http_request:
  - type: ai-gateway
    config:
      only_allow_configured_providers: true
      providers:
        - id: ollama
          base_url: https://ollama.internal
          models: [{id: "llama3.2:1b", id_aliases: [small]}]
        - id: vllm
          id_aliases: [gpu]
          base_url: VLLM
          api_keys:
            - value: sk-invalid-0123456789abcdef
            - value: ${secrets.get('vllm', 'api-key')}
          models: [{id: meta-llama/Llama-3.2-8B-Instruct}]
        - id: encrypted
          base_url: https://localhost:PORT/base
        - id: broken
          base_url: https://10.255.255.1
"""

asked = []


class Ollama(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked.append((self.path, dict(self.headers), body))
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        answer = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if body.get("stream"):
            kind, events = "text/event-stream", []
            for content in ["Good", " day"]:
                choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
                events.append({**answer, "object": "chat.completion.chunk", "choices": [choice]})
            told = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        else:
            message = {"role": "assistant", "content": "Good day"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            kind = "application/json"
            told = json.dumps({**answer, "object": "chat.completion", "choices": [choice], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *_):
        pass


def served(port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Ollama)
    if port == 0:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, ITS_KEY)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


served(OLLAMA_PORT)
encrypted_port = served(0)
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
        return json.load(answer)


def endpoint(host, policy):
    new = {"url": f"https://{host}", "type": "cloud", "bindings": ["public"], "traffic_policy": policy}
    return control("/endpoints", new)["id"]


def eventually(call):
    """Proxies are told of new hosts, keys and secrets while they serve."""
    until = time.monotonic() + 10
    while True:
        try:
            return call()
        except openai.APIStatusError as error:
            assert time.monotonic() < until, error
            time.sleep(0.05)


def refused(call, kind, said):
    try:
        call()
    except kind as error:
        assert said in str(error), error
        return
    raise AssertionError("nothing was refused")


# What the operator does not trust is refused when it is stored, and told with its place.
for base_url in ["http://10.0.0.5:11434", "http://localhost:11434", "https://elsewhere.internal"]:
    policy = POLICY.replace("VLLM", base_url)
    try:
        endpoint("refused.example.app", policy)
        raise AssertionError(base_url)
    except urllib.error.HTTPError as error:
        told = error.read().decode()
        assert error.code == 400 and "providers[1].base_url" in told and "operator" in told, told

control("/vaults", {"name": "vllm"})
control("/vault_secrets", {"vault_name": "vllm", "name": "api-key", "value": "sk-vllm-0123456789abcdef"})
policy = POLICY.replace("VLLM", VLLM).replace("PORT", str(encrypted_port))
key = control("/ai_gateway_api_keys", {"endpoint_id": endpoint(HOST, policy)})["token"]
ai = OpenAI(base_url=f"http://{HOST}/v1", api_key=key, max_retries=0)


def chat(model, **more):
    return ai.chat.completions.create(model=model, messages=MESSAGES, **more)


# No key is wanted, so none is sent: least of all the one that let the caller in.
eventually(lambda: chat("ollama:llama3.2:1b"))
asked.clear()
for name, sent in [("ollama:llama3.2:1b", "llama3.2:1b"), ("small", "llama3.2:1b"), ("Ollama:qwen3", "qwen3")]:
    answer = ai.chat.completions.with_raw_response.create(model=name, messages=MESSAGES)
    assert answer.headers["ngrok-aig-model"] == f"ollama:{sent}", answer.headers
    assert answer.parse().choices[0].message.content == "Good day"
    path, headers, body = asked.pop()
    assert (path, body["model"]) == ("/v1/chat/completions", sent), (path, body)
    assert key not in str(headers) and "authorization" not in str(headers).lower(), headers
streamed = "".join(chunk.choices[0].delta.content for chunk in chat("small", stream=True))
assert streamed == "Good day" and "stream_options" not in asked.pop()[2]

# With TLS, where the operator lets tenants go.
assert chat("encrypted:m").choices[0].message.content == "Good day"
assert asked.pop()[0] == "/base/chat/completions"

# A key is wanted: the first is wrong, the second is kept in a vault.
assert chat("gpu:gpt-4o").choices[0].message.content
answer = ai.chat.completions.with_raw_response.create(model="vllm:gpt-4o", messages=MESSAGES)
assert answer.headers["ngrok-aig-attempts"] == "2", answer.headers

# What the gateway cannot reach for a tenant, somebody else may answer.
refused(lambda: chat("broken:m"), openai.APIStatusError, "no address that may be reached")
answer = ai.chat.completions.with_raw_response.create(
    model="broken:m", messages=MESSAGES, extra_body={"models": ["small"]}
)
assert answer.headers["ngrok-aig-model"] == "ollama:llama3.2:1b", answer.headers

# Only what the policy names is offered, and told.
models = sorted((model.id, model.owned_by) for model in ai.models.list())
assert models == [("llama3.2:1b", "ollama"), ("meta-llama/Llama-3.2-8B-Instruct", "vllm")], models
refused(lambda: chat("openai:gpt-4o"), openai.UnprocessableEntityError, "ERR_NGROK_3804")
