"""The customer's OpenAI page, "With Stored Keys (BYOK) / Unified Billing", through OpenAI's client for Python.

The environment says where and as whom; every check that fails ends the script with its reason.
"""

import os

import openai
from openai import OpenAI

client = OpenAI(api_key=os.environ["GATEWAY_API_KEY"], base_url=os.environ["GATEWAY_BASE_URL"])
MESSAGES = [{"role": "user", "content": "Hello, world!"}]


def refused(call):
    try:
        call()
    except openai.BadRequestError:
        return
    raise AssertionError("it was not refused")


response = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
assert response.choices[0].message.content
assert response.choices[0].finish_reason == "stop"

chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True))
assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == response.choices[0].message.content

story = client.responses.create(
    model="gpt-5.1",
    input=[{"role": "user", "content": "Write a one-sentence bedtime story about a unicorn."}],
)
assert story.status == "completed" and story.output_text

embedded = client.embeddings.create(model="text-embedding-3-small", input="one")
assert embedded.usage.prompt_tokens > 0

# All tenants share the operator's account at the provider, so nothing is kept there.
assert story.store is False
refused(lambda: client.files.list())
refused(lambda: client.responses.create(model="gpt-5.1", input="And then?", previous_response_id=story.id))
print("every call was answered as it should be")
