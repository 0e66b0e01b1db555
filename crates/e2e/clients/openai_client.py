"""Drives a gateway through OpenAI's own client for Python.

The environment says where and as whom; every check that fails ends the script with its reason.
"""

import io
import json
import os
import wave

import openai
from openai import OpenAI

BASE_URL = os.environ["GATEWAY_BASE_URL"]
headers = {}
if token := os.environ.get("GATEWAY_AUTHORIZATION"):
    headers["cf-aig-authorization"] = f"Bearer {token}"
client = OpenAI(base_url=BASE_URL, api_key=os.environ["GATEWAY_API_KEY"], default_headers=headers, max_retries=2)
MESSAGES = [{"role": "user", "content": "Hello, world!"}]


def chat_completion():
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    return answer.choices[0].message.content


def headers_of_an_answer():
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=MESSAGES)
    assert raw.headers["cf-aig-log-id"] == raw.headers["cf-aig-request-id"] == raw.headers["cf-aig-event-id"]
    assert raw.headers["cf-aig-step"] == "0"
    assert raw.headers["server-timing"]


def streamed_chat_completion(whole):
    chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole, (text, whole)
    # The usage chunk that the gateway asked for is not the caller's to see.
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)


def streamed_chat_completion_with_usage():
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=options))
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert [chunk for chunk in chunks if chunk.usage] == [chunks[-1]]


def tool_call():
    function = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
    tools = [{"type": "function", "function": function}]
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=tools, tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "weather" and "city" in json.loads(call.function.arguments)
    assert answer.choices[0].finish_reason in ("tool_calls", "stop")
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES, tools=tools, tool_choice="required") as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == call.function.arguments


def json_schema():
    schema = {"type": "object", "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}}, "required": ["answer", "sure"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}}
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, response_format=form)
    reply = json.loads(answer.choices[0].message.content)
    assert isinstance(reply["answer"], str) and isinstance(reply["sure"], bool)


def response():
    answer = client.responses.create(model="gpt-5.1", input="Write a one-sentence bedtime story about a unicorn.")
    assert answer.status == "completed" and answer.output_text and answer.usage.total_tokens
    with client.responses.stream(model="gpt-5.1", input="Write a one-sentence bedtime story about a unicorn.") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert final.output_text == answer.output_text


def embeddings():
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=64)
    assert len(answer.data) == 2 and len(answer.data[0].embedding) == 64
    assert answer.usage.prompt_tokens > 0


def models():
    names = {model.id for model in client.models.list()}
    assert "gpt-4o-mini" in names
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"


def audio():
    recording = io.BytesIO()
    with wave.open(recording, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 40_000)
    recording.name = "silence.wav"
    recording.seek(0)
    assert client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording).text
    spoken = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Good evening")
    assert len(spoken.content) > 100


def image_and_file():
    image = client.images.generate(model="gpt-image-1", prompt="A toll gate at dawn")
    assert image.data[0].b64_json
    kept = client.files.create(file=("notes.jsonl", b'{"a":1}\n'), purpose="batch")
    assert client.files.content(kept.id).content == b'{"a":1}\n'
    assert client.files.delete(kept.id).deleted


def abort_in_the_middle_of_a_stream():
    slow = {"x-simulator": "chunks=200; chunk_ms=20"}
    stream = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True, extra_headers={**slow, "cf-aig-event-id": "abort-python"})
    for number, _ in enumerate(stream):
        if number == 3:
            break
    stream.close()


def errors():
    try:
        client.chat.completions.create(model="gpt-nope", messages=MESSAGES)
        raise AssertionError("an unknown model was served")
    except openai.NotFoundError as error:
        assert error.body["code"] == "model_not_found", error.body
    try:
        client.with_options(max_retries=0).chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, extra_headers={"x-simulator": "status=429"})
        raise AssertionError("a limit of the provider was not passed on")
    except openai.RateLimitError as error:
        assert error.response.headers["cf-aig-log-id"]
    # The client tries again by itself, and the second answer is a good one.
    again = {"x-simulator": f"status=500; fail_times=1; key=python-{os.getpid()}"}
    assert client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, extra_headers=again).choices


whole = chat_completion()
headers_of_an_answer()
streamed_chat_completion(whole)
streamed_chat_completion_with_usage()
tool_call()
json_schema()
response()
embeddings()
models()
audio()
image_and_file()
errors()
abort_in_the_middle_of_a_stream()
print("every call was answered as it should be")
