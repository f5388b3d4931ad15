"""Names that the pages for maintainers and users mention exist: a page that names what was renamed fails."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import jax_course

ROOT = Path(jax_course.__file__).parent.parent
PAGES = ["docs/design.md", "docs/choosing.md", "docs/figures.md", "CONTRIBUTING.md"]


def exists(name: str) -> bool:
    """Whether `name` is a module below jax_course or an attribute of one."""
    package, _, attribute = f"jax_course.{name}".rpartition(".")
    try:
        return hasattr(import_module(package), attribute) or bool(import_module(f"jax_course.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_what_exists(page):
    dotted = set(re.findall(r"`((?:[a-z_]+\.)+[A-Za-z_0-9]+)[`(]", (ROOT / page).read_text()))
    modules = {path.stem for path in (ROOT / "jax_course").iterdir()}
    ours = {name for name in dotted if name.partition(".")[0] in modules}
    assert len(ours) > 5
    assert [name for name in sorted(ours) if not exists(name)] == []


@pytest.mark.parametrize("page", [*PAGES, "README.md", "docs/for_students.md", "docs/for_lecturers.md"])
def test_links_of_a_page_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
