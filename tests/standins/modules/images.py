from pathlib import Path

saved = []


def save_image(image, path, basename, **settings):
    saved.append((path, basename, settings))
    file = Path(path) / f"{basename}.png"
    return str(file), None
