"""Checks of interactive elements: buttons, menus and inputs."""

from tests.fakes.blockkit.shapes import Check, Shape, by_type, flag, list_of, markdown, number, one_of, plain, text

ID, BUTTON_TEXT, BUTTON_VALUE, URL, LABEL = 255, 75, 2_000, 3_000, 75
OPTION_TEXT, OPTION_VALUE, OPTIONS, GROUPS, PLACEHOLDER, OVERFLOW, CHOICES = 75, 150, 100, 100, 150, 5, 10

OPTION = Shape({"text": plain(OPTION_TEXT), "value": text(OPTION_VALUE)}, {"description": plain(OPTION_TEXT)})
GROUP = Shape({"label": plain(OPTION_TEXT), "options": list_of(OPTION, OPTIONS)})
CONFIRM = Shape(
    {"title": plain(100), "text": plain(300), "confirm": plain(30), "deny": plain(30)},
    {"style": one_of("primary", "danger")},
)
_SELECT: dict[str, Check] = {"placeholder": plain(PLACEHOLDER), "confirm": CONFIRM, "focus_on_load": flag}
_ENTRY: dict[str, Check] = {"placeholder": plain(PLACEHOLDER), "focus_on_load": flag}


def _shape(kind: str, needed: dict[str, Check], allowed: dict[str, Check], either: tuple[str, ...] = ()) -> Check:
    return Shape({"type": one_of(kind), "action_id": text(ID), **needed}, allowed, either)


PRESSED: dict[str, Check] = {
    "button": _shape(
        "button",
        {"text": plain(BUTTON_TEXT)},
        {
            "value": text(BUTTON_VALUE),
            "url": text(URL),
            "style": one_of("primary", "danger"),
            "accessibility_label": text(LABEL),
            "confirm": CONFIRM,
        },
    ),
    "overflow": _shape("overflow", {"options": list_of(OPTION, OVERFLOW)}, {"confirm": CONFIRM}),
}
CHOSEN: dict[str, Check] = {
    "static_select": _shape(
        "static_select",
        {},
        {
            "options": list_of(OPTION, OPTIONS),
            "option_groups": list_of(GROUP, GROUPS),
            "initial_option": OPTION,
            **_SELECT,
        },
        ("options", "option_groups"),
    ),
    "conversations_select": _shape("conversations_select", {}, {"initial_conversation": text(ID), **_SELECT}),
    "users_select": _shape("users_select", {}, {"initial_user": text(ID), **_SELECT}),
    "timepicker": _shape("timepicker", {}, {"initial_time": text(5), "timezone": text(ID), **_SELECT}),
    "datepicker": _shape("datepicker", {}, {"initial_date": text(10), **_SELECT}),
    "radio_buttons": _shape(
        "radio_buttons", {"options": list_of(OPTION, CHOICES)}, {"initial_option": OPTION, "confirm": CONFIRM}
    ),
    "checkboxes": _shape(
        "checkboxes",
        {"options": list_of(OPTION, CHOICES)},
        {"initial_options": list_of(OPTION, CHOICES), "confirm": CONFIRM},
    ),
}
ENTERED: dict[str, Check] = {
    "plain_text_input": _shape(
        "plain_text_input",
        {},
        {
            "initial_value": text(3_000),
            "multiline": flag,
            "min_length": number,
            "max_length": number,
            "dispatch_action_config": Shape(
                {"trigger_actions_on": list_of(one_of("on_enter_pressed", "on_character_entered"), 2)}
            ),
            **_ENTRY,
        },
    ),
    "number_input": _shape(
        "number_input", {"is_decimal_allowed": flag}, {"initial_value": text(50), "min_value": text(50), **_ENTRY}
    ),
}
IMAGE = Shape(
    {"type": one_of("image"), "alt_text": text(2_000)},
    {"image_url": text(URL), "slack_file": Shape({}, {"id": text(ID), "url": text(URL)}, ("id", "url"))},
    ("image_url", "slack_file"),
)
IN_ACTIONS = by_type({**PRESSED, **CHOSEN}, "element")
IN_SECTION = by_type({**PRESSED, **CHOSEN, "image": IMAGE}, "element")
IN_INPUT = by_type({**CHOSEN, **ENTERED}, "element")
IN_CONTEXT = by_type({"mrkdwn": markdown(2_000), "plain_text": plain(2_000), "image": IMAGE}, "element")
