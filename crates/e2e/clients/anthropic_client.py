"""Drives a gateway through Anthropic's own client for Python.

The environment says where and as whom; every check that fails ends the script with its reason.
"""

import os

import anthropic
from anthropic import Anthropic

headers = {}
if token := os.environ.get("GATEWAY_AUTHORIZATION"):
    headers["cf-aig-authorization"] = f"Bearer {token}"
# A gateway that is reached by its host; here no name leads to it.
if host := os.environ.get("GATEWAY_HOST"):
    headers["Host"] = host
key = os.environ["GATEWAY_API_KEY"]
# The client of today sends its key as a bearer token; those before it sent it in a header of its own.
if os.environ["GATEWAY_KEY_HEADER"] == "x-api-key":
    headers["x-api-key"], key = key, None
client = Anthropic(base_url=os.environ["GATEWAY_BASE_URL"], api_key=key, default_headers=headers, max_retries=2)
MODEL = "claude-haiku-4-5"
MESSAGES = [{"role": "user", "content": "Hello, world!"}]
TOOLS = [{
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}]


def message():
    answer = client.messages.create(model=MODEL, max_tokens=500, messages=MESSAGES)
    assert answer.content[0].text and answer.stop_reason == "end_turn"
    assert answer.model == "claude-haiku-4-5-20251001" and answer.usage.output_tokens > 0
    return answer.content[0].text


def headers_of_an_answer():
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=500, messages=MESSAGES)
    assert raw.headers["cf-aig-log-id"] == raw.headers["cf-aig-request-id"]
    assert raw.headers["request-id"].startswith("req_") and raw.headers["server-timing"]


def streamed_message(whole):
    with client.messages.stream(model=MODEL, max_tokens=500, messages=MESSAGES) as stream:
        assert "".join(stream.text_stream) == whole
        final = stream.get_final_message()
    assert final.usage.output_tokens > 1 and final.stop_reason == "end_turn"
    kinds = [event.type for event in client.messages.create(model=MODEL, max_tokens=5, messages=MESSAGES, stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds


def thinking():
    thinks = {"type": "enabled", "budget_tokens": 1024}
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=MESSAGES, thinking=thinks) as stream:
        final = stream.get_final_message()
    thought, said = final.content
    assert thought.type == "thinking" and thought.thinking and thought.signature and said.text
    again = [*MESSAGES, {"role": "assistant", "content": final.content}, {"role": "user", "content": "And then?"}]
    assert client.messages.create(model=MODEL, max_tokens=2000, messages=again, thinking=thinks).content


def tool_call():
    asks = [{"role": "user", "content": "How is the weather in Oslo?"}]
    answer = client.messages.create(model=MODEL, max_tokens=500, messages=asks, tools=TOOLS)
    call = answer.content[0]
    assert answer.stop_reason == "tool_use" and call.name == "get_weather" and call.input == {"city": "Oslo"}
    with client.messages.stream(model=MODEL, max_tokens=500, messages=asks, tools=TOOLS) as stream:
        assert stream.get_final_message().content[0].input == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Rain"}
    told = [*asks, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(model=MODEL, max_tokens=500, messages=told, tools=TOOLS).content[0].text


def cache():
    def asked(ttl):
        long = {"type": "text", "text": "word " * 2000, "cache_control": {"type": "ephemeral", "ttl": ttl}}
        return client.messages.create(model=MODEL, max_tokens=100, system=[long], messages=MESSAGES).usage

    short, long = asked("5m"), asked("1h")
    assert short.cache_read_input_tokens > 0 and short.cache_creation.ephemeral_5m_input_tokens > 0
    assert long.cache_creation.ephemeral_1h_input_tokens == long.cache_creation_input_tokens > 0


def count_tokens():
    counted = client.messages.count_tokens(model=MODEL, messages=MESSAGES)
    answer = client.messages.create(model=MODEL, max_tokens=100, messages=MESSAGES)
    assert counted.input_tokens == answer.usage.input_tokens


def beta():
    answer = client.beta.messages.create(
        model=MODEL, max_tokens=100, messages=MESSAGES, betas=["prompt-caching-2024-07-31"])
    assert answer.content[0].text


def models():
    names = [model.id for model in client.models.list()]
    assert any(name.startswith("claude-haiku-4-5") for name in names), names
    assert client.models.retrieve(MODEL).type == "model"


def refused(kind, **asked):
    try:
        client.messages.create(**{"model": MODEL, "max_tokens": 100, "messages": MESSAGES, **asked})
    except kind as error:
        assert error.body["type"] == "error" and error.type, error.body
        return error
    raise AssertionError(f"{asked} was served")


message_text = message()
headers_of_an_answer()
streamed_message(message_text)
thinking()
tool_call()
cache()
count_tokens()
beta()
models()
refused(anthropic.BadRequestError, messages=[])

if os.environ.get("GATEWAY_PAID") == "credits":
    error = refused(anthropic.BadRequestError, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert error.type == "invalid_request_error" and "tools[0].type" in error.message, error
    error = refused(anthropic.BadRequestError, extra_headers={"anthropic-beta": "files-api-2025-04-14"})
    assert "anthropic-beta" in error.message, error
elif host:
    # The gateway knows the models, and says what it makes of a name that nobody has.
    refused(anthropic.APIStatusError, model="nobody-has-this-1")
else:
    # The provider's own words.
    once = client.with_options(max_retries=0)
    refused(anthropic.NotFoundError, model="claude-nope")
    for status, kind in [(429, anthropic.RateLimitError), (529, anthropic.OverloadedError), (500, anthropic.InternalServerError)]:
        try:
            once.messages.create(model=MODEL, max_tokens=9, messages=MESSAGES, extra_headers={"x-simulator": f"status={status}"})
            raise AssertionError(f"{status} was not passed on")
        except kind as error:
            assert error.status_code == status and error.response.headers["cf-aig-log-id"]
    # The client tries again by itself, and the second answer is a good one.
    again = {"x-simulator": f"status=529; fail_times=1; key=anthropic-{os.getpid()}"}
    assert client.messages.create(model=MODEL, max_tokens=9, messages=MESSAGES, extra_headers=again).content
    # An error in the middle of a stream, and an end without one.
    for wish in ["error_in_stream=2", "half_stream=2"]:
        try:
            with client.messages.stream(model=MODEL, max_tokens=500, messages=MESSAGES, extra_headers={"x-simulator": wish}) as stream:
                stream.until_done()
            raise AssertionError(f"{wish} was a whole message")
        except anthropic.APIStatusError as error:
            assert error.body["error"]["type"] in ("overloaded_error", "api_error"), error.body
    slow = {"x-simulator": "chunks=200; chunk_ms=20", "cf-aig-event-id": "abort-anthropic"}
    stream = client.messages.create(model=MODEL, max_tokens=500, messages=MESSAGES, stream=True, extra_headers=slow)
    for number, _ in enumerate(stream):
        if number == 5:
            break
    stream.close()
