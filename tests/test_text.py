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
        ("1. First thing. More of it.\n2. Second thing.", ["1. First thing.", "More of it.", "2. Second thing."]),
        ("a) One\nb) Two", ["a) One", "b) Two"]),
        ("We waited... and it held. Good.", ["We waited... and it held.", "Good."]),
        ("他在奥斯陆工作。 团队有14人。", ["他在奥斯陆工作。", "团队有14人。"]),
        ("她说：「是的。」团队有14人！好。", ["她说：「是的。」", "团队有14人！", "好。"]),
        ("彼女は東京にいる。\n本当ですか？", ["彼女は東京にいる。", "本当ですか？"]),
        ("She lives at No. 12 St. Olav gate. It is quiet.", ["She lives at No. 12 St. Olav gate.", "It is quiet."]),
        ("A. B. Ode vs. C. D. Ode: 3.5 to 2.5. Done.", ["A. B. Ode vs. C. D. Ode: 3.5 to 2.5.", "Done."]),
        ("« C’est fini. » Elle part.", ["« C’est fini. »", "Elle part."]),
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


@given(
    st.lists(st.sampled_from(["1. ", "e.g. ", "3.5", "Node.js", "。", "…", " ", "\n", "“So.” ", "A.", "x", "? ", "- "]))
)
def test_text_is_its_sentences_and_the_white_space_between(pieces: list[str]) -> None:
    """The sentences, with what stands between them, are the text again, however marks and lists follow each other."""
    text = "".join(pieces)
    again, at = "", 0
    for start, end in sentence_spans(text):
        assert not text[at:start].strip()
        again += text[at:start] + text[start:end]
        at = end
    assert again + text[at:] == text
    assert not text[at:].strip()


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
