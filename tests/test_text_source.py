"""The text's entropies are those that counting all texts gives."""

from itertools import product

import numpy as np
import pytest

from initlib.lab.text_source import Lexicon, invented_words

SMALL = Lexicon(["a", "ab", "ba", "bab"], [4, 3, 2, 1])


def chance(text, lexicon=SMALL):
    """Return how likely a window begins with this text: by words, without the chain of prefixes."""
    *whole, rest = text.split(" ")
    known = dict(zip(lexicon.words, lexicon.mass, strict=True))
    if not set(whole) <= set(known):
        return 0.0
    return np.prod([known[word] for word in whole]) * sum(
        mass for word, mass in known.items() if word.startswith(rest)
    )


def entropy(chances):
    positive = np.array([c for c in chances if c > 0])
    return -positive @ np.log(positive)


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_floor_is_the_entropy_of_all_texts(length):
    chances = [chance("".join(text)) for text in product(SMALL.alphabet, repeat=length)]
    assert sum(chances) == pytest.approx(1)
    assert SMALL.floors(length).sum() == pytest.approx(entropy(chances))


def test_ladder_is_that_of_counts_over_all_texts():
    length, pairs = 5, {}
    for text in product(SMALL.alphabet, repeat=length):
        window = (" ", *text)
        for pair in zip(window, text, strict=False):
            pairs[pair] = pairs.get(pair, 0) + chance("".join(text)) / length
    before, letters = {}, {}
    for (a, b), mass in pairs.items():
        before[a], letters[b] = before.get(a, 0) + mass, letters.get(b, 0) + mass
    ladder = SMALL.ladder(length)
    assert ladder["pairs"] == pytest.approx(entropy(pairs.values()) - entropy(before.values()))
    assert ladder["letters"] == pytest.approx(entropy(letters.values()))
    assert ladder["nothing"] == pytest.approx(np.log(3))
    assert ladder["words"] < ladder["pairs"] < ladder["letters"] < ladder["nothing"]


def test_late_characters_have_the_entropy_rate():
    assert SMALL.floors(200)[-1] == pytest.approx(SMALL.rate, rel=1e-9)


def test_sampled_text_is_made_of_words_with_their_frequencies():
    tokens, surprise = SMALL.sample(3, 4000, 12)
    assert (tokens[:, 0] == 0).all()
    first = [SMALL.read(window).split(" ")[1] for window in tokens]
    counts = np.array([first.count(word) for word in SMALL.words])
    assert counts.sum() == 4000
    z = (counts - 4000 * SMALL.mass) / np.sqrt(4000 * SMALL.mass * (1 - SMALL.mass))
    assert np.abs(z).max() < 4.5
    texts = [SMALL.read(window)[1:] for window in tokens[:50]]
    told = [-np.log(chance(text)) for text in texts]
    np.testing.assert_allclose(surprise[:50].sum(dim=1), told, rtol=1e-5)


def test_words_are_distinct_and_always_the_same():
    words = invented_words(0, 200)
    assert len(set(words)) == 200
    assert words[:5] == invented_words(0, 5)
    assert {len(word) for word in words} == {2, 4, 6}


@pytest.mark.parametrize(
    ("words", "mass"),
    [
        ([], None),
        (["a", "a"], None),
        (["a b"], None),
        ([""], None),
        (["a"], [0.0]),
        (["a"], [1, 2]),
    ],
)
def test_bad_dictionaries_are_refused(words, mass):
    with pytest.raises(ValueError, match="words"):
        Lexicon(words, mass)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="2 to"):
        invented_words(0, 1)
    with pytest.raises(ValueError, match="length=0"):
        SMALL.floors(0)
    with pytest.raises(ValueError, match="at least 1"):
        SMALL.sample(0, 0, 5)
