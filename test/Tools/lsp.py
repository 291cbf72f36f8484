#!/usr/bin/env python3
"""Speaks with qopt-lsp-server, or with LLVM's servers about our .td files and patterns on our operations, as an editor
does: JSON-RPC on standard input and output. What an answer must have stands beside the question.

usage: lsp.py mlir SERVER
       lsp.py tablegen SERVER DATABASE FILE.td
       lsp.py pdll SERVER INCLUDE_FOLDER...
"""
import json
import subprocess
import sys

PRODUCT = "onnx.Swish %x : (tensor<2x64xf32>) -> tensor<2x64xf32>"
FILE = """func.func @f(%x: tensor<2x64xf32>) -> tensor<2x64xf32> {
  %0 = PRODUCT
  return %0 : tensor<2x64xf32>
}
""".replace("PRODUCT", PRODUCT)
# What is typed in a pipeline, "|" being where one stands, and some of what is offered there.
PIPELINES = {
    "// RUN: qopt-opt %s --pass-pipeline='builtin.module(|)' | FileCheck %s": {"gptq-int4", "qopt-raise", "cse", "func.func"},
    "// RUN: qopt-opt %s --pass-pipeline='builtin.module(cse,func.func(qopt-raise-s|": {"qopt-raise-swish", "canonicalize"},
    "// Größe: qopt %s --pass-pipeline=gptq-|": {"gptq-int4"},
    "// RUN: qopt-opt --pass-pipeline='builtin.module(qopt-raise,gptq-int4{group-size=32 |})'": {"act-order=", "calibration="},
    "// RUN: qopt-opt --pass-pipeline='gptq-int4{act-order=|'": {"true", "false"},
    "// RUN: qopt-opt --pass-pipeline='gptq-int4{act-order=true activations=|}'": {"auto", "int8", "float"},
    "// RUN: qopt-opt --pass-pipeline='gptq-int4{overrides={*.down_proj=|}}'": {"rtn-int4", "int8-dynamic"},
    "// RUN: qopt-opt --pass-pipeline='qopt-prepare{scheme=rtn-int4{|}}'": {"group-size="},
    "// RUN: qopt-opt --pass-pipeline='qopt-prepare{scheme=|}'": {"rtn-int4"},
    "// RUN: qopt-opt %s \\\n// RUN:   --pass-pipeline='builtin.module(|": {"gptq-int4"},
    "// RUN: mlir-opt %s --qopt-|": {"qopt-lower"},
    "// RUN: mlir-opt %s --cse --rtn-int4=\"sym=false |\"": {"group-size="},
    "// RUN: mlir-opt %s --rtn-int4=sym=|": {"true"},
    '{-# external_resources: { mlir_reproducer: { pipeline: "builtin.module(qopt-add-cache{|})"': {"cache-type="},
}
# Places that are in no pipeline.
ELSEWHERE = ["// RUN: qopt-opt --pass-pipeline='cse' |", "// The pipeline: |", "// RUN: qopt-opt %s | FileCheck |",
             "func.func |", "// RUN: qopt-opt --pass-pipeline='cse)|"]
# Words, and what is said of them.
EXPLAINED = {
    "// RUN: qopt-opt --pass-pipeline='builtin.module(func.func(qopt-raise-sw|ish))'": ["pass on func.func", "onnx.Swish", "==>"],
    "// RUN: qopt-opt --pass-pipeline='gptq-|int4'": ["(scheme)", "`group-size=128`"],
    "// RUN: qopt-opt --pass-pipeline='gptq-int4{gro|up-size=64}'": ["**group-size** (integer, default 128)"],
    "// RUN: qopt-opt --pass-pipeline='gptq-int4{group-size=|64}'": ["**group-size**"],
    "// RUN: qopt-opt --qopt-add|-cache": ["pass on builtin.module", "`cache-type="],
    "// RUN: qopt-opt --canon|icalize": ["pass on any operation", "`top-down=true`"],
}
PATTERN = """#include "qopt/Dialect/Qopt/QoptOps.td"
Pattern {
  let root = op<qopt.matmul_w8a16>(x: Value, w: Value, scale: Value, zeros: ValueRange);
  erase root;
}
"""


class Editor:
    def __init__(self, *server):
        self.process = subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.number = 0
        self.capabilities = self.ask("initialize", {"processId": 1, "capabilities": {}, "rootUri": None})["capabilities"]
        self.send("initialized", {})

    def send(self, method, params, number=None):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        body = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline()) not in (b"\r\n", b"\n"):
            if not line:
                sys.exit("the server has left")
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.process.stdout.read(length))

    def ask(self, method, params):
        self.number += 1
        self.send(method, params, self.number)
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                return message["result"]

    def diagnostics(self):
        while True:
            message = self.receive()
            if message.get("method") == "textDocument/publishDiagnostics":
                return message["params"]["diagnostics"]


    def open(self, uri, language, text):
        self.name, self.text, self.version = {"uri": uri}, text, 1
        self.send("textDocument/didOpen", {"textDocument": {**self.name, "languageId": language, "version": 1, "text": text}})

    def replace(self, text):
        self.text, self.version = text, self.version + 1
        self.send("textDocument/didChange", {"textDocument": {**self.name, "version": self.version},
                                             "contentChanges": [{"text": text}]})

    def place(self, before, after=""):
        """Where `before` ends in the file, in front of `after`."""
        at = self.text.index(before + after) + len(before)
        line = self.text.count("\n", 0, at)
        return {"line": line, "character": at - (self.text.rfind("\n", 0, at) + 1)}

    def at(self, method, before, after=""):
        return self.ask("textDocument/" + method, {"textDocument": self.name, "position": self.place(before, after)})

    def ask_here(self, method, marked):
        """Of the place of "|" in a file with this text before a function."""
        before, _, after = marked.partition("|")
        self.replace(before + after + "\n" + FILE)
        self.diagnostics()
        # Positions count the units of UTF-16.
        line, column = before.count("\n"), len(before.rsplit("\n", 1)[-1].encode("utf-16-le")) // 2
        return self.ask("textDocument/" + method, {"textDocument": self.name, "position": {"line": line, "character": column}})

    def labels(self, before, after=""):
        return {item["label"] for item in self.at("completion", before, after)["items"]}

    def hover(self, before, after=""):
        answer = self.at("hover", before, after)
        return answer["contents"]["value"] if answer else ""

    def leave(self):
        self.ask("shutdown", None)
        self.send("exit", None)
        assert self.process.wait(timeout=60) == 0


def speak_mlir(server):
    editor = Editor(server)
    assert "completionProvider" in editor.capabilities and editor.capabilities["hoverProvider"], editor.capabilities
    editor.open("test:///a.mlir", "mlir", FILE)
    assert editor.diagnostics() == []
    assert "onnx.Swish" in editor.hover("= onnx.Sw") and "alpha = 1.0" in editor.hover("= onnx.Sw")
    assert "tensor<2x64xf32>" in editor.hover("return %", "0")
    found = editor.at("definition", "return %", "0")
    assert found and found[0]["range"]["start"]["line"] == editor.place("  %", "0 =")["line"], found
    # What is offered where somebody has typed so far.
    for typed, names in {"": {"onnx", "qopt", "kernel", "func"}, "onnx.": {"Swish", "Attention", "MatMul"},
                         "qopt.": {"dequantize", "matmul_w4a16"}, "onnx.Swish %": {"%x"}}.items():
        editor.replace(FILE.replace(PRODUCT, typed))
        assert editor.diagnostics(), "a line that is not complete is an error"
        assert names <= editor.labels("%0 = " + typed), (typed, editor.labels("%0 = " + typed))
    editor.replace(FILE.replace("onnx.Swish", "onnx.Nope"))
    errors = editor.diagnostics()
    assert len(errors) == 1 and "onnx.Nope" in errors[0]["message"], errors
    speak_pipelines(editor)
    editor.replace(FILE)
    assert editor.diagnostics() == []
    editor.leave()


def speak_pipelines(editor):
    assert "{" in editor.capabilities["completionProvider"]["triggerCharacters"], editor.capabilities
    for text, names in PIPELINES.items():
        items = editor.ask_here("completion", text)["items"]
        assert names <= {item["label"] for item in items}, (text, items)
        # What is typed is replaced, up to where the word ends.
        typed = text.split("|")[0]
        for item in items:
            place = item["textEdit"]["range"]
            start, end = place["start"]["character"], place["end"]["character"]
            line = typed.rsplit("\n", 1)[-1]
            units = len(line.encode("utf-16-le")) // 2
            assert start <= units <= end and not set(line[len(line) - (units - start):]) & set("{}(),='\" "), (text, place)
    for text in ELSEWHERE:
        assert "gptq-int4" not in str(editor.ask_here("completion", text)), text
    for text, parts in EXPLAINED.items():
        answer = editor.ask_here("hover", text)
        assert answer and all(part in answer["contents"]["value"] for part in parts), (text, answer)
    assert not editor.ask_here("hover", "// RUN: qopt-opt --pass-pipeline='nobody-knows|-it'")


def speak_tablegen(server, database, path):
    editor = Editor(server, "--tablegen-compilation-database=" + database)
    with open(path, encoding="utf-8") as file:
        editor.open("file://" + path, "tablegen", file.read())
    # That there are no errors says that all includes were found.
    assert editor.diagnostics() == []
    found = editor.at("definition", "def Qopt_DynamicQuantizeOp : Qopt_Value", "Op")
    assert found, "the class of an operation is not found"
    assert "DynamicQuantizeOp" in editor.hover("def Qopt_Dynamic")
    editor.leave()


def speak_pdll(server, *folders):
    editor = Editor(server, *("--pdll-extra-dir=" + folder for folder in folders))
    editor.open("test:///a.pdll", "pdll", PATTERN)
    assert editor.diagnostics() == []
    assert "float activations times weights of eight bits" in editor.hover("op<qopt.matmul")
    assert {"matmul_w4a16", "dequantize"} <= editor.labels("op<qopt.")
    editor.leave()


{"mlir": speak_mlir, "tablegen": speak_tablegen, "pdll": speak_pdll}[sys.argv[1]](*sys.argv[2:])
