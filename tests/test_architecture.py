"""The arrows between modules, folders and headers, drawn from the sources and compared with the tables here.

Each checker gives one line for a broken arrow, "file:line: what, and the rule". The last part plants
breaches in a small tree and expects each of them to be found, so that an empty answer means something.
"""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "registry", "plugins", "machine")

# Who may import what of ours; the first row that fits a module holds. `dovetail.` is left out; `!` takes a
# name out again. What stands under `if TYPE_CHECKING` is not imported.
ARROWS = [
    ("core.errors", "_native"),
    ("core.types", "_native core.errors core.dims core.named core.strict"),
    ("core*", "_native core.*"),
    ("plugins.builtin", "plugins core.*"),
    # rewrites of operators that are no single layer: the kit, and each other
    (
        "plugins.builtin._onnx*",
        "plugins plugins.* core.* !plugins.builtin !plugins.builtin.[!_]* !plugins.builtin._[!o]*",
    ),
    # passes over the graph: the kit, and neither layers nor each other
    ("plugins.builtin._graph*", "plugins plugins.* core.* !plugins.builtin*"),
    (
        "plugins.builtin.*",
        "plugins plugins.* core.* !plugins.builtin !plugins.builtin.[!_]* !plugins.builtin._onnx*"
        " !plugins.builtin._graph*",
    ),
    ("plugins*", "plugins plugins.* core.* !plugins.builtin*"),
    ("registry.library_*", "registry.* core.* _native"),
    ("registry.native_tables", "core.* _native"),
    ("registry*", "registry registry.* core.*"),
    ("machine.plan", "core.* machine.report _native"),
    ("machine.devices", "core.* _native"),
    ("machine.device_array", "core.* _native"),
    ("machine.runtime", "core.* machine.* registry.loader _native !machine.network !machine.builder*"),
    ("machine.engine", "core.* machine.* _native !machine.network !machine.builder*"),
    ("machine.*context", "core.* machine.* _native !machine.network !machine.builder* !machine.engine"),
    ("machine.arrays", "core.* machine.* _native !machine.network !machine.builder* !machine.engine !machine.*context"),
    ("machine.builder", "core.* machine.* registry.loader _native"),
    ("machine.builder.pipeline", "core.* machine.* !machine.engine !machine.context"),
    # a pass gets what it needs from services, and services know no pass
    ("machine.builder.*", "core.* machine.* _native !machine.engine !machine.context !machine.builder.passes*"),
    ("machine.model_source", "core.* machine.* registry.loader"),
    ("machine.plan_cache", "core.* machine.* _native"),
    ("machine.timing_cache", "core.* machine.plan _native"),
    ("machine.api", "*"),
    ("machine.facade", "machine.api"),
    ("machine.tensorrt", "machine.api core.failures"),
    ("machine.testing*", "*"),
    ("machine.cli*", "*"),
    ("machine*", "core.* machine.*"),
]
FOR_TESTS_ONLY = "machine.testing* machine.cli*"  # and for each other

# Distributions that a package may use beside the standard library.
DISTRIBUTIONS = [
    ("core*", "numpy ml_dtypes"),
    ("registry*", "pluggy numpy"),
    ("plugins*", "pluggy numpy ml_dtypes"),
    ("machine.testing*", "numpy pytest"),
    ("machine.onnx*", "numpy onnx"),
    ("machine.model_source", "onnx"),
    ("machine*", "pluggy numpy ml_dtypes safetensors"),
]

# What is installed of csrc/include, for plugins and programs outside this repository; nothing else may stand there.
INSTALLED = """plugin.h plugin.hpp device.h device.hpp runtime.h runtime.hpp cuda.hpp plugin.cmake plugin.map
    epilogue.hpp epilogue.cuh epilogue_program.h epilogue_tile.hpp tile_math.hpp tile_vectors.hpp detail/base.hpp
    detail/epilogue_vectors.hpp detail/fields.hpp detail/host_device.hpp detail/isa.hpp detail/rows.hpp
    detail/shapes.hpp detail/views.hpp detail/v2.hpp detail/v2_register.hpp detail/v2_table.hpp"""

# The families of code that several layers use, csrc/kernels/<family>, each with the families that it may use.
FAMILIES = {
    "simd": "",
    "cuda": "",
    "spec": "",
    "layout": "simd",
    "reduce": "simd",
    "copy": "layout simd spec",
    "pointwise": "layout simd",
    "conversion": "pointwise layout simd",
    "gemm": "layout simd cuda",
    "convolve": "layout simd cuda spec",
    "quantized": "layout simd",
    "recurrent": "gemm layout simd spec",
}

# What a file of csrc may include beside the standard headers; the first row that fits holds. Files of one folder may
# always name each other without it.
INCLUDES = [
    ("csrc/include/*", "dovetail/*"),
    ("csrc/runtime/*", "dovetail/* runtime/* nlohmann/*"),
    *((f"csrc/kernels/{name}/*", " ".join(f"kernels/{family}/*" for family in [name, *below.split()]) + " dovetail/*")
      for name, below in FAMILIES.items()),
    ("csrc/plugins/*", "dovetail/* kernels/*"),
    ("csrc/onednn/*", "dovetail/* plugins/*"),
    ("csrc/bindings/*", "dovetail/* runtime/* bindings/* pybind11/* Python.h"),
    ("csrc/tests/*", "dovetail/* kernels/layout/* runtime/* nlohmann/*"),
]  # fmt: skip
OURS = "dovetail/* runtime/* kernels/* plugins/* bindings/* tests/* nlohmann/* pybind11/* Python.h"

# Where the functions of a folder's headers may be defined; elsewhere only in that folder itself.
DEFINED_IN = {"csrc/include/dovetail": "csrc/runtime"}  # the runtime's C interface

# cpu_generic*.hpp are compiled once per instruction set, with all that they include.
ISA_INCLUDES = """kernels/* dovetail/plugin.h dovetail/detail/host_device.hpp dovetail/epilogue_program.h
    dovetail/epilogue_tile.hpp dovetail/tile_math.hpp dovetail/tile_vectors.hpp
    dovetail/detail/epilogue_vectors.hpp dovetail/detail/isa.hpp"""
# Headers whose templates are inline and shared: a copy compiled for one instruction set could be the one that
# the linker keeps for all.
CONTAINERS = """<algorithm> <array> <deque> <functional> <iostream> <list> <map> <memory> <numeric> <optional>
    <queue> <set> <span> <sstream> <string> <string_view> <tuple> <unordered_map> <variant> <vector>"""

MODULE_OF_A_LAYER = re.compile(r"[\w.]*plugins\.builtin\.\w+")

# Layers without a folder in csrc/plugins, each with the reason.
PURE_PYTHON: dict[str, str] = {"assertion": "its condition becomes one of the plan's; nothing is computed"}


def fits(name: str, patterns: str) -> bool:
    taken_out = any(fnmatchcase(name, pattern[1:]) for pattern in patterns.split() if pattern[0] == "!")
    return not taken_out and any(fnmatchcase(name, pattern) for pattern in patterns.split())


def row(table: list[tuple[str, str]], name: str) -> str:
    return next((may for who, may in table if fnmatchcase(name, who)), "nothing")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(root: Path) -> dict[str, Path]:
    """All modules of the four packages by name, without the leading `dovetail.`."""
    paths = [path for name in PACKAGES for path in sorted((root / name).rglob("*.py"))]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, paths, strict=True)}


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield child
            yield from executed(child)


def imports(path: Path, module: str, known: set[str]) -> Iterator[tuple[int, str]]:
    """(line, dotted target) of every import, anywhere; `from a import b` is a.b if that is a module."""
    known = {f"dovetail.{name}" for name in known} | {"dovetail._native"}
    for node in executed(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".") + ["__init__"] * (path.name == "__init__.py")
                base = ".".join(["dovetail", *parts[: -node.level], *filter(None, [base])])
            targets = {f"{base}.{alias.name}" for alias in node.names}
            yield from ((node.lineno, target) for target in sorted(targets & known or {base}))


def import_breaches(root: Path) -> Iterator[str]:
    modules = sources(root)
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        may, may_use = row(ARROWS, module), row(DISTRIBUTIONS, module)
        for line, target in imports(path, module, set(modules)):
            where, top = f"{path.relative_to(root)}:{line}", target.split(".")[0]
            inner = target.removeprefix("dovetail.")
            if top in PACKAGES:
                yield f"{where}: imports {target}, a second copy of every class; write dovetail.{target}"
            elif top == "dovetail" and inner != module:
                graph.setdefault(module, set()).add(inner)
                if not fits(inner, may):
                    yield f"{where}: {module} may not import {inner}; only {may}"
                elif fits(inner, FOR_TESTS_ONLY) and not fits(module, FOR_TESTS_ONLY):
                    yield f"{where}: {module} may not import {inner}, which is for tests and the command"
            elif top not in {*sys.stdlib_module_names, "dovetail"} and not fits(top, may_use):
                yield f"{where}: {module} may not import the distribution {top}; only {may_use}"
        yield from relative_breaches(path, root)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1]
        yield f"{modules[cycle[0]].relative_to(root)}:1: modules import each other: {' <- '.join(cycle)}"


def relative_breaches(path: Path, root: Path) -> Iterator[str]:
    where = path.relative_to(root)
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level >= len(where.parts):
            yield f"{where}:{node.lineno}: a relative import leaves its package; write dovetail.<package>"


def layer_modules(root: Path) -> dict[str, Path]:
    """The layers: modules of plugins/builtin without a leading underscore."""
    return {path.stem: path for path in sorted((root / "plugins/builtin").glob("[!_]*.py"))}


def letters(name: str) -> str:
    """What a module and its op share: `matrix_multiply` and `MatrixMultiply` have the same letters."""
    return name.replace("_", "").lower()


def naming_breaches(root: Path) -> Iterator[str]:
    """Built-in layers named outside plugins/builtin and plugins/onnx: as an op, as a module, as `add_<layer>`."""
    ops = {letters(layer) for layer in layer_modules(root)}
    name_of_op = re.compile(r"(?:\w+::)?([A-Z]\w*)(@[\w.]+)?(?:#[\w.]+)?")  # an enum's SCALE is none
    for module, path in sources(root).items():
        if fits(module, "plugins.builtin* plugins.onnx* plugins.rewrites*"):  # kits name layers, as the rewrites do
            continue
        for node in ast.walk(parse(path)):
            text = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                match = name_of_op.fullmatch(node.value)
                is_op = match and letters(match[1]) in ops and (match[2] or not match[1].isupper())
                text = node.value if is_op or MODULE_OF_A_LAYER.fullmatch(node.value) else ""
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("add_"):
                text = node.name if letters(node.name[4:].removesuffix("_nd")) in ops else ""
            if text:
                where = f"{path.relative_to(root)}:{node.lineno}"
                yield f"{where}: names a layer, {text!r}; ask the look-up for it"


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def native_sources(root: Path) -> list[Path]:
    suffixes = (".h", ".hpp", ".c", ".cpp", ".cu", ".cuh")
    return [path for path in sorted((root / "csrc").rglob("*")) if path.suffix in suffixes]


def includes(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, < or ", name) of every #include."""
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match[1], match[2]


def include_breaches(root: Path) -> Iterator[str]:
    for path in native_sources(root):
        where = path.relative_to(root).as_posix()
        may = row(INCLUDES, where)
        for line, mark, name in includes(path):
            is_ours = mark == '"' or fits(name, OURS)
            is_neighbour = "/" not in name and (path.parent / name).exists()
            if is_ours and not is_neighbour and not fits(name, f"{may} {own_layer(path, root)}"):
                yield f"{where}:{line}: may not include {name}; only {may}"


def own_layer(path: Path, root: Path) -> str:
    """What a further implementation, in a folder of its own, may include of its layer: parameters and their checks."""
    parts = path.relative_to(root / "csrc").parts
    return f"plugins/{parts[1]}/*.hpp" if parts[0] == "plugins" and len(parts) == 4 else ""


def isa_breaches(root: Path) -> Iterator[str]:
    """Code that is compiled once per instruction set, each time in a namespace of its own: it may include neither
    containers nor headers for rows, and a function outside of that namespace would be one for all sets."""
    csrc = root / "csrc"
    found = dict.fromkeys(sorted(csrc.rglob("cpu_generic*.hpp")))
    queue = list(found)
    while queue:
        path = queue.pop()
        where = path.relative_to(root).as_posix()
        for line, mark, name in includes(path):
            is_neighbour = mark == '"' and "/" not in name
            header = path.parent / name if is_neighbour else csrc / name
            header = header if header.exists() else csrc / "include" / name
            if fits(f"<{name}>", CONTAINERS):
                yield f"{where}:{line}: <{name}> is inline code shared between instruction sets"
            elif mark == '"' and not is_neighbour and not fits(name, ISA_INCLUDES):
                yield f"{where}:{line}: compiled per instruction set, may not include {name}; only {ISA_INCLUDES}"
            elif header.exists() and header not in found:
                found[header] = None
                queue.append(header)
        for line, scope, name, is_definition in functions(path):
            if is_definition and scope[:1] != ("DT_ISA",):
                yield f"{where}:{line}: {name}() stands outside of namespace DT_ISA, one for all instruction sets"


CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/                      # comments
    |^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*             # preprocessor lines
    |R"\((?:.|\n)*?\)"|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'   # strings""",
    re.S | re.M | re.X,
)
SCOPE = re.compile(r"(?:inline\s+)?namespace\b\s*(\w*)|extern\s+\"\"")
BEFORE_A_FUNCTION = re.compile(r"template\s*<[^>]*>|__attribute__\(\(\w+\)\)|__launch_bounds__\([^)]*\)")
NO_FUNCTION = re.compile(r"(?:using|typedef|return|friend|static_assert|static|extern template|struct|class|enum)\b")
HEAD = re.compile(r"[^=]*[\w&*>]\s+[&*]*((?:\w+::)*)(\w+)\s*")


def native_code(path: Path) -> str:
    """The file without comments, preprocessor lines and the contents of strings, its lines counted as before."""

    def blank(match: re.Match) -> str:
        return '""' if match[0][0] in "\"'R" else "\n" * match[0].count("\n")

    text = CODE.sub(blank, path.read_text(encoding="utf-8"))
    while match := re.search(r"\bDOVETAIL_KERNELS\(", text):  # declares what is in it for every instruction set
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        text = f"{text[: match.start()]}namespace DT_ISA {{{text[match.end() : end - 1]}}}{text[end:]}"
    return text


def functions(path: Path) -> Iterator[tuple[int, tuple[str, ...], str, bool]]:
    """(line, namespaces, name, is it the definition) of functions outside of classes and unnamed namespaces.

    The library's own namespace is left out. What other macros than DOVETAIL_KERNELS make is not seen.
    """
    text = native_code(path)
    scopes: list[str | None] = []  # None: what is inside is passed over
    start = 0
    for mark in re.finditer(r"[;{}]", text):
        statement = re.sub(r"\bDOVETAIL_(?:OPEN|CLOSE)_NAMESPACE\b", "", text[start : mark.start()]).strip()
        start = mark.end()
        if mark[0] == "}":
            scopes[-1:] = []
            continue
        scope = SCOPE.fullmatch(statement)
        plain = BEFORE_A_FUNCTION.sub("", statement).strip()
        head = HEAD.fullmatch(plain.split("(")[0]) if "(" in plain and None not in scopes else None
        if head and not NO_FUNCTION.match(plain) and not re.search(r"\bstatic\b", head[0]):
            names = [name for name in [*scopes, *head[1].split("::")] if name not in ("", "dovetail")]
            yield text.count("\n", 0, mark.start()) + 1, tuple(names), head[2], mark[0] == "{"
        if mark[0] == "{":
            is_open = scope is not None and (scope[1] or statement.startswith("extern"))
            scopes.append((scope[1] or "") if is_open else None)


def definition_breaches(root: Path) -> Iterator[str]:
    """A function that a folder of headers declares is defined there, not in a neighbour's."""
    declared: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    defined: dict[tuple[str, ...], dict[str, str]] = {}
    for path in native_sources(root):
        where, folder = path.relative_to(root).as_posix(), path.parent.relative_to(root).as_posix()
        folder = re.sub(r"^(csrc/include/dovetail).*", r"\1", folder)
        for line, scope, name, is_definition in functions(path):
            if is_definition:
                defined.setdefault((*scope, name), {})[folder] = f"{where}:{line}"
            else:
                declared.setdefault((*scope, name), []).append((folder, f"{where}:{line}"))
    for name, places in declared.items():
        homes = defined.get(name, {})
        for folder, where in places:
            if homes and not {folder, DEFINED_IN.get(folder)} & set(homes):
                yield f"{where}: {name[-1]}() is defined in another folder, at {', '.join(homes.values())}"


def isa_table_breaches(root: Path) -> Iterator[str]:
    """The two tables of instruction sets agree; a cpu_generic.hpp names what is in them, and what some kernels are
    compiled for is used by rows."""
    header, flags = root / "csrc/include/dovetail/detail/isa.hpp", root / "csrc/cmake/isas.cmake"
    in_header = re.findall(
        r"^\s*X\((\w+), .*, \d+, (all|some), __VA_ARGS__\)", header.read_text(encoding="utf-8"), re.M
    )
    in_cmake = re.findall(r"^\s*dovetail_isa\((\w+) (\w+)", flags.read_text(encoding="utf-8"), re.M)
    if in_header != in_cmake:
        where = f"{flags.relative_to(root)}:1"
        yield f"{where}: has {in_cmake}, and {header.relative_to(root)} has {in_header}"
    for path in sorted((root / "csrc").rglob("cpu_generic*.hpp")):
        where = path.relative_to(root).as_posix()
        named = re.findall(r"^// Instruction sets: (.*)\.$", path.read_text(encoding="utf-8"), re.M)
        for name in named[0].split(", ") if named else []:
            of = dict([("all", "all"), *in_header]).get(name)
            rows = [text.read_text(encoding="utf-8") for text in path.parent.glob("cpu_rows.*")]
            if of is None:
                yield f"{where}: names the instruction set {name}, which is not in {header.relative_to(root)}"
            elif name != "all" and not any(re.search(rf"\b{name}\b", text) for text in rows):
                yield f"{where}: is compiled for {name}, but no row of its folder starts such a kernel"


def installed_breaches(root: Path) -> Iterator[str]:
    folder = root / "csrc/include/dovetail"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in INSTALLED.split():
            yield f"{path.relative_to(root)}:1: is not in INSTALLED; what layers share goes to csrc/kernels/<family>"
    for path in sorted((root / "csrc").rglob("CMakeLists.txt")) + sorted((root / "csrc").rglob("*.cmake")):
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.search(r"install\s*\(\s*DIRECTORY\s+(\S+)", text)
            if match and match[1] != "include/":
                yield f"{path.relative_to(root)}:{line}: installs {match[1]}; only include/ is installed"


def op_classes(module: ast.Module) -> Iterator[ast.ClassDef]:
    """Public classes with a base that comes from dovetail.plugins."""
    authoring = {
        alias.asname or alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom) and fits(node.module or "", "dovetail.plugins dovetail.plugins.*")
        for alias in node.names
    }
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name[0] != "_" and authoring & set(map(ast.unparse, node.bases)):
            yield node


def layer_breaches(root: Path) -> Iterator[str]:
    """A layer is a module, a test and a folder of one name; the module holds one op with the same letters."""
    layers = layer_modules(root)
    for layer, path in layers.items():
        where = path.relative_to(root)
        if not (root / f"tests/builtin/test_{layer}.py").exists():
            yield f"{where}:1: has no test; add tests/builtin/test_{layer}.py"
        if layer not in PURE_PYTHON and not (root / f"csrc/plugins/{layer}").is_dir():
            yield f"{where}:1: has no kernels; add csrc/plugins/{layer}/, or say in PURE_PYTHON why not"
        plugins = list(op_classes(parse(path)))
        if letters(layer) not in {letters(node.name) for node in plugins}:
            yield f"{where}:1: has no Plugin class with the letters of {layer}"
        for node in plugins:
            if letters(node.name) != letters(layer):
                yield f"{where}:{node.lineno}: holds a second op, {node.name}; one op a module"
    for folder in sorted((root / "csrc/plugins").glob("*/")):
        if folder.name not in layers and any(folder.glob("*.cpp")):
            yield f"{folder.relative_to(root)}:1: has no module plugins/builtin/{folder.name}.py"


IMPLEMENTS = re.compile(r'^DOVETAIL_IMPLEMENTS(?:_ON)?\((?:\w+, )?"(?:[\w.]+::)?(\w+)@\w+#([\w.]+)"', re.M)


def implementation_breaches(root: Path) -> Iterator[str]:
    """The build takes every source of csrc/plugins; a folder implements its layer, and one inside of it is called as
    the implementation is: csrc/plugins/softmax/online has SoftMax@1#online."""
    for path in native_sources(root):
        parts = path.relative_to(root / "csrc").parts
        if parts[0] != "plugins" or path.suffix not in (".cpp", ".cu"):
            continue
        where = path.relative_to(root).as_posix()
        if not path.name.startswith(("cpu_", "cuda_")) or len(parts) > 4:
            yield f"{where}:1: is not compiled; sources are plugins/<layer>/[<name>/]cpu_*.cpp and cuda_*"
        text = path.read_text(encoding="utf-8")
        for found in IMPLEMENTS.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            if letters(found[1]) != letters(parts[1]):
                yield f"{where}:{line}: implements {found[1]} in the folder of {parts[1]}"
            if len(parts) == 4 and found[2] != parts[2]:
                yield f"{where}:{line}: #{found[2]} is not called {parts[2]}, as its folder is"


def statement_names(node: ast.ClassDef) -> set[str]:
    """Names that a class statement needs while it runs: bases, defaults, decorators, all but the bodies of methods."""
    parts: list[ast.AST] = [*node.bases, *node.decorator_list, *(keyword.value for keyword in node.keywords)]
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            parts += [*part.decorator_list, *part.args.defaults, *filter(None, part.args.kw_defaults)]
        else:
            parts.append(part)
    return {inner.id for part in parts for inner in ast.walk(part) if isinstance(inner, ast.Name)}


def order_breaches(root: Path) -> Iterator[str]:
    """A module of a layer has one order: the class, below constants and enumerations that it needs; its helpers;
    `# ---- ONNX` and the rewrites, whose first parameter is `node`."""
    for layer, path in layer_modules(root).items():
        where, body = path.relative_to(root), parse(path).body
        own = next((n for n in body if isinstance(n, ast.ClassDef) and letters(n.name) == letters(layer)), None)
        if own is None:
            continue
        needed = statement_names(own)
        functions = [node for node in body if isinstance(node, ast.FunctionDef)]
        for node in functions:
            if node.lineno < own.lineno and node.name not in needed:
                yield f"{where}:{node.lineno}: {node.name} stands above {own.name}; the layer's class comes first"
        lines = path.read_text(encoding="utf-8").splitlines()
        onnx = lines.index("# ---- ONNX") if "# ---- ONNX" in lines else len(lines) + 1
        for node in functions:
            if [arg.arg for arg in node.args.args][:1] == ["node"] and node.lineno < onnx:
                yield f"{where}:{node.lineno}: {node.name} makes layers of an ONNX node; put it below # ---- ONNX"


def pass_breaches(root: Path) -> Iterator[str]:
    """A pass is a module of its name, `(graph, build) -> graph`, and stands in the pipeline; no part of the builder
    reaches into the privates of another object."""
    builder = root / "machine/builder"
    pipeline = (builder / "pipeline.py").read_text(encoding="utf-8") if builder.exists() else ""
    for path in sorted((builder / "passes").glob("[!_]*.py")):
        where, name = path.relative_to(root), path.stem
        functions = [node for node in parse(path).body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
        passes = [node.name for node in functions if [arg.arg for arg in node.args.args] == ["graph", "build"]]
        if name not in passes:
            yield f"{where}:1: has no pass {name}(graph, build)"
        for found in [name, *passes]:
            if not re.search(rf"\b{found}\b", pipeline):
                yield f"{where}:1: the pass {found} does not stand in pipeline.py"
    for path in sorted(builder.rglob("*.py")):
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.Attribute) or not re.match(r"_[^_]", node.attr):
                continue
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls"):
                yield f"{path.relative_to(root)}:{node.lineno}: reaches into {owner}.{node.attr}"


CHECKERS = [
    import_breaches,
    naming_breaches,
    include_breaches,
    isa_breaches,
    definition_breaches,
    isa_table_breaches,
    installed_breaches,
    layer_breaches,
    implementation_breaches,
    order_breaches,
    pass_breaches,
]


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_sources_follow_the_tables(checker):
    assert list(checker(ROOT)) == []


def test_tests_and_examples_reach_a_layer_through_the_registry():
    found = []
    folders = [ROOT / "tests", ROOT / "examples", ROOT / "benchmarks"]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py")) if "broken" not in path.parts]
    modules = set(sources(ROOT))
    for path in paths:
        own = "dovetail.plugins.builtin." + path.stem.removeprefix("test_")
        for line, target in imports(path, "", modules):
            is_layer = fits(target, "dovetail.plugins.builtin.[!_]*") and target != own
            if is_layer or target.split(".")[0] in PACKAGES:
                found.append(f"{path.relative_to(ROOT)}:{line}: imports {target}")
    assert found == []


# ---- the checkers themselves: a small sound tree, then one breach at a time

SOUND = {
    "core/__init__.py": "",
    "core/errors.py": "from dovetail import _native\n",
    "core/types.py": "import enum\nfrom dovetail.core.errors import DTypeError\n",
    "core/contract.py": "from dovetail.core import types\n",
    "registry/native_tables.py": "from dovetail import _native\n",
    "registry/loader.py": "import pluggy\nfrom dovetail.core import contract\n",
    "plugins/__init__.py": "from dovetail.core.contract import OpSpec\n",
    "plugins/builtin/__init__.py": "from dovetail.plugins import hookimpl\n",
    "plugins/builtin/gelu.py": "from dovetail.plugins import Plugin\nclass GELU(Plugin): pass\n",
    "plugins/builtin/_onnx_ms.py": "from dovetail.plugins import onnx\n",
    "plugins/builtin/_values.py": "",
    "plugins/onnx/__init__.py": "from dovetail.core import types\n",
    "machine/plan.py": "from dovetail.core import types\n",
    "machine/testing.py": "from dovetail.core import types\n",
    "machine/cli.py": "from dovetail.machine import testing\n",
    "machine/builder/selection.py": "from dovetail.core import types\n",
    "machine/builder/passes/select_formats.py": "def select_formats(graph, build): pass\n",
    "machine/builder/passes/fold_constants.py": "def fold_constants(graph, build): pass\n",
    "machine/builder/pipeline.py": "from dovetail.machine.builder.passes import fold_constants, select_formats\n",
    "machine/network.py": '"""Gelu is named in text only."""\nfrom dovetail.core.contract import Lookup\n',
    "tests/builtin/test_gelu.py": "",
    "csrc/include/dovetail/plugin.h": "#include <stdint.h>\n",
    "csrc/runtime/engine.cpp": '#include "runtime/engine.hpp"\n#include <vector>\n#include "dovetail/x.h"\n',
    "csrc/include/dovetail/detail/isa.hpp": "X(avx2, A, 8, all, __VA_ARGS__)\nX(vnni, V, 16, some, __VA_ARGS__)\n",
    "csrc/cmake/isas.cmake": "dovetail_isa(avx2 all -mavx2)\ndovetail_isa(vnni some)\n",
    "csrc/CMakeLists.txt": "install(DIRECTORY include/ DESTINATION x)\n",
    "csrc/kernels/simd/vec.hpp": "#include <stdint.h>\n",
    "csrc/kernels/gemm/args.hpp": '#include "kernels/simd/vec.hpp"\nDOVETAIL_KERNELS(void gemm(int first);)\n',
    "csrc/kernels/gemm/cpu_generic.hpp": '#include "args.hpp"\nnamespace DT_ISA {\nvoid gemm(int first) {}\n}\n',
    "csrc/plugins/gelu/gelu.hpp": "namespace cuda {\nvoid gelu(const float* x);\n}\n",
    "csrc/plugins/gelu/cpu_rows.cpp": '#include "dovetail/plugin.hpp"\n#include "gelu.hpp"\n',
    "csrc/plugins/gelu/cpu_generic.hpp": '#include <cstdint>\n#include "kernels/gemm/args.hpp"\n',
    "csrc/plugins/gelu/fast/cpu_rows.cpp": '#include "dovetail/plugin.hpp"\n#include "plugins/gelu/gelu.hpp"\n',
    "csrc/plugins/swish/swish.hpp": "namespace cuda { void relu(int x) {} }\nnamespace DT_ISA { void tanh(int) {} }\n",
    "csrc/plugins/gelu/cuda_gelu.cu": '#include "gelu.hpp"\nvoid cuda::gelu(const float* x) {}\n',
    "csrc/bindings/module.cpp": '#include <pybind11/pybind11.h>\n#include "runtime/engine.hpp"\n',
}
PLANTED = [
    ("core/types.py", "from dovetail.registry import loader", "core.types may not import registry.loader"),
    ("core/types.py", "from dovetail.core.contract import OpSpec", "core.types may not import core.contract"),
    ("core/errors.py", "from dovetail.core import contract", "core.errors may not import core.contract"),
    ("core/types.py", "import torch", "distribution torch"),
    ("core/types.py", "def f():\n    import core.errors", "second copy"),
    ("core/types.py", "from ..registry import loader", "leaves its package"),
    ("core/contract.py", "KIND = 'GELU@1'", "names a layer"),
    ("plugins/__init__.py", "from dovetail import _native", "plugins may not import _native"),
    ("plugins/__init__.py", "import dovetail.registry.loader", "plugins may not import registry.loader"),
    (
        "plugins/builtin/gelu.py",
        "from dovetail.plugins.builtin.relu import ReLU",
        "may not import plugins.builtin",
    ),
    (
        "plugins/builtin/gelu.py",
        "from dovetail.plugins.builtin._onnx_ms import microsoft",
        "plugins.builtin.gelu may not import plugins.builtin._onnx_ms",
    ),
    (
        "plugins/builtin/_onnx_ms.py",
        "from dovetail.plugins.builtin._values import follow",
        "plugins.builtin._onnx_ms may not import plugins.builtin._values",
    ),
    ("plugins/onnx/counts.py", "from dovetail.plugins.builtin import _values", "may not import plugins.builtin"),
    ("plugins/builtin/gelu.py", "class Softmax(Plugin): pass", "second op"),
    ("plugins/builtin/gelu.py", "def gelu(node): pass", "put it below # ---- ONNX"),
    (
        "plugins/builtin/tanh.py",
        "def helper(x): pass\nclass Tanh: pass",
        "helper stands above Tanh",
    ),
    (
        "plugins/builtin/relu.py",
        "from dovetail.plugins import Plugin\nclass ReLU(Plugin): pass",
        "has no test",
    ),
    (
        "plugins/builtin/relu.py",
        "from dovetail.plugins import Plugin\nclass ReLU(Plugin): pass",
        "has no kernels",
    ),
    ("plugins/builtin/relu.py", "class Rectifier: pass", "no Plugin class"),
    (
        "registry/loader.py",
        "from dovetail.plugins.builtin import gelu",
        "may not import plugins.builtin.gelu",
    ),
    ("registry/hooks.py", "from dovetail import _native", "registry.hooks may not import _native"),
    (
        "machine/network.py",
        "from dovetail.plugins.builtin.gelu import GELU",
        "may not import plugins.builtin.gelu",
    ),
    (
        "machine/builder/passes/fold_constants.py",
        "from dovetail.machine.builder.passes.select_formats import choose",
        "may not import machine.builder.passes.select_formats",
    ),
    (
        "machine/builder/selection.py",
        "from dovetail.machine.builder.passes import select_formats",
        "may not import machine.builder.passes.select_formats",
    ),
    ("machine/builder/passes/select_formats.py", "def f(group): group._found = []", "reaches into group._found"),
    ("machine/builder/passes/select_formats.py", "def f(a): return a.b._c", "reaches into a.b._c"),
    ("machine/builder/passes/renamed.py", "def other(graph, build): pass", "has no pass renamed(graph, build)"),
    ("machine/builder/passes/renamed.py", "def renamed(graph, build): pass", "does not stand in pipeline.py"),
    ("machine/network.py", "def add_gelu(self): pass", "names a layer"),
    ("machine/network.py", "MODULE = 'dovetail.plugins.builtin.gelu'", "names a layer"),
    ("machine/network.py", "import dovetail.machine.testing", "for tests and the command"),
    ("machine/engine.py", "from dovetail.machine.network import Network", "may not import machine.network"),
    ("machine/testing.py", "from dovetail.machine import cli", "import each other"),
    ("csrc/include/dovetail/plugin.h", '#include "runtime/engine.hpp"', "may not include runtime/engine.hpp"),
    ("csrc/runtime/engine.cpp", '#include "gelu/gelu.hpp"', "may not include gelu/gelu.hpp"),
    ("csrc/runtime/engine.cpp", "#  include <Python.h>", "may not include Python.h"),
    ("csrc/runtime/engine.cpp", '#include "kernels/simd/vec.hpp"', "may not include kernels/simd/vec.hpp"),
    ("csrc/runtime/engine.cpp", '#include "plugins/gelu/gelu.hpp"', "may not include plugins/gelu/gelu.hpp"),
    ("csrc/include/dovetail/plugin.h", '#include "kernels/simd/vec.hpp"', "may not include kernels/simd/vec.hpp"),
    ("csrc/include/dovetail/format.hpp", "", "is not in INSTALLED"),
    ("csrc/cmake/isas.cmake", "dovetail_isa(neon all)", "('neon', 'all')"),
    ("csrc/kernels/gemm/cpu_generic.hpp", "// Instruction sets: all, avx3.", "names the instruction set avx3"),
    ("csrc/kernels/gemm/cpu_generic.hpp", "// Instruction sets: all, vnni.", "is compiled for vnni, but no row"),
    ("csrc/CMakeLists.txt", "install(DIRECTORY kernels/ DESTINATION x)", "installs kernels/"),
    ("csrc/kernels/simd/vec.hpp", '#include "kernels/gemm/args.hpp"', "may not include kernels/gemm/args.hpp"),
    ("csrc/kernels/gemm/args.hpp", '#include "plugins/gelu/gelu.hpp"', "may not include plugins/gelu/gelu.hpp"),
    ("csrc/kernels/gemm/args.hpp", '#include "runtime/engine.hpp"', "may not include runtime/engine.hpp"),
    ("csrc/kernels/other/args.hpp", '#include "kernels/simd/vec.hpp"', "may not include kernels/simd/vec.hpp"),
    ("csrc/plugins/gelu/cpu_rows.cpp", '#include "relu/relu.hpp"', "may not include relu/relu.hpp"),
    ("csrc/plugins/gelu/cpu_rows.cpp", '#include "plugins/relu/relu.hpp"', "may not include plugins/relu/relu.hpp"),
    ("csrc/plugins/gelu/cpu_rows.cpp", '#include "../relu/relu.hpp"', "may not include ../relu/relu.hpp"),
    (
        "csrc/plugins/gelu/fast/cpu_rows.cpp",
        '#include "plugins/relu/relu.hpp"',
        "may not include plugins/relu/relu.hpp",
    ),
    ("csrc/plugins/gelu/fast/cpu_generic.hpp", "#include <algorithm>", "shared between instruction sets"),
    (
        "csrc/plugins/gelu/fast/cpu_rows.cpp",
        'DOVETAIL_IMPLEMENTS("GELU@1#slow", Params, kRows)',
        "#slow is not called fast",
    ),
    (
        "csrc/plugins/gelu/cuda_gelu.cu",
        'DOVETAIL_IMPLEMENTS_ON(DT_DEVICE_CUDA, "acme::Swish@1#cuda", Params, kRows)',
        "implements Swish in the folder of gelu",
    ),
    ("csrc/plugins/gelu/rows.cpp", "", "is not compiled"),
    ("csrc/plugins/gelu/fast/faster/cpu_rows.cpp", "", "is not compiled"),
    ("csrc/plugins/gelu/cpu_rows.cpp", '#include "runtime/engine.hpp"', "may not include runtime/engine.hpp"),
    ("csrc/plugins/gelu/cpu_rows.cpp", "#include <pybind11/pybind11.h>", "may not include pybind11"),
    ("csrc/plugins/gelu/cpu_generic.hpp", "#include <algorithm>", "shared between instruction sets"),
    ("csrc/kernels/simd/vec.hpp", "#include <vector>", "shared between instruction sets"),
    ("csrc/kernels/gemm/args.hpp", '#include "dovetail/plugin.hpp"', "compiled per instruction set, may not include"),
    ("csrc/kernels/gemm/args.hpp", "inline int least(int a, int b) { return a; }", "least() stands outside"),
    ("csrc/plugins/gelu/gelu.hpp", "namespace cuda {\nvoid relu(int x);\n}", "relu() is defined in another folder"),
    ("csrc/kernels/gemm/args.hpp", "DOVETAIL_KERNELS(void tanh(int x);)", "tanh() is defined in another folder"),
    ("csrc/plugins/relu/cpu_rows.cpp", "", "has no module plugins/builtin/relu.py"),
    ("csrc/bindings/module.cpp", '#include "gelu/gelu.hpp"', "may not include gelu/gelu.hpp"),
]


def plant(root: Path, name: str = "core/__init__.py", line: str = "") -> list[str]:
    """Writes the sound tree and one line more, and gives what all checkers say of it."""
    for path, text in SOUND.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(SOUND.get(name, "") + line + "\n")
    return [breach for checker in CHECKERS for breach in checker(root)]


def test_a_sound_tree_has_no_breach(tmp_path):
    assert plant(tmp_path) == []


@pytest.mark.parametrize(("name", "line", "expected"), PLANTED)
def test_a_planted_breach_is_found(tmp_path, name, line, expected):
    found = plant(tmp_path, name, line)
    assert any(expected in breach and breach.startswith(name.rsplit("/", 1)[0]) for breach in found), found
