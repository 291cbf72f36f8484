# man.awk: the manual page of what a tool prints for --help.
#
#   awk -v name=qopt -v version=0.1.0 -f man.awk help.txt > qopt.1
#
# A tool of ours prints "usage: ...", what it does, and sections of options, each with its text from column 33 on. LLVM's
# tools print "OVERVIEW: ...", "USAGE: ..." and a tree of options, which is kept as it is.

# A line of text: nothing in it is for troff.
function plain(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  return text ~ /^[.']/ ? "\\&" text : text
}

# A line of a text whose lines stay apart.
function apart(text) {
  print (isFirst ? "" : ".br\n") plain(text)
  isFirst = 0
}

# Name, purpose and use, with which each page begins.
function begin(summary, usage) {
  sub(/\.$/, "", summary)
  print ".TH " toupper(name) " 1 \"\" \"qopt " version "\" \"User Commands\""
  if (summary ~ /^[A-Z][a-z]/)
    summary = tolower(substr(summary, 1, 1)) substr(summary, 2)
  print ".SH NAME\n" plain(name) " \\- " plain(summary)
  print ".SH SYNOPSIS\n" plain(usage)
}

{ lines[NR] = $0 }

END {
  if (lines[1] ~ /^usage: /) {
    for (i = 3; lines[i] != ""; ++i)
      summary = summary (summary == "" ? "" : " ") lines[i]
    begin(summary, substr(lines[1], 8))
    print ".SH DESCRIPTION\n" plain(summary) "\n.SH OPTIONS"
    for (; i <= NR; ++i) {
      line = lines[i]
      if (line ~ /^[^ ].*:$/)
        print ".SS " plain(substr(line, 1, length(line) - 1))
      else if (line ~ /^  -/) {
        option = substr(line, 3)
        text = ""
        if (match(option, /  +[^ ]/)) { # two spaces end what the option is called
          text = substr(option, RSTART + RLENGTH - 1)
          option = substr(option, 1, RSTART - 1)
        }
        print ".TP\n.B " plain(option)
        isFirst = 1
        if (text != "")
          apart(text)
      } else if (line ~ /^ /) {
        sub(/^ +/, "", line)
        apart(line)
      } else if (line ~ /^Exit status: /)
        print ".SH EXIT STATUS\n" plain(substr(line, 14))
      else if (line != "")
        print (lines[i - 1] == "" ? ".SH NOTES\n" : "") plain(line)
    }
  } else {
    for (i = 1; i <= NR && lines[i] !~ /^USAGE: /; ++i)
      if (lines[i] != "" && summary == "") {
        summary = lines[i]
        sub(/^OVERVIEW: /, "", summary)
      } else
        description = description plain(lines[i]) "\n"
    usage = lines[i]
    sub(/^USAGE: /, "", usage)
    begin(summary, usage)
    if (description ~ /[^\n]/)
      print ".SH DESCRIPTION\n.nf\n" description ".fi"
    print ".SH OPTIONS\n.nf"
    for (++i; i <= NR; ++i)
      print plain(lines[i])
    print ".fi"
  }
  print ".SH SEE ALSO\n.BR qopt (1),\n.BR qrun (1)"
}
