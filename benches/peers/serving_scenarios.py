"""What is asked of a system in one round, and what is measured of it.

A scenario gets a running system, its messages of the round and the tokens that end an answer. Where
speed is compared for a number of tokens, these tokens are kept from being chosen, so that every answer
is as long as the others.
"""

from serving_prompts import ANSWER, QUESTIONS, STORY, message
from serving_systems import Running
from side_by_side import Mismatch

NEW, ALONE, RAG = 64, 128, 96


def without_end(messages: list, tokens: int, ends: list) -> dict:
    bias = {str(token): -100 for token in ends}
    return {"messages": messages, "max_tokens": tokens, "logit_bias": bias}


def check_length(answers: list, tokens: int) -> None:
    """An answer that ended early would make its system look quick to the others and slow by itself."""
    for answer in answers:
        if answer.tokens != tokens:
            raise Mismatch(f"an answer has {answer.tokens} tokens, not {tokens}: {answer.text[-80:]!r}")


def chats(running: Running, messages: list, ends: list) -> dict:
    """All chats at once."""
    answers = running.ask_all([without_end(chat, NEW, ends) for chat in messages])
    check_length(answers, NEW)
    seconds = max(each.finished for each in answers) - min(each.started for each in answers)
    return {
        "tokens_per_second": [sum(each.tokens for each in answers) / seconds],
        "first_token": [each.first_token for each in answers],
        **facts(answers),
    }


def follow_up(running: Running, messages: list, ends: list) -> dict:
    """A second question after 2,000 tokens; the first answer is the system's own."""
    answers = []
    for number, chat in enumerate(messages):
        [first] = running.ask_all([without_end(chat, ANSWER, ends)])
        check_length([first], ANSWER)
        question = QUESTIONS[number % len(QUESTIONS)]
        chat = [*chat, message("assistant", first.text), message("user", question)]
        answers += running.ask_all([without_end(chat, 8, ends)])
    return {"first_token": [each.first_token for each in answers], **facts(answers)}


def rag(running: Running, messages: list, _ends: list) -> dict:
    """Questions about passages, one after the other; the answers end where the model ends them."""
    answers = [running.ask_all([{"messages": each, "max_tokens": RAG}])[0] for each in messages]
    usages = [each.usage for each in answers]
    return {
        "tokens_per_second": [decoding_rate(answers)],
        "first_token": [each.first_token for each in answers],
        "texts": [each.text for each in answers],
        "drafted": sum(usage.get("drafted_tokens", 0) for usage in usages),
        "accepted": sum(usage.get("accepted_tokens", 0) for usage in usages),
        **facts(answers),
    }


def alone(running: Running, messages: list, ends: list) -> dict:
    """One chat: how fast it is written, and how soon a long prompt is answered."""
    [story] = running.ask_all([without_end([message("user", STORY)], ALONE, ends)])
    check_length([story], ALONE)
    answers = [running.ask_all([without_end(chat, 2, ends)])[0] for chat in messages]
    return {
        "tokens_per_second": [decoding_rate([story])],
        "first_token": [each.first_token for each in answers],
        "story_prompt_tokens": story.prompt_tokens,
        **facts(answers),
    }


SCENARIOS = {"chats": chats, "follow_up": follow_up, "rag": rag, "alone": alone}


def warm_up(running: Running) -> None:
    """Some work of each kind, of which nothing can be used again."""
    asked = [{"messages": [message("user", f"{number} times {number}?")], "max_tokens": 16} for number in (7, 8)]
    running.ask_all(asked)


def run(running: Running, name: str, messages: list, ends: list) -> dict:
    """A scenario, with what other processes took from it."""
    meter = running.meter()
    found = SCENARIOS[name](running, messages, ends)
    return {**found, "cores_used_by_others": meter.stop()["cores_used_by_others"]}


def decoding_rate(answers: list) -> float:
    """Tokens a second after the first of each answer."""
    longer = [each for each in answers if each.tokens > 1]
    seconds = sum(each.decoding for each in longer)
    if seconds <= 0:
        raise Mismatch("no answer was long enough to be timed")
    return sum(each.tokens - 1 for each in longer) / seconds


def facts(answers: list) -> dict:
    """What tells whether two systems did the same."""

    def each(field: str) -> list:
        return [getattr(answer, field) for answer in answers]

    return {"prompt_tokens": each("prompt_tokens"), "cached_tokens": each("cached_tokens"), "tokens": each("tokens")}
