"""``terradelta check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json


def check(
    before: Annotated[Path, typer.Argument(help="Image of the earlier date.", metavar="BEFORE")],
    after: Annotated[Path, typer.Argument(help="Image of the later date.", metavar="AFTER")],
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for the picture (check.png) and check.json."),
    ] = None,
    json: o.JsonOption = False,
) -> None:
    """Tell whether two images may be compared: overlap, CRS, shift, radiometry, clouds.

    Exit code 0: comparable, as they are or after the corrections named. 1: do not compare.
    """
    from terradelta.geo.check_picture import draw_check
    from terradelta.geo.comparable import Verdict, check_pair
    from terradelta.geo.files import writable_folder, write_json, write_png

    if folder is not None:
        writable_folder(folder)
    found = check_pair(before, after)
    if folder is not None:
        write_png(folder / "check.png", draw_check(found))
        write_json(folder / "check.json", found.describe())
    if json:
        print_json(found.describe())
    else:
        _tell(found)
        if folder is not None:
            out.print(f"files       {folder}: check.png, check.json")
    if found.verdict is Verdict.no:
        raise typer.Exit(1)


def _tell(found: Any) -> None:
    from terradelta.geo.findings import in_words

    out.print(f"verdict     {found.verdict.value}")
    for reason in (*found.reasons, *(f"note: {note}" for note in found.notes)):
        out.print(f"            {reason}")
    height, width = found.shape
    out.print(f"grid        {width} x {height} px: {found.files['choice']}")
    if found.common is not None:
        first, second = found.common.overlap
        out.print(f"overlap     {first:.1%} of before, {second:.1%} of after")
    out.print(f"valid       {found.sample.valid_share:.1%} of the overlap in both dates")
    shift = found.shift
    if shift.measured:
        metres = found.shift_m
        ground = f" ({metres[0]:.2f} m, {metres[1]:.2f} m)" if metres else ""
        out.print(f"shift       after lies {in_words(shift.shift)}{ground}")
        if shift.residual == shift.residual:
            out.print(
                f"            residual {shift.residual:.2f} px, farthest tenth {shift.farthest:.2f} px, "
                f"{len(shift.windows)} of {shift.tried} windows found again"
            )
    else:
        out.print(f"shift       not measured ({shift.tried} windows tried)")
    if found.normalisation.trusted:
        gain, offset = found.normalisation.measured
        out.print(f"radiometry  after = {_three(gain)} x before {_three(offset, '+')} (by band)")
    else:
        out.print("radiometry  not fitted")
    out.print(f"clouds      {found.clouds[0]:.1%} of before, {found.clouds[1]:.1%} of after")


def _three(values: tuple[float, float, float], sign: str = "") -> str:
    return "(" + ", ".join(format(value, f"{sign}.4g") for value in values) + ")"
