#!/bin/sh
# contains.sh PATTERN FILE: for qopt-reduce, interesting (1) where the file has a line that matches.
! grep -q -- "$1" "$2"
