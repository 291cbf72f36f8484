//===- CommandLine.cpp - The compiler's options as text -------------------===//
//
// The table, and what no single option can see. Devices, schemes, phases and pipelines
// name themselves where they are described.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/CommandLine.h"
#include "qopt/Dialect/Qopt/Scheme.h"
#include "qopt/Driver/PipelineList.h"
#include "qopt/Passes/Pipelines.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <thread>

using namespace qopt;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// The parts of a list with commas; an error where one is not `isKnown` or comes twice.
static Result<std::vector<std::string>> splitList(const std::string &text, bool (*isKnown)(const std::string &),
                                                  const char *expected) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin <= text.size(); begin += items.back().size() + 1) {
    items.push_back(text.substr(begin, text.find(',', begin) - begin));
    if (!isKnown(items.back()) || std::count(items.begin(), items.end(), items.back()) > 1)
      return Error{std::string("expected ") + expected + " but got \"" + printable(items.back()) + "\"" +
                   (isKnown(items.back()) ? " twice" : "")};
  }
  return items;
}

/// Names of devices, as they also name what a module is for.
static Status setTargets(const std::string &text, CompileOptions &compile) {
  auto isTarget = [](const std::string &name) { return deviceKindByName(name).has_value(); };
  Result<std::vector<std::string>> targets = splitList(text, isTarget, "a list of cpu, cuda and sim");
  if (!targets)
    return targets.error();
  compile.targets = std::move(*targets);
  return {};
}

/// Only the form and the least architecture are checked here; ptxas knows which there are.
static Status setCudaArchs(const std::string &text, CompileOptions &compile) {
  auto isArch = [](const std::string &name) {
    std::optional<GpuArch> arch = parseGpuArch(name);
    return arch && arch->number >= kBaselineCapability;
  };
  Result<std::vector<std::string>> archs = splitList(text, isArch, "architectures such as sm_80 or sm_90a");
  if (!archs)
    return archs.error();
  compile.cudaArchs = std::move(*archs);
  return {};
}

/// Only the form is checked here. Whether there is such a device shows when it is opened.
static Status setDevice(const std::string &name, CompileOptions &compile) {
  if (!parseDevice(name))
    return Error{"expected " + deviceForms("or")};
  compile.device = name;
  return {};
}

/// The phase that --until or --emit names, which take names of phases only.
static Phase phaseOf(const std::string &name) {
  std::vector<PhaseDescription> phases = describePhases();
  return std::find_if(phases.begin(), phases.end(), [&](const PhaseDescription &phase) { return phase.name == name; })
      ->phase;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

CommandLine::CommandLine()
    : options("qopt MODEL [options]", "Compiles an ONNX language model, quantized, into a module that qrun runs.") {
  addCompilation();
  addCalibration();
  addOutput();
  options.epilog("MLIR's debugging options (--mlir-print-ir-after-all, --mlir-timing, ...) work as in mlir-opt.\n"
                 "Exit status: 0 done, 1 error, 2 wrong command line, 3 refused by --max-ppl-increase or --max-kl.");
}

void CommandLine::addCompilation() {
  options.section("Compilation");
  std::string schemes = "a quantization scheme, NAME or NAME{option=value ...}, or builtin.module(...):";
  std::vector<std::string> names;
  for (const SchemeInfo *info : allSchemes()) {
    names.push_back(info->name.str());
    schemes += "\n" + info->name.str() + ": " + info->summary.str();
  }
  std::string transformations = "\ntransformations of the float model may stand before it, as in rotate,NAME:";
  for (const PipelineInfo &pipeline : describePipelines())
    if (pipeline.isTransformation) {
      names.push_back(pipeline.name);
      transformations += "\n" + pipeline.name + ": " + pipeline.summary;
    }
  options.text("pass-pipeline", "P", compile.pipeline,
               schemes + "\nNAME{bits=B ...} is NAME-intB{...} where there are such schemes" + transformations +
                   "\n(--list-schemes lists the options, --print-pipelines all pipelines)");
  options.suggest(names);
  options.file(
      "output", "FILE", compile.output,
      ".qmod (a module), .mlir or .mlirbc (the IR after the pipeline)\n(default: STEM.qmod in the current directory)");
  options.shortName('o');
  options.file("data-dir", "DIR", compile.dataDirectory, "where external data may lie besides the model's directory");
  options.list("override", "PATTERN=SPEC", compile.overrides,
               "scheme of single layers: '*.down_proj=NAME{option=value ...}',\n"
               "'re:layers\\.0\\..*=skip'; the last match wins (repeatable)");
  options.number("target-bits", "BITS", compile.targetBits, 0.01, 32,
                 "layers choose among schemes, so that the model changes least with so many\n"
                 "bits per weight, scales included, over all quantized layers");
  options.integer("max-size", "BYTES", compile.maxSize, 1, int64_t(1) << 50, "the same with a module of so many bytes");
  options.list("candidate", "SPEC", compile.candidates,
               "a scheme to choose: NAME{option=value ...} (repeatable; default: with 2, 3, 4\n"
               "and 8 bits what --pass-pipeline names, by default gptq with --calibration and rtn\n"
               "without; where it names no group-size, groups of 64 and 32, too)");
  options.flag("dequantize", compile.dequantize,
               "weights that the file has as codes become float, to be quantized anew");
  options.choice("compat", allPresets(), compile.compat,
                 "repeat that package's choices where no option says otherwise");
  std::vector<std::string> phases;
  std::string phaseHelp = "stop after a phase and write the IR:";
  std::vector<std::string> exits = {"module"};
  std::string exitHelp = "what to make of the model:\nmodule: what qrun runs (the default)";
  for (const PhaseDescription &phase : describePhases()) {
    (phase.isExit ? exits : phases).emplace_back(phase.name);
    (phase.isExit ? exitHelp : phaseHelp) += std::string("\n") + phase.name + ": " + phase.summary;
  }
  options.choice("until", phases, until, phaseHelp);
  options.choice("emit", exits, emit, exitHelp);
  options.list("load-pass-plugin", "FILE.so", compile.passPlugins,
               "passes and pipelines of others, for --pass-pipeline (repeatable)");
  options.list("load-dialect-plugin", "FILE.so", compile.dialectPlugins,
               "their dialects (repeatable; docs/Integration.md)");
  options.custom(
      "target", "LIST", [this](const std::string &text) { return setTargets(text, compile); },
      "what the module has code for, cpu,cuda,sim or some of them:\n"
      "cpu (the default; sections host:x86-64-v3 and host:x86-64-v4),\n"
      "cuda (NVIDIA GPUs; host:cuda, ptx and where needed ptx:ARCH),\n"
      "sim (the simulator of a GPU; host:cuda, sim)");
  options.suggest({"cpu", "cuda", "sim"}, /*isList=*/true);
  options.custom(
      "cuda-arch", "LIST", [this](const std::string &text) { return setCudaArchs(text, compile); },
      "GPUs to assemble code for: sm_80,sm_90a,...; needs ptxas. The PTX\nthat is always there runs on sm_80 and "
      "later");
  options.choice("cpu", hostLevelNames(), cpu, "host code for this level only (default: for both)");
  options.choice("cache-type", {"auto", "f16", "f32"}, compile.cacheType,
                 "of keys and values that a text keeps while it is written (default: auto, f16\nfor CPUs, f32 with "
                 "cuda or sim among --target, or --compat)");
}

void CommandLine::addCalibration() {
  options.section("Calibration");
  options.file("calibration", "FILE", compile.calibration,
               ".txt, .jsonl (text or input_ids per line), .npy token ids [n, length],\n- for standard input");
  options.integer("calibration-samples", "N", compile.calibrationSamples, 1, 1 << 20, "windows to draw (default 128)");
  options.integer("calibration-length", "N", compile.calibrationLength, 2, 1 << 20,
                  "tokens per window (default: 2048, at most the model's context)");
  options.integer("seed", "N", seed, 0, std::numeric_limits<int64_t>::max(), "of the draw (default 0)");
  options.choice("documents", {"auto", "whole", "blank-lines"}, documents,
                 "where a .txt (here and in --eval) is cut into documents, each with\n"
                 "BOS and end of text around it: at <|endoftext|>, else not at all\n"
                 "(auto, the default), never, or at blank lines");
  options.custom(
      "device", "NAME", [this](const std::string &name) { return setDevice(name, compile); },
      "where activations are computed: cpu (the default), cuda, cuda:N, sim (a GPU's\n"
      "simulator, slow), sim:sm_90a; cuda also multiplies for Hessians, by cuBLAS");
  options.suggest({"cpu", "cuda", "sim", "sim:sm_90a"});
  options.file("checkpoint", "DIR", compile.checkpoint,
               "keep the codes of each finished group there, so that a run that was\n"
               "interrupted goes on when it is given again");
  options.file("save-calibration", "FILE", compile.saveCalibration, "keep what calibration measures");
  options.list("load-calibration", "FILE", compile.loadCalibration,
               "such files instead of --calibration, with any scheme that needs no more than\n"
               "they have (repeatable: what they measured is taken together)");
  options.file("tokenizer", "FILE", compile.tokenizer, "default: tokenizer.json beside the model");
}

void CommandLine::addOutput() {
  options.section("Output");
  options.file(
      "eval", "FILE", compile.evaluation,
      "measure float and quantized model on this text: perplexity, KL divergence,\nthe layers that were changed most");
  options.number("max-ppl-increase", "PERCENT", maxPplIncrease, 0, 1e9,
                 "with --eval: write nothing (exit status 3) where the perplexity grows by more");
  options.number("max-kl", "NATS", maxKl, 0, 1e9,
                 "with --eval: write nothing (exit status 3) where the mean KL divergence is more");
  options.file("report", "FILE.json", reportFile,
               "the figures per layer and in total, for programs, or what is listed; with\n"
               "-, to standard output and nothing else there");
  options.file("log", "FILE.csv", compile.log, "the figures per layer as a table");
  options.flag("no-clobber", compile.keepsExisting,
               "an output that is there already is an error; without it, it is replaced");
  options.flag("quiet", quiet, "no progress, no warnings and no summary");
  options.flag("remarks", remarks, "say what of the model was left as the exporter wrote it, and why");
  options.flag("strict", compile.strict, "warnings are errors; --strict=no: a layer whose weights are lost is none");

  options.section("Lists (print this and do nothing else)");
  options.flag("list-layers", listLayers, "every linear layer of MODEL");
  options.flag("list-schemes", listSchemes, "the schemes with their options");
  options.flag("print-pipelines", printPipelines, "all named pipelines with their options, types and defaults");
  options.flag("dump-pass-pipeline", dumpPassPipeline,
               "the builtin.module(...) that --pass-pipeline stands for, --override and\n--compat included");

  options.section("Resources");
  options.integer("threads", "N", threads, 1, 1024, "default: all cores; the result does not depend on it");
  options.integer("max-memory", "BYTES", compile.maxMemory, 1 << 20, int64_t(1) << 50,
                  "of activations kept between calibration stages; the rest goes to a temporary file");
}

//===----------------------------------------------------------------------===//
// What it says
//===----------------------------------------------------------------------===//

Result<Request> CommandLine::request() const {
  constexpr std::pair<const char *, Request> requests[] = {{"list-layers", Request::ListLayers},
                                                           {"list-schemes", Request::ListSchemes},
                                                           {"print-pipelines", Request::PrintPipelines},
                                                           {"dump-pass-pipeline", Request::DumpPassPipeline}};
  const std::pair<const char *, Request> *chosen = nullptr;
  for (const auto &request : requests) {
    if (!options.wasGiven(request.first))
      continue;
    if (chosen)
      return usageError(std::string("--") + chosen->first + " and --" + request.first + " cannot be used together");
    chosen = &request;
  }
  Request request = chosen ? chosen->second : Request::Compile;
  if (request == Request::DumpPassPipeline && !options.wasGiven("pass-pipeline"))
    return usageError("--dump-pass-pipeline needs --pass-pipeline");
  return request;
}

/// Options that mean nothing without another, and what no single option can see.
Status CommandLine::checkCombination() const {
  constexpr std::pair<const char *, const char *> needs[] = {
      {"override", "pass-pipeline"},
      {"compat", "pass-pipeline"},
      {"calibration", "pass-pipeline"},
      {"calibration-samples", "calibration"},
      {"calibration-length", "calibration"},
      {"seed", "calibration"},
      {"device", "calibration"},
      {"checkpoint", "calibration"},
      {"save-calibration", "calibration"},
      {"load-calibration", "pass-pipeline"},
      {"max-ppl-increase", "eval"},
      {"max-kl", "eval"},
  };
  if (emit != "module" && options.wasGiven("until"))
    return usageError("--until and --emit=" + emit + " contradict each other");
  const bool hasBudget = compile.targetBits > 0 || compile.maxSize > 0;
  if (compile.targetBits > 0 && compile.maxSize > 0)
    return usageError("--target-bits and --max-size contradict each other");
  for (const char *option : {"calibration", "target-bits", "max-size"})
    if (!compile.loadCalibration.empty() && options.wasGiven(option))
      return usageError(std::string("--load-calibration and --") + option + " contradict each other");
  for (const char *option : {"checkpoint", "target-bits", "max-size"})
    if (!compile.saveCalibration.empty() && options.wasGiven(option))
      return usageError(std::string("--save-calibration and --") + option + " contradict each other");
  if (options.wasGiven("candidate") && !hasBudget)
    return usageError("--candidate needs --target-bits or --max-size");
  if (hasBudget && (listLayers || dumpPassPipeline))
    return usageError(std::string("--") + (listLayers ? "list-layers" : "dump-pass-pipeline") + " cannot show what " +
                      (compile.maxSize ? "--max-size" : "--target-bits") + " will choose");
  for (auto [option, other] : needs)
    if (options.wasGiven(option) && !options.wasGiven(other) && !(hasBudget && other == std::string("pass-pipeline")))
      return usageError(std::string("--") + option + " needs --" + other);
  auto leavesOut = [&](const char *target) {
    return std::find(compile.targets.begin(), compile.targets.end(), target) == compile.targets.end();
  };
  if (options.wasGiven("cuda-arch") && leavesOut("cuda"))
    return usageError("--cuda-arch needs cuda among --target");
  if (compile.cacheType == "f16" && !(leavesOut("cuda") && leavesOut("sim")))
    return usageError("--cache-type=f16 is for CPUs only, but --target has cuda or sim");
  for (const char *option : {"cpu", "eval"})
    if (options.wasGiven(option) && leavesOut("cpu"))
      return usageError(std::string("--") + option + " needs cpu among --target");
  if (compile.calibration == "-" && compile.evaluation == "-")
    return usageError("standard input cannot be both --calibration and --eval");
  return {};
}

/// Where the module or the IR goes, by default and by what its ending may be.
Status CommandLine::chooseOutput() {
  bool isWhole = compile.until == Phase::End;
  if (compile.output.empty())
    compile.output = std::filesystem::path(compile.model).stem().string() + (isWhole ? ".qmod" : ".mlir");
  bool isModule = compile.output.ends_with(".qmod");
  bool isIr = compile.output.ends_with(".mlir") || compile.output.ends_with(".mlirbc");
  if (isWhole ? !isModule && !isIr : !isIr)
    return usageError("cannot write \"" + printable(compile.output) + "\": expected " +
                      (isWhole ? ".qmod, .mlir or .mlirbc" : ".mlir or .mlirbc after a phase"));
  if (!compile.evaluation.empty() && !isModule)
    return usageError("--eval needs a .qmod as output");
  if (compile.maxSize > 0 && !isModule)
    return usageError("--max-size needs a .qmod as output");
  return {};
}

Result<CompileOptions> CommandLine::compileOptions(const std::string &model) {
  if (Status status = checkCombination(); !status)
    return status.error();
  compile.model = model;
  if ((compile.targetBits > 0 || compile.maxSize > 0) && compile.pipeline.empty())
    compile.pipeline = compile.calibration.empty() ? "rtn-int4" : "gptq-int4";
  compile.until = phaseOf(emit == "module" ? until : emit);
  compile.keepsLostLayers = options.wasGiven("strict") && !compile.strict;
  compile.documents = *documentRuleByName(documents);
  compile.seed = static_cast<uint64_t>(seed);
  if (options.wasGiven("max-ppl-increase"))
    compile.maxPplIncrease = maxPplIncrease;
  if (options.wasGiven("max-kl"))
    compile.maxKl = maxKl;
  compile.threads = static_cast<int>(threads > 0 ? threads : std::max(1u, std::thread::hardware_concurrency()));
  if (!cpu.empty())
    compile.cpus = {cpu};
  if (reportFile != "-")
    compile.report = reportFile;
  if (!listLayers)
    if (Status status = chooseOutput(); !status)
      return status.error();
  return compile;
}

Result<std::string> CommandLine::passPipeline() const {
  if (Status status = checkCombination(); !status)
    return status.error();
  return expandPipeline(compile.pipeline, compile.compat, compile.overrides);
}
