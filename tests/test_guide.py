"""The documentation holds what it promises.

    test_guide.py SOURCE_DIR
    test_guide.py SOURCE_DIR BUILD_DIR CMAKE

All Markdown files: links lead somewhere. The guide: program text is verbatim from the file that a
comment above it names. With a build, the guide's commands are run, chapter after chapter as the
index orders them, and print what the guide says they do.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"(?:<!-- (?P<file>\S+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", re.M)
NUMBER = re.compile(r"[-+]?\d+\.\d+(?:e[-+]?\d+)?")
PROGRAM_KINDS = {"c", "cpp", "python"}


def dedent(text):
    """Without the indentation that all lines have in common, and without blanks at the ends."""
    lines = text.strip("\n").split("\n")
    common = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[common:].rstrip() for line in lines)


def contains(program, excerpt):
    """Whether some lines of a program are the excerpt, at whatever indentation."""
    lines, count = program.split("\n"), excerpt.count("\n") + 1
    return any(dedent("\n".join(lines[i:i + count])) == excerpt
               for i in range(len(lines) - count + 1) if lines[i].strip())


def heading_anchors(path):
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in headings}


def broken_links(path):
    for match in LINK.finditer(BLOCK.sub("", path.read_text())):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if "://" in target:
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            yield f"{path}: no file {target}"
        elif anchor and anchor not in heading_anchors(file):
            yield f"{path}: no heading #{anchor} in {file.name}"


def wrong_excerpts(path, source):
    for block in BLOCK.finditer(path.read_text()):
        if block["kind"] not in PROGRAM_KINDS:
            continue
        excerpt = dedent(block["text"])
        if not block["file"]:
            yield f"{path}: no comment says where this is from:\n{excerpt}"
        elif not contains((source / block["file"]).read_text(), excerpt):
            yield f"{path}: not in {block['file']}:\n{excerpt}"


def chapters(source):
    """The guide's chapters, in the order of the index."""
    index = source / "docs" / "README.md"
    linked = [index.parent / name for name in re.findall(r"\((guide/[\w-]+\.md)\)", index.read_text())]
    return list(dict.fromkeys(linked))


def commands(source):
    """Pairs of commands, and of what they print; None where the guide does not say."""
    for path in chapters(source):
        blocks = list(BLOCK.finditer(path.read_text()))
        for block, after in zip(blocks, blocks[1:] + [None]):
            if block["kind"] == "sh":
                yield block["text"], after["text"] if after and after["kind"] == "text" else None


def as_printed(text):
    """Numbers apart from words, for last digits differ from libtorch to libtorch."""
    words = [line.rstrip() for line in NUMBER.sub("#", text).strip().split("\n")]
    return words, [float(number) for number in NUMBER.findall(text)]


def alike(printed, promised):
    (words, numbers), (other_words, others) = as_printed(printed), as_printed(promised)
    return words == other_words and all(
        abs(a - b) <= 2e-3 * max(abs(a), abs(b)) for a, b in zip(numbers, others))


def run_commands(source, build, cmake, home):
    """Runs the commands in one shell, at home in a new folder, from a folder that looks like the
    sources. `make install` is reduced to its last step, for all has been built."""
    here = home / "neurotap-sources"
    here.mkdir()
    for name in ("docs", "examples", "tests"):
        (here / name).symlink_to(source / name)
    script = [f'make() {{ "{cmake}" --install "{build}" --prefix "${{2#PREFIX=}}" >/dev/null; }}']
    script += [f"echo @@@\n{text}" for text, _ in commands(source)]
    result = subprocess.run(
        ["bash", "-e", "-c", "\n".join(script)], cwd=here, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "HOME": str(home)})
    return result.returncode, result.stdout.split("@@@\n")[1:]


def wrong_commands(source, build, cmake):
    with tempfile.TemporaryDirectory() as home:
        status, printed = run_commands(source, build, cmake, Path(home))
    for (text, promised), output in zip(commands(source), printed):
        if promised is not None and not alike(output, promised):
            yield f"{text}printed\n{output}and not\n{promised}"
    if status != 0:
        yield f"exit status {status}, after:\n{printed[-1]}"


def main(source, build=None, cmake=None):
    guide = chapters(source)
    assert len(guide) > 5, "the index names no guide"
    pages = sorted([*source.glob("*.md"), *source.glob("docs/**/*.md")])
    failures = [line for page in pages for line in broken_links(page)]
    failures += [line for page in guide for line in wrong_excerpts(page, source)]
    failures += [f"{page}: not in docs/README.md"
                 for page in source.glob("docs/guide/*.md") if page not in guide]
    if build:
        failures += wrong_commands(source, Path(build).resolve(), cmake)
    print("\n".join(f"FAILED: {line}" for line in failures))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), *sys.argv[2:]))
