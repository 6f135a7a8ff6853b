"""The picture: whole, safe, and readable without colours."""

from xml.etree import ElementTree

from edge.services.correlation_picture import Cell, svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def test_every_discovery_stands_in_words_and_nothing_comes_from_elsewhere() -> None:
    drawn = svg("Title", "Note", ["TENT (main)", "CUP (main)"], ["weather.rain_mm", "season.year"],
                {(0, 0): Cell(-0.123, 0.1, 2), (1, 1): Cell(None, 0.4, 0)})  # fmt: skip
    told = texts(drawn)
    assert "-12%, 2 d" in told
    assert "40%" in told
    assert {"weather", "rain_mm", "season", "year", "TENT (main)", "CUP (main)"} <= set(told)
    for word in ("http://", "https://", "<script", "@import", "url("):
        assert word not in drawn.replace("http://www.w3.org/2000/svg", "")


def test_names_cannot_break_out_of_the_picture() -> None:
    name = '<script>alert(1)</script> & "x"'
    drawn = svg(name, name, [name], [f"a.{name}"], {(0, 0): Cell(0.5, 0.2, 0)})
    assert "<script" not in drawn
    assert any("alert" in text for text in texts(drawn))


def test_nothing_found_is_said() -> None:
    assert "Nothing was found." in texts(svg("T", "N", [], [], {}))
