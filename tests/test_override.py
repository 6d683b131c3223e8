from clip_skip.panel import Panel
from clip_skip.prompt.override import Override


def made(override, prompt="a", panel=None, header=1.0):
    return override.panel(panel or Panel(), prompt, header)


def test_both():
    assert made(Override(2, 2)) == Panel(True, 2)
    assert made(Override(2, 2), "<clipskip:4>a", header=3.0) == Panel(True, 2)
    assert made(Override(2, 2), panel=Panel(True, 5, 6)) == Panel(True, 2)


def test_one_side_leaves_the_other_as_it_was():
    assert made(Override(prompt=2)) == Panel(True, 2, 1)
    assert made(Override(negative=2)) == Panel(True, 1, 2)
    assert made(Override(negative=2), header=3.0) == Panel(True, 3, 2)
    assert made(Override(prompt=2), "<clipskip:4>a") == Panel(True, 2, 4)
    assert made(Override(negative=2), "<clipskip:4>a") == Panel(True, 4, 2)
    assert made(Override(prompt=2), panel=Panel(True, 5, 6)) == Panel(True, 2, 6)
    assert made(Override(prompt=2), panel=Panel(True, 5)) == Panel(True, 2, 5)


def test_hires_and_clip_g():
    assert made(Override(hires=3)) == Panel(True, 1, 0, 3)
    assert made(Override(2, 2), "<clipskip:4:g=6:hires=5>a") == Panel(True, 2, 0, 5, 6)
    assert made(Override(2, 2, 1), panel=Panel(True, 2, 0, 5, 7)) == Panel(True, 2, 0, 1, 7)


def test_texts():
    prompt, negative = "<clipskip:2>a AND <clipskip:4>b", "<clipskip:3>bad"
    assert Override(prompt=5).texts(prompt, negative) == ("a AND <clipskip:4>b", negative)
    assert Override(5, 5).texts(prompt, negative) == ("a AND <clipskip:4>b", "bad")
