"""The API reference: a page for every public module, from its docstrings as pdoc reads them."""

import enum
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

import jax_course
from experiments.lab.pages import about, environment

if TYPE_CHECKING:
    from pdoc.doc import Doc

# public modules that `jax_course.__all__` does not list
NOT_IN_ALL = ("checkpoint", "early_stopping", "model_files", "summaries")
LONGEST_VALUE = 100  # characters of a constant or a default, a line; EXERCISES would fill a page
MISSING = "The API reference is left out: pdoc is not installed (pip install -e '.[docs]')"


class Member(NamedTuple):
    """A function, a class with its methods, or a constant."""

    name: str  # below its module: "Solution.check"
    signature: str
    docstring: Markup
    members: "tuple[Member, ...]" = ()


def public_modules() -> dict[str, ModuleType]:
    """By public name, "linear" or "networks.costs": the modules that `__all__` leads to. Each module once."""
    found = {name: import_module(f"jax_course.{name}") for name in NOT_IN_ALL}
    waiting = [("", jax_course)]
    while waiting:
        prefix, package = waiting.pop(0)
        for name in public_names(package):
            value = getattr(package, name)
            if isinstance(value, ModuleType) and not any(value is module for module in found.values()):
                found[prefix + name] = value
                waiting.append((f"{prefix}{name}.", value))
    return dict(sorted(found.items()))


def public_names(module: ModuleType) -> list[str]:
    """`__all__`; of a module without it, what it defines itself."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return list(getattr(module, "__all__", [name for name in own if not name.startswith("_")]))


def write_reference(out: Path, modules: dict[str, ModuleType] | None = None, *, quick: bool = False) -> dict[str, str]:
    """Write the pages to out/reference. Return the address below out of every public name, "linear.fit".

    Empty where pdoc is not installed.
    """
    if not _has_pdoc():
        return {}
    modules = public_modules() if modules is None else modules
    folder, pages, made_with = out / "reference", environment(), about(quick)
    folder.mkdir(parents=True, exist_ok=True)
    entries = {name: tuple(_members(module)) for name, module in modules.items()}
    texts = {name: inspect.getdoc(module) or "" for name, module in modules.items()}
    for name, members in entries.items():
        page = pages.get_template("reference.html").render(
            name=name, docstring=docstring_html(texts[name]), members=members, about=made_with
        )
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    summaries = {name: docstring_html(text.partition("\n\n")[0]) for name, text in texts.items()}
    page = pages.get_template("reference_index.html").render(entries=entries, summaries=summaries, about=made_with)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return {
        f"{name}.{one.name}": f"reference/{name}.html#{one.name}"
        for name, members in entries.items()
        for one in members
    }


def _has_pdoc() -> bool:
    try:
        import pdoc  # noqa: F401
    except ImportError:
        return False
    return True


def docstring_html(text: str) -> Markup:
    """Paragraphs. Formulas, tables (indented or aligned by spaces) and examples stay as they stand."""

    def label(block: str) -> str:
        if block.startswith(">>>"):
            return "Example"
        return "Formulas" if block.startswith("    ") or "   " in block else ""

    parts = []
    for name, group in groupby(re.split(r"\n{2,}", text), label):
        if name:
            shown = inspect.cleandoc("\n" + "\n\n".join(group))
            parts.append(Markup('<pre tabindex="0" role="group" aria-label="{}">{}</pre>').format(name, shown))
        else:
            parts += [Markup("<p>{}</p>").format(_with_code(block)) for block in group]
    return Markup("\n").join(parts)


def _with_code(text: str) -> Markup:
    """Names between backquotes as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _members(module: ModuleType) -> Iterator[Member]:
    from pdoc.doc import Module

    names = public_names(module)
    return (_member(one) for name, one in Module(module).members.items() if name in names)


def _member(one: "Doc") -> Member:
    from pdoc.doc import Class, Function, Variable

    name = one.qualname
    if isinstance(one, Variable) and callable(one.default_value) and not isinstance(one.default_value, type):
        # what jax.jit or jax.custom_jvp made of a function
        one = Function(one.modulename, name, inspect.unwrap(one.default_value), one.taken_from)
    text = docstring_html(one.docstring)
    if isinstance(one, Function):
        return Member(name, one.name + _signature(one.signature), text)
    if isinstance(one, Class):
        if issubclass(one.obj, enum.Enum):
            return Member(name, ", ".join(one.obj.__members__), text)
        methods = tuple(_member(method) for method in one.own_members if _is_public_method(method))
        made = one.members.get("__init__")
        signature = _signature(made.signature_without_self) if isinstance(made, Function) else ""
        return Member(name, one.name + signature, text, methods)
    value = repr(one.default_value) if isinstance(one, Variable) else ""
    return Member(name, f"{one.name} = {value if len(value) <= LONGEST_VALUE else '…'}", text)


def _is_public_method(one: "Doc") -> bool:
    has_text = bool(one.docstring) and not one.docstring.startswith("Alias for field number")
    return has_text and one.kind in ("function", "variable") and not one.name.startswith("_")


def _signature(signature: inspect.Signature) -> str:
    """Names without the modules they are from, and no long default."""
    short = [
        parameter.replace(default=...) if len(repr(parameter.default)) > LONGEST_VALUE else parameter
        for parameter in signature.parameters.values()
    ]
    text = str(signature.replace(parameters=short)).replace("= Ellipsis", "= …")
    return re.sub(r"(?<![\w.'])(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text)
