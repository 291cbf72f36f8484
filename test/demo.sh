#!/usr/bin/env bash
# demo.sh BIN_DIR: quantizes the embedded model with the main schemes, runs the
# modules, prints one table and a short text. Called by bootstrap.sh.
set -euo pipefail
bin=$(realpath "$1")
inputs=$(realpath "$(dirname "$0")/Inputs/tiny-llama")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# number FILE KEY: the number after "KEY": in a JSON file.
number() { sed -n "s/.*\"$2\": *\([-+.0-9eE]*\).*/\1/p" "$1" | tail -1; }

echo
echo "tiny-llama, a trained Llama of 3.7 M parameters, on its evaluation text (windows of 256 tokens):"
echo
printf '%-19s %11s %11s %11s %9s %9s %11s %9s\n' scheme 'bits/weight' 'module KB' perplexity change 'mean KL' 'same top-1' seconds
for scheme in float int8-weights int8-static int8-dynamic llm-int8 'rtn-int4{activations=float}' rtn-int4 \
  'gptq-int4{activations=float}' gptq-int4; do
  options=()
  [[ $scheme == float ]] || options+=(--pass-pipeline="$scheme")
  [[ $scheme == int8-static || $scheme == gptq-int4* ]] && options+=(--calibration="$inputs/calibration.txt" --calibration-length=256 --documents=blank-lines)
  "$bin/qopt" "$inputs/model.onnx" "${options[@]}" -o "$work/$scheme.qmod" --report="$work/report.json" --quiet
  "$bin/qrun" "$work/$scheme.qmod" --perplexity="$inputs/eval.txt" --documents=blank-lines --window=256 --max-windows=48 \
    --compare="$work/float.qmod" --json="$work/run.json" --quiet >/dev/null
  perplexity=$(number "$work/run.json" perplexity)
  [[ $scheme != float ]] || float=$perplexity
  # Of the int4 schemes both forms; what they are called without options rounds activations to int8.
  awk -v scheme="${scheme/\{activations=float\}/, float x}" -v bits="$(number "$work/report.json" bits_per_weight)" \
    -v bytes="$(stat -c %s "$work/$scheme.qmod")" -v ppl="$perplexity" -v float="$float" \
    -v kl="$(number "$work/run.json" kl_divergence_mean)" -v top="$(number "$work/run.json" same_top1)" \
    -v seconds="$(number "$work/report.json" quantize_seconds)" 'BEGIN {
      printf "%-19s %11.2f %11.0f %11.4f %+8.2f%% %9.5f %10.1f%% %9.1f\n",
        scheme, bits, bytes / 1024, ppl, 100 * (ppl / float - 1), kl, 100 * top, seconds }'
done

echo
echo "The gptq-int4 module goes on from \"And God said,\":"
echo
"$bin/qrun" "$work/gptq-int4.qmod" --prompt="And God said," --max-tokens=40 --quiet
cat <<END

The same with a model of yours (tokenizer.json beside it):

  ${bin#"$PWD/"}/qopt model.onnx --pass-pipeline=gptq-int4 --calibration=corpus.txt -o model.qmod
  ${bin#"$PWD/"}/qrun model.qmod --perplexity=eval.txt
  ${bin#"$PWD/"}/qrun model.qmod --prompt="Once upon a time"
END
