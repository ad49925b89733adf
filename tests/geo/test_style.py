from xml.etree import ElementTree

from terradelta.geo.style import COLOURS, changes_qml


def test_every_date_has_an_outline_of_its_colour_and_no_filling() -> None:
    root = ElementTree.fromstring(changes_qml())  # noqa: S314
    renderer = root.find("renderer-v2")
    assert renderer is not None
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "date")
    symbols = {symbol.get("name"): symbol for symbol in renderer.iter("symbol")}
    found = {}
    for category in renderer.iter("category"):
        options = symbols[category.get("symbol")].findall(".//Option[@name]")
        settings = {option.get("name"): option.get("value") for option in options}
        assert settings["style"] == "no"
        found[category.get("value")] = settings["outline_color"]
    assert found == {date: f"{r},{g},{b},255" for date, (r, g, b) in COLOURS.items()}
