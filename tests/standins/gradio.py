"""Stands in for gradio: components that remember how they were made."""


class Slider:
    def __init__(self, **settings):
        self.__dict__.update(settings)
