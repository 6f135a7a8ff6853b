"""``rfid3 keys``: whose models this machine believes, and keys to sign models with."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli.options import EPILOG_CONFIG, add_config, load_config

if TYPE_CHECKING:
    from edge.__main__ import Parser

EPILOG = f"""\
examples:
  rfid3 keys list -c config.toml                who may sign models for this machine
  rfid3 keys new -c workstation.toml            on the workstation that trains
  rfid3 keys trust workstation.pub -c config.toml
                                                on the machine of the shop, with the .pub file alone
  rfid3 keys remove 0123456789abcdef -c config.toml

A key's private half (.pem) stays where it was made. What this machine trains for itself is signed
by its own key, which is made and trusted when it is first needed.

{EPILOG_CONFIG}
exit codes: 0 done, 1 it could not be done, 2 wrong usage or configuration
"""


def add_parser(subparsers: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command and its four verbs."""
    parser = subparsers.add_parser(
        "keys",
        help="whose models are believed: list, make, trust and remove keys",
        description="Models are signed. Here: whose signature this machine believes.",
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    listing = verbs.add_parser("list", help="the keys here, and which are trusted")
    new = verbs.add_parser("new", help="make a key pair to sign models with")
    new.add_argument("--name", help="name of its files (default: the key's id)")
    trust = verbs.add_parser("trust", help="believe what this key signs, from now on")
    trust.add_argument("file", metavar="FILE", type=Path, help="public key (.pub, PEM)")
    remove = verbs.add_parser("remove", help="believe a key no longer")
    remove.add_argument("id", metavar="ID", help="as rfid3 keys list shows it")
    remove.add_argument("--private", action="store_true", help="delete its private half here, too")
    for verb in (listing, new, trust, remove):
        verb.add_argument("--json", action="store_true", help="print a JSON object, nothing else")
        add_config(verb)


def run(args: argparse.Namespace) -> int:
    """0 when it is done. Raises KeyProblem, WrongUsage, ConfigError."""
    from edge.inference.keys import keys_directory

    directory = keys_directory(load_config(args, machine=False).storage.directory)
    deed = {"list": _list, "new": _new, "trust": _trust, "remove": _remove}[args.verb]
    code, told, lines = deed(args, directory)
    if args.json:
        import json

        print(json.dumps(told, ensure_ascii=False))
    else:
        print("\n".join(lines))
    return code


Done = tuple[int, dict[str, Any], list[str]]
"""(exit code, for programs, for people)"""


def _list(args: argparse.Namespace, directory: Path) -> Done:
    from edge.inference import keys

    pairs, bad_pairs = keys.private_keys(directory)
    believed, bad_public = keys.trusted_keys(directory / keys.TRUSTED)
    own = {pair.id: pair for pair in pairs}
    rows: list[dict[str, Any]] = []
    lines = []
    for identity in sorted({*own, *believed}):
        path = str(own[identity].path) if identity in own else ""
        rows.append({"id": identity, "trusted": identity in believed, "signs_with": path})
        trusted = "trusted" if identity in believed else "not trusted"
        signs = f"signs here ({path})" if path else ""
        lines.append(f"{identity}  {trusted:13}{signs}".rstrip())
    if not rows:
        lines.append(f"{directory}: no keys yet; the first training makes one, or: rfid3 keys new")
    problems = [str(problem) for problem in (*bad_pairs, *bad_public)]
    lines += [f"\n{problem}" for problem in problems]
    told = {"directory": str(directory), "keys": rows, "problems": problems}
    return int(bool(problems)), told, lines


def _new(args: argparse.Namespace, directory: Path) -> Done:
    from edge.errors import WrongUsage
    from edge.inference import keys

    name = args.name
    if name is not None and (
        not name or name.startswith(".") or not name.isprintable() or "/" in name
    ):
        raise WrongUsage(f"--name {name!r} is no name for a file.\nCure: use letters and digits")
    try:
        key = keys.new_key(directory, name)
    except FileExistsError as error:
        raise keys.KeyProblem(
            f"{directory / str(name)}.pem: there is a key of this name.\n"
            "Cure: choose another --name; a key is never written over"
        ) from error
    public = key.path.with_suffix(keys.PUBLIC_SUFFIX)
    lines = [
        f"key {key.id}\n  private: {key.path} (keep it here)\n  public:  {public}",
        f"On every machine that shall believe it: rfid3 keys trust {public.name}",
    ]
    return 0, {"id": key.id, "private": str(key.path), "public": str(public)}, lines


def _trust(args: argparse.Namespace, directory: Path) -> Done:
    from edge.inference import keys

    key = keys.trust(directory, args.file)
    told = {"id": key.id, "path": str(key.path)}
    return 0, told, [f"trusted from now on: {key.id} ({key.path})"]


def _remove(args: argparse.Namespace, directory: Path) -> Done:
    from edge.inference import keys

    removed = [str(path) for path in keys.remove(directory, args.id, private=args.private)]
    if not removed:
        raise keys.KeyProblem(
            f"{directory}: {args.id} is not trusted here"
            f"{', and has no private half here' if args.private else ''}.\n"
            "Cure: rfid3 keys list shows the keys; --private deletes one that signs here"
        )
    lines = [f"removed {path}" for path in removed]
    lines.append("Folders it signed are refused from now on, whenever the door looks at one.")
    return 0, {"removed": removed}, lines
