"""The clip skip that a description recommends, in English, Japanese, Korean or Chinese.

Every pattern is bounded, so that the time grows with the length of the text and no faster.
"""

from __future__ import annotations

import html
import re
import unicodedata

from clip_skip.made_for.recommendation import COUNTED_LAYERS

__all__ = ["mentioned"]

LONGEST_TEXT = 100_000

TERM = (
    r"(?:clip[\s_-]{0,3}skips?"
    r"|(?:clip|クリップ)[\s・_-]{0,2}スキップ"
    r"|(?:clip|클립)[\s_-]{0,2}(?:스킵|건너뛰기)"
    r"|(?:clip|剪辑|剪輯|片段)[\s_-]{0,2}(?:跳过|跳過|略過)(?:[层層][数數]?)?"
    r"|(?:跳过|跳過)[层層][数數]?"
    r"|clip[\s_-]{0,2}(?:终止|終止|停止)[层層][数數]?)"
)
PUNCTUATION = r"[\s:=>*_\"'(\[「『-]"
BETWEEN = (
    rf"{PUNCTUATION}{{0,8}}"
    r"(?:(?:(?:set|value|layers?|of|to|at|is|on)\b|は|を|に|が|の|値|推奨|設定|은|는|을|를|값|설정|권장|추천"
    r"|设置|设为|設為|建议|建議|推荐|推薦|使用|为|為|是|值|数|數)"
    rf"{PUNCTUATION}{{0,4}}){{0,3}}"
)
MORE = (
    r"(?!\d|[.,]\d|\s{0,2}\(?\s{0,2}"
    r"(?:[-–~〜/&]|or\b|to\b|and\b|か|または|や|から|或者?|至|到|和|또는|이나|나|에서)\s{0,2}\d)"
)
MENTION = re.compile(rf"{TERM}{BETWEEN}(\d+){MORE}", re.IGNORECASE)

NEGATED_BEFORE = re.compile(
    r"(?:\b(?:no|not|don.?t|never|avoid|without)\b|不要|不用|不需要|无需|無需|请勿|請勿|不建议|不建議)[^.,!?。，、！？]{0,30}\Z",
    re.IGNORECASE,
)
NEGATED_AFTER = re.compile(r"[^.!?。！？\n]{0,12}?(?:不要|使わない|しない|でなくて|非推奨|마세요|말고|아닌|불필요)")
NEAR = 50
"""Characters before and after a mention that may negate it."""


def mentioned(text: object) -> int | None:
    """The one value, from 1 to 12, that a text or HTML recommends, as in "CLIP skip: 2"; None for several or none."""
    if not isinstance(text, str):
        return None
    plain = html.unescape(re.sub(r"<[^<>]*>", " ", text[:LONGEST_TEXT]))
    plain = " ".join(unicodedata.normalize("NFKC", plain).split())
    numbers = {mention[1].lstrip("0") for mention in MENTION.finditer(plain) if not negated(plain, mention)}
    digits = numbers.pop() if len(numbers) == 1 else ""
    return int(digits) if digits.isdecimal() and len(digits) < 3 and int(digits) <= COUNTED_LAYERS["SD1"] else None


def negated(text: str, mention: re.Match[str]) -> bool:
    before = NEGATED_BEFORE.search(text, max(0, mention.start() - NEAR), mention.start())
    return bool(before or NEGATED_AFTER.match(text, mention.end(), mention.end() + NEAR))
