"""For schemathesis: numbers as JSON writers write them."""

import schemathesis


def whole(value):
    """JSON Schema takes `25969.0` for an integer, and cannot say otherwise. PayOnce refuses it: amounts are integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    return [whole(member) for member in value] if isinstance(value, list) else value


@schemathesis.hook
def map_body(context, body):
    return whole(body)
