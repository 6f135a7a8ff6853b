"""``rfid3 models``: which model answers, and why; promote, roll back, verify."""

import argparse
from typing import TYPE_CHECKING, Any

from edge.cli import models_verify
from edge.cli.asking import ask, base_of
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
VERBS = (
    ("list", "every service: who answers (a model, a starter, a simple rule), and why"),
    ("show", "one service: its versions, what each learnt from, metrics, history"),
    ("promote", "let a version answer from now on"),
    ("rollback", "reject a version; the one before returns, else the simple rule"),
)
"""Verbs that ask the running daemon, each with its line of help."""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command and its verbs."""
    parser = subparsers.add_parser(
        "models",
        help="which model answers, and why: list, show, verify, promote, rollback",
        description="Models and their versions: which answers, which is tried out, and why.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    made = {
        name: verbs.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}.")
        for name, line in VERBS
    }
    listing, show, promote, rollback = (made[name] for name, _ in VERBS)
    for verb in (show, promote, rollback):
        verb.add_argument("service", metavar="SERVICE", help="demand, maintenance, quality …")
    for verb in (promote, rollback):
        verb.add_argument("--version", default="", help="which (default: the next, or the active)")
        verb.add_argument("--why", default="", help="for the history")
    for verb in (listing, show, promote, rollback):
        verb.add_argument(
            "--api",
            metavar="URL",
            default="",
            help="where the daemon listens, such as http://127.0.0.1:8099 (default: as configured)",
        )
        verb.add_argument("--json", action="store_true", help="print what the daemon said")
        add_config(verb)
    models_verify.add_parser(verbs)


def run(args: argparse.Namespace) -> int:
    """0 when it is done. Raises WrongUsage, and Rfid3Error with what the daemon said."""
    if args.verb == "verify":
        return models_verify.run(args)
    if args.verb != "list":
        _check_service(args.service)
    base = base_of(args.api) if args.api else f"http://{load_config(args, machine=False).api.bind}"
    say = {"list": _list, "show": _show, "promote": _command, "rollback": _command}[args.verb]
    told, lines = say(args, base.rstrip("/"))
    if args.json:
        import json

        print(json.dumps(told, ensure_ascii=False))
    else:
        print("\n".join(lines))
    return 0


def _check_service(name: str) -> None:
    """Raises WrongUsage for a service that there is not."""
    from edge.errors import WrongUsage
    from edge.inference.manifest import SERVICES

    if name not in SERVICES:
        raise WrongUsage(f"there is no service {name!r}\nCure: choose among {', '.join(SERVICES)}")


Said = tuple[Any, list[str]]

SPEAKERS = {
    "model": "model",
    "starter": "starter",
    "rule": "simple rule",
    "canary": "canary",
}
"""Who answers, in words."""


def _list(args: argparse.Namespace, base: str) -> Said:
    told = _ask(base, "GET", "/api/models", "services")
    lines = [
        f"{'service':12} {'answered by':12} {'version':26} {'beside':36} "
        f"{'waiting':>7} {'predictions':>11}"
    ]
    for row in told["services"]:
        beside = f"{row['beside']} ({row['beside_state']})" if row["beside"] else "-"
        lines.append(
            f"{row['service']:12} {SPEAKERS[row['answered_by']]:12} {row['answering'] or '-':26} "
            f"{beside:36} {row['waiting']:7d} {row['predictions']:11d}"
        )
    remarks = [remark for row in told["services"] for remark in _remarks(row)]
    return told, [*lines, *([""] if remarks else []), *remarks]


def _remarks(row: dict[str, Any]) -> list[str]:
    """What a person should know of a service besides its row."""
    name, made = row["service"], []
    if row["why"]:
        made.append(f"{name}: {row['rule']}, because {row['why']}")
    if row["answered_by"] == "starter":
        made.append(f"{name}: a starter, which learnt from {row['trained_on']}")
    if row["canary_share"]:
        made.append(f"{name}: {row['beside']} answers for {row['canary_share']:.0%} of the keys")
    if row["stale"]:
        made.append(
            f"{name}: {row['stale']} of its predictions rest on features older than "
            "models.feature_stale_h"
        )
    return made


def _show(args: argparse.Namespace, base: str) -> Said:
    told = _ask(base, "GET", f"/api/models/{_quoted(args.service)}", "model")
    model = told["model"]
    row = model["service"]
    lines = [
        f"{row['service']}, of every {row['entity']}; without a model: {row['rule']}",
        f"answered by: {SPEAKERS[row['answered_by']]}{f', because {w}' if (w := row['why']) else ''}",
        f"active {row['active'] or '-'}, asked now {row['answering'] or '-'}",
        "",
        "versions, newest first",
    ]
    for version in model["versions"]:
        lines += _version(version)
    lines += _worst(model["worst"])
    lines += ["", "history, newest first"]
    lines += [
        f"  {_when(h['at_ms'])}  {h['version']}  {h['state']}  {h['who']}: {h['why']}"
        for h in model["history"][:20]
    ]
    return told, lines


def _worst(classes: list[dict[str, Any]]) -> list[str]:
    """Where the active version's errors weigh most."""
    if not classes:
        return []
    return ["", "its errors weigh most at, by question"] + [
        f"  {c['question']}  {c['sku']} ({c['store']}): off by {c['absolute_error_mean']:.3g} of "
        f"{c['actual_mean']:.3g} on average, {c['error_mean']:+.3g} with its sign; "
        f"{c['answers']:,} answers"
        for c in classes
    ]


def _version(version: dict[str, Any]) -> list[str]:
    """One version: who brought it, what it learnt from, its metrics beside those of simple rules."""
    words = [version["state"], version["kind"], version["origin"]]
    words += ["a quick look"] if version["quick"] else []
    lines = [f"  {version['version']}  {'  '.join(word for word in words if word)}"]
    if version["why"]:
        lines.append(f"    {version['who']}: {version['why']}")
    if version["origin"]:
        span = " to ".join(day for day in (version["trained_from"], version["trained_to"]) if day)
        lines.append(f"    trained on: {version['trained_on']}")
        lines.append(
            f"    span: {span or 'no days'}; {version['rows']:,} rows of {version['entities']:,}; "
            f"reason: {version['reason']}"
        )
    if version["metrics"]:
        lines.append("    metrics on days it had not seen (simple rules on the same)")
    lines += [f"      {_metric(version, name)}" for name in sorted(version["metrics"])]
    if field := version["field"]:
        rule = f" (the simple rule {loss:.4g})" if (loss := field["baseline_loss"]) else ""
        lines.append(f"    here: loss {field['loss']:.4g}{rule} over {field['rows']:,} predictions")
    return lines


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
    told = _ask(base, "POST", path, "applied")
    if not told["applied"]:
        return told, ["It is in the journal, and will be applied as soon as its turn comes."]
    lines = [f"{args.service}: active {told['active'] or 'none: the simple rule answers'}"]
    if told["answering"] != told["active"]:
        lines.append(f"asked until it is loaded: {told['answering'] or 'the simple rule'}")
    return told, lines


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _ask(base: str, method: str, path: str, wanted: str) -> Any:
    """The daemon's answer, an object with the member ``wanted``. Raises Rfid3Error."""
    import json

    from edge.errors import Rfid3Error

    try:
        told = json.loads(ask(base, method, path, None, "", TIMEOUT_S).body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or wanted not in told:
        raise Rfid3Error(
            f"what answers at {base} is no rfid3, or one of another version.\n"
            "Cure: say where the daemon listens (--api, or bind in [api])"
        )
    return told
