#!/bin/bash
# Paths, names, keys and whatever is hashed or compared are bytes. Swift's String takes two spellings of a letter for one,
# "\r\n" for one character, and a mark for a part of what stands before it, so that the separator is not found. Names
# every use of Characters where bytes would do: say it with utf8, FilePath or [UInt8].
set -euo pipefail
cd "$(dirname "$0")/../.."

# Calls that look for a text or a Character in a String.
calls='\.split\(separator: "|\.hasPrefix\(|\.hasSuffix\(|\.(first|last)Index\(of: "|\.contains\("[^"]*"\)|\.firstRange\(of: "[^"]*"\)'
calls+='|\.ranges\(of: "|\.replacing\("|\.trimming|prefix\(while: \{ \$0 [!=]= "|prefix \{ \$0 [!=]= "|\.(first|last) [!=]= "'
# Literals that are not the only text equal to them: K, ; and ` have a twin, and letters beyond ASCII several.
twins='[!=]= "[^"\\]*([K;`]|\\u\{)'
# Texts that hold any letter, compared as a whole: origins, verification keys, signed notes, base64. And U+212A in lower
# case is the letter k: `asciiLowercased` says what is meant.
spelt='\b(origin|vkey|note|base64)\)?\)? [!=]= |[!=]= ([a-zA-Z]+[.?!]+)*(origin|vkey|note|base64)\b'
spelt+='|\.(lower|upper)cased\(\)'

# Where text is for people, or is the program's own: nothing is compared with what comes from outside.
own='Sources/Daemon/Configuration\+Reference\.swift'

if grep -rnE --include='*.swift' "$calls|$twins|$spelt" Sources | grep -vE "^($own):|^[^:]+:[0-9]+: *///?"; then
    echo "bytes: compare bytes, not Characters" >&2
    exit 1
fi
echo "bytes: clean"
