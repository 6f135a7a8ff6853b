"""``rfid3 models``: which model answers, and why; promote, roll back, verify."""

import argparse
from typing import TYPE_CHECKING, Any

from edge.cli import models_verify
from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = f"""\
examples:
  rfid3 models list -c config.toml
  rfid3 models show demand
  rfid3 models promote demand --version 20260301T020000Z-0123abcd --why "looks good"
  rfid3 models rollback demand --why "too many tents"
  rfid3 models verify var/models/demand/20260301T020000Z-0123abcd -c config.toml

All but verify ask the running daemon, where its configuration says that it listens.

{EPILOG_CONFIG}
exit codes: 0 done, 1 it could not be done, 2 wrong usage or configuration
"""
TIMEOUT_S = 30.0


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command and its verbs."""
    parser = subparsers.add_parser(
        "models",
        help="which model answers, and why: list, show, verify, promote, rollback",
        description="Models and their versions: which answers, which is tried out, and why.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    listing = verbs.add_parser("list", help="every service, and which version answers")
    show = verbs.add_parser("show", help="one service: versions, metrics, history")
    promote = verbs.add_parser("promote", help="let a version answer from now on")
    rollback = verbs.add_parser("rollback", help="reject a version; the one before returns")
    for verb in (show, promote, rollback):
        verb.add_argument("service", metavar="SERVICE", help="demand, maintenance, quality …")
    for verb in (promote, rollback):
        verb.add_argument("--version", default="", help="which (default: the next, or the active)")
        verb.add_argument("--why", default="", help="for the history")
    for verb in (listing, show, promote, rollback):
        verb.add_argument("--api", metavar="URL", default="", help="default: as configured")
        verb.add_argument("--json", action="store_true", help="print what the daemon said")
        add_config(verb)
    models_verify.add_parser(verbs)


def run(args: argparse.Namespace) -> int:
    """0 when it is done. Raises Rfid3Error with what the daemon said."""
    if args.verb == "verify":
        return models_verify.run(args)
    base = args.api or f"http://{load_config(args, machine=False).api.bind}"
    say = {"list": _list, "show": _show, "promote": _command, "rollback": _command}[args.verb]
    told, lines = say(args, base.rstrip("/"))
    if args.json:
        import json

        print(json.dumps(told, ensure_ascii=False))
    else:
        print("\n".join(lines))
    return 0


Said = tuple[Any, list[str]]


def _list(args: argparse.Namespace, base: str) -> Said:
    told = _ask(base, "GET", "/api/models")
    lines = [f"{'service':12} {'active':28} {'beside':36} {'waiting':>7} {'predictions':>11}"]
    for row in told["services"]:
        beside = f"{row['beside']} ({row['beside_state']})" if row["beside"] else "-"
        active = row["active"] or "- (simple rule)"
        lines.append(
            f"{row['service']:12} {active:28} {beside:36} "
            f"{row['waiting']:7d} {row['predictions']:11d}"
        )
    return told, lines


def _show(args: argparse.Namespace, base: str) -> Said:
    told = _ask(base, "GET", f"/api/models/{_quoted(args.service)}")
    model = told["model"]
    row = model["service"]
    lines = [
        f"{row['service']}, of every {row['entity']}; without a model: {row['rule']}",
        f"active {row['active'] or '-'}, asked now {row['answering'] or '-'}",
        "",
        "versions",
    ]
    for version in model["versions"]:
        lines.append(f"  {version['version']}  {version['state']}  {version['kind']}")
        if version["why"]:
            lines.append(f"    {version['who']}: {version['why']}")
        lines += [f"    {_metric(version, name)}" for name in sorted(version["metrics"])]
    lines += ["", "history, newest first"]
    lines += [
        f"  {_when(h['at_ms'])}  {h['version']}  {h['state']}  {h['who']}: {h['why']}"
        for h in model["history"][:20]
    ]
    return told, lines


def _metric(version: dict[str, Any], name: str) -> str:
    """One metric beside those of the simple rules."""
    rules = [f"{rule} {m[name]:.4g}" for rule, m in version["baselines"].items() if name in m]
    beside = f" ({', '.join(rules)})" if rules else ""
    return f"{name} {version['metrics'][name]:.4g}{beside}"


def _when(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _command(args: argparse.Namespace, base: str) -> Said:
    import getpass
    from urllib.parse import urlencode

    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = "cli"
    query = {"who": who} | {
        name: value for name in ("version", "why") if (value := getattr(args, name))
    }
    path = f"/api/models/{_quoted(args.service)}/{args.verb}?{urlencode(query)}"
    told = _ask(base, "POST", path)
    if not told["applied"]:
        return told, ["It is in the journal, and will be applied as soon as its turn comes."]
    lines = [f"{args.service}: active {told['active'] or 'none: the simple rule answers'}"]
    if told["answering"] != told["active"]:
        lines.append(f"asked until it is loaded: {told['answering'] or 'the simple rule'}")
    return told, lines


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _ask(base: str, method: str, path: str) -> Any:
    """The daemon's answer. Raises Rfid3Error."""
    import json
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    from edge.errors import Rfid3Error

    opener = build_opener(ProxyHandler({}))  # loopback: never through a proxy
    try:
        with opener.open(Request(base + path, method=method), timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except HTTPError as error:
        try:
            problem = json.load(error)
        except ValueError:
            problem = {}
        title, detail = problem.get("title", error.reason), problem.get("detail", "")
        raise Rfid3Error(f"{title}: {detail}\nCure: {problem.get('cure', '-')}") from None
    except (URLError, TimeoutError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Rfid3Error(f"no daemon answers at {base} ({reason}).\nCure: rfid3 run") from None
