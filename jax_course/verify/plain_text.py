"""Formulas in LaTeX as lines of text, for a terminal and for comments in code."""

import re
import unicodedata

COMMANDS = {
    "cdot": "·", "cdots": "…", "ldots": "…", "dots": "…", "mid": "|", "top": "ᵀ", "times": "×", "approx": "≈",
    "to": "→", "lambda": "λ", "Lambda": "Λ", "leq": "≤", "geq": "≥", "neq": "≠", "in": "∈", "infty": "∞", "pm": "±",
    "ell": "ℓ", "odot": "⊙", "quad": " ", "qquad": " ",
    "sum": "Σ", "prod": "Π", "int": "∫", "partial": "∂", "nabla": "∇",
    **dict.fromkeys(("left", "right", "mathrm", "mathcal", "mathbf", "text", "operatorname"), ""),
}  # fmt: skip
RAISED = str.maketrans("0123456789−+T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀ")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
OPERATORS = ("log", "exp", "sin", "cos", "tan", "tanh", "det", "max", "min", "lim", "arg")
FRACTIONS = ("frac", "tfrac", "dfrac")
UNDERSCORE = "\0"  # an underscore that lowers nothing, until all is read
ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}
TOKEN = re.compile(r"\\([a-zA-Z]+)|\\(.)|([{}^_])|(\s+)|(.)", re.DOTALL)
ATOM = re.compile(r"∂?(\d+|[^\W\d_][\u0302-\u0304]?)(_[^\W_]+|[₀-₉⁰-⁹²³¹ᵀ]|\^\[[^]]*\])*")


def plain_text(formula: str) -> str:
    r"""A formula in LaTeX as a line of text, for a terminal; as it is written where its braces do not match.

    Between backticks it is code, and the text is that code.

    >>> plain_text(r"\frac{\partial C}{\partial\theta} = \sum_i (\pi_i - y_i)\, x_i = X^\top (\pi - y)")
    '∂C/∂θ = Σ_i (π_i − y_i) x_i = Xᵀ(π − y)'
    """
    if is_code(formula):
        return formula[1:-1]
    tokens = list(TOKEN.finditer(formula))[::-1]
    try:
        text = _group(tokens)
    except (IndexError, RecursionError):
        return formula
    if tokens:
        return formula
    for pattern, shorter in ((r"\s+", " "), (r"(?<=[∂∇([]) ", ""), (r" (?=[])])", ""), (r"ᵀ (?=[\w([|∂])", "ᵀ")):
        text = re.sub(pattern, shorter, text)
    return text.replace(UNDERSCORE, "_").strip()


def is_code(formula: str) -> bool:
    """Whether a formula stands between backticks: it is code then, and no LaTeX.

    >>> is_code("`X.T @ r`"), is_code("X^T r")
    (True, False)
    """
    return len(formula) > 1 and formula[0] == formula[-1] == "`"


def _group(tokens: list[re.Match]) -> str:
    """The text up to the brace that closes the group. The next token is the last of the list, and is taken off it."""
    text, before = "", None
    while tokens and tokens[-1][3] != "}":
        command = tokens[-1][1]
        piece = _piece(tokens)
        begins = re.match(r"[^\W_ᵀ₀-₉⁰-⁹²³¹]|∂", piece) is not None
        parts = before in (*OPERATORS, *FRACTIONS) or re.search(r"[_^][^\W_]+$|[_^]\[[^]]*\]$", text) is not None
        named = command in (*OPERATORS, *FRACTIONS) and re.search(r"[^\W_]$|\)$", text) is not None
        text += (" " if (begins and parts) or named else "") + piece
        before = command
    return text


def _piece(tokens: list[re.Match]) -> str:
    """The text of the next command, index, group or character."""
    command, escaped, special, space, character = tokens.pop().groups()
    if special == "{":
        text = _group(tokens)
        tokens.pop()
        return text
    if special in ("^", "_"):
        return _index(special, _argument(tokens))
    if command in FRACTIONS:
        over, under = _argument(tokens), _argument(tokens)
        parts = re.search(r"[+−]", re.sub(r"\([^()]*\)|\[[^]]*\]", "", over[1:])) is not None
        return f"{f'({over})' if parts else over}/{under if ATOM.fullmatch(under) else f'({under})'}"
    if command == "sqrt":
        return f"√({_argument(tokens)})"
    if command in ACCENTS:
        return _argument(tokens) + ACCENTS[command]
    if command is not None:
        return COMMANDS[command] if command in COMMANDS else _greek(command)
    if escaped is not None:
        return " " if escaped in " ,;:!\\" else UNDERSCORE if escaped == "_" else escaped
    return " " if space else "−" if character == "-" else str(character)


def _greek(command: str) -> str:
    """The letter of that name; the name where it is no letter's."""
    size = "CAPITAL" if command[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {command.removeprefix('var').upper()}")
    except KeyError:
        return command


def _argument(tokens: list[re.Match]) -> str:
    while tokens[-1][4]:
        tokens.pop()
    return re.sub("∂ +", "∂", _piece(tokens).strip())


def _index(special: str, text: str) -> str:
    """A power or an index: raised or lowered where there are characters for it."""
    if special == "^" and re.fullmatch(r"[−+]?[0-9]+|[Tᵀ]", text):
        return text.translate(RAISED)
    if special == "_" and text.isdecimal():
        return text.translate(LOWERED)
    if re.fullmatch(r"\[.*\]|[^\W_]" if special == "^" else r"\[.*\]|[^\W_]+", text):
        return special + text
    return f"^({text})" if special == "^" else f"_{{{text}}}"
