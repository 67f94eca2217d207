"""Questions as requests: what is asked is what arrives, and what nobody takes is refused."""

from __future__ import annotations

import urllib.parse

import pytest

from monitor.desk.questions import (
    SHOCKS_MAX,
    AccountQuestion,
    Question,
    RulesQuestion,
    StressQuestion,
    read_question,
)
from monitor.errors import ConfigError


@pytest.mark.parametrize(
    "question",
    [StressQuestion(("A", "B/C&D"), (-0.1, 0.05), (-0.3,), (1.0, 0.1)),
     StressQuestion((), (), (), (1.0, 0.3, 0.1)), AccountQuestion("sub account=1&é"),
     RulesQuestion(()), RulesQuestion(("A", "B"))],
)  # fmt: skip
def test_a_question_arrives_as_it_was_asked(question: Question) -> None:
    query = urllib.parse.urlencode(question.parameters())
    assert read_question(question.path, urllib.parse.parse_qs(query)) == question


@pytest.mark.parametrize(
    ("path", "query", "mend"),
    [("stress", "shok=-1%25", "did you mean shock?"), ("stress", "shock=-100%25", "above -100%"),
     ("stress", "shock=1%25&" * (SHOCKS_MAX + 1), "50 at most"),
     ("stress", "depth_survives=" + "1," * 60 + "1", "50 shares at most"),
     ("account", "", "name one"), ("account", "account=a&account=b", "1 at most"),
     ("rules", "account=a", "rules takes no account")],
)  # fmt: skip
def test_what_a_question_does_not_take_is_refused(path: str, query: str, mend: str) -> None:
    with pytest.raises(ConfigError, match=mend):
        read_question(path, urllib.parse.parse_qs(query))
