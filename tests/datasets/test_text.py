import re
from datetime import date, datetime

import numpy as np
import pytest

from chainrule.datasets import Characters, additions, crops, dates, language_reference


def rng(seed=0):
    return np.random.default_rng(seed)


def test_characters_and_back():
    letters = Characters("hello world")
    assert letters.characters == " dehlorw"
    assert len(letters) == 8
    assert letters.decode(letters.encode("hold her")) == "hold her"
    np.testing.assert_array_equal(letters.encode(["he", "ow"]), [[3, 2], [5, 7]])
    assert letters.encode("").shape == (0,)


def test_unknown_characters_are_an_error():
    with pytest.raises(ValueError, match="'z' at 2 is none of the 2 characters 'ab'"):
        Characters("ab").encode("abz")
    with pytest.raises(ValueError, match="different lengths"):
        Characters("ab").encode(["a", "ab"])


def test_crops_are_pieces_and_what_follows():
    text = np.arange(50)
    x, t = crops(text, 20, 7, rng())
    assert x.shape == t.shape == (20, 7)
    np.testing.assert_array_equal(x, x[:, :1] + np.arange(7))
    np.testing.assert_array_equal(t, x + 1)
    assert len(np.unique(x[:, 0])) > 5


def test_crops_reach_both_ends():
    x, t = crops(np.arange(5), 200, 3, rng())
    assert (x.min(), t.max()) == (0, 4)


def test_crops_of_a_file_that_is_mapped(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(bytes(range(100)))
    x, t = crops(np.memmap(path, np.uint8, "r"), 4, 10, rng())
    assert type(x) is np.ndarray
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x[:, 1:], t[:, :-1])


@pytest.mark.parametrize("length", [0, 5, 6])
def test_crops_of_too_short_a_text(length):
    with pytest.raises(ValueError, match=rf"text has shape \(5,\) and length is {length}"):
        crops(np.arange(5), 2, length, rng())


def test_the_language_reference_is_long_and_of_few_characters():
    text = language_reference()
    assert len(text) > 300_000
    assert len(Characters(text)) < 300


def test_additions():
    sums, values = additions(500, rng())
    assert {len(s) for s in sums} == {7}
    assert {len(v) for v in values} == {4}
    for s, v in zip(sums, values, strict=True):
        a, b = s.split("+")
        assert int(a) + int(b) == int(v)
        assert max(int(a), int(b)) <= 999
    assert len({len(s.strip()) for s in sums}) == 5
    for s, v in zip(*additions(500, rng(), digits=18), strict=True):
        assert sum(map(int, s.split("+"))) == int(v)
    for digits in (0, 19, 20):
        with pytest.raises(ValueError, match=f"digits is {digits}, expected 1 to 18"):
            additions(5, rng(), digits=digits)


def test_dates():
    written, iso = dates(400, rng())
    assert {len(w) for w in written} == {18}
    ways = set()
    for w, i in zip(written, iso, strict=True):
        for way in ("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%d.%m.%Y"):
            try:
                found = datetime.strptime(w.strip(), way).date()
            except ValueError:
                continue
            ways.add(way)
            assert found == date.fromisoformat(i)
            break
        else:
            pytest.fail(f"{w!r} is written in no known way")
    assert len(ways) == 4


@pytest.mark.parametrize("draw", [additions, dates])
def test_drawn_texts_are_reproducible(draw):
    assert draw(5, rng(3)) == draw(5, rng(3))
    assert draw(5, rng(3)) != draw(5, rng(4))
    with pytest.raises(TypeError, match=re.escape(f"{draw.__name__}: rng is 0")):
        draw(5, 0)


def test_codes_of_no_character_and_no_texts_are_errors():
    with pytest.raises(ValueError, match="codes are from -1 to 0, expected 0 to 2"):
        Characters("abc").decode([0, -1])
    with pytest.raises(ValueError, match="no texts"):
        Characters("abc").encode([])
