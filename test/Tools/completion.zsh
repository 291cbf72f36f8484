# completion.zsh SCRIPT TOOL WORD: the command line in brackets, once the tabulator was pressed behind it.
zmodload zsh/zpty
line="${2:t} $3" # lit gives paths
zpty shell zsh -f -i
zpty -w shell "PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source $1; echo re''ady"
zpty -r -m shell ignored '*ready*'
# A key writes the line to a file, whatever the terminal shows of it. Keys that come before the line editor listens
# would be the terminal's: ^W takes a word back there.
zpty -w shell "save() { print -r -- \"[\$BUFFER]\" > saved; BUFFER=; }; zle -N save; bindkey '^X^W' save; zle-line-init() { print lis''tens; }; zle -N zle-line-init"
zpty -r -m shell ignored '*listens*'
zpty -w -n shell "$line"$'\t'$'\C-x\C-w'
zpty -w -n shell $'\n'
for ((i = 0; i < 100; ++i)); do
  [[ -s saved ]] && break
  zpty -r -t shell ignored
  sleep 0.05
done
cat saved
rm saved
