from lab.slack.model import JSON


def check_message(blocks: list[JSON]) -> None:
    pass


def check_view(payload: JSON, kinds: tuple[str, ...]) -> None:
    pass
