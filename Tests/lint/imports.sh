#!/bin/bash
# Checks what may import what, and how long a source file may be. Prints each breach; fails if there is any.
set -euo pipefail
cd "$(dirname "$0")/../.."

breaches=0
breach() {
    echo "$1" >&2
    breaches=$((breaches + 1))
}

# imports MODULE: `file module` for each import in Sources/MODULE.
imports() {
    grep -RHoE --include='*.swift' \
        '^[[:space:]]*(@[A-Za-z_]+(\([a-z]*\))? +)*((public|package|internal|fileprivate|private) +)?import +[^;/]+' \
        "Sources/$1" | sed -E 's/^([^:]+):.*import +((struct|class|enum|protocol|func|var|let|typealias) +)?([A-Za-z0-9_]+).*/\1 \4/'
}

# only IMPORTED MODULE...: nobody but these modules imports what the pattern matches.
only() {
    local pattern=$1 directory module file imported
    shift
    for directory in Sources/*/; do
        module=$(basename "$directory")
        [[ " $* " == *" $module "* ]] && continue
        while read -r file imported; do
            if [[ $imported =~ ^($pattern)$ ]]; then breach "$file: only $* may import $imported"; fi
        done < <(imports "$module")
    done
}

# nothing_but MODULE PATTERN: the module imports only what the pattern matches.
nothing_but() {
    local file imported
    while read -r file imported; do
        if [[ ! $imported =~ ^($2)$ ]]; then breach "$file: $1 must not import $imported"; fi
    done < <(imports "$1")
}

# never MODULE PATTERN: the module imports nothing the pattern matches.
never() {
    local file imported
    while read -r file imported; do
        if [[ $imported =~ ^($2)$ ]]; then breach "$file: $1 must not import $imported"; fi
    done < <(imports "$1")
}

# The table. A pattern names whole modules.
only 'CLMDB' LMDB
only 'COpenSSL' OpenSSL
only 'CZip|CZlib' Zip
only 'CBundleTexts' Bundle
only 'NIO.*|_NIO.*' Varlink
only 'CLinux' Files LMDB Ledger Varlink Daemon evidence
nothing_but JSON 'Swift|Synchronization'
nothing_but Merkle 'Swift|Synchronization'
nothing_but LedgerFormat 'Swift|Synchronization|Glibc|JSON|Merkle'
nothing_but Keys 'Swift|Synchronization|Glibc|LMDB|OpenSSL|Merkle|DequeModule'
nothing_but Files 'Swift|Glibc|CLinux|OpenSSL'
nothing_but Paths 'Swift|Glibc'
nothing_but Zip 'Swift|Synchronization|Glibc|CZip|CZlib|Paths'
nothing_but Age 'Swift|OpenSSL|Merkle'
nothing_but Bundle 'Swift|Synchronization|Glibc|CBundleTexts|JSON|Merkle|OpenSSL|LedgerFormat|Paths|Zip'
never LMDB 'JSON|Merkle|OpenSSL|Ledger.*|Varlink|Service|Daemon|Bundle'
never OpenSSL 'JSON|LMDB|Ledger.*|Varlink|Service|Daemon|Bundle'
never Ledger 'Varlink|Service|Daemon|Bundle'
never Vault 'LMDB|Varlink|Service|Daemon|Bundle|Keys'
never Varlink 'LMDB|OpenSSL|Merkle|Ledger.*|Service|Daemon'
never Service 'LMDB|OpenSSL|Daemon|Bundle|Zip'
for directory in Sources/*/; do never "$(basename "$directory")" 'Foundation.*'; done

while read -r lines file; do
    if ((lines > 400)); then breach "$file: $lines lines; 400 is the most"; fi
done < <(find Sources -name '*.swift' -exec wc -l {} + | grep -v ' total$')

if ((breaches > 0)); then
    echo "imports: $breaches breaches" >&2
    exit 1
fi
echo "imports: clean"
