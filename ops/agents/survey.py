#!/usr/bin/env python3
"""An agent for the `command` executor: surveys the folder its assignment names and tells what it found.

stdin   one RunSpec line {"kind":"run","assignment":"Survey the folder /path"}, then steering: {"kind":"message","text":...}
stdout  one event a line: tool_start, tool_complete, token; at the end {"type":"result","text":...}

With the word "linger" in the assignment it stays after its work until somebody steers or cancels it.
"""
import json
import os
import re
import select
import sys

LANGUAGES = {".c": "C", ".h": "C", ".lua": "Lua", ".py": "Python", ".md": "Markdown", ".json": "JSON", ".txt": "CMake",
             ".cmake": "CMake", ".sh": "shell", "": "script"}


class Steering:
    """Lines on stdin that arrive while we work. Never blocks unless asked to."""

    def __init__(self, fd):
        self.fd, self.pending, self.ended = fd, b"", False
        self.heard = []

    def line(self):
        """The next whole line; waits for it. b"" at the end of input."""
        while b"\n" not in self.pending and not self.ended:
            self.read_some()
        line, _, self.pending = self.pending.partition(b"\n")
        return line

    def read_some(self):
        piece = os.read(self.fd, 65536)
        self.ended = piece == b""
        self.pending += piece

    def listen(self, wait=False):
        """Takes what has arrived; with `wait` until a message is there or the input ends."""
        before = len(self.heard)
        while not self.ended:
            while b"\n" in self.pending:
                self.take(self.line())
            if wait and len(self.heard) > before:
                return
            if not select.select([self.fd], [], [], None if wait else 0)[0]:
                return
            self.read_some()

    def take(self, line):
        try:
            message = json.loads(line)
        except ValueError:
            return
        if isinstance(message, dict) and message.get("kind") == "message":
            self.heard.append(str(message.get("text", "")))


def emit(event_type, **members):
    print(json.dumps({"type": event_type, **members}), flush=True)


class Tools:
    """Each tool is announced, run and answered for, as a model's tool calls are."""

    def __init__(self, steering):
        self.steering, self.calls = steering, 0

    def call(self, tool, subject, **arguments):
        """Runs tool(subject); `arguments` is what the events say of it."""
        self.calls += 1
        call = {"tool_call_id": f"call-{self.calls}", "tool_name": tool.__name__}
        emit("tool_start", **call, arguments=arguments)
        value, summary = tool(subject)
        emit("tool_complete", **call, result={"success": True, "result": summary})
        self.steering.listen()
        return value


def list_files(folder):
    files = []
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in ("build", "target"))
        files += [os.path.join(path, name) for name in sorted(names) if not name.startswith(".")]
    return files, f"{len(files)} files"


def count_lines(files):
    """Lines by file, for files that are text."""
    lines = {}
    for path in files:
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            continue
        if b"\0" not in content:
            lines[path] = content.count(b"\n")
    return lines, f"{sum(lines.values())} lines in {len(lines)} text files"


def longest_file(lines):
    if not lines:
        return None, "there is none"
    path = max(lines, key=lines.get)
    return path, f"{os.path.basename(path)}, {lines[path]} lines"


def by_language(lines):
    counts = {}
    for path, count in lines.items():
        language = LANGUAGES.get(os.path.splitext(path)[1], "other")
        counts[language] = counts.get(language, 0) + count
    return sorted(counts.items(), key=lambda item: -item[1])


def folder_of(assignment):
    named = re.search(r'folder\s+(?:"([^"]+)"|(\S+?))[.,;]?(?:\s|$)', assignment)
    return (named.group(1) or named.group(2)) if named else "."


def findings(folder, files, lines, longest):
    name = os.path.basename(os.path.realpath(folder))
    yield f"{name} holds {len(files)} files with {sum(lines.values())} lines."
    parts = [f"{language} {count}" for language, count in by_language(lines)[:3]]
    if parts:
        yield "By language: " + ", ".join(parts) + "."
    if longest:
        yield f"The longest file is {os.path.relpath(longest, folder)} with {lines[longest]} lines."


def main():
    steering = Steering(sys.stdin.fileno())
    assignment = str(json.loads(steering.line())["assignment"])
    folder = folder_of(assignment)
    if not os.path.isdir(folder):
        sys.exit(f"survey: no folder {folder}")
    emit("agent_process", pid=os.getpid(), worker_pid=os.getppid())

    tools, told = Tools(steering), []

    def tell(sentence):
        told.append(sentence)
        emit("token", content=sentence + " ")

    files = tools.call(list_files, folder, folder=folder)
    lines = tools.call(count_lines, files, files=len(files))
    longest = tools.call(longest_file, lines, files=len(lines))
    for sentence in findings(folder, files, lines, longest):
        tell(sentence)
    if re.search(r"\blinger\b", assignment):
        emit("token", content="Lingering until somebody speaks. ")
        steering.listen(wait=True)
    steering.listen()
    for text in steering.heard:
        tell(f"Heard while at work: {text}")
    emit("result", text=" ".join(told))


if __name__ == "__main__":
    main()
