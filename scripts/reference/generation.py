"""Writes what transformers makes of a GGUF text model, dequantised to f32 on the CPU.

    pip install torch transformers gguf accelerate
    python scripts/reference/generation.py MODEL.gguf > crates/inference/tests/data/generation.json

For each question: the prompt that the model's own chat template makes (rendered by jinja2), its
tokens, and 32 tokens chosen greedily with their text. For the first 6 also logits of the first new token: those of
the 64 likeliest tokens and of every 97th token of the vocabulary.

`templates` holds small templates that use what chat templates of well-known models use, rendered by
transformers' own environment.
"""

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

NEW_TOKENS = 32
WITH_LOGITS = 6

QUESTIONS = [
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain photosynthesis to a child.",
    "List three uses of copper.",
    "What is 12 times 12?",
    "Translate 'good morning' into Spanish.",
    "Who wrote Romeo and Juliet?",
    "Give me a recipe for pancakes.",
    "Write a Python function that reverses a string.",
    "Why is the sky blue?",
    "Name the planets of the solar system.",
    "Summarise the plot of Cinderella in one sentence.",
    "What does HTTP stand for?",
    "How do I boil an egg?",
    "Tell me a joke about computers.",
    "What is the difference between a virus and a bacterium?",
    "Use the passage to answer.\n\nPassage: The bridge was opened in 1932 and is 1,149 m long.\n\n"
    "Question: When was the bridge opened?",
    "Écris une phrase en français sur le printemps.",
    "  Leading and trailing spaces?  \n",
    "Sort these words: pear, apple, fig, banana 🍌",
]

SYSTEM = {"role": "system", "content": "You answer in one short sentence."}

CONVERSATIONS = [
    [{"role": "user", "content": "Hi"}],
    [SYSTEM, {"role": "user", "content": "Hi"}],
    [
        SYSTEM,
        {"role": "user", "content": "  What is\n\nthis? "},
        {"role": "assistant", "content": "A <test> & a 'quote' \"here\"."},
        {"role": "user", "content": "日本語 👩‍🚀 {{ not }} {% a template %}"},
    ],
    [{"role": "user", "content": ""}],
    [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "<think>deep</think>\n\nd"},
        {"role": "user", "content": "e"},
    ],
]

TEMPLATES = {
    "strip and alternate": (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] == 'system' %}<<SYS>>{{ message['content'] | trim }}<</SYS>>"
        "{% elif message['role'] == 'user' %}[INST] {{ message['content'].strip() }} [/INST]"
        "{% else %}{{ ' ' + message['content'].strip() + eos_token }}{% endif %}"
        "{% endfor %}"
    ),
    "namespace and loop": (
        "{%- set ns = namespace(system='none') %}\n"
        "{%- for message in messages %}\n"
        "    {%- if loop.first and message.role == 'system' %}\n"
        "        {%- set ns.system = message.content.upper() %}\n"
        "        {%- continue %}\n"
        "    {%- endif %}\n"
        "{{ loop.index0 }}/{{ loop.length }} {{ message.role.capitalize() }}: {{ message.content }}"
        "{% if not loop.last %};{% endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}[{{ ns.system }}]{% endif %}"
    ),
    "json and tests": (
        "{% if tools is defined and tools is not none %}tools{% endif %}"
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% else %}{% set loop_messages = messages %}{% endif %}"
        "{% for message in loop_messages %}{{ message | tojson }}\n{% endfor %}"
        "{{ {'a': [1, 2.5, true, none], 'b': messages[-1].content[:5]} | tojson(indent=2) }}"
    ),
    "splitting": (
        "{% for message in messages %}"
        "{% set content = message.content %}"
        "{% if '</think>' in content %}"
        "{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
        "{% if content.startswith('d') or content.endswith('c') %}*{% endif %}"
        "{{ content.replace('b', 'B').rstrip() }}|{{ content | length }}|"
        "{% endfor %}{{ messages | map(attribute='role') | join(',') }}"
    ),
    "whitespace control": (
        "{% for message in messages %}\n"
        "  {% if message.role == 'user' %}\n"
        "U: {{ message.content }}\n"
        "  {% else %}\n"
        "O: {{ message.content }}\n"
        "  {% endif %}\n"
        "{% endfor %}\n"
    ),
}


def render(template: str, messages: list, bos: str, eos: str) -> str:
    rendered, _ = render_jinja_template(
        [messages],
        chat_template=template,
        add_generation_prompt=True,
        bos_token=bos,
        eos_token=eos,
    )
    return rendered[0]


def templates(own: str, bos: str, eos: str) -> list:
    sources = {"the model's own": own, **TEMPLATES}
    return [
        {
            "name": name,
            "template": None if source is own else source,
            "messages": messages,
            "rendered": render(source, messages, bos, eos),
        }
        for name, source in sources.items()
        for messages in CONVERSATIONS
    ]


def answer(model, tokenizer, question: str, with_logits: bool) -> dict:
    messages = [{"role": "user", "content": question}]
    prompt = render(
        tokenizer.chat_template, messages, tokenizer.bos_token, tokenizer.eos_token
    )
    tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logits = model(ids).logits[0, -1]
        generated = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
        )
    entry = {
        "question": question,
        "prompt": prompt,
        "tokens": tokens,
        "greedy": generated[0, len(tokens) :].tolist(),
        "text": tokenizer.decode(generated[0, len(tokens) :], skip_special_tokens=True),
    }
    if with_logits:
        ids = sorted(set(logits.topk(64).indices.tolist()) | set(range(0, len(logits), 97)))
        entry["logits"] = [[i, round(logits[i].item(), 5)] for i in ids]
    return entry


def main() -> None:
    folder, file = os.path.split(os.path.abspath(sys.argv[1]))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    model.eval()
    answers = [
        answer(model, tokenizer, question, index < WITH_LOGITS)
        for index, question in enumerate(QUESTIONS)
    ]
    own = templates(tokenizer.chat_template, tokenizer.bos_token, tokenizer.eos_token)
    json.dump({"answers": answers, "templates": own}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
