#!/usr/bin/env python3
"""Makes the PDF and Word files that the loaders of crates/documents are tested with.

    pip install reportlab==5.1.0 pypdf==7.1.0 pycryptodome python-docx
    python3 scripts/reference/document_fixtures.py crates/documents/tests/data

Files that are broken on purpose are not made here but in the tests, out of these.
"""

import sys
from pathlib import Path

import docx
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen.canvas import Canvas

PAGES = [
    ["The first page", "It tells of the office where the efficient staff", "filed nine affidavits."],
    [],
    ["The third page", "A price of 12.50 € and a naïve café."],
]


def text_pdf(path):
    """Three pages, the second without text."""
    canvas = Canvas(str(path), pagesize=A5, invariant=1)
    for lines in PAGES:
        for number, line in enumerate(lines):
            canvas.drawString(50, 500 - 16 * number, line)
        canvas.showPage()
    canvas.save()


def scanned_pdf(path):
    """One page with a drawing and no text, as a scanner without OCR makes it."""
    canvas = Canvas(str(path), pagesize=A5, invariant=1)
    canvas.rect(50, 50, 200, 300, fill=1)
    canvas.showPage()
    canvas.save()


def locked_pdf(source, path, user, algorithm):
    writer = PdfWriter(clone_from=PdfReader(source))
    writer.encrypt(user_password=user, owner_password="owner", algorithm=algorithm)
    writer.write(path)


def word(path):
    document = docx.Document()
    section = document.sections[0]
    section.header.paragraphs[0].text = "Yearly report"
    section.footer.paragraphs[0].text = "Confidential"
    document.add_heading("Harbour traffic", level=1)
    document.add_paragraph("Forty ships & two barges came <in> May.")
    table = document.add_table(rows=2, cols=3)
    for row, cells in zip(table.rows, [["Month", "Ships", "Barges"], ["May", "40", "2"]]):
        for cell, text in zip(row.cells, cells):
            cell.text = text
    paragraph = document.add_paragraph("Left\tright")
    paragraph.add_run(" and bold").bold = True
    document.save(path)


def main(folder):
    folder = Path(folder)
    text_pdf(folder / "three-pages.pdf")
    scanned_pdf(folder / "scanned.pdf")
    locked_pdf(folder / "three-pages.pdf", folder / "owner-locked.pdf", "", "RC4-128")
    locked_pdf(folder / "three-pages.pdf", folder / "owner-locked-aes.pdf", "", "AES-256")
    locked_pdf(folder / "three-pages.pdf", folder / "password.pdf", "secret", "AES-128")
    word(folder / "report.docx")


if __name__ == "__main__":
    main(sys.argv[1])
