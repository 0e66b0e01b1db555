"""Drives a gateway through Google's own client for Python.

The environment says where and as whom; every check that fails ends the script with its reason.
"""

import asyncio
import os

from google import genai
from google.genai import errors, types

headers = {}
if token := os.environ.get("GATEWAY_AUTHORIZATION"):
    headers["cf-aig-authorization"] = f"Bearer {token}"
options = types.HttpOptions(base_url=os.environ["GATEWAY_BASE_URL"], headers=headers)
client = genai.Client(api_key=os.environ["GATEWAY_API_KEY"], http_options=options)
MODEL = "gemini-2.5-flash"
HELLO = "Hello, world!"


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}"


def generated():
    answer = client.models.generate_content(model=MODEL, contents=HELLO)
    assert answer.text and answer.candidates[0].finish_reason.name == "STOP", answer
    assert answer.model_version == MODEL and answer.usage_metadata.candidates_token_count > 0
    assert answer.sdk_http_response.headers["cf-aig-log-id"]
    return answer.text


def streamed(whole):
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=HELLO))
    assert "".join(chunk.text or "" for chunk in chunks) == whole
    assert chunks[-1].usage_metadata.candidates_token_count > 1


async def streamed_at_the_same_time(whole):
    chunks = [chunk.text or "" async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents=HELLO)]
    assert "".join(chunks) == whole


def thinking():
    thinks = types.ThinkingConfig(thinking_budget=64, include_thoughts=True)
    config = types.GenerateContentConfig(thinking_config=thinks, max_output_tokens=500)
    answer = client.models.generate_content(model=MODEL, contents=HELLO, config=config)
    assert answer.candidates[0].content.parts[0].thought and answer.usage_metadata.thoughts_token_count == 64


def calling():
    config = types.GenerateContentConfig(tools=[get_weather])
    chat = client.chats.create(model=MODEL, config=config)
    assert chat.send_message("What is the weather in Kiel?").text
    called = [part.function_call for content in chat.get_history() for part in content.parts if part.function_call]
    assert called and called[0].name == "get_weather", called


def embedded():
    one = client.models.embed_content(model="gemini-embedding-001", contents="harbour")
    assert len(one.embeddings[0].values) == 3072
    several = client.models.embed_content(model="gemini-embedding-001", contents=["harbour", "north"])
    assert len(several.embeddings) == 2


def counted_and_listed():
    assert client.models.count_tokens(model=MODEL, contents=HELLO).total_tokens > 1
    assert MODEL in client.models.get(model=MODEL).name
    assert any(MODEL in model.name for model in client.models.list())


def refused():
    for model, contents, code, status in [
        ("gemini-nope", HELLO, 404, "NOT_FOUND"),
        (MODEL, "[simulator: status=429] Hello", 429, "RESOURCE_EXHAUSTED"),
    ]:
        try:
            client.models.generate_content(model=model, contents=contents)
        except errors.ClientError as error:
            assert (error.code, error.status) == (code, status), error
        else:
            raise AssertionError(f"{model} answered {contents}")
    try:
        list(client.models.generate_content_stream(model=MODEL, contents="[simulator: error_in_stream=2] Hello"))
    except errors.APIError as error:
        assert error.code == 503, error
    else:
        raise AssertionError("a stream with an error in it came to its end")
    # What the gateway itself refuses is told as Google would.
    wrong = genai.Client(api_key="tg_gw_nobody", http_options=options)
    try:
        wrong.models.generate_content(model=MODEL, contents=HELLO)
    except errors.ClientError as error:
        assert error.code == 401, error
    else:
        raise AssertionError("a token that nobody made let its bearer in")


whole = generated()
streamed(whole)
asyncio.run(streamed_at_the_same_time(whole))
thinking()
calling()
embedded()
counted_and_listed()
refused()
