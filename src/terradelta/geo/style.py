"""How QGIS draws the changes: outlines in the colour of the date whose mask they are.

``both`` is that of a trained detector, which draws one outline for either date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pyarrow
import pyogrio

COLOURS = {"before": (255, 150, 30), "after": (0, 225, 255), "both": (255, 80, 200)}
LABELS = {"before": "mask of before", "after": "mask of after", "both": "change"}
LINE_MM = 0.5
STYLE_NAME = "changes by date"


def changes_qml() -> str:
    """A QGIS style (QML) of a polygon layer with the column ``date``."""
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    renderer = ElementTree.SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr="date", enableorderby="0"
    )
    categories = ElementTree.SubElement(renderer, "categories")
    symbols = ElementTree.SubElement(renderer, "symbols")
    for number, (date, colour) in enumerate(COLOURS.items()):
        ElementTree.SubElement(
            categories,
            "category",
            value=date,
            symbol=str(number),
            label=LABELS[date],
            render="true",
        )
        symbols.append(_outline(str(number), colour))
    ElementTree.indent(root)
    doctype = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return doctype + ElementTree.tostring(root, encoding="unicode") + "\n"


def _outline(name: str, colour: tuple[int, int, int]) -> ElementTree.Element:
    symbol = ElementTree.Element("symbol", type="fill", name=name, alpha="1")
    layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1")
    settings = {
        "style": "no",
        "outline_color": ",".join(map(str, (*colour, 255))),
        "outline_style": "solid",
        "outline_width": str(LINE_MM),
        "outline_width_unit": "MM",
    }
    options = ElementTree.SubElement(layer, "Option", type="Map")
    for key, value in settings.items():
        ElementTree.SubElement(options, "Option", type="QString", name=key, value=value)
        ElementTree.SubElement(layer, "prop", k=key, v=value)
    return symbol


def add_to_geopackage(path: Path, layer: str) -> None:
    """Store the style as the default one of a layer, in the table where QGIS looks for it."""
    row = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": layer,
        "f_geometry_column": pyogrio.read_info(path, layer=layer)["geometry_name"],
        "styleName": STYLE_NAME,
        "styleQML": changes_qml(),
        "styleSLD": "",
        "useAsDefault": True,
        "description": "Outlines in the colour of the date whose mask they are",
        "owner": "",
        "ui": "",
        "update_time": datetime.now(UTC),
    }
    pyogrio.raw.write_arrow(
        pyarrow.Table.from_pylist([row]),
        path,
        layer="layer_styles",
        driver="GPKG",
        layer_options={"DATETIME_PRECISION": "MILLISECOND"},
    )


def has_style(path: Path) -> bool:
    """Whether a GeoPackage holds a style."""
    layers = [name for name, _ in pyogrio.list_layers(path)]
    return (
        "layer_styles" in layers and pyogrio.read_info(path, layer="layer_styles")["features"] > 0
    )
