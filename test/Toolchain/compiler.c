/* Uses the compiler as a C program would: compiler MODEL DIRECTORY. MODEL is copied to memory; DIRECTORY is where
 * files go. Prints a line for each thing that works and exits with 1 at the first that does not. */
#include "qopt-c/qopt.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #condition, qopt_last_error());                       \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char *modelPath, *folder, *directory;
static char *modelBytes;
static size_t numModelBytes;

static char *readFile(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  CHECK(file && fseek(file, 0, SEEK_END) == 0);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  CHECK(bytes && fread(bytes, 1, *size, file) == *size);
  fclose(file);
  return bytes;
}

static char *inFolder(const char *option, const char *name) {
  char *path = malloc(strlen(option) + strlen(folder) + strlen(name) + 2);
  sprintf(path, "%s%s/%s", option, folder, name);
  return path;
}

static qopt_context *create(void) {
  qopt_context *context = NULL;
  CHECK(qopt_create(QOPT_ABI_VERSION, &context) == QOPT_OK && context);
  return context;
}

/* A call that must fail with `code` and a message that holds `text`, in one line. */
static void expectFailure(qopt_code actual, qopt_code code, const char *text) {
  if (actual == code && strstr(qopt_last_error(), text) && !strchr(qopt_last_error(), '\n'))
    return;
  fprintf(stderr, "expected %d \"%s\", but got %d \"%s\"\n", code, text, actual, qopt_last_error());
  exit(1);
}

static const char *const kOptions[] = {"--pass-pipeline=rtn-int4{group-size=32}", "--cpu=x86-64-v3", "--threads=1"};

static qopt_result *compileToMemory(qopt_context *context) {
  qopt_result *result = NULL;
  CHECK(qopt_compile_memory(context, modelBytes, numModelBytes, "model.onnx", directory, kOptions, COUNT(kOptions),
                            &result) == QOPT_OK);
  return result;
}

static void testVersions(void) {
  qopt_context *context;
  CHECK(qopt_abi_version() == QOPT_ABI_VERSION && strlen(qopt_version()) > 0);
  expectFailure(qopt_create(QOPT_ABI_VERSION + 1, &context), QOPT_ERROR_USAGE,
                "this program is for version 2 of the interface, but libqopt has version 1");
  CHECK(!context);
  expectFailure(qopt_create(QOPT_ABI_VERSION, NULL), QOPT_ERROR_USAGE, "a place for the context is needed");
  context = create();
  qopt_callbacks callbacks = {sizeof callbacks + 8, NULL, NULL, NULL, NULL, NULL};
  expectFailure(qopt_set_callbacks(context, &callbacks), QOPT_ERROR_USAGE, "expected qopt_callbacks::size");
  qopt_destroy(context);
  qopt_destroy(NULL);
  puts("versions");
}

/* The same module in a file and in memory, of a model in a file and in memory. */
static void testOutputs(void) {
  qopt_context *context = create();
  const char *options[COUNT(kOptions) + 2] = {kOptions[0], kOptions[1], kOptions[2], "-o", inFolder("", "file.qmod")};
  qopt_result *toFile = NULL;
  CHECK(qopt_compile_file(context, modelPath, options, COUNT(options), &toFile) == QOPT_OK);
  CHECK(strcmp(qopt_result_path(toFile), options[4]) == 0);
  size_t numBytes = 1, numFileBytes;
  CHECK(!qopt_result_bytes(toFile, &numBytes) && numBytes == 0);
  char *file = readFile(options[4], &numFileBytes);

  qopt_result *toMemory = compileToMemory(context);
  const void *bytes = qopt_result_bytes(toMemory, &numBytes);
  CHECK(numBytes == numFileBytes && memcmp(bytes, file, numBytes) == 0 && !qopt_result_path(toMemory));
  CHECK(strstr(qopt_result_report(toMemory), "\"model\": \"model.onnx\""));

  size_t numLayers = qopt_result_num_layers(toMemory);
  CHECK(numLayers > 8);
  qopt_layer layer;
  layer.size = sizeof layer;
  CHECK(qopt_result_layer(toMemory, 0, &layer) == QOPT_OK);
  CHECK(strcmp(layer.scheme, "rtn-int4") == 0 && layer.out_features > 0 && layer.bits_per_weight < 6);
  CHECK(isnan(layer.loss) && layer.sqnr_db > 0 && strlen(layer.name) > 0 && !layer.fallback);
  expectFailure(qopt_result_layer(toMemory, numLayers, &layer), QOPT_ERROR_USAGE, "was asked for");
  layer.size = 8;
  expectFailure(qopt_result_layer(toMemory, 0, &layer), QOPT_ERROR_USAGE, "expected qopt_layer::size");
  qopt_result_free(toMemory);
  qopt_result_free(toFile);
  qopt_result_free(NULL);
  free(file);
  puts("outputs");

  /* IR, as text by a phase and in both forms where they are asked for. */
  const char *raise[] = {"--until=raise"};
  qopt_result *ir = NULL;
  CHECK(qopt_compile_file(context, modelPath, raise, 1, &ir) == QOPT_OK);
  const char *text = qopt_result_bytes(ir, &numBytes);
  CHECK(numBytes > 100 && memcmp(text, "module", 6) == 0);
  qopt_result_free(ir);
  CHECK(qopt_set_memory_format(context, ".mlirbc") == QOPT_OK);
  CHECK(qopt_compile_file(context, modelPath, raise, 1, &ir) == QOPT_OK);
  const char *bytecode = qopt_result_bytes(ir, &numBytes);
  CHECK(numBytes > 100 && memcmp(bytecode, "ML\xefR", 4) == 0);
  /* Which is a model again. */
  CHECK(qopt_set_memory_format(context, ".mlir") == QOPT_OK);
  qopt_result *again = NULL;
  CHECK(qopt_compile_memory(context, bytecode, numBytes, "ir.mlirbc", NULL, raise, 1, &again) == QOPT_OK);
  text = qopt_result_bytes(again, &numBytes);
  CHECK(memcmp(text, "module", 6) == 0);
  qopt_result_free(again);
  qopt_result_free(ir);
  expectFailure(qopt_set_memory_format(context, ".txt"), QOPT_ERROR_USAGE,
                "expected the format .qmod, .mlir or .mlirbc");
  CHECK(qopt_set_memory_format(context, ".qmod") == QOPT_OK);
  expectFailure(qopt_compile_file(context, modelPath, raise, 1, &ir), QOPT_ERROR_USAGE, "after a phase");
  CHECK(!ir);
  qopt_destroy(context);
  puts("formats");
}

static void expectError(qopt_context *context, const char *model, const char *first, const char *second, qopt_code code,
                        const char *text) {
  const char *options[] = {first, second};
  qopt_result *result = NULL;
  expectFailure(qopt_compile_file(context, model, options, second ? 2 : 1, &result), code, text);
  CHECK(!result);
}

static void testErrors(void) {
  qopt_context *context = create();
  qopt_result *result = NULL;
  const char *none[] = {NULL};
  expectFailure(qopt_compile_file(NULL, modelPath, NULL, 0, &result), QOPT_ERROR_USAGE, "a context and the path");
  expectFailure(qopt_compile_file(context, NULL, NULL, 0, &result), QOPT_ERROR_USAGE, "a context and the path");
  expectFailure(qopt_compile_file(context, modelPath, NULL, 1, &result), QOPT_ERROR_USAGE, "the options are NULL");
  expectFailure(qopt_compile_file(context, modelPath, none, 1, &result), QOPT_ERROR_USAGE, "option 0 is NULL");
  expectFailure(qopt_compile_file(context, modelPath, NULL, 0, NULL), QOPT_ERROR_USAGE, "needs a place for the result");
  expectFailure(qopt_compile_memory(context, NULL, 4, "model.onnx", NULL, NULL, 0, &result), QOPT_ERROR_USAGE,
                "a model and its name");
  expectFailure(qopt_compile_memory(context, "", 0, "a/model.onnx", NULL, NULL, 0, &result), QOPT_ERROR_USAGE,
                "without its directory");

  const qopt_code usage = QOPT_ERROR_USAGE, input = QOPT_ERROR_INPUT, io = QOPT_ERROR_IO;
  expectError(context, modelPath, "--nope", NULL, usage, "unknown option '--nope'");
  expectError(context, modelPath, "--pass-pipelin=x", NULL, usage, "did you mean '--pass-pipeline'");
  expectError(context, modelPath, "-o", NULL, usage, "option '-o' needs a value");
  expectError(context, modelPath, "--output=a.qmod", "--output=b.qmod", usage, "option '--output' was given twice");
  expectError(context, modelPath, "--output=a.txt", NULL, usage, "cannot write \"a.txt\"");
  expectError(context, modelPath, "other.onnx", NULL, usage, "the model is not among the options");
  expectError(context, modelPath, "--help", NULL, usage, "are of the command qopt");
  expectError(context, modelPath, "--completion=bash", NULL, usage, "are of the command qopt");
  expectError(context, modelPath, "--quiet", NULL, usage, "use callbacks");
  expectError(context, modelPath, "--mlir-timing", NULL, usage, "'--mlir-timing' is of the command qopt");
  expectError(context, modelPath, "--list-schemes", NULL, usage, "qopt_describe()");
  expectError(context, modelPath, "--report=-", NULL, usage, "the result has the report");
  expectError(context, modelPath, "--pass-pipeline=int8-static", "--calibration=-", usage,
              "expected a file instead of -");
  expectError(context, modelPath, "--compat=gptq", NULL, usage, "--compat needs --pass-pipeline");
  expectError(context, modelPath, "--pass-pipeline=nope", NULL, input, "there is no such pipeline");
  expectError(context, "missing.onnx", "--threads=1", NULL, io, "missing.onnx: cannot open: No such file");
  expectError(context, modelPath, "--eval=missing.txt", NULL, io, "missing.txt: cannot open: No such file");
  expectError(context, modelPath, "--report=nowhere/x.json", NULL, io, "nowhere/x.json: cannot open its directory");
  expectError(context, modelPath, "--strict", "--tokenizer=/dev/null", io, "/dev/null: is not a regular file");
  expectFailure(qopt_compile_memory(context, "garbage", 7, "model.onnx", NULL, NULL, 0, &result), input,
                "model.onnx: ");
  expectFailure(qopt_compile_memory(context, "garbage", 7, "model.mlir", NULL, NULL, 0, &result), input,
                "model.mlir:1:1: ");
  expectFailure(qopt_compile_memory(context, NULL, 0, "model.onnx", NULL, NULL, 0, &result), input, "model.onnx: ");
  CHECK(!result);

  const char *text = NULL;
  expectFailure(qopt_describe(context, NULL, 0, &text), usage, "expected --list-schemes");
  const char *schemes[] = {"--list-schemes"}, *expand[] = {"--dump-pass-pipeline", "--pass-pipeline=int8-weights"};
  CHECK(qopt_describe(context, schemes, 1, &text) == QOPT_OK && strstr(text, "\"gptq-int4\""));
  CHECK(qopt_describe(context, expand, 2, &text) == QOPT_OK && strncmp(text, "builtin.module(", 15) == 0);
  CHECK(strcmp(qopt_last_error(), "") == 0);
  qopt_destroy(context);
  puts("errors");
}

/* What callbacks have seen. */
struct Seen {
  qopt_context *context;
  int layers, remarks, warnings, cancelAt;
  int64_t done, total;
};

static void onProgress(void *user, int64_t done, int64_t total) {
  struct Seen *seen = user;
  CHECK(done == seen->done + 1 && done <= total);
  seen->done = done;
  seen->total = total;
}
static void onWarning(void *user, const char *text) {
  CHECK(strchr(text, ':'));
  ++((struct Seen *)user)->warnings;
}
static void onRemark(void *user, const char *text) {
  CHECK(strchr(text, ':'));
  ++((struct Seen *)user)->remarks;
}
static void onLayer(void *user, const qopt_layer *layer) {
  struct Seen *seen = user;
  CHECK(layer->size == sizeof *layer && strlen(layer->name) > 0);
  if (++seen->layers == seen->cancelAt)
    qopt_cancel(seen->context);
}

static void testCallbacks(void) {
  qopt_context *context = create();
  struct Seen seen = {context, 0, 0, 0, -1, 0, 0};
  qopt_callbacks callbacks = {sizeof callbacks, &seen, onProgress, onWarning, onRemark, onLayer};
  CHECK(qopt_set_callbacks(context, &callbacks) == QOPT_OK);
  char *calibration = malloc(strlen(directory) + 64);
  sprintf(calibration, "--calibration=%s/calibration.txt", directory);
  const char *options[] = {"--pass-pipeline=gptq-int4{group-size=32}",
                           calibration,
                           "--calibration-samples=2",
                           "--calibration-length=64",
                           "--cpu=x86-64-v3",
                           inFolder("--output=", "calibrated.qmod")};
  /* From a callback: the old file stays, and nothing else is there. */
  seen.cancelAt = 2;
  qopt_result *result = NULL;
  expectFailure(qopt_compile_file(context, modelPath, options, COUNT(options), &result), QOPT_ERROR_CANCELLED,
                ": cancelled");
  CHECK(!result && seen.layers < 30 && seen.done < seen.total);
  puts("cancelled by a callback");
  /* Before it begins. */
  seen = (struct Seen){context, 0, 0, 0, -1, 0, 0};
  qopt_cancel(context);
  expectFailure(qopt_compile_file(context, modelPath, options, COUNT(options), &result), QOPT_ERROR_CANCELLED,
                ": cancelled");
  CHECK(seen.layers == 0);
  /* The next one is not. */
  seen = (struct Seen){context, 0, 0, 0, -1, 0, 0};
  CHECK(qopt_compile_file(context, modelPath, options, COUNT(options), NULL) == QOPT_OK);
  CHECK(seen.layers > 8 && seen.done == seen.total && seen.done > 0 && seen.warnings > 0);
  /* Nobody listens any more. */
  CHECK(qopt_set_callbacks(context, NULL) == QOPT_OK);
  int layers = seen.layers;
  const char *raise[] = {"--until=raise"};
  CHECK(qopt_compile_file(context, modelPath, raise, 1, &result) == QOPT_OK && seen.layers == layers);
  qopt_result_free(result);
  qopt_destroy(context);
  puts("callbacks");
}

/* From another thread, while codes are made. */
static void *cancelSoon(void *context) {
  struct timespec moment = {0, 30 * 1000 * 1000};
  nanosleep(&moment, NULL);
  qopt_cancel(context);
  return NULL;
}

static void testCancellation(void) {
  qopt_context *context = create();
  const char *options[] = {"--pass-pipeline=rtn-int4{group-size=32}", inFolder("--output=", "cancelled.qmod")};
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancelSoon, context) == 0);
  expectFailure(qopt_compile_file(context, modelPath, options, COUNT(options), NULL), QOPT_ERROR_CANCELLED,
                ": cancelled");
  pthread_join(thread, NULL);
  qopt_destroy(context);
  puts("cancelled by a thread");
}

/* Several contexts at once, from threads whose stack is small. */
static void *compileInThread(void *unused) {
  (void)unused;
  qopt_context *context = create();
  qopt_result *result = compileToMemory(context);
  qopt_destroy(context);
  return result;
}

static void testThreads(void) {
  pthread_t threads[3];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 * 1024);
  for (size_t i = 0; i < COUNT(threads); ++i)
    CHECK(pthread_create(&threads[i], &attributes, compileInThread, NULL) == 0);
  qopt_result *results[COUNT(threads)];
  for (size_t i = 0; i < COUNT(threads); ++i)
    CHECK(pthread_join(threads[i], (void **)&results[i]) == 0 && results[i]);
  size_t size, other;
  const void *bytes = qopt_result_bytes(results[0], &size);
  for (size_t i = 1; i < COUNT(threads); ++i) {
    const void *same = qopt_result_bytes(results[i], &other);
    CHECK(other == size && memcmp(bytes, same, size) == 0);
  }
  for (size_t i = 0; i < COUNT(threads); ++i)
    qopt_result_free(results[i]);
  puts("threads");
}

int main(int argc, char **argv) {
  CHECK(argc == 4);
  modelPath = argv[1];
  directory = argv[2];
  folder = argv[3];
  modelBytes = readFile(modelPath, &numModelBytes);
  testVersions();
  testErrors();
  testOutputs();
  testCallbacks();
  testCancellation();
  testThreads();
  return 0;
}
