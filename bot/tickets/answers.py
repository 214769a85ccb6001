"""What a person answers where no source did: which questions, how many windows they take, and the words of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.api.plan import Gate, OpenQuestion, Plan
from bot.control_chars import is_unseen
from bot.errors import Unanswered
from bot.formatting import plural
from bot.ledger.entries import Answer
from bot.redaction import clip_line

LONGEST_ANSWER = 500
_NAMED = 4  # unknowns that a refusal names
ONE_BY_ONE = 20  # so many questions are asked one by one; of more, a person says once how they know all of them


def answers_from(ticket: str, questions: Sequence[OpenQuestion], said: Sequence[str]) -> tuple[Answer, ...]:
    """What was said, to the names that it was said of.

    Args:
        ticket: its number.
        questions: the open questions of its plan.
        said: one text for each, in their order; a single one where there are more than are asked one by one.

    Raises:
        Unanswered: one is missing, empty or too long, or there are too many.
    """
    texts = [clip_line(one) for one in said]
    if len(questions) > ONE_BY_ONE and len(texts) == 1:
        texts *= len(questions)
    if len(texts) != len(questions) or not all(_says_something(one) for one in texts):
        raise Unanswered(unanswered(ticket, questions))
    if any(len(one) > LONGEST_ANSWER for one in texts):
        raise Unanswered(f"{ticket} is not approved: an answer has more than {LONGEST_ANSWER} characters.")
    return tuple(Answer(what=one.what, answer=text) for one, text in zip(questions, texts, strict=True))


def unanswered(ticket: str, questions: Sequence[OpenQuestion]) -> str:
    """Why an approval that leaves questions open decides nothing, and what to do."""
    names = "; ".join(one.what for one in questions[:_NAMED]) + (" and more" if len(questions) > _NAMED else "")
    return f"{ticket} is not approved: {open_in_words(questions)} ({names}). Press {approve_label(questions)} and {_what_to_say(questions)}."


def approve_label(questions: Sequence[OpenQuestion]) -> str:
    """What the approver's button says where a plan leaves something open."""
    unknown = sum(not one.is_override for one in questions)
    if not unknown:
        return "Override Freeze and Approve…"
    overrides = " and Override Freeze" if unknown < len(questions) else ""
    return f"Approve With {plural(unknown, 'Unknown')}{overrides}…"


def open_word(gate: Gate) -> str:
    """What stands before a gate that an approver has to say something about: "not known", "to be overridden"."""
    return "to be overridden" if all(one.is_override for one in gate.questions) else "not known"


def open_in_words(questions: Sequence[OpenQuestion]) -> str:
    """What an approval has to say: "2 unknowns must be answered", "a freeze must be overridden"."""
    unknown = sum(not one.is_override for one in questions)
    parts = [f"{plural(unknown, 'unknown')} must be answered"] if unknown else []
    parts += ["a freeze must be overridden"] if unknown < len(questions) else []
    return " and ".join(parts)


def _what_to_say(questions: Sequence[OpenQuestion]) -> str:
    unknown = sum(not one.is_override for one in questions)
    parts = ["say how you know"] if unknown else []
    parts += ["say why it cannot wait"] if unknown < len(questions) else []
    return " and ".join(parts)


def question_line(question: OpenQuestion) -> str:
    """An open question as people read it: "free space of crm-03: no answer (timed out after 20 s). To know it: …"."""
    if question.is_override:
        return f"{question.what}: {question.why}. Or {question.remedy}."
    is_all = question.why.startswith("no answer")
    why = f" ({question.why.rstrip('.')})" if question.why else ""
    remedy = f". To find out: {question.remedy.rstrip('.')}" if question.remedy else ""
    return f"{question.what}: {question.why.rstrip('.') if is_all else f'no answer{why}'}{remedy}."


def statement(answer: Answer) -> str:
    """What somebody said, as their words: "free space of crm-03: “I looked in the guest, 40 GB free”."."""
    return f"{answer.what}: “{answer.answer}”."


def without_answers(plan: Plan, target: str) -> Plan:
    """The plan where a person's word stands for nothing: whatever is not known holds it, as what is not so does."""
    if not plan.open_gates:
        return plan
    gates = tuple(replace(gate, answerable=False) if gate.is_open else gate for gate in plan.gates)
    if not plan.groups:
        return replace(plan, gates=gates)
    said = ". ".join(gate.finding for gate in plan.blocking_gates)
    return replace(plan, reason=f"No plan yet for {target}. {said}.", gates=gates, groups=())


def _says_something(text: str) -> bool:
    """Blanks, marks without a width and lone punctuation say nothing."""
    return any(character.isalnum() and not is_unseen(character) for character in text)
