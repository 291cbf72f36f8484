import os

import lit.formats
from lit.llvm import llvm_config

config.name = "qopt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Unit", "Benchmark", "Fuzz", "standalone"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.qopt_obj_root, "test")
llvm_config.use_default_substitutions()
llvm_config.add_tool_substitutions(
    ["qopt", "qrun", "qopt-opt", "qopt-reduce", "qopt-translate", "qopt-lsp-server"]
    + ["mlir-opt", "mlir-runner", "mlir-pdll-lsp-server", "tblgen-lsp-server"],
    [os.path.join(config.qopt_obj_root, "bin"), config.llvm_tools_dir],
)
if any(
    os.access(os.path.join(folder, "zsh"), os.X_OK) for folder in config.environment["PATH"].split(os.pathsep)
):
    config.available_features.add("zsh")
config.substitutions.append(("%qopt-plugin", os.path.join(config.qopt_obj_root, "lib", "qopt-plugin.so")))
config.substitutions.append(("%plugins", os.path.join(config.qopt_obj_root, "test", "Plugins")))
config.substitutions.append(("%llvm-lib", os.path.join(config.llvm_tools_dir, "..", "lib")))
# Tests of results compile for what the processor runs alone, which takes half as long as for both levels.
with open("/proc/cpuinfo") as cpus:
    level = "x86-64-v4" if "avx512_vnni" in cpus.read() else "x86-64-v3"
config.substitutions.append(("%cpu", "--cpu=" + level))
config.substitutions.append(("%src", config.qopt_src_root))
config.substitutions.append(("%obj", config.qopt_obj_root))
config.substitutions.append(("%inputs", os.path.join(config.qopt_src_root, "test", "Inputs")))
config.substitutions.append(("%python", config.python))
config.substitutions.append(
    ("%check", config.python + " " + os.path.join(config.test_source_root, "Integration", "check.py"))
)
# %blocks NAME FOLDER: what docs/Integration.md tells its readers to type, in a shell that finds the tools.
tools = os.pathsep.join([os.path.join(config.qopt_obj_root, "bin"), config.llvm_tools_dir, config.environment["PATH"]])
blocks = [config.python, os.path.join(config.test_source_root, "Toolchain", "blocks.py")]
page = os.path.join(config.qopt_src_root, "docs", "Integration.md")
config.substitutions.append(("%blocks", " ".join(["env", "PATH=" + tools, *blocks, page])))
