"""LangChain's OpenAI classes, unchanged, against this server."""

import base64
import os

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

TEXT, VISION, EMBEDDING = "SmolLM2-135M-Instruct-Q4_1", "demo-vision", "all-MiniLM-L6-v2"
chat = ChatOpenAI(model=TEXT, temperature=0, max_tokens=60, max_retries=0)


def passed(what, seen=""):
    print(f"ok  {what}" + (f": {seen!r}" if seen != "" else ""), flush=True)


answer = chat.invoke([SystemMessage("Answer in one sentence."), HumanMessage("Paris is the capital of France. What is the capital of France?")])
assert "Paris" in answer.content and answer.usage_metadata["total_tokens"] > 0
passed("ChatOpenAI", answer.content)
streamed = "".join(chunk.content for chunk in chat.stream("Paris is the capital of France. What is the capital of France?"))
assert "Paris" in streamed
passed("stream", streamed)


class City(BaseModel):
    name: str
    is_capital: bool


city = chat.with_structured_output(City).invoke("Tell me about Paris.")
assert isinstance(city, City)
passed("with_structured_output", city.model_dump())
city = chat.with_structured_output(City, method="function_calling").invoke("Tell me about Paris.")
assert isinstance(city, City)
passed("with_structured_output by a function", city.model_dump())


@tool
def get_weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"Sunny in {city}."


question = HumanMessage("What is the weather in Paris?")
called = chat.bind_tools([get_weather], tool_choice="required").invoke([question])
assert called.tool_calls[0]["name"] == "get_weather"
result = get_weather.invoke(called.tool_calls[0])
assert isinstance(result, ToolMessage)
after = chat.invoke([question, called, result])
assert isinstance(after, AIMessage) and after.content
passed("bind_tools and its result", after.content)

with open(os.environ["PICTURE"], "rb") as file:
    url = "data:image/png;base64," + base64.b64encode(file.read()).decode()
seen = ChatOpenAI(model=VISION, temperature=0, max_tokens=20).invoke([HumanMessage([
    {"type": "text", "text": "what color is the circle?"}, {"type": "image_url", "image_url": {"url": url}}])])
assert "red" in seen.content.lower()
passed("vision", seen.content)

bot = ChatOpenAI(model=os.environ["BOT"], temperature=0, max_tokens=60)
grounded = bot.invoke("How many seats does the parliament of Iceland have?")
assert grounded.content
passed("a bot", grounded.content)

responses = ChatOpenAI(model=TEXT, temperature=0, max_tokens=60, use_responses_api=True)
said = responses.invoke("Paris is the capital of France. What is the capital of France?")
assert "Paris" in said.text
passed("ChatOpenAI over responses", said.text)

# By default LangChain sends tokens of OpenAI's models, which mean other words to another model.
embeddings = OpenAIEmbeddings(model=EMBEDDING, check_embedding_ctx_length=False)
vectors = embeddings.embed_documents(["a cat", "a kitten"])
assert len(vectors) == 2 and len(vectors[0]) == 384 and embeddings.embed_query("a cat") == vectors[0]
passed("OpenAIEmbeddings")

text = OpenAI(model=TEXT, temperature=0, max_tokens=8, top_p=1).invoke("One, two, three,")
assert text
passed("OpenAI", text)
