"""A text whose entropy is known: words drawn one by one from a dictionary, with spaces between.

A reader who knows the dictionary, and what has been written since the last space, knows all that
can be known of the next character: it is a Markov chain on the *prefixes* of words. The cross-
entropy that no model can beat is then a finite sum, position by position. A model that looks at one
character at a time can't know the prefix; what it misses is a finite sum too.
"""

from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from initlib.sampling import Key, stream_key, uniform

__all__ = ["Lexicon", "invented_words"]

CONSONANTS, VOWELS = "bdfgklmnprst", "aeiou"
MOST = 6000  # words that three syllables give room for, in practice


def invented_words(key: Key | int, count: int) -> tuple[str, ...]:
    """Invent distinct words of one to three syllables, a consonant and a vowel each.

    Parameters
    ----------
    key : bytes or int
        Its words are always the same.
    count : int
        Words, from 2 to 6000.

    Examples
    --------
    >>> len(invented_words(0, count=5))
    5
    """
    if not 2 <= count <= MOST:
        raise ValueError(f"a dictionary needs 2 to {MOST} words, got {count}")
    key, words, drawn = stream_key(key, "words"), {}, 0
    while len(words) < count:
        length, *letters = uniform(key, 7 * drawn, 7 * drawn + 7, np.float64)
        syllables = [
            CONSONANTS[int(consonant * len(CONSONANTS))] + VOWELS[int(vowel * len(VOWELS))]
            for consonant, vowel in zip(letters[::2], letters[1::2], strict=True)
        ]
        words["".join(syllables[: 1 + int(3 * length)])] = None
        drawn += 1
    return tuple(words)


class Lexicon:
    """Words and how often each is drawn; the text that they make, and its entropy.

    A window of text begins after a space. Its characters are numbered 1 .. T; the space before it
    has the number 0.

    Parameters
    ----------
    words : sequence of str
        Distinct, not empty, without spaces.
    probabilities : array_like, optional
        Of each word, positive; they are normalized. Default: Zipf's law, proportional to 1 / rank.

    Attributes
    ----------
    alphabet : str
        The space, which is character 0, and the letters of the words in order.
    mass : ndarray, shape (words,)
        Probabilities.

    Raises
    ------
    ValueError
        For words or probabilities that are not of this kind.

    Examples
    --------
    >>> coin = Lexicon(["a", "b"], [1, 1])
    >>> f"{coin.rate / np.log(2):.2f} bits a character"
    '0.50 bits a character'
    """

    def __init__(self, words, probabilities=None):
        words = tuple(words)
        if not words or len(set(words)) < len(words) or not all(words) or " " in "".join(words):
            raise ValueError(f"words must be distinct, not empty and without spaces, got {words}")
        mass = 1 / np.arange(1, len(words) + 1) if probabilities is None else probabilities
        mass = np.asarray(mass, dtype=np.float64)
        if mass.shape != (len(words),) or not (np.isfinite(mass) & (mass > 0)).all():
            raise ValueError(f"{len(words)} words need as many positive probabilities, got {mass}")
        self.words, self.mass = words, mass / mass.sum()
        self.alphabet = " " + "".join(sorted(set("".join(words))))
        self._read()

    def _read(self) -> None:
        """Build the chain: from each prefix, what comes next, how likely, and what it leads to."""
        prefixes = {"": 0}
        for word in self.words:
            for end in range(1, len(word) + 1):
                prefixes.setdefault(word[:end], len(prefixes))
        size = len(prefixes), len(self.alphabet)
        self._chance, self._then = np.zeros(size), np.zeros(size, dtype=np.int64)
        for word, mass in zip(self.words, self.mass, strict=True):
            for end, character in enumerate(word + " "):
                own = prefixes[word[:end]], self.alphabet.index(character)
                self._chance[own] += mass
                self._then[own] = prefixes.get(word[: end + 1], 0) if character != " " else 0
        self._chance /= self._chance.sum(axis=1, keepdims=True)
        self._last = np.array([self.alphabet.index(p[-1]) if p else 0 for p in prefixes])

    @property
    def rate(self) -> float:
        """Entropy of a long text (nats a character): that of a word over its mean length + 1."""
        length = self.mass @ [len(word) + 1 for word in self.words]
        return float(-self.mass @ np.log(self.mass) / length)

    @cached_property
    def _surprise(self) -> np.ndarray:
        """-log of each chance, (prefixes, characters); zero where the chance is."""
        return -np.log(np.where(self._chance > 0, self._chance, 1))

    def _visits(self, length: int) -> np.ndarray:
        """Return how likely each prefix is before characters 1 .. length, (length, prefixes)."""
        if length < 1:
            raise ValueError(f"a window needs at least one character, got length={length}")
        visits = np.zeros((length, len(self._chance)))
        visits[0, 0] = 1
        for before, after in pairwise(visits):
            np.add.at(after, self._then, before[:, None] * self._chance)
        return visits

    def floors(self, length: int) -> np.ndarray:
        """Return H(X_t | X_1 .. X_(t-1)), in nats, for t = 1 .. length."""
        return self._visits(length) @ (self._chance * self._surprise).sum(axis=1)

    def ladder(self, length: int) -> dict[str, float]:
        """Return the least mean loss (nats a character) in a window, by what is known.

        Returns
        -------
        dict
            "nothing": log of the size of the alphabet. "letters": how often each character is.
            "pairs": also the character before. "words": all of the text before, the floor.
        """
        visits = self._visits(length).mean(axis=0)
        pairs = np.zeros((len(self.alphabet),) * 2)
        np.add.at(pairs, self._last, visits[:, None] * self._chance)
        letters = _entropy(pairs.sum(axis=0))
        return {
            "nothing": float(np.log(len(self.alphabet))),
            "letters": letters,
            "pairs": _entropy(pairs) - _entropy(pairs.sum(axis=1)),
            "words": float(self.floors(length).mean()),
        }

    def sample(self, key: Key | int, windows: int, length: int) -> tuple[Tensor, Tensor]:
        """Draw windows of text.

        Returns
        -------
        tokens : Tensor, int64, shape (windows, 1 + length)
            Numbers in the alphabet; the first is the space before the window.
        surprise : Tensor, float32, shape (windows, length)
            -log of the chance of each character, given all before: what a reader who knows
            everything would have as loss. Its mean is that of `floors`.
        """
        if windows < 1 or length < 1:
            raise ValueError(f"windows and length must be at least 1, got {windows} and {length}")
        draws = uniform(stream_key(key, "text"), 0, windows * length, np.float64)
        below = np.cumsum(self._chance, axis=1)
        below /= below[:, -1:]  # what rounding leaves would otherwise be an impossible character
        tokens = np.zeros((windows, 1 + length), dtype=np.int64)
        surprise = np.empty((windows, length), dtype=np.float32)
        prefix = np.zeros(windows, dtype=np.int64)
        for t, draw in enumerate(draws.reshape(windows, length).T):
            tokens[:, t + 1] = own = (below[prefix] <= draw[:, None]).sum(axis=1)
            surprise[:, t] = self._surprise[prefix, own]
            prefix = self._then[prefix, own]
        return torch.from_numpy(tokens), torch.from_numpy(surprise)

    def read(self, tokens: Tensor) -> str:
        """Return the text of one window."""
        return "".join(self.alphabet[int(token)] for token in tokens)


def _entropy(chances: np.ndarray) -> float:
    positive = chances[chances > 0]
    return float(-positive @ np.log(positive))
