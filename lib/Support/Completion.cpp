//===- Completion.cpp - Options completed by shells -----------------------===//
//
// The scripts follow from the table of options. They run without the completion packages
// that distributions have, and with those.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Options.h"

using namespace qopt;

/// `text` as one word of a shell.
static std::string quoted(std::string_view text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// The words in quotes with spaces between.
static std::string quotedWords(const std::vector<std::string> &words) {
  std::string result;
  for (const std::string &word : words)
    result += (result.empty() ? "" : " ") + quoted(word);
  return result;
}

/// A function's name for a tool whose name may hold what functions' cannot.
static std::string functionOf(std::string tool) {
  for (char &c : tool)
    if (c == '-')
      c = '_';
  return "_" + tool;
}

std::string Options::completion(const std::string &tool, const std::string &shell) const {
  return shell == "bash" ? completionForBash(tool) : completionForZsh(tool);
}

//===----------------------------------------------------------------------===//
// bash
//===----------------------------------------------------------------------===//

std::string Options::completionForBash(const std::string &tool) const {
  std::string function = functionOf(tool), names, cases;
  for (const Option &option : options) {
    names += " --" + option.name + (option.isFlag() ? "" : "=");
    if (option.isFlag())
      continue;
    std::string pattern = "--" + option.name + (option.letter ? std::string("|-") + option.letter : "");
    std::string action = "return";
    if (option.isFile)
      action = "files=1";
    else if (!option.words.empty())
      action = "words=(" + quotedWords(option.words) + ")" + (option.isList ? " list=1" : "");
    cases += "    " + pattern + ") " + action + " ;;\n";
  }
  // bash splits --name=value at the "=" where COMP_WORDBREAKS has one, as it does at first.
  return "# Completion of " + tool + " for bash: source this file.\n" + function + R"(() {
  local word=${COMP_WORDS[COMP_CWORD]} before= option= prefix= head= files= list= i
  local -a words=()
  ((COMP_CWORD > 0)) && before=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [[ $word == = ]]; then
    option=$before word=
  elif [[ $before == = ]] && ((COMP_CWORD > 1)); then
    option=${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $word == --*=* ]]; then
    option=${word%%=*} prefix=${word%%=*}= word=${word#*=}
  elif [[ $word != -* && $before == -* ]]; then
    option=$before
  fi
  case $option in
)" + cases +
         R"(    *)
      if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W ')" +
         names.substr(1) + R"( --help --version --completion=' -- "$word")
        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
        return
      fi
      files=1 ;;
  esac
  if [[ $files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null
  else
    [[ $list && $word == *,* ]] && head=${word%,*},
    for i in "${words[@]}"; do
      [[ $head$i == "$word"* ]] && COMPREPLY+=("$head$i")
    done
  fi
  COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
}
complete -F )" +
         function + " " + tool + "\n";
}

//===----------------------------------------------------------------------===//
// zsh
//===----------------------------------------------------------------------===//

/// The first line of a help text as _arguments takes it between brackets.
static std::string summaryForZsh(const std::string &help) {
  std::string result;
  for (char c : help.substr(0, help.find('\n')))
    result += (c == '[' || c == ']' || c == ':' || c == '\\' ? "\\" : "") + std::string(1, c);
  return result;
}

std::string Options::completionForZsh(const std::string &tool) const {
  std::string function = functionOf(tool), specs;
  auto add = [&](const std::string &spec) { specs += " \\\n    " + spec; };
  for (const Option &option : options) {
    std::string value;
    if (!option.isFlag()) {
      std::string words;
      for (const std::string &word : option.words) {
        words += words.empty() ? "" : " ";
        for (char c : word)
          words += (c == ':' ? "\\" : "") + std::string(1, c);
      }
      value = ":value:";
      if (option.isFile)
        value += "_files";
      else if (option.isList)
        value += "_sequence compadd - " + words;
      else if (!words.empty())
        value += "(" + words + ")";
      else
        value += " ";
    }
    std::string text = "[" + summaryForZsh(option.help) + "]" + value;
    std::string repeats = option.isRepeatable ? "*" : "";
    add(quoted(repeats + "--" + option.name + (option.isFlag() ? "" : "=") + text));
    if (option.letter)
      add(quoted(repeats + "-" + option.letter + (option.isFlag() ? "" : "+") + text));
  }
  add("'(- *)'{-h,--help}'[print the options]'");
  add("'(- *)--version[print the version]'");
  add("'(- *)--completion=[print a script for a shell]:shell:(bash zsh)'");
  add("'*:file:_files'");
  return "#compdef " + tool + "\n# Completion of " + tool + " for zsh: a file _" + tool +
         " in $fpath, or to be sourced.\n" + function + "() {\n  _arguments -S" + specs + "\n}\n" +
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  " + function + " \"$@\"\nelse\n  compdef " +
         function + " " + tool + "\nfi\n";
}
