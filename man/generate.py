#!/usr/bin/env python3
"""Writes the generated parts of the manual, or checks that they are what they should be.

Between `.\\" begin NAME` and `.\\" end NAME` stands what follows from the program itself: the
methods, events and errors of rats-ipc(7) from `ratsctl protocol describe --json`, the options of
ratsd.conf(5) from `ratsd --list-config`, the functions of librats(3) from librats.h, the options
and commands' exit codes of ratsctl(1) from `ratsctl --help --json`.

    generate.py [--check] [--ratsctl PATH] [--ratsd PATH]

--check changes nothing and ends with 1 when a page differs. A page whose program is not given is
left alone.
"""
import argparse
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
HEADER = os.path.join(HERE, "..", "include", "librats.h")


def escape(text):
    """Text as mdoc shows it unchanged, in any place but the start of a macro line."""
    text = text.replace("\\", "\\e")
    text = "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))
    return text


def sentences(text):
    """One line per sentence, as mdoc wants it, each ending in a full stop."""
    text = " ".join(text.split())
    text = text[:1].upper() + text[1:]
    if text and text[-1] not in ".!?":
        text += "."
    return [escape(line) for line in re.split(r"(?<=[a-z0-9)\"]\.) (?=[A-Z])", text)]


def word(text):
    """One argument of a macro."""
    text = escape(text)
    return '"%s"' % text if " " in text or text in ("", "|", ".", ",") else text


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


# --- rats-ipc(7)


def bounds(field):
    low, high = field.get("min"), field.get("max")
    if low is None:
        return ""
    unit = {"text": " bytes", "array": " items", "words": " items"}.get(field["type"], "")
    if high is None:
        return ", at least %d%s" % (low, unit)
    return ", %d%s" % (low, unit) if low == high else ", %d to %d%s" % (low, high, unit)


def field_lines(fields):
    if not fields:
        return ["None."]
    lines = [".Bl -tag -width Ds -compact"]
    for field in fields:
        kind = field["type"] + bounds(field)
        kind += "" if field["required"] else ", optional"
        kind += ", may be null" if field.get("nullable") else ""
        lines.append(".It Va %s Pq %s" % (word(field["name"]), word(kind)))
        lines += sentences(field["summary"])
        if field.get("choices"):
            lines.append("Words: " + ", ".join(field["choices"]) + ".")
        if "default" in field:
            lines.append("Default: %s." % escape(field["default"]))
        if field.get("fields"):
            lines += field_lines(field["fields"])
    return lines + [".El"]


def version(row):
    return "%d.%d" % tuple(row["since"])


def body_lines(frame, body):
    return [".Pp"] + sentences("Body of the %s: %s" % (frame, body)) if body else []


def method_lines(methods):
    lines = []
    for row in methods:
        lines.append(".Ss %s" % row["name"])
        lines += sentences(row["summary"])
        lines.append(
            "Since %s, %s; permission: %s."
            % (version(row), row["stability"], row["permission"])
        )
        lines += [".Pp", "Parameters:"] + field_lines(row["params"])
        lines += body_lines("call", row.get("body"))
        if row.get("fds"):
            lines += [".Pp", "Descriptors with the call: at most %d." % row["fds"]]
        lines += [".Pp", "Result:"] + field_lines(row["result"])
        lines += body_lines("reply", row.get("reply_body"))
        lines += [".Pp", "Errors: " + ", ".join(row["errors"]) + "."]
        if row["api"]:
            lines.append("C functions:")
            lines += functions(row["api"])
        if row.get("ctl"):
            lines.append("Command: ratsctl %s." % row["ctl"])
    return lines


def functions(names):
    marks = [" ,"] * (len(names) - 1) + [" ."]
    return [".Fn %s%s" % (name, mark) for name, mark in zip(names, marks)]


def event_lines(events):
    lines = []
    for row in events:
        lines.append(".Ss %s" % row["name"])
        lines += sentences(row["summary"])
        if row["watched"]:
            lines.append("Only sent to sessions that asked for it by session.watch.")
        lines.append("Since %s." % version(row))
        if row.get("callback"):
            lines += ["C functions:"] + functions([row["callback"]])
        lines += [".Pp", "Fields:"] + field_lines(row["fields"])
        lines += body_lines("event", row.get("body"))
    return lines


def error_lines(errors):
    lines = [".Bl -tag -width Ds"]
    for row in errors:
        lines.append(
            ".It Er %s Pq %s" % (row["name"], word("code %d, %s" % (row["code"], row["exception"])))
        )
        lines += sentences(row["meaning"])
    return lines + [".El"]


def ipc_sections(ratsctl):
    table = json.loads(run(ratsctl, "protocol", "describe", "--json"))
    return {
        "methods": method_lines(table["methods"]),
        "events": event_lines(table["events"]),
        "errors": error_lines(table["errors"]),
    }


# --- ratsd.conf(5)


def config_sections(ratsd):
    lines = []
    summary = []
    for line in run(ratsd, "--list-config").split("\n"):
        section = re.fullmatch(r"\[([a-z0-9_]+)\]", line)
        option = re.fullmatch(r"# ([a-z0-9_]+) =(.*)", line)
        if section:
            lines += [".El"] if lines else []
            lines += [".Ss [%s]" % section.group(1), ".Bl -tag -width Ds"]
        elif option:
            value = option.group(2).strip()
            lines.append(".It Cm %s No = %s" % (option.group(1), word(value) if value else "\\&"))
            lines += sentences(" ".join(summary))
            summary = []
        elif line.startswith("# "):
            summary.append(line[2:])
    return {"options": lines + [".El"]}


# --- librats(3)


def prototype(declaration):
    """("type name", [parameters]) of a declaration without its semicolon."""
    declaration = " ".join(declaration.split())
    head, parameters = re.fullmatch(r"(.*?)\((.*)\)", declaration).groups()
    return head.replace("* ", "*"), [] if parameters == "void" else parameters.split(", ")


def header_sections():
    with open(HEADER, encoding="utf-8") as file:
        text = file.read()
    lines = []
    parts = re.finditer(
        r"^/\* -{5,} ([a-z ]+?) -+\s*\*/|^/\*\*\n((?:(?!\*/).)*?)\*/\nRATS_API ([^;]+);",
        text,
        re.S | re.M,
    )
    for part in parts:
        group, comment, declaration = part.groups()
        if group:
            lines += [".El"] if lines else []
            lines += [".Ss %s" % (group[:1].upper() + group[1:]), ".Bl -tag -width Ds"]
            continue
        name, parameters = prototype(declaration)
        lines.append(".It Fn %s" % " ".join(['"%s"' % item for item in [name] + parameters]))
        body = re.sub(r"^ \* ?", "", comment, flags=re.M)
        lines += sentences(body.split("\n\n")[0])
    return {"functions": lines + [".El"]}


# --- ratsctl(1)


def control_sections(ratsctl):
    table = json.loads(run(ratsctl, "--help", "--json"))
    lines = [".Bl -tag -width Ds"]
    for row in table["exit_codes"]:
        lines.append(".It %d" % row["code"])
        lines += sentences(row["meaning"])
    return {"exit codes": lines + [".El"]}


# --- pages


def replace(page, sections):
    for name, lines in sections.items():
        begin, end = '.\\" begin %s\n' % name, '.\\" end %s\n' % name
        before, found, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found or not found_end:
            raise SystemExit("no markers for %s" % name)
        page = before + begin + "\n".join(lines) + "\n" + end + after
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--ratsctl")
    parser.add_argument("--ratsd")
    options = parser.parse_args()
    pages = {"librats.3": header_sections()}
    if options.ratsctl:
        pages["rats-ipc.7"] = ipc_sections(options.ratsctl)
        pages["ratsctl.1"] = control_sections(options.ratsctl)
    if options.ratsd:
        pages["ratsd.conf.5"] = config_sections(options.ratsd)
    stale = []
    for name, sections in pages.items():
        path = os.path.join(HERE, name)
        with open(path, encoding="utf-8") as file:
            old = file.read()
        new = replace(old, sections)
        if new != old:
            stale.append(name)
            if not options.check:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(new)
    if stale:
        print("%s: %s" % ("out of date" if options.check else "written", ", ".join(stale)))
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
