class InputAccordion:
    def __init__(self, value, **settings):
        self.value = value
        self.__dict__.update(settings)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None
