"""A picture of few colours: each pixel one byte, so that all pictures of the docs take a few megabytes."""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page

_MOST = 256  # colours of a PNG with a palette
_PALETTE = 3  # its colour type
# The most frequent colours stay as they are; of the others, each becomes the one of them that is nearest.
_COUNT = """async ([data, most]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = image;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(image, 0, 0);
  const pixels = pen.getImageData(0, 0, width, height).data;
  const at = (place) => (pixels[place] << 16) | (pixels[place + 1] << 8) | pixels[place + 2];
  const counts = new Map();
  for (let place = 0; place < pixels.length; place += 4) counts.set(at(place), (counts.get(at(place)) ?? 0) + 1);
  const palette = [...counts].sort((one, other) => other[1] - one[1]).slice(0, most).map(([colour]) => colour);
  const known = new Map(palette.map((colour, index) => [colour, index]));
  const far = (one, other) =>
    ((one >> 16) - (other >> 16)) ** 2 + (((one >> 8) & 255) - ((other >> 8) & 255)) ** 2 + ((one & 255) - (other & 255)) ** 2;
  const index = (colour) => {
    if (!known.has(colour)) {
      let best = 0;
      palette.forEach((one, place) => {
        if (far(one, colour) < far(palette[best], colour)) best = place;
      });
      known.set(colour, best);
    }
    return known.get(colour);
  };
  const said = new Uint8Array(width * height);
  for (let place = 0; place < said.length; place += 1) said[place] = index(at(4 * place));
  let text = "";
  for (let place = 0; place < said.length; place += 32768) text += String.fromCharCode(...said.subarray(place, place + 32768));
  return { width, height, palette, indices: btoa(text) };
}"""


async def draw_small(what: Page | Locator, path: Path) -> None:
    """Draw a page or an element into a PNG with a palette. Raises playwright's Error."""
    page = what if isinstance(what, Page) else what.page
    shot = await what.screenshot()
    blank = await page.context.new_page()
    try:
        found = await blank.evaluate(_COUNT, [base64.b64encode(shot).decode(), _MOST])
    finally:
        await blank.close()
    await asyncio.to_thread(lambda: path.write_bytes(_png(found)))


def _png(found: dict[str, Any]) -> bytes:
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[start : start + width] for start in range(0, width * height, width))
    colours = b"".join(colour.to_bytes(3, "big") for colour in found["palette"])
    head = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", colours), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
