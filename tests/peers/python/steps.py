"""What the scripts here share: they run their steps in order, until one fails."""

import sys


class Failed(Exception):
    """What a step found is not what it wanted."""


def same(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what} is {got!r:.200}, not {wanted!r:.200}")


def named(functions):
    """Steps under the names of their functions."""
    return {function.__name__.replace("_", "-"): function for function in functions}


def run(steps, client, errors):
    """Runs each step with the client, whose exceptions are `errors`, and returns the exit code."""
    for name, step in steps.items():
        try:
            step(client)
        except Failed as error:
            print(f"failed {name}: {error}", file=sys.stderr)
            return 1
        except errors as error:
            print(f"failed {name}: {describe(error)}", file=sys.stderr)
            return 1
        print(f"ok {name}", flush=True)
    return 0


def describe(error):
    """An exception with its call and answer where it has them: what is needed to find it in a log."""
    call = answer = ""
    response = getattr(error, "response", None)
    if response is not None:
        call = f"{response.request.method} {response.request.url}: "
        answer = f"{response.status_code} {response.headers.get('x-ms-error-code', 'without an error code')}: "
    return f"{call}{answer}{type(error).__name__}: {error}"
