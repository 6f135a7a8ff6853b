"""Docstrings of record fields, read from the source: what msgspec's JSON schemas leave out."""

import ast
import inspect
from functools import cache
from itertools import pairwise
from types import ModuleType


@cache
def _module_fields(module: ModuleType) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(module))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {node.name: _class_fields(node) for node in classes}


def _class_fields(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: inspect.cleandoc(doc.value.value)
        for field, doc in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(doc, ast.Expr)
        and isinstance(doc.value, ast.Constant)
        and isinstance(doc.value.value, str)
    }


def field_descriptions(record: type) -> dict[str, str]:
    """Field name on the wire -> the docstring that follows the field, inherited ones too.

    >>> from edge.events import TagRead
    >>> field_descriptions(TagRead)["id"][:23]
    "The sender's own event "
    """
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        module = inspect.getmodule(base)
        if module is not None and base.__module__.startswith("edge."):
            found.update(_module_fields(module).get(base.__name__, {}))
    wire = dict(
        zip(
            getattr(record, "__struct_fields__", ()),
            getattr(record, "__struct_encode_fields__", ()),
            strict=True,
        )
    )
    return {wire.get(name, name): text for name, text in found.items()}
