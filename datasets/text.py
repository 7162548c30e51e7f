"""Texts for sequence nets: characters and their codes, random crops, additions and dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._rng import check_rng

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


class Characters:
    """The characters of a text and their codes, 0 to V - 1, in the order of Unicode.

    Parameters
    ----------
    text : str
        Every character in it gets a code.

    Attributes
    ----------
    characters : str
        Each character once; the code of ``characters[k]`` is k.

    Examples
    --------
    >>> letters = Characters("banana")
    >>> letters.encode("nab")
    array([2, 0, 1])
    >>> letters.decode([1, 0, 2])
    'ban'
    """

    def __init__(self, text: str) -> None:
        self.characters = "".join(sorted(set(text)))
        self._codes = {character: code for code, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str | Sequence[str]) -> NDArray[np.intp]:
        """Return the codes of a text, or of texts of equal length.

        Parameters
        ----------
        text : str or sequence of str
            T characters, or N texts of T characters.

        Returns
        -------
        array of shape (T,) or (N, T)
            The codes.

        Raises
        ------
        ValueError
            If a character is unknown, or the texts differ in length.
        """
        if not isinstance(text, str):
            if len({len(line) for line in text}) != 1:
                came = "no texts" if not len(text) else "texts of different lengths; pad them first"
                raise ValueError(f"Characters.encode: {came}")
            return self.encode("".join(text)).reshape(len(text), -1)
        try:
            return np.fromiter((self._codes[character] for character in text), np.intp, len(text))
        except KeyError as error:
            unknown = error.args[0]
            raise ValueError(
                f"Characters.encode: {unknown!r} at {text.index(unknown)} is none of the "
                f"{len(self)} characters {self.characters[:40]!r}"
            ) from None

    def decode(self, codes: ArrayLike) -> str:
        """Return the text of some codes.

        Parameters
        ----------
        codes : array_like of shape (T,)
            The codes.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ValueError
            If a code is not one of a character.
        """
        codes = np.asarray(codes)
        if codes.size and not (codes.min() >= 0 and codes.max() < len(self)):
            raise ValueError(
                f"Characters.decode: codes are from {codes.min()} to {codes.max()}, expected 0 to "
                f"{len(self) - 1}"
            )
        return "".join(self.characters[code] for code in codes)

    def __repr__(self) -> str:
        return f"Characters({self.characters!r:.60})"


def crops(
    text: NDArray[Any], n: int, length: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return n random pieces of a text, and the same pieces one position further.

    Parameters
    ----------
    text : array of shape (T,)
        Codes. Only the pieces are copied, so it may be a `numpy.memmap`, such as
        ``np.memmap(path, np.uint8, "r")``, the bytes of a file.
    n, length : int
        Number of pieces, and their length, less than T.
    rng : numpy.random.Generator
        Draws where they begin.

    Returns
    -------
    x : array of shape (n, length)
        Inputs.
    t : array of shape (n, length)
        Targets: the next character after each.

    Raises
    ------
    ValueError
        If the text is not one row of more than `length` codes.
    """
    check_rng("crops", rng)
    if text.ndim != 1 or not 0 < length < len(text):
        raise ValueError(
            f"crops: text has shape {text.shape} and length is {length}, expected one row of more "
            "than `length` codes"
        )
    starts = rng.integers(len(text) - length, size=(n, 1))
    places = starts + np.arange(length + 1)
    pieces = np.asarray(text[places])
    return pieces[:, :-1], pieces[:, 1:]


def language_reference() -> str:
    """Return Python's own language reference, a text of about half a million characters.

    It is part of the standard library, `pydoc_data.topics`, and differs between versions.

    Returns
    -------
    str
        The text.
    """
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def additions(n: int, rng: np.random.Generator, digits: int = 3) -> tuple[list[str], list[str]]:
    """Return n additions such as ``"57+5   "`` and their sums ``"62  "``, padded with blanks.

    Parameters
    ----------
    n : int
        Number of additions; some may be equal.
    rng : numpy.random.Generator
        Draws first the number of digits of each term, then the digits.
    digits : int, default 3
        Maximum number of digits of a term, at most 18.

    Returns
    -------
    questions : list of str
        The additions, each of ``2 digits + 1`` characters.
    answers : list of str
        The sums, each of ``digits + 1`` characters.

    Raises
    ------
    ValueError
        If `digits` is below 1 or above 18.
    """
    check_rng("additions", rng)
    if not 1 <= index(digits) <= 18:  # 10^19 is beyond int64
        raise ValueError(f"additions: digits is {digits}, expected 1 to 18")
    terms = rng.integers(10 ** rng.integers(1, digits + 1, size=(index(n), 2)))
    sums = [f"{a}+{b}".ljust(2 * digits + 1) for a, b in terms]
    return sums, [str(a + b).ljust(digits + 1) for a, b in terms]


def dates(n: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return n written dates such as ``"March 27, 1998"`` and ISO's ``"1998-03-27"``.

    They lie between 1950 and 2049, are written in one of four ways, and padded with blanks.

    Parameters
    ----------
    n : int
        Number of dates; some may be equal.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    written : list of str
        The dates, each of 18 characters.
    iso : list of str
        The same in ISO's form, each of 10 characters.
    """
    check_rng("dates", rng)
    first, last = date(1950, 1, 1), date(2049, 12, 31)
    days = [first + timedelta(int(k)) for k in rng.integers((last - first).days + 1, size=index(n))]
    ways = rng.integers(4, size=len(days))
    written = [_ways(day)[way].ljust(18) for day, way in zip(days, ways, strict=True)]
    return written, [day.isoformat() for day in days]


def _ways(day: date) -> tuple[str, ...]:
    month = _MONTHS[day.month - 1]
    return (
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month[:3]} {day.year}",
        f"{day.day}.{day.month}.{day.year}",
    )
