"""The texts of the serving comparison: real sentences, cut to exact numbers of tokens.

Every prompt begins with sentences that no other round or scenario begins with, so that nothing but the
sharing that a scenario is about can be found in a cache. Both systems get the same messages and make
the prompt of them with the model's own template; llama-server counts the tokens.
"""

import json
import pathlib
import random
import re
import subprocess

from serving_client import post
from side_by_side import Mismatch

SHARED, PROMPT, HISTORY, ANSWER = 600, 1000, 2000, 100
PASSAGES = 3

# Texts of the tokens that end an answer, in the templates of the models that are compared.
ENDS = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<end_of_turn>", "<eos>", "<|end|>"]

TASK = "Retell the text above in your own words, from its first sentence to its last, and leave nothing out."
STORY = "Write a long story about a lighthouse keeper who finds a letter in a bottle, and tell it in full."
QUESTIONS = [
    "Which of these points matters most, and why?",
    "What else should I know about the first of them?",
    "Please say the last part again in other words.",
]


class Prompts:
    """Makes prompts, with the help of a running llama-server."""

    def __init__(self, port: int, squad: str, template: str, seed: int):
        self.port, self.template, self.seed = port, template, seed
        self.articles = json.loads(pathlib.Path(squad).read_text())["data"]
        self.sentences = [
            sentence
            for article in self.articles
            for paragraph in article["paragraphs"]
            for sentence in re.split(r"(?<=[.!?])\s+", paragraph["context"])
            if len(sentence.split()) >= 5
        ]

    def tokens(self, text: str) -> list:
        body = {"content": text, "add_special": False, "parse_special": True}
        return post(self.port, "/tokenize", body)["tokens"]

    def count(self, messages: list) -> int:
        """Tokens of the prompt that these messages make."""
        return len(self.tokens(post(self.port, "/apply-template", {"messages": messages})["prompt"]))

    def end_tokens(self) -> list:
        """The tokens that could end an answer, to be kept from doing so."""
        found = [self.tokens(text) for text in ENDS]
        ends = [tokens[0] for tokens in found if len(tokens) == 1]
        if not ends:
            raise Mismatch("none of the known ends of an answer is a token of this model")
        return ends

    def words(self, purpose: str, at_least: int) -> list:
        """Words of sentences in an order of their own for each purpose."""
        order = random.Random(f"{self.seed} {purpose}")
        words = f"{purpose}:".split()
        while len(words) < at_least:
            words += order.choice(self.sentences).split()
        return words

    def cut(self, words: list, tokens: int, messages_of) -> list:
        """The messages made of as many words as come to so many tokens, or a few less."""
        low, high = 1, len(words)
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.count(messages_of(" ".join(words[:middle]))) <= tokens
            low, high = (middle, high) if fits else (low, middle)
        return messages_of(" ".join(words[:low]))

    def chats(self, purpose: str, count: int) -> list:
        """Chats of 1,000 tokens that share their first 600."""
        system = self.cut(self.words(purpose, SHARED), SHARED, lambda text: [message("system", text)])
        return [
            self.cut(
                self.words(f"{purpose}, reader {number + 1}", PROMPT),
                PROMPT,
                lambda text: [*system, message("user", f"{text}\n\n{TASK}")],
            )
            for number in range(count)
        ]

    def prompt(self, purpose: str, tokens: int) -> list:
        """A single question of so many tokens."""
        words = self.words(purpose, tokens)
        return self.cut(words, tokens, lambda text: [message("user", f"{text}\n\n{TASK}")])

    def questions(self, purpose: str, count: int) -> list:
        """Questions with the passage that answers them and others of the article, as a bot would ask."""
        order = random.Random(f"{self.seed} {purpose}")
        return [self.question(order) for _ in range(count)]

    def question(self, order: random.Random) -> list:
        article = order.choice(self.articles)
        right = order.choice([each for each in article["paragraphs"] if answerable(each)])
        others = [each for each in article["paragraphs"] if each is not right]
        passages = [right, *order.sample(others, PASSAGES - 1)]
        order.shuffle(passages)
        context = "\n\n".join(each["context"] for each in passages)
        asked = order.choice(answerable(right))["question"]
        # The template's other braces are doubled, as in Python's format strings.
        return [message("system", self.template.format(context=context)), message("user", asked)]


def answerable(paragraph: dict) -> list:
    return [asked for asked in paragraph["qas"] if not asked.get("is_impossible")]


def message(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def prompt_template(program: str) -> str:
    """The prompt of our bots, from the program itself."""
    return subprocess.run([program, "prompt-template"], capture_output=True, text=True, check=True).stdout


def prepare(prompts: Prompts, rounds: int, size: dict) -> dict:
    """All messages of all rounds, and the tokens that may not end an answer."""
    return {
        "ends": prompts.end_tokens(),
        "rounds": [
            {
                "chats": prompts.chats(f"Part {turn + 1}", size["chats"]),
                "follow_up": [
                    prompts.prompt(f"Record {turn + 1}.{number + 1}", HISTORY - ANSWER)
                    for number in range(size["follow_ups"])
                ],
                "rag": prompts.questions(f"round {turn + 1}", size["questions"]),
                "alone": [
                    prompts.prompt(f"Notes {turn + 1}.{number + 1}", PROMPT) for number in range(size["alone"])
                ],
            }
            for turn in range(rounds)
        ],
    }
