"""Pages as a browser's parser sees them: what is markup, and what is text."""

from __future__ import annotations

from html.parser import HTMLParser

ALIVE = {
    *("script", "iframe", "img", "object", "embed", "applet", "base", "video", "audio", "source", "style", "math"),
    *("template", "noscript", "marquee", "frameset", "animate", "image", "xss", "table"),
}
"""Elements that no page of the desk has, so that one of them came from what somebody wrote."""

ADDRESSES = ("href", "src", "action", "formaction", "srcset", "xlink:href", "background", "data", "srcdoc")


class Page(HTMLParser):
    """The `text` of a page, the `values` of its fields, and `alive`: whatever in it could run, load or send elsewhere."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.alive, self.values = "", list[str](), list[str]()
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        ours = tag == "script" and [name for name, _ in attrs] == ["type", "src"] and "/static/" in (attrs[1][1] or "")
        if tag in ALIVE and not ours:
            self.alive.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "http-equiv", "autofocus"):
                self.alive.append(f"{tag} {name}")
            if name in ADDRESSES and not (value or "").startswith(("/", "?", "#")):
                self.alive.append(f"{tag} {name}={value}")
            if name == "value" and value:
                self.values.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data
