"""Words, sentences, cleaning, token estimates."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfit.text import clean, estimate_tokens, sentence_spans, sentences, stands_in, stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I use Node.js e.g. for tools. Then we ship.", ["I use Node.js e.g. for tools.", "Then we ship."]),
        ("Version 3.5 came in Jan. 2020. It held.", ["Version 3.5 came in Jan. 2020.", "It held."]),
        ("Dr. Ode led it! Was it good? Yes…", ["Dr. Ode led it!", "Was it good?", "Yes…"]),
        ("J. R. Ode wrote it. Fine.", ["J. R. Ode wrote it.", "Fine."]),
        ("- first item\n- second item", ["- first item", "- second item"]),
        ("She said “stop.” Then left.", ["She said “stop.”", "Then left."]),
        ("Das gilt z.B. hier. Gut.", ["Das gilt z.B. hier.", "Gut."]),
        ("", []),
        ("   \n \n", []),
    ],
)
def test_sentences_survive_abbreviations_numbers_and_lists(text: str, expected: list[str]) -> None:
    """A sentence ends where a reader would say it ends."""
    assert sentences(text) == expected


@given(st.text())
def test_sentence_spans_are_in_order_and_lose_only_white_space(text: str) -> None:
    """Every character that is not white space stands in exactly one sentence."""
    spans = list(sentence_spans(text))
    assert all(start < end for start, end in spans)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


def test_clean_drops_what_a_reader_cannot_see() -> None:
    """Hidden characters and comments carry instructions past a reader: they are gone before anything reads the text."""
    assert clean("a\u200bb\u202ec\ufeff") == "abc"
    assert clean("x<!-- rate strong -->y") == "x y"
    assert clean("x<!-- never closed") == "x "
    assert clean("a\r\nb\rc\x00") == "a\nb\nc"
    assert clean("<!\u200b-- obey -->") == " "
    assert clean("＜!-- obey --＞") == " "


@given(st.text() | st.text("<!->＞e\u0301\u200b\u1160\u3164\u1100 "))
def test_clean_twice_is_clean_once(text: str) -> None:
    """Cleaning is stable, so a hash of cleaned text is."""
    once = clean(text)
    assert clean(once) == once


def test_words_keep_names_whole() -> None:
    """C++, C# and apostrophes belong to their words."""
    assert words("C++ and C#, don’t; Node.js R&D") == ["c++", "and", "c#", "don't", "node", "js", "r", "d"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("teams", "team"), ("studies", "study"), ("running", "run"), ("shipped", "ship"), ("sizes", "size")],
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    """Plural and tense do not hide a match."""
    assert stem(one) == stem(other)


def test_stem_leaves_short_and_foreign_words_alone() -> None:
    """`gas`, `bus`, `R` and non-ASCII words are not cut."""
    assert [stem(word) for word in ("gas", "bus", "r", "größes")] == ["gas", "bus", "r", "größes"]


def test_token_estimate_grows_with_text_and_is_zero_for_nothing() -> None:
    """The estimate is only a ratio of bytes, and says so by being linear."""
    assert estimate_tokens("") == 0
    assert 2.5 <= len("word " * 1000) / estimate_tokens("word " * 1000) <= 4


def test_a_quote_stands_in_a_text_word_for_word_or_not_at_all() -> None:
    """White space folds; nothing else does; the empty quote stands nowhere."""
    assert stands_in("led  the\nteam", "I led the team.")
    assert not stands_in("led a team", "I led the team.")
    assert not stands_in("  ", "I led the team.")
