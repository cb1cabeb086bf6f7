"""What an HTML page consists of, and that it is whole and needs nothing from elsewhere."""

from html.parser import HTMLParser

EMPTY = {"meta", "link", "br", "img", "input", "hr"}
SVG_EMPTY = {"line", "circle", "polyline"}


class Outline(HTMLParser):
    """Elements with their attributes, and a check that every one is closed in its place."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in SVG_EMPTY
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag, **attributes):
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]


def read_outline(page):
    outline = Outline()
    outline.feed(page.read_text(encoding="utf-8"))
    assert outline.open == []
    return outline


def assert_nothing_is_fetched(page):
    text, outline = page.read_text(encoding="utf-8"), read_outline(page)
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    for tag, attributes in outline.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name, "")
            assert value == "" or value.startswith(("data:", "#")), (tag, name, value[:80])
    assert next(a["content"] for a in outline.all("meta") if a.get("http-equiv")).startswith("default-src 'none'")
