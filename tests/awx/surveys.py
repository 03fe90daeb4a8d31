# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX asks of a survey, of its answers, and of what a launch brings along.

After awx/api/views (JobTemplateSurveySpec._validate_spec_data) and awx/main/models/mixins.py (SurveyJobTemplateMixin).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TYPES: dict[str, Any] = {
    "text": str, "textarea": str, "password": str, "multiplechoice": str, "multiselect": str, "integer": int, "float": (float, int),
}
TEXTS = ("text", "textarea", "password")


def wrong_with_spec(spec: Mapping[str, Any]) -> str:
    """Return what is wrong with a survey, nothing when it is good."""
    for name, kind in (("name", str), ("description", str), ("spec", list)):
        if not isinstance(spec.get(name), kind):
            return f"Field '{name}' is missing from survey spec, or of another type."
    if not spec["spec"]:
        return "'spec' doesn't contain any items."
    seen: set[str] = set()
    for number, question in enumerate(spec["spec"]):
        for name, kind in (("type", str), ("question_name", str), ("variable", str), ("required", bool)):
            if not isinstance(question.get(name), kind):
                return f"'{name}' missing from survey question {number}, or of another type"
        if question["variable"] in seen:
            return f"'variable' '{question['variable']}' duplicated in survey question {number}."
        seen.add(question["variable"])
        wrong = _wrong_with_question(question)
        if wrong:
            return f"{wrong} in survey question {number}"
    return ""


def _wrong_with_question(question: Mapping[str, Any]) -> str:
    kind, default = question["type"], question.get("default", "")
    if kind not in TYPES:
        return f"'{kind}' is not one of the allowed question types"
    if default != "" and not isinstance(default, TYPES[kind]):
        return f"Default value {default} expected to be {kind}"
    for limit in ("min", "max"):
        if not isinstance(question.get(limit, 0), int):
            return f"The {limit} limit expected to be integer"
    if kind.startswith("multi"):
        if "choices" not in question:
            return f"{kind} must specify choices"
        if any(one not in question["choices"] for one in str(default).splitlines()):
            return "Default choice must be answered from the choices listed"
    return ""


def _choices(question: Mapping[str, Any]) -> list[str]:
    choices = question["choices"]
    return [one for one in choices.splitlines() if one.strip()] if isinstance(choices, str) else choices


def wrong_with_answer(question: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the answer to a question."""
    name, kind = question["variable"], question["type"]
    if name not in given:
        return [f"'{name}' value missing"] if question["required"] else []
    value = given[name]
    least, most = (question.get(limit) if question.get(limit) != "" else None for limit in ("min", "max"))
    if kind in TEXTS:
        if not isinstance(value, str):
            return [f"Value {value} for '{name}' expected to be a string."]
        size, about = len(value), "length"
    elif kind in ("integer", "float"):
        if isinstance(value, bool) or not isinstance(value, int if kind == "integer" else (int, float)):
            return [f"Value {value} for '{name}' expected to be an integer."]
        size, about = value, "value"
    elif kind == "multiselect":
        wrong = [one for one in value if one not in _choices(question)] if isinstance(value, list) else [value]
        return [f"Value {one} for '{name}' expected to be one of {_choices(question)}." for one in wrong]
    else:
        return [] if value in _choices(question) else [f"Value {value} for '{name}' expected to be one of {_choices(question)}."]
    if least is not None and size < least:
        return [f"'{name}' value {value} is too small ({about} must be at least {least})."]
    if most is not None and size > most:
        return [f"'{name}' value {value} is too large ({about} must be no more than {most})."]
    return []


def questions(template: Mapping[str, Any], survey: Mapping[str, Any]) -> list[dict[str, Any]]:
    return survey.get("spec", []) if template["survey_enabled"] else []


def accept(
    template: Mapping[str, Any], survey: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return the variables that a launch may bring, those that are dropped without a word, and what is wrong with the answers."""
    accepted, left, wrong = {}, dict(given), []
    for question in questions(template, survey):
        found = wrong_with_answer(question, given)
        wrong += found
        if question["variable"] in left:
            value = left.pop(question["variable"])
            if not found:
                accepted[question["variable"]] = value
    if template["ask_variables_on_launch"]:
        accepted, left = {**accepted, **left}, {}
    return accepted, left, wrong


def defaults(template: Mapping[str, Any], survey: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a job gets for questions that nobody answered: the default, where it is a good answer."""
    for question in questions(template, survey):
        default = question.get("default")
        if default is not None and not wrong_with_answer(question, {question["variable"]: default}):
            yield question["variable"], default
