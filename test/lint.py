#!/usr/bin/env python3
"""Checks what no compiler checks: FileCheck directives, relative includes, length and banners of files, names written twice.

usage: lint.py TREE [--self-test]

Prints one line per fault and exits with 1 if there is any. With --self-test it plants one
fault per rule in a small tree of its own and fails if a rule does not see it.
"""
import os
import re
import sys
import tempfile

SUFFIXES = ("NEXT", "SAME", "LABEL", "NOT", "DAG", "EMPTY", r"COUNT-\d+")
SUFFIX = "(?:-(?:" + "|".join(SUFFIXES) + "))"
MAX_LINES = 350
# Files that are longer and should be split; each may shrink, none may grow beyond its number.
LONG_FILES = {
    "lib/Codegen/CUDA/Kernels/AttentionRows.cpp": 370,
    "lib/Codegen/CUDA/Kernels/AttentionTiles.cpp": 360,
    "runtime/Cuda/CudaDevice.cpp": 380,
}
# Phases of the compiler and topics of remarks are called so too.
PLAIN_WORDS = {"attention", "gather", "quantize", "rotary"}


def sources(tree, folders, endings):
    for folder in folders:
        for root, _, names in os.walk(os.path.join(tree, folder)):
            for name in sorted(names):
                if name.endswith(endings):
                    path = os.path.join(root, name)
                    with open(path, encoding="utf-8") as file:
                        yield os.path.relpath(path, tree), file.read().splitlines()


def check_directives(tree):
    """A directive without its colon, or with a prefix that no RUN line names, checks nothing."""
    for path, lines in sources(tree, ["test"], (".mlir", ".test")):
        if path == "test/lint.test":
            continue
        runs = "\n".join(line for line in lines if not re.match(r"\s*(//|#)\s*[A-Z-]+:", line) or "RUN:" in line)
        prefixes = {"CHECK"}
        for names in re.findall(r"--?check-prefix(?:es)?[= ]([\w,-]+)", runs):
            prefixes.update(names.split(","))
        known = "|".join(map(re.escape, sorted(prefixes)))
        for number, line in enumerate(lines, 1):
            comment = re.match(r"\s*(?://|#)\s*(.*)", line)
            if not comment:
                continue
            text = comment.group(1)
            if re.match(rf"(?:{known}){SUFFIX}(?!:)(?:\s|$)", text) or re.match(rf"(?:{known})\s+\S", text):
                yield f"{path}:{number}: FileCheck directive without its colon: {text}"
            directive = re.match(rf"([A-Z][A-Z0-9_]*){SUFFIX}:", text)
            if directive and directive.group(1) not in prefixes:
                yield f"{path}:{number}: no RUN line checks the prefix {directive.group(1)}"


def top_folder(path):
    """The folder whose parts may include each other by relative names: for passes, the group of passes."""
    parts = path.split(os.sep)
    return tuple(parts[: 2 if parts[0] == "passes" else 1])


def check_includes(tree):
    """Relative includes stay within one top-level folder, and within one group of passes."""
    for path, lines in sources(tree, ["include", "lib", "passes", "runtime", "test", "tools"], (".h", ".cpp")):
        for number, line in enumerate(lines, 1):
            include = re.match(r'\s*#\s*include\s+"(\.\./[^"]*)"', line)
            if not include:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), include.group(1)))
            if top_folder(target) != top_folder(path):
                yield f"{path}:{number}: relative include across folders: {include.group(1)}"


def check_length(tree):
    """A file that does one thing is short."""
    for path, lines in sources(tree, ["include", "lib", "passes", "runtime", "tools"], (".h", ".cpp")):
        limit = LONG_FILES.get(path, MAX_LINES)
        if len(lines) > limit:
            yield f"{path}: {len(lines)} lines, but at most {limit} are allowed"


def check_blocks(tree):
    """What follows a label must say something that is there: a CHECK-NOT alone, or a label alone, passes whenever the
    pass does nothing, for whatever reason. A check with another prefix beside the label, as of a remark, will do, and a
    function without a body has nothing to check."""
    for path, lines in sources(tree, ["test"], (".mlir",)):
        runs = "\n".join(line for line in lines if "RUN:" in line)
        prefixes = {"CHECK"}
        for names in re.findall(r"--?check-prefix(?:es)?[= ]([\w,-]+)", runs):
            prefixes.update(names.split(","))
        known = "|".join(sorted(map(re.escape, prefixes), key=len, reverse=True))
        blocks, last, paragraph, open_blocks = [], {}, [], []
        for number, line in enumerate(lines, 1):
            directive = re.match(rf"\s*//\s*({known})({SUFFIX})?:", line)
            if not line.startswith("//"):
                # The comment above a function ends here; what it checks belongs together.
                has_body = not re.match(r"func\.func private @.*[^{]$", line)
                for _, suffixes in open_blocks:
                    suffixes.extend([suffix for suffix in paragraph if suffix is None] if has_body else [None])
                paragraph, open_blocks = [], []
            if not directive:
                continue
            prefix, suffix = directive.groups()
            if suffix == "-LABEL":
                last[prefix] = (number, [])
                blocks.append(last[prefix])
                open_blocks.append(last[prefix])
            else:
                paragraph.append(suffix)
                if prefix in last:
                    last[prefix][1].append(suffix)
        for number, suffixes in blocks:
            if all(suffix == "-NOT" for suffix in suffixes):
                yield f"{path}:{number}: {'only a CHECK-NOT' if suffixes else 'nothing'} is checked below this label"


def check_banners(tree):
    """A file opens with its name, what it is, and a sentence about it."""
    for path, lines in sources(tree, ["include", "lib", "passes", "runtime", "tools"], (".h", ".cpp", ".td")):
        name = re.escape(os.path.basename(path))
        if not lines or not re.match(rf"(//|/\*)===- {name} - \S.* -*===(//)?$", lines[0]):
            yield f"{path}:1: expected the banner \"//===- {os.path.basename(path)} - What it is ---===//\""
        elif len(lines) < 3 or not re.match(r"( ?\*|//)$", lines[1]) or not re.match(r"( ?\*|//) +\S", lines[2]):
            yield f"{path}:2: expected a sentence below the banner, between two lines that are empty"


def check_kernel_names(tree):
    """Kernels are operations: who needs one's name asks the operation."""
    kernels = set()
    for _, lines in sources(tree, ["include/qopt/Dialect/Kernel"], (".td",)):
        kernels.update(re.findall(r'^def Kernel_\w+Op : Kernel_\w+<"(\w+)"', "\n".join(lines), re.MULTILINE))
    if not kernels - PLAIN_WORDS:
        return
    literal = re.compile('"(' + "|".join(sorted(kernels - PLAIN_WORDS)) + ')"')
    for path, lines in sources(tree, ["include", "lib", "passes", "runtime", "tools"], (".h", ".cpp")):
        for number, line in enumerate(lines, 1):
            if literal.search(line):
                yield f"{path}:{number}: the name of a kernel as text: {line.strip()}"


def check_scheme_names(tree):
    """Schemes are descriptions: help, errors and reports take their names from there."""
    folder = "lib/Dialect/Qopt/Schemes"
    schemes = set()
    for _, lines in sources(tree, [folder], (".cpp",)):
        schemes.update(re.findall(r'\.name = "([\w-]+)"', "\n".join(lines)))
    schemes -= {"float"}  # a word of its own
    if not schemes:
        return
    literal = re.compile(r'"[^"]*\b(' + "|".join(sorted(schemes)) + r')\b[^"]*"')
    for path, lines in sources(tree, ["include", "lib", "passes", "runtime", "tools"], (".h", ".cpp")):
        for number, line in enumerate(lines, 1):
            if not path.startswith(folder) and not line.lstrip().startswith("//") and literal.search(line):
                yield f"{path}:{number}: the name of a scheme as text: {line.strip()}"


def check_page_commands(tree):
    """Whoever reads docs/Integration.md types what a test has typed before."""
    tested = set()
    for _, lines in sources(tree, ["test/Toolchain"], (".test",)):
        tested.update(re.findall(r"%blocks (\S+)", "\n".join(lines)))
    for path, lines in sources(tree, ["docs"], ("Integration.md",)):
        for number, line in enumerate(lines, 1):
            name = re.match(r"```sh(?:.* test=(\S+))?", line)
            if name and name.group(1) not in tested:
                yield f"{path}:{number}: no test runs these commands: expected test=NAME and \"%blocks NAME\" in a .test"


RULES = [
    check_directives,
    check_blocks,
    check_includes,
    check_length,
    check_banners,
    check_kernel_names,
    check_scheme_names,
    check_page_commands,
]

BANNER = "//===- a.cpp - What it is ---===//\n//\n// A sentence.\n//\n//===---===//\n"
KERNELS = "include/qopt/Dialect/Kernel/KernelOps.td"
SCHEMES, SCHEME = "lib/Dialect/Qopt/Schemes/a.cpp", BANNER + 'x{.name = "nf4"};\n'
# One tree per fault: file, its text, perhaps others, and what lint must print about it.
FAULTS = [
    ("test/a.mlir", "// RUN: x | FileCheck %s\n// CHECK-NEXT y\n", "without its colon"),
    ("test/a.mlir", "// RUN: x | FileCheck %s\n// CHECK y\n", "without its colon"),
    ("test/a.mlir", "// RUN: x | FileCheck %s --check-prefix=RTN\n// RTN-LABEL y\n", "without its colon"),
    ("test/a.mlir", "// RUN: x | FileCheck %s --check-prefix=RTN\n// RTN y\n", "without its colon"),
    ("test/a.mlir", "// RUN: x | FileCheck %s --check-prefixes=A,B\n// C-NOT: y\n", "no RUN line checks the prefix C"),
    ("lib/A/a.cpp", '#include "../../runtime/b.h"\n', "relative include across folders"),
    ("passes/Lower/a.cpp", '#include "../Raise/b.h"\n', "relative include across folders"),
    ("lib/A/a.cpp", "\n" * (MAX_LINES + 1), "but at most 350 are allowed"),
    ("test/a.mlir", "// RUN: x | FileCheck %s\n// CHECK-LABEL: f\n// CHECK-NOT: y\n", "only a CHECK-NOT"),
    ("test/a.mlir", "// RUN: x | FileCheck %s\n// CHECK-LABEL: f\n// CHECK-LABEL: g\n// CHECK: y\n", "nothing is checked"),
    ("lib/A/a.cpp", "int a;\n", "expected the banner"),
    ("lib/A/a.cpp", BANNER.replace("a.cpp", "b.cpp"), "expected the banner"),
    ("lib/A/a.cpp", BANNER.splitlines()[0] + "\nint a;\n", "expected a sentence"),
    ("docs/Integration.md", "```sh\nls\n```\n", "no test runs these commands"),
    ("docs/Integration.md", "```sh test=a\n```\n", {"test/Toolchain/a.test": "RUN: %blocks b %t\n"}, "no test runs these commands"),
    (KERNELS, 'def Kernel_FooBarOp : Kernel_Op<"foo_bar">;\n', {"lib/A/a.cpp": BANNER + 'f("foo_bar");\n'}, "name of a kernel"),
    (SCHEMES, SCHEME, {"lib/A/a.cpp": BANNER + 'f("use nf4, not this");\n'}, "name of a scheme"),
]
CLEAN = [
    ("test/a.mlir", "// RUN: x | FileCheck %s --check-prefixes=A,B\n// A: y\n// B-NOT: y\n// The prefix A.\n"),
    ("test/a.mlir", "// RUN: x | FileCheck %s\n// CHECK-LABEL: f\n// CHECK-SAME: y\n// CHECK-NOT: z\n"),
    ("test/a.mlir", "// RUN: x | FileCheck %s --check-prefixes=CHECK,A\n\n// A: y\n// CHECK-LABEL: f\n// CHECK-NOT: z\nf {\n"),
    ("test/a.mlir", "// RUN: x | FileCheck %s\n// CHECK-LABEL: f\nfunc.func private @f()\n"),
    ("lib/A/B/a.cpp", BANNER + '#include "../b.h"\n'),
    ("passes/Lower/a.cpp", BANNER + '#include "b.h"\n'),
    (SCHEMES, SCHEME, {"lib/A/a.cpp": BANNER + "// As nf4 does.\n"}),
    ("docs/Integration.md", "```sh test=a\nls\n```\n", {"test/Toolchain/a.test": "RUN: %blocks a %t\n"}),
    ("include/a.h", "/*===- a.h - For C ---===\n *\n * A sentence.\n */\n"),
]


def run(tree):
    return [fault for rule in RULES for fault in rule(tree)]


def self_test():
    failures = 0
    for path, text, *others, expected in FAULTS + [(*case, None) for case in CLEAN]:
        with tempfile.TemporaryDirectory() as tree:
            for name, content in {path: text, **(others[0] if others else {})}.items():
                os.makedirs(os.path.join(tree, os.path.dirname(name)), exist_ok=True)
                with open(os.path.join(tree, name), "w", encoding="utf-8") as file:
                    file.write(content)
            found = run(tree)
        if (expected is None and found) or (expected and not any(expected in fault for fault in found)):
            print(f"{path}: expected {expected or 'no fault'}, but got {found}: {text[:80]!r}")
            failures += 1
    return failures


def main():
    if sys.argv[2:] == ["--self-test"]:
        sys.exit(1 if self_test() else 0)
    faults = run(sys.argv[1])
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
