"""The official Python client, unchanged, against this server: OPENAI_BASE_URL, BOT and PICTURE say where."""

import base64
import json
import os

import openai
from openai import OpenAI
from pydantic import BaseModel

TEXT, VISION, EMBEDDING = "SmolLM2-135M-Instruct-Q4_1", "demo-vision", "all-MiniLM-L6-v2"
client = OpenAI(max_retries=0)
# The default text model is small: it is asked for what it is told.
hello = [{"role": "user", "content": "Paris is the capital of France. What is the capital of France?"}]


def passed(what, seen=""):
    print(f"ok  {what}" + (f": {seen!r}" if seen != "" else ""), flush=True)


def data_url():
    with open(os.environ["PICTURE"], "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


models = {model.id for model in client.models.list()}
assert {TEXT, VISION, EMBEDDING, os.environ["BOT"]} <= models, models
assert client.models.retrieve(TEXT).id == TEXT
passed("models")

chat = client.chat.completions.create(
    model=TEXT, messages=hello, temperature=0, max_completion_tokens=30, seed=1, stop=["\n\n"]
)
assert "Paris" in chat.choices[0].message.content
assert chat.choices[0].finish_reason in ("stop", "length")
assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens
passed("chat", chat.choices[0].message.content)
again = client.chat.completions.create(model=TEXT, messages=hello, temperature=0, max_tokens=30)
assert again.usage.prompt_tokens_details.cached_tokens > 0
passed("prompt cache", again.usage.prompt_tokens_details.cached_tokens)

stream = client.chat.completions.create(
    model=TEXT, messages=hello, temperature=0, max_tokens=30, stream=True,
    stream_options={"include_usage": True}, logprobs=True, top_logprobs=2,
)
chunks = list(stream)
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == again.choices[0].message.content and chunks[0].choices[0].delta.role == "assistant"
assert chunks[-1].usage.completion_tokens > 0 and chunks[-2].choices[0].finish_reason
logprobs = [one for chunk in chunks if chunk.choices and chunk.choices[0].logprobs
            for one in chunk.choices[0].logprobs.content]
assert b"".join(bytes(one.bytes) for one in logprobs).decode().startswith(text)
assert all(len(one.top_logprobs) == 2 and one.logprob <= 0 for one in logprobs)
passed("stream with usage and log probabilities", text)

with client.chat.completions.create(model=TEXT, messages=hello, max_tokens=2000, temperature=1,
                                    stream=True) as stream:
    next(iter(stream))
passed("leaving a stream")


class City(BaseModel):
    name: str
    country: str
    is_capital: bool


parsed = client.chat.completions.parse(
    model=TEXT, messages=[{"role": "user", "content": "Tell me about Paris."}], temperature=0,
    max_tokens=100, response_format=City,
)
assert isinstance(parsed.choices[0].message.parsed, City)
passed("schema", parsed.choices[0].message.parsed.model_dump())
anything = client.chat.completions.create(
    model=TEXT, messages=hello, temperature=0, max_tokens=60, response_format={"type": "json_object"}
)
assert isinstance(json.loads(anything.choices[0].message.content), dict)
passed("JSON object", anything.choices[0].message.content)

weather = {"type": "function", "function": {
    "name": "get_weather", "description": "Tells the weather in a city.", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                   "required": ["city"], "additionalProperties": False}}}
asked = [{"role": "user", "content": "What is the weather in Paris?"}]
for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
    made = client.chat.completions.create(model=TEXT, messages=asked, tools=[weather],
                                          tool_choice=choice, temperature=0, max_tokens=60)
    call = made.choices[0].message.tool_calls[0]
    assert made.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
passed("tools that must be called", call.function.arguments)
with client.chat.completions.stream(model=TEXT, messages=asked, tools=[weather],
                                    tool_choice="required", temperature=0, max_tokens=60) as stream:
    final = stream.get_final_completion()
streamed = final.choices[0].message.tool_calls[0].function
assert streamed.arguments == call.function.arguments and streamed.parsed_arguments["city"]
passed("streamed tools", streamed.arguments)
told = asked + [made.choices[0].message,
                {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."}]
answer = client.chat.completions.create(model=TEXT, messages=told, tools=[weather],
                                        tool_choice="none", temperature=0, max_tokens=40)
assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls
passed("a tool's result", answer.choices[0].message.content)
auto = client.chat.completions.create(model=TEXT, messages=hello, tools=[weather], temperature=0,
                                      max_tokens=60)
assert auto.choices[0].finish_reason in ("stop", "tool_calls", "length")
passed("tools that may be called", auto.choices[0].finish_reason)

seen = client.chat.completions.create(model=VISION, temperature=0, max_tokens=20, messages=[
    {"role": "user", "content": [{"type": "text", "text": "what color is the circle?"},
                                 {"type": "image_url", "image_url": {"url": data_url()}}]}])
assert "red" in seen.choices[0].message.content.lower()
passed("vision", seen.choices[0].message.content)

grounded = client.chat.completions.create(model=os.environ["BOT"], temperature=0, max_tokens=60, messages=[
    {"role": "user", "content": "How many seats does the parliament of Iceland have?"}])
assert grounded.sources[0]["metadata"]["source"].endswith("island-countries.pdf")
assert any("63" in source["content"] for source in grounded.sources) and grounded.choices[0].message.content
passed("a bot with sources", grounded.choices[0].message.content)

floats = client.embeddings.create(model=EMBEDDING, input=["a cat", "a kitten", "a tax form"],
                                  encoding_format="float")
packed = client.embeddings.create(model=EMBEDDING, input=["a cat", "a kitten", "a tax form"])
cat, kitten, form = (one.embedding for one in packed.data)
near = lambda a, b: sum(x * y for x, y in zip(a, b))
assert len(cat) == 384 and near(cat, kitten) > near(cat, form) and packed.usage.prompt_tokens > 0
assert all(abs(x - y) < 1e-6 for x, y in zip(cat, floats.data[0].embedding))
passed("embeddings, as floats and packed")

text = client.completions.create(model=TEXT, prompt=["Once upon a time", "One, two, three,"],
                                 max_tokens=8, temperature=0, logprobs=1)
assert len(text.choices) == 2 and len(text.choices[0].logprobs.tokens) == 8
passed("text completions", text.choices[1].text)
parts = client.completions.create(model=TEXT, prompt="One, two, three,", max_tokens=8, temperature=0,
                                  stream=True)
assert "".join(part.choices[0].text for part in parts) == text.choices[1].text
passed("streamed text completions")

response = client.responses.create(model=TEXT, instructions="Answer in one sentence.",
                                   input=hello[0]["content"], temperature=0, max_output_tokens=30)
assert "Paris" in response.output_text and response.usage.total_tokens > 0
passed("responses", response.output_text)
with client.responses.stream(model=TEXT, input=hello, temperature=0, max_output_tokens=30) as stream:
    kinds = [event.type for event in stream]
    final = stream.get_final_response()
assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete")
assert "Paris" in final.output_text
passed("streamed responses", len(kinds))
structured = client.responses.parse(model=TEXT, input="Tell me about Paris.", text_format=City,
                                    temperature=0, max_output_tokens=100)
assert isinstance(structured.output_parsed, City)
passed("responses with a schema", structured.output_parsed.model_dump())
picture = client.responses.create(model=VISION, temperature=0, max_output_tokens=20, input=[
    {"role": "user", "content": [{"type": "input_text", "text": "what color is the circle?"},
                                 {"type": "input_image", "image_url": data_url(), "detail": "auto"}]}])
assert "red" in picture.output_text.lower()
passed("responses with a picture", picture.output_text)

for error, ask in [
    (openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-4o", messages=hello)),
    (openai.BadRequestError, lambda: client.chat.completions.create(model=TEXT, messages=hello, n=2)),
    (openai.BadRequestError, lambda: client.chat.completions.create(
        model=TEXT, messages=[{"role": "user", "content": "x " * 9000}])),
    (openai.BadRequestError, lambda: client.chat.completions.create(model=VISION, messages=[
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}])),
    (openai.BadRequestError, lambda: client.embeddings.create(model=EMBEDDING, input="word " * 1000)),
    (openai.BadRequestError, lambda: client.responses.create(model=TEXT, input="Hi", previous_response_id="resp_1")),
]:
    try:
        ask()
    except error as refused:
        passed(f"{error.__name__} ({refused.code})", refused.body["message"][:80])
    else:
        raise AssertionError(f"no {error.__name__}")
