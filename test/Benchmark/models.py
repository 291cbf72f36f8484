"""Models to measure: as ONNX for qopt and ONNX Runtime, as GGUF for llama.cpp."""
import os, subprocess, sys

import numpy as np
import onnx

import make_llama

HERE = os.path.dirname(os.path.abspath(__file__))
REAL = "smollm2"  # SmolLM2-135M-Instruct; the others have random weights
MODELS = ["1b", "110m", REAL]

GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name):
    if not name.startswith("model.layers."):
        return {"lm_head.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[rest.removesuffix('.weight')]}.weight"


def write_gguf(model, path, sizes):
    """The weights of a generated model as f16. Heads are not interleaved as llama.cpp wants them: speed does not mind."""
    import gguf

    hidden, inner, layers, heads, key_heads, size, vocabulary, context = sizes
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(500000.0)
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("no_vocab")
    graph = onnx.load(model, load_external_data=False).graph
    for tensor in graph.initializer:
        if not tensor.external_data:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        data = np.memmap(os.path.join(os.path.dirname(model), entries["location"]), np.float16, "r",
                         int(entries["offset"]), tuple(tensor.dims))
        if data.ndim == 1:
            data = data.astype(np.float32)
        elif tensor.name.startswith("model.layers."):
            data = data.T  # ours are [inputs, outputs]
        writer.add_tensor(gguf_name(tensor.name), np.ascontiguousarray(data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(name, directory, with_gguf):
    """Writes what is missing of model `name` below `directory`; its folder, which then has model.onnx and model.gguf."""
    folder = os.path.join(directory, name)
    model, gguf = os.path.join(folder, "model.onnx"), os.path.join(folder, "model.gguf")
    if not os.path.exists(model):
        if name == REAL:
            subprocess.run([sys.executable, os.path.join(HERE, "smollm2", "make.py"), folder], check=True)
            os.rename(os.path.join(folder, "smollm2.gguf"), gguf)
        else:
            make_llama.make(folder, make_llama.PRESETS[name], "float16", seed=0)
    if with_gguf and not os.path.exists(gguf):
        write_gguf(model, gguf, make_llama.PRESETS[name])
    return folder
