class ExtraNetworkParams:
    items: list[str]

def parse_prompt(prompt: str) -> tuple[str, dict[str, list[ExtraNetworkParams]]]: ...
