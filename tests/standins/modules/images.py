saved = []


def save_image(image, path, basename, **settings):
    saved.append((path, basename, settings))
