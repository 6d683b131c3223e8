"""The Markdown of docs/ as HTML: no host is sure to have a library for it.

Pure: standard library only. Knows headings, paragraphs, lists of one level, tables, fenced code, pictures, links, code
and emphasis.
"""

from __future__ import annotations

import html
import re

__all__ = ["as_html"]

INLINE = (
    (re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)"), r'<img src="\2" alt="\1">'),
    (re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)"), r'<a href="\2">\1</a>'),
    (re.compile(r"\*\*(.+?)\*\*", re.DOTALL), r"<b>\1</b>"),
    (re.compile(r"(?<![A-Za-z0-9*])\*([^*\s][^*]*)\*(?![A-Za-z0-9*])"), r"<i>\1</i>"),
)
CODE = re.compile(r"`([^`]+)`")
ITEM = re.compile(r"(?:- |\d+\. )")


def as_html(text: str) -> str:
    parts = re.split(r"^```\w*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(
        f"<pre>{html.escape(part)}</pre>" if index % 2 else blocks(part) for index, part in enumerate(parts)
    )


def blocks(text: str) -> str:
    return "\n".join(block(one.strip("\n")) for one in re.split(r"\n\s*\n", text) if one.strip())


def block(text: str) -> str:
    heading = re.match(r"(#{1,6}) (.*)\n?", text)
    if heading:
        level, rest = len(heading[1]), text[heading.end() :]
        return f"<h{level}>{inline(heading[2])}</h{level}>" + (block(rest) if rest else "")
    if text.startswith("|"):
        return table(text.splitlines())
    if ITEM.match(text):
        items = re.split(r"\n(?=- |\d+\. )", text)
        kind = "ul" if text.startswith("- ") else "ol"
        return f"<{kind}>" + "".join(f"<li>{inline(ITEM.sub('', item, count=1))}</li>" for item in items) + f"</{kind}>"
    return f"<p>{inline(text)}</p>"


def table(lines: list[str]) -> str:
    rows = [line.strip().strip("|").split("|") for line in lines if not re.fullmatch(r"[\s|:-]+", line)]
    tagged_rows = [("th" if index == 0 else "td", row) for index, row in enumerate(rows)]
    cells = ("".join(f"<{tag}>{inline(cell.strip())}</{tag}>" for cell in row) for tag, row in tagged_rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def inline(text: str) -> str:
    pieces = CODE.split(html.escape(text))
    return "".join(f"<code>{piece}</code>" if index % 2 else emphasis(piece) for index, piece in enumerate(pieces))


def emphasis(text: str) -> str:
    for pattern, replacement in INLINE:
        text = pattern.sub(replacement, text)
    return text
