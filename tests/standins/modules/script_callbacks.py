from collections import defaultdict

registered = defaultdict(list)


def clear():
    registered.clear()


def register(category):
    def on(callback):  # Forge Classic takes no name
        registered[category].append(callback)

    return on


on_script_unloaded = register("script_unloaded")
on_before_ui = register("before_ui")
on_before_token_counter = register("before_token_counter")
on_app_started = register("app_started")
on_ui_tabs = register("ui_tabs")
on_ui_settings = register("ui_settings")
