from typing import Any

from PIL import Image

def save_image(image: Image.Image, path: str, basename: str, **settings: Any) -> tuple[str | None, str | None]: ...
